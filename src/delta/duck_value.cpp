#include "delta/duck_value.h"

#include <duckdb.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/clock.h"
#include "base/format.h"

namespace lakeloop::delta {
namespace {

std::string take(char* text) {
  std::string result = text ? text : "";
  duckdb_free(text);
  return result;
}

LogicalType adopt(duckdb_logical_type type) {
  return LogicalType(type);
}

std::string_view string_at(duckdb_vector vector, idx_t row) {
  auto& value = static_cast<duckdb_string_t*>(duckdb_vector_get_data(vector))[row];
  return {duckdb_string_t_data(&value), duckdb_string_t_length(value)};
}

template <typename T>
T at(duckdb_vector vector, idx_t row) {
  return static_cast<const T*>(duckdb_vector_get_data(vector))[row];
}

__int128 join_halves(std::int64_t upper, std::uint64_t lower) {
  return (static_cast<__int128>(upper) << 64) | static_cast<__int128>(lower);
}

std::string time_text(std::int64_t micros) {
  const auto seconds = micros / 1'000'000;
  auto text = format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (micros % 1'000'000 != 0) text += format(".{:06}", micros % 1'000'000);
  return text;
}

std::string interval_text(const duckdb_interval& interval) {
  std::string text;
  const auto add = [&](std::int64_t amount, std::string_view unit) {
    if (amount == 0) return;
    text += format("{}{} {}{}", text.empty() ? "" : " ", amount, unit, amount == 1 ? "" : "s");
  };
  add(interval.months / 12, "year");
  add(interval.months % 12, "month");
  add(interval.days, "day");
  if (interval.micros != 0 || text.empty()) {
    const bool negative = interval.micros < 0;
    text += format("{}{}{}", text.empty() ? "" : " ", negative ? "-" : "",
                   time_text(negative ? -interval.micros : interval.micros));
  }
  return text;
}

// DuckDB keeps UUIDs as a 128-bit integer with the top bit flipped, so that they sort.
std::string uuid_text(const duckdb_hugeint& value) {
  const auto upper = static_cast<std::uint64_t>(value.upper) ^ (1ULL << 63);
  return format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", upper >> 32, (upper >> 16) & 0xffff, upper & 0xffff,
                value.lower >> 48, value.lower & 0xffffffffffffULL);
}

__int128 integer_at(duckdb_vector vector, idx_t row, int physical) {
  switch (physical) {
    case DUCKDB_TYPE_SMALLINT:
      return at<std::int16_t>(vector, row);
    case DUCKDB_TYPE_INTEGER:
      return at<std::int32_t>(vector, row);
    case DUCKDB_TYPE_BIGINT:
      return at<std::int64_t>(vector, row);
    default: {
      const auto value = at<duckdb_hugeint>(vector, row);
      return join_halves(value.upper, value.lower);
    }
  }
}

}  // namespace

void LogicalTypeDeleter::operator()(_duckdb_logical_type* type) const {
  duckdb_destroy_logical_type(&type);
}
void DuckValueDeleter::operator()(_duckdb_value* value) const {
  duckdb_destroy_value(&value);
}

std::string decimal_text(__int128 unscaled, int scale) {
  const bool negative = unscaled < 0;
  auto rest = negative ? -static_cast<unsigned __int128>(unscaled) : static_cast<unsigned __int128>(unscaled);
  std::string digits;
  do {
    digits += static_cast<char>('0' + static_cast<int>(rest % 10));
    rest /= 10;
  } while (rest != 0);
  while (std::cmp_less_equal(digits.size(), scale)) digits += '0';
  std::ranges::reverse(digits);
  if (scale > 0) digits.insert(digits.size() - static_cast<std::size_t>(scale), ".");
  return negative ? "-" + digits : digits;
}

std::optional<__int128> parse_decimal(std::string_view text, int precision, int scale) {
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  __int128 value = 0;
  int digits = 0, fraction = -1;
  bool any = false;
  for (const char c : text) {
    if (c == '.' && fraction < 0) {
      fraction = 0;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    any = true;
    if (fraction >= 0 && fraction == scale) {
      if (c != '0') return std::nullopt;  // would lose a digit
      continue;
    }
    if (value != 0 || c != '0') ++digits;
    if (digits > precision) return std::nullopt;
    value = value * 10 + (c - '0');
    if (fraction >= 0) ++fraction;
  }
  if (!any) return std::nullopt;
  for (int i = std::max(fraction, 0); i < scale; ++i) {
    if (value != 0 && ++digits > precision) return std::nullopt;
    value *= 10;
  }
  return negative ? -value : value;
}

CellReader CellReader::of(_duckdb_logical_type* type) {
  CellReader reader;
  reader.duck_type = duckdb_get_type_id(type);
  switch (reader.duck_type) {
    case DUCKDB_TYPE_BOOLEAN:
      reader.type = TypeKind::kBoolean;
      break;
    case DUCKDB_TYPE_TINYINT:
      reader.type = TypeKind::kByte;
      break;
    case DUCKDB_TYPE_SMALLINT:
    case DUCKDB_TYPE_UTINYINT:
      reader.type = TypeKind::kShort;
      break;
    case DUCKDB_TYPE_INTEGER:
    case DUCKDB_TYPE_USMALLINT:
      reader.type = TypeKind::kInteger;
      break;
    case DUCKDB_TYPE_BIGINT:
    case DUCKDB_TYPE_UINTEGER:
      reader.type = TypeKind::kLong;
      break;
    case DUCKDB_TYPE_UBIGINT:
      reader.type = DataType::decimal(20, 0);
      break;
    case DUCKDB_TYPE_HUGEINT:
      reader.type = DataType::decimal(38, 0);
      break;
    case DUCKDB_TYPE_FLOAT:
      reader.type = TypeKind::kFloat;
      break;
    case DUCKDB_TYPE_DOUBLE:
      reader.type = TypeKind::kDouble;
      break;
    case DUCKDB_TYPE_DECIMAL:
      reader.type = DataType::decimal(duckdb_decimal_width(type), duckdb_decimal_scale(type));
      reader.physical = duckdb_decimal_internal_type(type);
      break;
    case DUCKDB_TYPE_VARCHAR:
    case DUCKDB_TYPE_UUID:
    case DUCKDB_TYPE_TIME:
    case DUCKDB_TYPE_INTERVAL:
      reader.type = TypeKind::kString;
      break;
    case DUCKDB_TYPE_ENUM:
      reader.type = TypeKind::kString;
      reader.physical = duckdb_enum_internal_type(type);
      for (std::uint32_t i = 0; i < duckdb_enum_dictionary_size(type); ++i) {
        reader.names.push_back(take(duckdb_enum_dictionary_value(type, i)));
      }
      break;
    case DUCKDB_TYPE_BLOB:
      reader.type = TypeKind::kBinary;
      break;
    case DUCKDB_TYPE_DATE:
      reader.type = TypeKind::kDate;
      break;
    case DUCKDB_TYPE_TIMESTAMP_TZ:
      reader.type = TypeKind::kTimestamp;
      break;
    case DUCKDB_TYPE_TIMESTAMP:
    case DUCKDB_TYPE_TIMESTAMP_S:
    case DUCKDB_TYPE_TIMESTAMP_MS:
    case DUCKDB_TYPE_TIMESTAMP_NS:
      reader.type = TypeKind::kTimestampNtz;
      break;
    case DUCKDB_TYPE_SQLNULL:
      reader.type = TypeKind::kVoid;
      break;
    case DUCKDB_TYPE_LIST:
    case DUCKDB_TYPE_ARRAY: {
      const bool list = reader.duck_type == DUCKDB_TYPE_LIST;
      const auto child = adopt(list ? duckdb_list_type_child_type(type) : duckdb_array_type_child_type(type));
      if (!list) reader.array_size = duckdb_array_type_array_size(type);
      reader.children.push_back(of(child.get()));
      reader.type = DataType::array(reader.children[0].type);
      break;
    }
    case DUCKDB_TYPE_MAP: {
      const auto key = adopt(duckdb_map_type_key_type(type)), value = adopt(duckdb_map_type_value_type(type));
      reader.children.push_back(of(key.get()));
      reader.children.push_back(of(value.get()));
      reader.type = DataType::map(reader.children[0].type, reader.children[1].type);
      break;
    }
    case DUCKDB_TYPE_STRUCT: {
      std::vector<Field> fields;
      for (idx_t i = 0; i < duckdb_struct_type_child_count(type); ++i) {
        const auto child = adopt(duckdb_struct_type_child_type(type, i));
        reader.names.push_back(take(duckdb_struct_type_child_name(type, i)));
        reader.children.push_back(of(child.get()));
        Field field;
        field.name = reader.names.back();
        field.type = reader.children.back().type;
        fields.push_back(std::move(field));
      }
      reader.type = DataType::structure(std::move(fields));
      break;
    }
    default:
      throw Error(ErrorCode::kUnimplemented,
                  "a result column has a type without a counterpart (DuckDB type {}): cast it to VARCHAR",
                  reader.duck_type);
  }
  return reader;
}

Json CellReader::read(_duckdb_vector* vector, std::uint64_t row) const {
  if (auto* validity = duckdb_vector_get_validity(vector); validity && !duckdb_validity_row_is_valid(validity, row))
    return {};
  switch (duck_type) {
    case DUCKDB_TYPE_BOOLEAN:
      return at<bool>(vector, row);
    case DUCKDB_TYPE_TINYINT:
      return at<std::int8_t>(vector, row);
    case DUCKDB_TYPE_SMALLINT:
      return at<std::int16_t>(vector, row);
    case DUCKDB_TYPE_UTINYINT:
      return at<std::uint8_t>(vector, row);
    case DUCKDB_TYPE_INTEGER:
      return at<std::int32_t>(vector, row);
    case DUCKDB_TYPE_USMALLINT:
      return at<std::uint16_t>(vector, row);
    case DUCKDB_TYPE_BIGINT:
      return at<std::int64_t>(vector, row);
    case DUCKDB_TYPE_UINTEGER:
      return at<std::uint32_t>(vector, row);
    case DUCKDB_TYPE_UBIGINT:
      return decimal_text(static_cast<__int128>(at<std::uint64_t>(vector, row)), 0);
    case DUCKDB_TYPE_HUGEINT:
      return decimal_text(integer_at(vector, row, DUCKDB_TYPE_HUGEINT), 0);
    case DUCKDB_TYPE_FLOAT:
      return static_cast<double>(at<float>(vector, row));
    case DUCKDB_TYPE_DOUBLE:
      return at<double>(vector, row);
    case DUCKDB_TYPE_DECIMAL:
      return decimal_text(integer_at(vector, row, physical), type.scale);
    case DUCKDB_TYPE_VARCHAR:
    case DUCKDB_TYPE_BLOB:
      return string_at(vector, row);
    case DUCKDB_TYPE_UUID:
      return uuid_text(at<duckdb_hugeint>(vector, row));
    case DUCKDB_TYPE_TIME:
      return time_text(at<std::int64_t>(vector, row));
    case DUCKDB_TYPE_INTERVAL:
      return interval_text(at<duckdb_interval>(vector, row));
    case DUCKDB_TYPE_ENUM: {
      const std::size_t index = physical == DUCKDB_TYPE_UTINYINT    ? at<std::uint8_t>(vector, row)
                                : physical == DUCKDB_TYPE_USMALLINT ? at<std::uint16_t>(vector, row)
                                                                    : at<std::uint32_t>(vector, row);
      return names.at(index);
    }
    case DUCKDB_TYPE_DATE:
      return at<std::int32_t>(vector, row);
    case DUCKDB_TYPE_TIMESTAMP_TZ:
    case DUCKDB_TYPE_TIMESTAMP:
      return at<std::int64_t>(vector, row);
    case DUCKDB_TYPE_TIMESTAMP_S:
      return at<std::int64_t>(vector, row) * 1'000'000;
    case DUCKDB_TYPE_TIMESTAMP_MS:
      return at<std::int64_t>(vector, row) * 1000;
    case DUCKDB_TYPE_TIMESTAMP_NS: {
      const auto ns = at<std::int64_t>(vector, row);
      return ns / 1000 - (ns % 1000 < 0 ? 1 : 0);
    }
    case DUCKDB_TYPE_LIST: {
      const auto entry = at<duckdb_list_entry>(vector, row);
      auto* child = duckdb_list_vector_get_child(vector);
      Json::Array items;
      items.reserve(entry.length);
      for (idx_t i = 0; i < entry.length; ++i) items.push_back(children[0].read(child, entry.offset + i));
      return items;
    }
    case DUCKDB_TYPE_ARRAY: {
      auto* child = duckdb_array_vector_get_child(vector);
      Json::Array items;
      for (idx_t i = 0; i < array_size; ++i) items.push_back(children[0].read(child, row * array_size + i));
      return items;
    }
    case DUCKDB_TYPE_MAP: {
      const auto entry = at<duckdb_list_entry>(vector, row);
      auto* pairs = duckdb_list_vector_get_child(vector);
      auto *keys = duckdb_struct_vector_get_child(pairs, 0), *values = duckdb_struct_vector_get_child(pairs, 1);
      if (children[0].type.kind == TypeKind::kString) {
        Json::Object members;
        members.reserve(entry.length);
        for (idx_t i = entry.offset; i < entry.offset + entry.length; ++i) {
          members.emplace_back(children[0].read(keys, i).as_string(), children[1].read(values, i));
        }
        auto object = Json::object();
        object.members() = std::move(members);
        return object;
      }
      Json::Array list;
      for (idx_t i = entry.offset; i < entry.offset + entry.length; ++i) {
        list.push_back(Json::object({{"key", children[0].read(keys, i)}, {"value", children[1].read(values, i)}}));
      }
      return list;
    }
    case DUCKDB_TYPE_STRUCT: {
      auto object = Json::object();
      auto& members = object.members();
      members.reserve(children.size());
      for (std::size_t i = 0; i < children.size(); ++i) {
        members.emplace_back(names[i], children[i].read(duckdb_struct_vector_get_child(vector, i), row));
      }
      return object;
    }
    default:
      return {};
  }
}

DuckValue parameter_value(const Json& json, int duck_type) {
  if (json.is_null()) return DuckValue(duckdb_create_null_value());
  if (json.is_bool()) return DuckValue(duckdb_create_bool(json.as_bool()));
  if (json.is_int()) {
    const auto value = json.as_int();
    if (duck_type == DUCKDB_TYPE_DATE && value >= INT32_MIN && value <= INT32_MAX) {
      return DuckValue(duckdb_create_date({static_cast<std::int32_t>(value)}));
    }
    if (duck_type == DUCKDB_TYPE_TIMESTAMP) return DuckValue(duckdb_create_timestamp({value}));
    if (duck_type == DUCKDB_TYPE_TIMESTAMP_TZ) return DuckValue(duckdb_create_timestamp_tz({value}));
    return DuckValue(duckdb_create_int64(value));
  }
  if (json.is_double()) return DuckValue(duckdb_create_double(json.as_double()));
  if (json.is_string()) {
    const auto& text = json.as_string();
    if (duck_type == DUCKDB_TYPE_BLOB) {
      return DuckValue(duckdb_create_blob(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
    }
    return DuckValue(duckdb_create_varchar_length(text.data(), text.size()));
  }
  if (!json.is_array()) {
    throw Error(ErrorCode::kInvalidArgument,
                "a parameter is an object: pass a string, a number, a boolean, null or a list of them");
  }
  // A list has one element type: that of its members, text when they differ.
  auto element = DUCKDB_TYPE_SQLNULL;
  for (const auto& item : json.items()) {
    const auto mine = item.is_null()     ? element
                      : item.is_bool()   ? DUCKDB_TYPE_BOOLEAN
                      : item.is_int()    ? DUCKDB_TYPE_BIGINT
                      : item.is_double() ? DUCKDB_TYPE_DOUBLE
                                         : DUCKDB_TYPE_VARCHAR;
    const auto number = [](int type) { return type == DUCKDB_TYPE_BIGINT || type == DUCKDB_TYPE_DOUBLE; };
    if (element == DUCKDB_TYPE_SQLNULL) {
      element = mine;
    } else if (element != mine) {
      element = number(element) && number(mine) ? DUCKDB_TYPE_DOUBLE : DUCKDB_TYPE_VARCHAR;
    }
  }
  if (element == DUCKDB_TYPE_SQLNULL) element = DUCKDB_TYPE_VARCHAR;
  const auto element_type = adopt(duckdb_create_logical_type(element));
  std::vector<DuckValue> owned;
  std::vector<duckdb_value> values;
  for (const auto& item : json.items()) {
    if (item.is_array() || item.is_object()) {
      throw Error(ErrorCode::kInvalidArgument, "a list parameter holds lists or objects: pass plain values");
    }
    if (item.is_double() || item.is_null() || element != DUCKDB_TYPE_DOUBLE) {
      const bool as_text = element == DUCKDB_TYPE_VARCHAR && !item.is_string() && !item.is_null();
      owned.push_back(parameter_value(as_text ? Json(item.dump()) : item, 0));
    } else {
      owned.push_back(parameter_value(item.as_double(), 0));
    }
    values.push_back(owned.back().get());
  }
  return DuckValue(duckdb_create_list_value(element_type.get(), values.data(), values.size()));
}

}  // namespace lakeloop::delta
