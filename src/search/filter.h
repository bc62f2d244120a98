#pragma once

// Conditions on rows. Both grammars of the Vector Search API are compiled, against the columns' types, into one tree of
// typed values; no value is ever pasted into text. A NULL makes a comparison unknown (SQL's three-valued logic), and
// only rows for which the whole condition is true pass. NaN equals nothing, and is neither less nor greater. Errors are
// kInvalidArgument and name column or position.
//
//   dict (filters_json)   {"c": v} equals, {"c": [v, w]} one of, {"c": null} is NULL; "c NOT" the opposite of each;
//                         "c <", "c <=", "c >", "c >="; "c LIKE" the value as whole words, or as a pattern where it
//                         holds '%'; "a OR b <": [v, w] any of its parts; keys are ANDed; a list of dicts is ANDed too
//   filter_string         = != <> < <= > >= IN, NOT IN, LIKE, NOT LIKE, IS [NOT] NULL, AND, OR, NOT, parentheses;
//                         'text' with '' for a quote, numbers, TRUE, FALSE, DATE '...', TIMESTAMP '...';
//                         names plain, `quoted` or "quoted"
//
// In patterns '%' is any run, '_' one character, and a back-slash takes the special meaning from '%', '_' and itself.
// On array columns "equals" means "contains".

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "codec/json.h"
#include "delta/schema.h"
#include "search/row_set.h"
#include "search/segment.h"

namespace lakeloop::search {

enum class Comparison : std::uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual };

// A literal: integer (also of dates, timestamps, booleans, in the column's unit), double, or text.
using FilterValue = std::variant<std::int64_t, double, std::string>;

struct Condition {
  enum class Kind : std::uint8_t { kAnd, kOr, kNot, kCompare, kOneOf, kPattern, kWords, kIsNull, kConstantUnknown };
  Kind kind = Kind::kAnd;
  std::vector<Condition> parts;  // of AND, OR, NOT
  std::size_t column = 0;        // in the schema that it was compiled against
  Comparison comparison = Comparison::kEqual;
  std::vector<FilterValue> values;  // one, or the list of kOneOf
  bool list_has_null = false;       // of kOneOf: `x IN (1, NULL)` is never false
};

// `filters`: an object, an array of objects, or null (passes every row).
Condition compile_filters(const Json& filters, const delta::Schema& schema);
Condition compile_filter_string(std::string_view text, const delta::Schema& schema);

class Filter {
 public:
  Filter(Condition condition, delta::Schema schema) : condition_(std::move(condition)), schema_(std::move(schema)) {}
  [[nodiscard]] bool passes_all() const { return condition_.kind == Condition::Kind::kAnd && condition_.parts.empty(); }
  // Takes the rows out of `rows` for which the condition is not true.
  void apply(const Segment& segment, RowSet& rows) const;

 private:
  Condition condition_;
  delta::Schema schema_;
};

// SQL's LIKE over code points, with back-slash escapes.
bool like_pattern(std::string_view text, std::string_view pattern);
// Whether `words` stands in `text` with no letter, digit or '_' next to it.
bool contains_words(std::string_view text, std::string_view words);

}  // namespace lakeloop::search
