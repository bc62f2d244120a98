#pragma once

// Delta's types and schemas (PROTOCOL.md, "Schema Serialization Format"). A cell is a Json value:
//   string -> string; long, integer, short, byte -> integer; float, double -> number; boolean; binary -> string of
//   bytes; date -> days since 1970-01-01; timestamp and timestamp_ntz -> microseconds since the epoch; decimal ->
//   string "12.30"; array -> array; struct -> object; map -> object (string keys) or array of {"key","value"}; null ->
//   null.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"

namespace lakeloop::delta {

enum class TypeKind : std::uint8_t {
  kString,
  kLong,
  kInteger,
  kShort,
  kByte,
  kFloat,
  kDouble,
  kDecimal,
  kBoolean,
  kBinary,
  kDate,
  kTimestamp,
  kTimestampNtz,
  kVoid,
  kStruct,
  kArray,
  kMap
};

struct Field;

struct DataType {
  TypeKind kind = TypeKind::kString;
  int precision = 0, scale = 0;             // decimal
  std::vector<Field> fields;                // struct
  std::shared_ptr<const DataType> key;      // map
  std::shared_ptr<const DataType> element;  // array, and the value of a map
  bool contains_null = true;

  DataType();
  DataType(TypeKind k);
  // Defined in the source, where Field is complete.
  DataType(const DataType& other);
  DataType(DataType&& other) noexcept;
  DataType& operator=(const DataType& other);
  DataType& operator=(DataType&& other) noexcept;
  ~DataType();
  static DataType decimal(int precision, int scale);
  static DataType array(DataType element, bool contains_null = true);
  static DataType map(DataType key, DataType value, bool contains_null = true);
  static DataType structure(std::vector<Field> fields);
  [[nodiscard]] std::string text()
      const;  // "array<string>", "decimal(10,2)": Spark's type text, as Unity Catalog shows it
  [[nodiscard]] std::string duckdb() const;  // "VARCHAR[]"
  bool operator==(const DataType& other) const;
};

struct Field {
  std::string name;
  DataType type;
  bool nullable = true;
  Json metadata = Json::object();
  bool operator==(const Field&) const = default;
};

using Schema = std::vector<Field>;

Json schema_to_json(const Schema& schema);
Schema schema_from_json(const Json& json);       // kUnsupportedFeature names an unknown type
DataType type_from_text(std::string_view text);  // "array<string>"; kInvalidArgument with the position
std::optional<std::size_t> find_column(const Schema& schema, std::string_view name);  // without case

using Row = std::vector<Json>;

struct Rows {
  Schema schema;
  std::vector<Row> rows;
};

}  // namespace lakeloop::delta
