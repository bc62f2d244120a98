#pragma once

// MLflow's filter language (mlflow/utils/search_utils.py): comparisons joined by AND. `entity.key op value`, or a bare
// key; keys may stand in back-quotes or double quotes. No OR, no NOT, no parentheses but those of IN lists. What is
// wrong is kInvalidArgument with MLflow's opening words and the place. Parsing only: what a key means is the caller's.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lakeloop::tracking {

enum class Comparator : std::uint8_t {
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kLike,
  kIlike,
  kRlike,
  kIn,
  kNotIn,
  kIsNull,
  kIsNotNull
};
std::string_view to_string(Comparator comparator);

struct Comparison {
  std::string entity;  // lower case; empty for a bare key
  std::string key;     // without quotes
  Comparator comparator = Comparator::kEqual;
  bool quoted = false;              // the value was a string literal
  std::string value;                // text of the literal
  std::vector<std::string> values;  // of an IN list
  std::string text;                 // as written, for messages
};

// Empty text: no comparison.
std::vector<Comparison> parse_filter(std::string_view filter);

struct OrderBy {
  std::string entity, key;
  bool ascending = true;
};
// "metrics.acc DESC", "attributes.start_time", "params.`a b` ASC".
OrderBy parse_order_by(std::string_view text);

}  // namespace lakeloop::tracking
