#include "tracking/text_match.h"

#include <algorithm>

#include "base/text.h"
#include "tracking/sql_text.h"

namespace lakeloop::tracking {

bool matches_text(const Comparison& c, const std::optional<std::string>& value,
                  std::initializer_list<Comparator> allowed) {
  using enum Comparator;
  if (std::ranges::find(allowed, c.comparator) == allowed.end()) invalid_comparator(c);
  if (c.comparator == kIsNull) return !value;
  if (c.comparator == kIsNotNull) return value.has_value();
  if (!c.quoted) {
    throw Error(ErrorCode::kInvalidArgument,
                "Expected a quoted string value for '{}', got value {}. Put the value in single or double quotes.",
                c.key, c.value);
  }
  if (!value) return false;
  switch (c.comparator) {
    case kEqual:
      return *value == c.value;
    case kNotEqual:
      return *value != c.value;
    case kLike:
      return like(*value, c.value);
    case kIlike:
      return like(*value, c.value, true);
    case kIn:
      return std::ranges::find(c.values, *value) != c.values.end();
    case kNotIn:
      return std::ranges::find(c.values, *value) == c.values.end();
    default:
      invalid_comparator(c);
  }
}

bool matches_number(const Comparison& c, double value) {
  using enum Comparator;
  const auto number = c.quoted ? std::nullopt : parse_number<double>(c.value);
  if (!number)
    throw Error(ErrorCode::kInvalidArgument, "Expected numeric value type for numeric attribute: {}. Found '{}'", c.key,
                c.value);
  switch (c.comparator) {
    case kEqual:
      return value == *number;
    case kNotEqual:
      return value != *number;
    case kLess:
      return value < *number;
    case kLessEqual:
      return value <= *number;
    case kGreater:
      return value > *number;
    case kGreaterEqual:
      return value >= *number;
    default:
      invalid_comparator(c);
  }
}

}  // namespace lakeloop::tracking
