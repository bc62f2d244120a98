#include "api/unity/columns.h"

#include <map>

#include "base/text.h"

namespace lakeloop::api::unity {
namespace {

// A field of a schema out of one column, in the JSON of Delta's schema; its type is a JSON value of that form.
Json field_json(const Json& column, Json type) {
  Json metadata = Json::object();
  if (!column.str("comment").empty()) metadata.set("comment", column.str("comment"));
  return Json::object({{"name", column.str("name")},
                       {"type", std::move(type)},
                       {"nullable", column["nullable"].bool_or(true)},
                       {"metadata", std::move(metadata)}});
}

std::string type_text_of(const Json& column) {
  std::string text = column.str("type_text");
  if (text.empty()) text = column.str("type_name");
  text = ascii_lower(text);
  const auto precision = column["type_precision"].int_or(0);
  if (text == "decimal" && precision > 0) {
    text =
        delta::DataType::decimal(static_cast<int>(precision), static_cast<int>(column["type_scale"].int_or(0))).text();
  }
  // Names of the API that are not Spark's words for the type.
  if (text == "long") return "bigint";
  if (text == "short") return "smallint";
  if (text == "byte") return "tinyint";
  return text;
}

delta::Field column_of(const Json& column) {
  if (!column.str("type_json").empty()) {
    const auto parsed = Json::try_parse(column.str("type_json"));
    // A whole field (what Spark sends), a type in quotes, or its bare name.
    Json type = !parsed                                                ? Json(column.str("type_json"))
                : parsed->contains("type") && parsed->contains("name") ? (*parsed)["type"]
                                                                       : *parsed;
    delta::Schema one = delta::schema_from_json(
        Json::object({{"type", "struct"}, {"fields", Json::array({field_json(column, std::move(type))})}}));
    return std::move(one.front());
  }
  delta::Field field;
  field.name = column.str("name");
  field.type = delta::type_from_text(type_text_of(column));
  field.nullable = column["nullable"].bool_or(true);
  if (!column.str("comment").empty()) field.metadata.set("comment", column.str("comment"));
  return field;
}

}  // namespace

std::string_view type_name(delta::TypeKind kind) {
  using enum delta::TypeKind;
  switch (kind) {
    case kString:
      return "STRING";
    case kLong:
      return "LONG";
    case kInteger:
      return "INT";
    case kShort:
      return "SHORT";
    case kByte:
      return "BYTE";
    case kFloat:
      return "FLOAT";
    case kDouble:
      return "DOUBLE";
    case kDecimal:
      return "DECIMAL";
    case kBoolean:
      return "BOOLEAN";
    case kBinary:
      return "BINARY";
    case kDate:
      return "DATE";
    case kTimestamp:
      return "TIMESTAMP";
    case kTimestampNtz:
      return "TIMESTAMP_NTZ";
    case kVoid:
      return "NULL";
    case kStruct:
      return "STRUCT";
    case kArray:
      return "ARRAY";
    case kMap:
      return "MAP";
  }
  return "";
}

Json columns_json(const delta::Schema& schema) {
  const Json fields = delta::schema_to_json(schema)["fields"];
  Json columns = Json::array();
  for (std::size_t i = 0; i < schema.size(); ++i) {
    const delta::Field& field = schema[i];
    Json column = Json::object({{"name", field.name},
                                {"type_text", field.type.text()},
                                {"type_name", type_name(field.type.kind)},
                                {"type_json", fields.at(i).dump()},
                                {"type_precision", field.type.precision},
                                {"type_scale", field.type.scale},
                                {"position", i},
                                {"nullable", field.nullable}});
    if (const std::string comment = field.metadata.str("comment"); !comment.empty()) column.set("comment", comment);
    columns.push_back(std::move(column));
  }
  return columns;
}

delta::Schema columns_of(const Json& columns, std::vector<std::string>& partition_columns) {
  delta::Schema schema;
  std::map<std::int64_t, std::string> partitions;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const Json& column = columns.at(i);
    const std::string name = column.str("name");
    if (name.empty()) {
      throw Error(ErrorCode::kInvalidArgument, "columns[{}].name is required", i).with_param("columns");
    }
    if (column.str("type_json").empty() && column.str("type_text").empty() && column.str("type_name").empty()) {
      throw Error(ErrorCode::kInvalidArgument, "column {} has no type: send type_json, type_text or type_name", name)
          .with_param("columns");
    }
    try {
      schema.push_back(column_of(column));
    } catch (const Error& error) {
      throw Error(ErrorCode::kInvalidArgument, "column {}: {}", name, error.message()).with_param("columns");
    }
    if (column["partition_index"].is_int()) partitions[column["partition_index"].as_int()] = name;
  }
  for (auto& [index, name] : partitions) partition_columns.push_back(std::move(name));
  return schema;
}

}  // namespace lakeloop::api::unity
