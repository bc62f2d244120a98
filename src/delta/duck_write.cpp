#include <duckdb.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/clock.h"
#include "base/format.h"
#include "delta/duck_value.h"

namespace lakeloop::delta {
namespace {

[[noreturn]] void misfit(const std::string& where, const DataType& type, const Json& cell) {
  throw Error(ErrorCode::kInvalidArgument, "{}: a {} does not fit the type {}", where, cell.type_name(), type.text());
}

template <typename T>
void put(duckdb_vector vector, std::uint64_t row, T value) {
  static_cast<T*>(duckdb_vector_get_data(vector))[row] = value;
}

std::int64_t integer_cell(const Json& cell, std::int64_t lowest, std::int64_t highest, const DataType& type,
                          const std::string& where) {
  std::int64_t value = 0;
  if (cell.is_int()) {
    value = cell.as_int();
  } else if (cell.is_double() && std::trunc(cell.as_double()) == cell.as_double() &&
             std::fabs(cell.as_double()) < 9.0e15) {
    value = static_cast<std::int64_t>(cell.as_double());
  } else {
    misfit(where, type, cell);
  }
  if (value < lowest || value > highest) {
    throw Error(ErrorCode::kInvalidArgument, "{}: {} is out of range for {}", where, value, type.text());
  }
  return value;
}

template <typename T>
void put_integer(duckdb_vector vector, std::uint64_t row, const DataType& type, const Json& cell,
                 const std::string& where) {
  put<T>(vector, row,
         static_cast<T>(integer_cell(cell, std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), type, where)));
}

// Non-finite numbers arrive as the strings that Json::dump writes for them.
double double_cell(const Json& cell, const DataType& type, const std::string& where) {
  if (cell.is_number()) return cell.as_double();
  const auto text = cell.string_or("");
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  misfit(where, type, cell);
}

void put_decimal(duckdb_vector vector, std::uint64_t row, const DataType& type, const Json& cell,
                 const std::string& where) {
  std::string text;
  if (cell.is_string()) {
    text = cell.as_string();
  } else if (cell.is_int()) {
    text = std::to_string(cell.as_int());
  } else if (cell.is_double() && std::isfinite(cell.as_double())) {
    text = format("{:.{}f}", cell.as_double(), type.scale);
  } else {
    misfit(where, type, cell);
  }
  const auto value = parse_decimal(text, type.precision, type.scale);
  if (!value) throw Error(ErrorCode::kInvalidArgument, "{}: '{}' does not fit {}", where, text, type.text());
  if (type.precision <= 4) {
    put(vector, row, static_cast<std::int16_t>(*value));
  } else if (type.precision <= 9) {
    put(vector, row, static_cast<std::int32_t>(*value));
  } else if (type.precision <= 18) {
    put(vector, row, static_cast<std::int64_t>(*value));
  } else {
    put(vector, row, duckdb_hugeint{static_cast<std::uint64_t>(*value), static_cast<std::int64_t>(*value >> 64)});
  }
}

void put_string(duckdb_vector vector, std::uint64_t row, const DataType& type, const Json& cell,
                const std::string& where) {
  if (!cell.is_string()) misfit(where, type, cell);
  const auto& text = cell.as_string();
  if (type.kind == TypeKind::kString) {
    if (auto error = duckdb_valid_utf8_check(text.data(), text.size()); error) {
      const bool bad = duckdb_error_data_has_error(error);
      duckdb_destroy_error_data(&error);
      if (bad) throw Error(ErrorCode::kInvalidArgument, "{}: the text is not valid UTF-8", where);
    }
  }
  duckdb_unsafe_vector_assign_string_element_len(vector, row, text.data(), text.size());
}

std::int64_t timestamp_cell(const Json& cell, const DataType& type, const std::string& where) {
  if (cell.is_string()) {
    const auto at = parse_timestamp(cell.as_string());
    if (!at) throw Error(ErrorCode::kInvalidArgument, "{}: '{}' is no timestamp", where, cell.as_string());
    return at->micros;
  }
  return integer_cell(cell, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max(), type,
                      where);
}

void put_list(duckdb_vector vector, std::uint64_t row, const DataType& type, const Json& cell,
              const std::string& where) {
  if (!cell.is_array()) misfit(where, type, cell);
  const auto offset = duckdb_list_vector_get_size(vector);
  const auto length = cell.items().size();
  duckdb_list_vector_reserve(vector, offset + length);
  duckdb_list_vector_set_size(vector, offset + length);
  auto* child = duckdb_list_vector_get_child(vector);
  for (std::size_t i = 0; i < length; ++i) write_cell(child, offset + i, *type.element, cell.items()[i], where);
  put(vector, row, duckdb_list_entry{offset, length});
}

void put_map(duckdb_vector vector, std::uint64_t row, const DataType& type, const Json& cell,
             const std::string& where) {
  if (!cell.is_object() && !cell.is_array()) misfit(where, type, cell);
  const auto offset = duckdb_list_vector_get_size(vector);
  const auto length = cell.size();
  duckdb_list_vector_reserve(vector, offset + length);
  duckdb_list_vector_set_size(vector, offset + length);
  auto* pairs = duckdb_list_vector_get_child(vector);
  auto *keys = duckdb_struct_vector_get_child(pairs, 0), *values = duckdb_struct_vector_get_child(pairs, 1);
  for (std::size_t i = 0; i < length; ++i) {
    const Json key = cell.is_object() ? Json(cell.members()[i].first) : cell.items()[i]["key"];
    const Json& value = cell.is_object() ? cell.members()[i].second : cell.items()[i]["value"];
    if (key.is_null()) throw Error(ErrorCode::kInvalidArgument, "{}: a map has no null keys", where);
    write_cell(keys, offset + i, *type.key, key, where);
    write_cell(values, offset + i, *type.element, value, where);
  }
  put(vector, row, duckdb_list_entry{offset, length});
}

void refuse_unknown_members(const DataType& type, const Json& cell, const std::string& where) {
  for (const auto& [name, value] : cell.members()) {
    const bool known = std::ranges::any_of(type.fields, [&](const Field& field) { return field.name == name; });
    if (!known) throw Error(ErrorCode::kInvalidArgument, "{}: there is no field '{}' in {}", where, name, type.text());
  }
}

// NULL reaches every level, since DuckDB reads the children of a NULL struct too.
void put_null(duckdb_vector vector, std::uint64_t row, const DataType& type) {
  duckdb_vector_ensure_validity_writable(vector);
  duckdb_validity_set_row_invalid(duckdb_vector_get_validity(vector), row);
  if (type.kind == TypeKind::kStruct) {
    for (std::size_t i = 0; i < type.fields.size(); ++i) {
      put_null(duckdb_struct_vector_get_child(vector, i), row, type.fields[i].type);
    }
  } else if (type.kind == TypeKind::kArray || type.kind == TypeKind::kMap) {
    put(vector, row, duckdb_list_entry{duckdb_list_vector_get_size(vector), 0});
  }
}

}  // namespace

LogicalType logical_type(const DataType& type) {
  switch (type.kind) {
    case TypeKind::kString:
      return LogicalType(duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR));
    case TypeKind::kLong:
      return LogicalType(duckdb_create_logical_type(DUCKDB_TYPE_BIGINT));
    case TypeKind::kInteger:
    case TypeKind::kVoid:
      return LogicalType(duckdb_create_logical_type(DUCKDB_TYPE_INTEGER));
    case TypeKind::kShort:
      return LogicalType(duckdb_create_logical_type(DUCKDB_TYPE_SMALLINT));
    case TypeKind::kByte:
      return LogicalType(duckdb_create_logical_type(DUCKDB_TYPE_TINYINT));
    case TypeKind::kFloat:
      return LogicalType(duckdb_create_logical_type(DUCKDB_TYPE_FLOAT));
    case TypeKind::kDouble:
      return LogicalType(duckdb_create_logical_type(DUCKDB_TYPE_DOUBLE));
    case TypeKind::kBoolean:
      return LogicalType(duckdb_create_logical_type(DUCKDB_TYPE_BOOLEAN));
    case TypeKind::kBinary:
      return LogicalType(duckdb_create_logical_type(DUCKDB_TYPE_BLOB));
    case TypeKind::kDate:
      return LogicalType(duckdb_create_logical_type(DUCKDB_TYPE_DATE));
    case TypeKind::kTimestamp:
      return LogicalType(duckdb_create_logical_type(DUCKDB_TYPE_TIMESTAMP_TZ));
    case TypeKind::kTimestampNtz:
      return LogicalType(duckdb_create_logical_type(DUCKDB_TYPE_TIMESTAMP));
    case TypeKind::kDecimal:
      return LogicalType(
          duckdb_create_decimal_type(static_cast<std::uint8_t>(type.precision), static_cast<std::uint8_t>(type.scale)));
    case TypeKind::kArray:
      return LogicalType(duckdb_create_list_type(logical_type(*type.element).get()));
    case TypeKind::kMap:
      return LogicalType(duckdb_create_map_type(logical_type(*type.key).get(), logical_type(*type.element).get()));
    case TypeKind::kStruct: {
      std::vector<LogicalType> owned;
      std::vector<duckdb_logical_type> types;
      std::vector<const char*> names;
      for (const auto& field : type.fields) {
        owned.push_back(logical_type(field.type));
        types.push_back(owned.back().get());
        names.push_back(field.name.c_str());
      }
      return LogicalType(duckdb_create_struct_type(types.data(), names.data(), types.size()));
    }
  }
  throw Error(ErrorCode::kInternal, "unknown type");
}

void write_cell(_duckdb_vector* vector, std::uint64_t row, const DataType& type, const Json& cell,
                const std::string& where) {
  if (cell.is_null()) return put_null(vector, row, type);
  switch (type.kind) {
    case TypeKind::kString:
    case TypeKind::kBinary:
      return put_string(vector, row, type, cell, where);
    case TypeKind::kLong:
      return put_integer<std::int64_t>(vector, row, type, cell, where);
    case TypeKind::kInteger:
      return put_integer<std::int32_t>(vector, row, type, cell, where);
    case TypeKind::kShort:
      return put_integer<std::int16_t>(vector, row, type, cell, where);
    case TypeKind::kByte:
      return put_integer<std::int8_t>(vector, row, type, cell, where);
    case TypeKind::kFloat:
      return put(vector, row, static_cast<float>(double_cell(cell, type, where)));
    case TypeKind::kDouble:
      return put(vector, row, double_cell(cell, type, where));
    case TypeKind::kDecimal:
      return put_decimal(vector, row, type, cell, where);
    case TypeKind::kBoolean:
      if (!cell.is_bool()) misfit(where, type, cell);
      return put(vector, row, cell.as_bool());
    case TypeKind::kDate:
      if (cell.is_string()) {
        const auto at = parse_timestamp(cell.as_string());
        if (!at) throw Error(ErrorCode::kInvalidArgument, "{}: '{}' is no date", where, cell.as_string());
        return put(vector, row, duckdb_date{days_since_epoch(*at)});
      }
      return put_integer<std::int32_t>(vector, row, type, cell, where);
    case TypeKind::kTimestamp:
    case TypeKind::kTimestampNtz:
      return put(vector, row, timestamp_cell(cell, type, where));
    case TypeKind::kVoid:
      misfit(where, type, cell);
    case TypeKind::kArray:
      return put_list(vector, row, type, cell, where);
    case TypeKind::kMap:
      return put_map(vector, row, type, cell, where);
    case TypeKind::kStruct:
      if (!cell.is_object()) misfit(where, type, cell);
      refuse_unknown_members(type, cell, where);
      for (std::size_t i = 0; i < type.fields.size(); ++i) {
        const auto& field = type.fields[i];
        write_cell(duckdb_struct_vector_get_child(vector, i), row, field.type, cell[field.name],
                   where + "." + field.name);
      }
      return;
  }
}

}  // namespace lakeloop::delta
