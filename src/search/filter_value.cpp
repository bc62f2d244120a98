#include "search/filter_value.h"

#include "base/clock.h"
#include "base/error.h"

namespace lakeloop::search {

namespace {

const delta::DataType& compared_type(const delta::Field& column) {
  return column.type.kind == delta::TypeKind::kArray ? *column.type.element : column.type;
}

[[noreturn]] void wrong_type(const delta::Field& column, const Json& value, std::string_view where) {
  throw Error(ErrorCode::kInvalidArgument, "column {} is of type {}; a {} cannot be compared with it{}", column.name,
              column.type.text(), value.type_name(), where);
}

}  // namespace

FilterValue filter_value(const delta::Field& column, const Json& value, std::string_view where) {
  using enum delta::TypeKind;
  const delta::DataType& type = compared_type(column);
  switch (type.kind) {
    case kLong:
    case kInteger:
    case kShort:
    case kByte:
    case kFloat:
    case kDouble:
      if (value.is_int()) return value.as_int();
      if (value.is_double()) return value.as_double();
      break;
    case kDecimal:
      if (value.is_int()) return static_cast<double>(value.as_int());
      if (value.is_double()) return value.as_double();
      break;
    case kBoolean:
      if (value.is_bool()) return static_cast<std::int64_t>(value.as_bool());
      break;
    case kString:
    case kBinary:
      if (value.is_string()) return value.as_string();
      break;
    case kDate:
    case kTimestamp:
    case kTimestampNtz:
      if (value.is_string()) {
        const auto at = parse_timestamp(value.as_string());
        if (!at) {
          throw Error(ErrorCode::kInvalidArgument,
                      "column {} is of type {}; write the value as 'YYYY-MM-DD' or 'YYYY-MM-DDThh:mm:ssZ'{}",
                      column.name, column.type.text(), where);
        }
        return type.kind == kDate ? std::int64_t{days_since_epoch(*at)} : at->micros;
      }
      break;
    case kVoid:
    case kStruct:
    case kArray:
    case kMap:
      throw Error(ErrorCode::kInvalidArgument, "column {} of type {} cannot be filtered{}", column.name,
                  column.type.text(), where);
  }
  wrong_type(column, value, where);
}

std::string filter_pattern(const delta::Field& column, const Json& value, bool limit, std::string_view where) {
  const delta::TypeKind kind = compared_type(column).kind;
  if (kind != delta::TypeKind::kString) {
    throw Error(ErrorCode::kInvalidArgument, "LIKE needs a text column; {} is of type {}{}", column.name,
                column.type.text(), where);
  }
  if (!value.is_string()) wrong_type(column, value, where);
  if (limit && value.as_string().size() > kPatternBytes) {
    throw Error(ErrorCode::kInvalidArgument, "a LIKE pattern is limited to {} bytes{}", kPatternBytes, where);
  }
  return value.as_string();
}

void require_order(const delta::Field& column, std::string_view where) {
  const delta::TypeKind kind = column.type.kind;
  if (kind == delta::TypeKind::kArray || kind == delta::TypeKind::kBoolean || kind == delta::TypeKind::kBinary) {
    throw Error(ErrorCode::kInvalidArgument, "column {} of type {} has no order: use =, != or IN{}", column.name,
                column.type.text(), where);
  }
}

}  // namespace lakeloop::search
