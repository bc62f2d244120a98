#include "codec/json.h"

#include <yyjson.h>

#include <cmath>
#include <memory>

#include "base/check.h"
#include "base/limits.h"

namespace lakeloop {
namespace {

struct FreeDoc {
  void operator()(yyjson_doc* doc) const { yyjson_doc_free(doc); }
  void operator()(yyjson_mut_doc* doc) const { yyjson_mut_doc_free(doc); }
};

std::string_view text_of(yyjson_val* value) {
  return {yyjson_get_str(value), yyjson_get_len(value)};
}

Json from_yyjson(yyjson_val* value, std::size_t levels) {
  if (levels == 0) throw Error(ErrorCode::kMalformedRequest, "the JSON document is nested too deep");
  switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_BOOL:
      return yyjson_get_bool(value);
    case YYJSON_TYPE_NUM:
      if (yyjson_is_sint(value)) return yyjson_get_sint(value);
      if (yyjson_is_uint(value)) {
        const std::uint64_t number = yyjson_get_uint(value);
        if (number <= INT64_MAX) return static_cast<std::int64_t>(number);
      }
      return yyjson_get_num(value);
    case YYJSON_TYPE_STR:
      return text_of(value);
    case YYJSON_TYPE_ARR: {
      Json::Array items;
      items.reserve(yyjson_arr_size(value));
      std::size_t i, n;
      yyjson_val* item;
      yyjson_arr_foreach(value, i, n, item) items.push_back(from_yyjson(item, levels - 1));
      return items;
    }
    case YYJSON_TYPE_OBJ: {
      Json object = Json::object();
      Json::Object& members = object.members();
      members.reserve(yyjson_obj_size(value));
      std::size_t i, n;
      yyjson_val *key, *item;
      // Small objects: a linear look for duplicates is cheap. Large ones keep duplicates; find() takes the last.
      yyjson_obj_foreach(value, i, n, key, item) members.emplace_back(text_of(key), from_yyjson(item, levels - 1));
      return object;
    }
    default:
      return nullptr;
  }
}

yyjson_mut_val* to_yyjson(yyjson_mut_doc* doc, const Json& json) {
  if (json.is_bool()) return yyjson_mut_bool(doc, json.as_bool());
  if (json.is_int()) return yyjson_mut_sint(doc, json.as_int());
  if (json.is_double()) {
    const double number = json.as_double();
    if (std::isnan(number)) return yyjson_mut_str(doc, "NaN");
    if (std::isinf(number)) return yyjson_mut_str(doc, number > 0 ? "Infinity" : "-Infinity");
    return yyjson_mut_real(doc, number);
  }
  if (json.is_string()) return yyjson_mut_strn(doc, json.as_string().data(), json.as_string().size());
  if (json.is_array()) {
    yyjson_mut_val* array = yyjson_mut_arr(doc);
    for (const Json& item : json.items()) yyjson_mut_arr_append(array, to_yyjson(doc, item));
    return array;
  }
  if (json.is_object()) {
    yyjson_mut_val* object = yyjson_mut_obj(doc);
    for (const auto& [key, value] : json.members()) {
      yyjson_mut_obj_add(object, yyjson_mut_strn(doc, key.data(), key.size()), to_yyjson(doc, value));
    }
    return object;
  }
  return yyjson_mut_null(doc);
}

std::string write(const Json& json, yyjson_write_flag flags) {
  const std::unique_ptr<yyjson_mut_doc, FreeDoc> doc(yyjson_mut_doc_new(nullptr));
  yyjson_mut_doc_set_root(doc.get(), to_yyjson(doc.get(), json));
  std::size_t size = 0;
  yyjson_write_err error;
  char* text = yyjson_mut_write_opts(doc.get(), flags | YYJSON_WRITE_ALLOW_INVALID_UNICODE, nullptr, &size, &error);
  LAKELOOP_CHECK(text != nullptr);
  std::string out(text, size);
  std::free(text);
  return out;
}

// yyjson parses without recursion, so depth is looked at first: from_yyjson recurses.
bool too_deep(std::string_view text, std::size_t max_depth) {
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > max_depth) return true;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return false;
}

const Json& null_json() {
  static const Json null;
  return null;
}

}  // namespace

Json Json::strings(const std::vector<std::string>& items) {
  return Json(Array(items.begin(), items.end()));
}

Json Json::parse(std::string_view text) {
  return parse(text, limits::kJsonDepth);
}

Json Json::parse(std::string_view text, std::size_t max_depth) {
  if (too_deep(text, max_depth)) {
    throw Error(ErrorCode::kMalformedRequest, "the JSON document is nested deeper than {} levels", max_depth);
  }
  yyjson_read_err error{};
  const std::unique_ptr<yyjson_doc, FreeDoc> doc(
      yyjson_read_opts(const_cast<char*>(text.data()), text.size(), YYJSON_READ_NOFLAG, nullptr, &error));
  if (!doc) throw Error(ErrorCode::kMalformedRequest, "not valid JSON at byte {}: {}", error.pos, error.msg);
  return from_yyjson(yyjson_doc_get_root(doc.get()), max_depth + 1);
}

std::optional<Json> Json::try_parse(std::string_view text) {
  try {
    return parse(text);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string Json::dump() const {
  return write(*this, YYJSON_WRITE_NOFLAG);
}
std::string Json::dump_pretty() const {
  return write(*this, YYJSON_WRITE_PRETTY_TWO_SPACES);
}

std::string_view Json::type_name() const {
  static constexpr std::string_view names[] = {"null", "boolean", "number", "number", "string", "array", "object"};
  return names[value_.index()];
}

bool Json::as_bool() const {
  LAKELOOP_CHECK(is_bool());
  return std::get<bool>(value_);
}
std::int64_t Json::as_int() const {
  LAKELOOP_CHECK(is_int());
  return std::get<std::int64_t>(value_);
}
double Json::as_double() const {
  if (is_int()) return static_cast<double>(as_int());
  LAKELOOP_CHECK(is_double());
  return std::get<double>(value_);
}
const std::string& Json::as_string() const {
  LAKELOOP_CHECK(is_string());
  return std::get<std::string>(value_);
}
const Json::Array& Json::items() const {
  LAKELOOP_CHECK(is_array());
  return std::get<Array>(value_);
}
Json::Array& Json::items() {
  LAKELOOP_CHECK(is_array());
  return std::get<Array>(value_);
}
const Json::Object& Json::members() const {
  LAKELOOP_CHECK(is_object());
  return std::get<Object>(value_);
}
Json::Object& Json::members() {
  LAKELOOP_CHECK(is_object());
  return std::get<Object>(value_);
}

const Json* Json::find(std::string_view key) const {
  const auto* object = std::get_if<Object>(&value_);
  if (object == nullptr) return nullptr;
  for (auto it = object->rbegin(); it != object->rend(); ++it) {
    if (it->first == key) return &it->second;
  }
  return nullptr;
}

Json* Json::find(std::string_view key) {
  return const_cast<Json*>(std::as_const(*this).find(key));
}

const Json& Json::operator[](std::string_view key) const {
  const Json* found = find(key);
  return found != nullptr ? *found : null_json();
}

const Json& Json::at(std::size_t index) const {
  const auto* array = std::get_if<Array>(&value_);
  return array != nullptr && index < array->size() ? (*array)[index] : null_json();
}

std::string Json::string_or(std::string_view fallback) const {
  return is_string() ? as_string() : std::string(fallback);
}
std::int64_t Json::int_or(std::int64_t fallback) const {
  return is_int() ? as_int() : fallback;
}
double Json::double_or(double fallback) const {
  return is_number() ? as_double() : fallback;
}
bool Json::bool_or(bool fallback) const {
  return is_bool() ? as_bool() : fallback;
}

std::size_t Json::size() const {
  if (is_array()) return items().size();
  if (is_object()) return members().size();
  return 0;
}

Json& Json::set(std::string_view key, Json value) {
  if (is_null()) value_ = Object();
  if (Json* found = find(key)) {
    *found = std::move(value);
  } else {
    members().emplace_back(key, std::move(value));
  }
  return *this;
}

Json& Json::set_if(std::string_view key, Json value) {
  if (!value.is_null()) set(key, std::move(value));
  return *this;
}

void Json::erase(std::string_view key) {
  std::erase_if(members(), [&](const Member& member) { return member.first == key; });
}

Json& Json::push_back(Json value) {
  if (is_null()) value_ = Array();
  items().push_back(std::move(value));
  return *this;
}

}  // namespace lakeloop
