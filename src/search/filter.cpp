#include "search/filter.h"

#include <algorithm>
#include <cmath>
#include <compare>
#include <optional>

#include "base/check.h"
#include "base/text.h"

namespace lakeloop::search {

namespace {

enum class Truth : std::uint8_t { kFalse, kUnknown, kTrue };

Truth truth(bool value) {
  return value ? Truth::kTrue : Truth::kFalse;
}

Truth negate(Truth value) {
  return value == Truth::kUnknown ? value : truth(value == Truth::kFalse);
}

// A cell without NULL: what a column or an element of an array holds.
using Cell = std::variant<std::int64_t, double, std::string_view>;

// Exact also where an integer has more than 53 bits: long double has 64 on this platform; elsewhere integers of that
// size lose their last bits against a fraction only.
std::partial_ordering compare(const Cell& cell, const FilterValue& value) {
  if (const auto* text = std::get_if<std::string_view>(&cell)) {
    if (const auto* other = std::get_if<std::string>(&value)) return text->compare(*other) <=> 0;
    // Decimals are kept as text.
    const auto number = parse_number<double>(*text);
    if (!number) return std::partial_ordering::unordered;
    if (const auto* integer = std::get_if<std::int64_t>(&value)) return *number <=> static_cast<double>(*integer);
    return *number <=> std::get<double>(value);
  }
  if (std::holds_alternative<std::string>(value)) return std::partial_ordering::unordered;
  const auto* a = std::get_if<std::int64_t>(&cell);
  const auto* b = std::get_if<std::int64_t>(&value);
  if (a != nullptr && b != nullptr) return *a <=> *b;
  const long double left =
      a != nullptr ? static_cast<long double>(*a) : static_cast<long double>(std::get<double>(cell));
  const long double right =
      b != nullptr ? static_cast<long double>(*b) : static_cast<long double>(std::get<double>(value));
  return left <=> right;
}

bool holds(Comparison comparison, std::partial_ordering order) {
  switch (comparison) {
    case Comparison::kEqual:
      return order == 0;
    case Comparison::kNotEqual:
      return order != 0;
    case Comparison::kLess:
      return order < 0;
    case Comparison::kLessEqual:
      return order <= 0;
    case Comparison::kGreater:
      return order > 0;
    case Comparison::kGreaterEqual:
      return order >= 0;
  }
  LAKELOOP_UNREACHABLE();
}

Cell cell_of(const Column& column, std::uint32_t row) {
  switch (column.kind()) {
    case ColumnKind::kInteger:
      return column.integer(row);
    case ColumnKind::kReal:
      return column.real(row);
    case ColumnKind::kText:
    case ColumnKind::kJson:
      return column.text(row);
  }
  LAKELOOP_UNREACHABLE();
}

std::optional<Cell> cell_of(const Json& element) {
  if (element.is_int()) return element.as_int();
  if (element.is_bool()) return static_cast<std::int64_t>(element.as_bool());
  if (element.is_double()) return element.as_double();
  if (element.is_string()) return std::string_view(element.as_string());
  return std::nullopt;
}

bool test(const Condition& condition, const Cell& cell) {
  switch (condition.kind) {
    case Condition::Kind::kCompare:
      return holds(condition.comparison, compare(cell, condition.values[0]));
    case Condition::Kind::kOneOf:
      return std::ranges::any_of(condition.values, [&](const FilterValue& value) { return compare(cell, value) == 0; });
    case Condition::Kind::kPattern:
    case Condition::Kind::kWords: {
      const auto* text = std::get_if<std::string_view>(&cell);
      if (text == nullptr) return false;
      const std::string& wanted = std::get<std::string>(condition.values[0]);
      return condition.kind == Condition::Kind::kPattern ? like_pattern(*text, wanted) : contains_words(*text, wanted);
    }
    default:
      LAKELOOP_UNREACHABLE();
  }
}

class Evaluation {
 public:
  Evaluation(const Segment& segment, const delta::Schema& schema) {
    for (const delta::Field& field : schema) columns_.push_back(segment.column(field.name));
  }

  Truth of(const Condition& condition, std::uint32_t row) const {
    switch (condition.kind) {
      case Condition::Kind::kAnd: {
        Truth result = Truth::kTrue;
        for (const Condition& part : condition.parts) {
          result = std::min(result, of(part, row));
          if (result == Truth::kFalse) break;
        }
        return result;
      }
      case Condition::Kind::kOr: {
        Truth result = Truth::kFalse;
        for (const Condition& part : condition.parts) {
          result = std::max(result, of(part, row));
          if (result == Truth::kTrue) break;
        }
        return result;
      }
      case Condition::Kind::kNot:
        return negate(of(condition.parts[0], row));
      case Condition::Kind::kConstantUnknown:
        return Truth::kUnknown;
      case Condition::Kind::kIsNull: {
        const Column* column = columns_[condition.column];
        return truth(column == nullptr || column->is_null(row));
      }
      default:
        return leaf(condition, row);
    }
  }

 private:
  Truth leaf(const Condition& condition, std::uint32_t row) const {
    const Column* column = columns_[condition.column];
    if (column == nullptr || column->is_null(row)) return Truth::kUnknown;
    bool found = false;
    if (column->kind() != ColumnKind::kJson) {
      found = test(condition, cell_of(*column, row));
    } else if (condition.kind == Condition::Kind::kCompare && condition.comparison == Comparison::kNotEqual) {
      // "not equal" of an array is "does not contain".
      found = true;
      const Json elements = column->value(row);
      for (const Json& element : elements.is_array() ? elements.items() : Json::Array()) {
        const auto cell = cell_of(element);
        if (cell && compare(*cell, condition.values[0]) == 0) found = false;
      }
    } else {
      const Json elements = column->value(row);
      for (const Json& element : elements.is_array() ? elements.items() : Json::Array()) {
        const auto cell = cell_of(element);
        if (cell && test(condition, *cell)) found = true;
      }
    }
    if (!found && condition.list_has_null) return Truth::kUnknown;
    return truth(found);
  }

  std::vector<const Column*> columns_;
};

bool is_word_byte(char c) {
  const auto byte = static_cast<std::uint8_t>(c);
  return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
         byte == '_';
}

std::size_t code_point_size(char lead) {
  const auto byte = static_cast<std::uint8_t>(lead);
  return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

}  // namespace

void Filter::apply(const Segment& segment, RowSet& rows) const {
  if (passes_all()) return;
  const Evaluation evaluation(segment, schema_);
  RowSet refused(rows.rows());
  rows.for_each([&](std::uint32_t row) {
    if (evaluation.of(condition_, row) != Truth::kTrue) refused.add(row);
  });
  rows.subtract(refused);
}

bool like_pattern(std::string_view text, std::string_view pattern) {
  constexpr std::size_t kNone = std::string_view::npos;
  std::size_t t = 0, p = 0, star = kNone, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '%') {
      star = p++;
      resume = t;
      continue;
    }
    if (p < pattern.size()) {
      if (pattern[p] == '_') {
        t += std::min(code_point_size(text[t]), text.size() - t);
        ++p;
        continue;
      }
      std::size_t literal = p;
      if (pattern[p] == '\\' && p + 1 < pattern.size() &&
          (pattern[p + 1] == '%' || pattern[p + 1] == '_' || pattern[p + 1] == '\\')) {
        literal = p + 1;
      }
      if (pattern[literal] == text[t]) {
        ++t;
        p = literal + 1;
        continue;
      }
    }
    if (star == kNone) return false;
    // The run of '%' takes one more character.
    p = star + 1;
    resume += std::min(code_point_size(text[resume]), text.size() - resume);
    t = resume;
  }
  while (p < pattern.size() && pattern[p] == '%') ++p;
  return p == pattern.size();
}

bool contains_words(std::string_view text, std::string_view words) {
  if (words.empty()) return text.empty();
  for (std::size_t at = text.find(words); at != std::string_view::npos; at = text.find(words, at + 1)) {
    const bool free_before = at == 0 || !is_word_byte(words.front()) || !is_word_byte(text[at - 1]);
    const std::size_t end = at + words.size();
    const bool free_after = end == text.size() || !is_word_byte(words.back()) || !is_word_byte(text[end]);
    if (free_before && free_after) return true;
  }
  return false;
}

}  // namespace lakeloop::search
