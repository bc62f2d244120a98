#include <cmath>

#include <charconv>

#include "base/clock.h"
#include "codec/encoding.h"
#include "sql/statement.h"

namespace lakeloop::sql {
namespace {

using delta::DataType;
using enum delta::TypeKind;

constexpr std::int64_t kMicrosPerDay = 86'400'000'000;

std::string number_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  std::string text(buffer, end);
  if (!text.contains('.') && !text.contains('e')) text += ".0";
  return text;
}

std::string timestamp_text(std::int64_t micros, bool with_zone) {
  std::string text = format_rfc3339({micros});
  if (!with_zone) text.pop_back();  // wall-clock time
  return text;
}

// A cell inside an array, map or struct: JSON, with dates and bytes as text.
Json nested(const Json& cell, const DataType& type) {
  if (cell.is_null()) return cell;
  switch (type.kind) {
    case kDate:
      return format_date({cell.int_or(0) * kMicrosPerDay});
    case kTimestamp:
      return timestamp_text(cell.int_or(0), true);
    case kTimestampNtz:
      return timestamp_text(cell.int_or(0), false);
    case kBinary:
      return codec::base64_encode(cell.string_or(""));
    case kArray: {
      Json list = Json::array();
      if (cell.is_array() && type.element) {
        for (const Json& item : cell.items()) list.push_back(nested(item, *type.element));
      }
      return list;
    }
    case kStruct: {
      Json object = Json::object();
      for (const delta::Field& field : type.fields) object.set(field.name, nested(cell[field.name], field.type));
      return object;
    }
    case kMap: {
      if (cell.is_object()) {
        Json object = Json::object();
        for (const auto& [key, value] : cell.members())
          object.set(key, type.element ? nested(value, *type.element) : value);
        return object;
      }
      Json list = Json::array();
      if (cell.is_array()) {
        for (const Json& entry : cell.items()) {
          list.push_back(
              Json::object({{"key", type.key ? nested(entry["key"], *type.key) : entry["key"]},
                            {"value", type.element ? nested(entry["value"], *type.element) : entry["value"]}}));
        }
      }
      return list;
    }
    default:
      return cell;
  }
}

}  // namespace

std::optional<std::string> cell_text(const Json& cell, const DataType& type) {
  if (cell.is_null()) return std::nullopt;
  if (type.kind == kArray || type.kind == kStruct || type.kind == kMap) return nested(cell, type).dump();
  if (cell.is_bool()) return cell.as_bool() ? "true" : "false";
  if (type.kind == kDate || type.kind == kTimestamp || type.kind == kTimestampNtz || type.kind == kBinary) {
    return nested(cell, type).string_or("");
  }
  if (cell.is_int()) {
    return type.kind == kDouble || type.kind == kFloat ? number_text(cell.as_double()) : std::to_string(cell.as_int());
  }
  if (cell.is_double()) return number_text(cell.as_double());
  if (cell.is_string()) return cell.as_string();
  return cell.dump();
}

}  // namespace lakeloop::sql
