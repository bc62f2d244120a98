#include "api/fields.h"

#include "base/text.h"

namespace lakeloop::api {
namespace {

std::string_view type_text(FieldType type) {
  switch (type) {
    case FieldType::kString:
      return "a string";
    case FieldType::kInteger:
      return "an integer";
    case FieldType::kNumber:
      return "a number";
    case FieldType::kBoolean:
      return "true or false";
    case FieldType::kArray:
      return "an array";
    case FieldType::kObject:
      return "an object";
    case FieldType::kAny:
      return "any value";
  }
  return "";
}

[[noreturn]] void wrong_type(const Route& route, const Field& field, const Json& value) {
  if (route.dialect == Dialect::kMlflow) {
    throw Error(
        ErrorCode::kInvalidArgument,
        "Invalid value {} for parameter '{}' supplied: it must be {}. See the API docs for more information about "
        "request parameters.",
        value.dump().substr(0, 200), field.name, type_text(field.type))
        .with_param(field.name);
  }
  throw Error(ErrorCode::kInvalidArgument, "{} must be {}, got {}", field.name, type_text(field.type),
              value.type_name())
      .with_param(field.name);
}

bool fits(const Json& value, FieldType type) {
  switch (type) {
    case FieldType::kString:
      return value.is_string();
    case FieldType::kInteger:
      return value.is_int();
    case FieldType::kNumber:
      return value.is_number();
    case FieldType::kBoolean:
      return value.is_bool();
    case FieldType::kArray:
      return value.is_array();
    case FieldType::kObject:
      return value.is_object();
    case FieldType::kAny:
      return true;
  }
  return false;
}

// A query value or path parameter in the type that the descriptor states.
Json from_text(const Route& route, const Field& field, const std::string& text) {
  switch (field.type) {
    case FieldType::kInteger: {
      const auto number = parse_number<std::int64_t>(text);
      if (!number) {
        throw Error(ErrorCode::kInvalidArgument, "Parameter '{}' must be an integer, got '{}'.", field.name, text)
            .with_param(field.name);
      }
      return *number;
    }
    case FieldType::kNumber: {
      const auto number = parse_number<double>(text);
      if (!number) wrong_type(route, field, text);
      return *number;
    }
    case FieldType::kBoolean:
      if (iequals(text, "true") || text == "1") return true;
      if (iequals(text, "false") || text == "0") return false;
      wrong_type(route, field, text);
    case FieldType::kObject: {
      auto parsed = Json::try_parse(text);
      if (!parsed || !parsed->is_object()) wrong_type(route, field, text);
      return std::move(*parsed);
    }
    default:
      return text;
  }
}

const Field* find_field(const Route& route, std::string_view name) {
  for (const Field& field : route.request) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

Json body_fields(const Route& route, const net::Request& request) {
  if (route.raw_body || route.stream_body || trim(request.body).empty()) return Json::object();
  Json body = Json::parse(request.body);
  // Old R and Java clients of MLflow send the document as JSON text inside a JSON string.
  if (body.is_string() && route.dialect == Dialect::kMlflow) body = Json::parse(body.as_string());
  if (!body.is_object()) {
    throw Error(ErrorCode::kMalformedRequest, "the request body must be a JSON object, got {}", body.type_name());
  }
  return body;
}

}  // namespace

Json decode_fields(const Route& route, const net::Request& request, const net::Router::Match& match) {
  Json fields = body_fields(route, request);
  for (const auto& [name, text] : request.query) {
    const Field* field = find_field(route, name);
    const Json value =
        field != nullptr && field->type != FieldType::kArray ? from_text(route, *field, text) : Json(text);
    if (field != nullptr && field->type == FieldType::kArray) {
      Json* list = fields.find(name);
      if (list == nullptr || !list->is_array()) {
        fields.set(name, Json::array({value}));
      } else {
        list->push_back(value);
      }
    } else if (!fields.contains(name)) {
      fields.set(name, value);
    }
  }
  for (const auto& [name, text] : match.params) {
    const Field* field = find_field(route, name);
    fields.set(name, field != nullptr ? from_text(route, *field, text) : Json(text));
  }
  for (const Field& field : route.request) {
    Json* value = fields.find(field.name);
    if (value == nullptr || value->is_null()) {
      if (!field.required) continue;
      if (route.dialect == Dialect::kMlflow) {
        throw Error(ErrorCode::kInvalidArgument,
                    "Missing value for required parameter '{}'. See the API docs for more information about request "
                    "parameters.",
                    field.name)
            .with_param(field.name);
      }
      throw Error(ErrorCode::kInvalidArgument, "{} is required", field.name).with_param(field.name);
    }
    // Protobuf's JSON sends 64-bit integers as strings.
    if (field.type == FieldType::kInteger && value->is_string()) {
      *value = from_text(route, field, value->as_string());
    } else if (field.type == FieldType::kInteger && value->is_double() &&
               value->as_double() == static_cast<double>(static_cast<std::int64_t>(value->as_double()))) {
      *value = static_cast<std::int64_t>(value->as_double());
    } else if (field.type == FieldType::kNumber && value->is_string()) {
      const std::string& text = value->as_string();
      if (text == "NaN" || text == "Infinity" || text == "-Infinity") continue;
      wrong_type(route, field, *value);
    }
    if (!fits(*value, field.type)) wrong_type(route, field, *value);
  }
  return fields;
}

}  // namespace lakeloop::api
