#include "tracking/filter.h"

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"

namespace lakeloop::tracking {

namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

[[noreturn]] void invalid(std::string_view what, std::string_view text, std::size_t at) {
  throw Error(ErrorCode::kInvalidArgument, "Invalid clause(s) in filter string: {} at position {}: '{}'", what, at,
              std::string(text.substr(std::min(at, text.size()), 60)));
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::vector<Comparison> comparisons() {
    std::vector<Comparison> result;
    skip_blanks();
    if (done()) return result;
    while (true) {
      result.push_back(comparison());
      if (result.size() > limits::kFilterComparisons) {
        throw Error(ErrorCode::kInvalidArgument, "Invalid clause(s) in filter string: more than {} comparisons",
                    limits::kFilterComparisons);
      }
      skip_blanks();
      if (done()) return result;
      if (!keyword("AND")) {
        if (keyword("OR")) invalid("OR is not supported, only AND", text_, at_ - 2);
        invalid("expected AND", text_, at_);
      }
      skip_blanks();
      if (done()) invalid("a comparison is missing after AND", text_, at_);
    }
  }

  OrderBy order_by() {
    OrderBy order;
    skip_blanks();
    if (done())
      throw Error(ErrorCode::kInvalidArgument, "Invalid order_by clause '{}': it is empty", std::string(text_));
    std::tie(order.entity, order.key) = identifier();
    skip_blanks();
    if (keyword("ASC")) {
      order.ascending = true;
    } else if (keyword("DESC")) {
      order.ascending = false;
    }
    skip_blanks();
    if (!done()) throw Error(ErrorCode::kInvalidArgument, "Invalid order_by clause '{}'", std::string(text_));
    return order;
  }

 private:
  [[nodiscard]] bool done() const { return at_ >= text_.size(); }
  [[nodiscard]] char peek() const { return text_[at_]; }
  void skip_blanks() {
    while (!done() && is_blank(peek())) ++at_;
  }

  // A whole word, without case.
  bool keyword(std::string_view word) {
    if (text_.size() - at_ < word.size() || !iequals(text_.substr(at_, word.size()), word)) return false;
    const std::size_t end = at_ + word.size();
    if (end < text_.size() && !is_blank(text_[end]) && text_[end] != '(') return false;
    at_ = end;
    return true;
  }

  std::string quoted(char quote) {
    const std::size_t start = at_;
    std::string value;
    ++at_;
    while (true) {
      if (done()) invalid("a quote is not closed", text_, start);
      const char c = text_[at_++];
      if (c == quote) {
        if (done() || peek() != quote) return value;  // a doubled quote is one quote, as in SQL
        ++at_;
      }
      value += c;
    }
  }

  // entity and key; the whole may be quoted ("params.x"), or the key alone (params.`a b`).
  std::pair<std::string, std::string> identifier() {
    const std::size_t start = at_;
    std::string name;
    std::optional<std::size_t> dot;  // the first one outside of a quoted key
    while (!done()) {
      const char c = peek();
      if (c == '`' || c == '"') {
        const bool whole = name.empty();
        const std::string part = quoted(c);
        if (whole && !dot) {
          if (const std::size_t found = part.find('.'); found != std::string::npos) dot = found;
        }
        name += part;
        continue;
      }
      if (is_blank(c) || c == '=' || c == '!' || c == '<' || c == '>' || c == '(' || c == ')' || c == ',') break;
      if (c == '\'') invalid("a key cannot stand in single quotes", text_, at_);
      if (c == '.' && !dot) dot = name.size();
      name += c;
      ++at_;
    }
    if (name.empty()) invalid("expected a key", text_, start);
    if (!dot) return {"", name};
    std::string entity = ascii_lower(name.substr(0, *dot));
    std::string key = name.substr(*dot + 1);
    if (entity.empty() || key.empty()) invalid("a key is incomplete", text_, start);
    return {std::move(entity), std::move(key)};
  }

  Comparator comparator() {
    skip_blanks();
    static constexpr std::pair<std::string_view, Comparator> kSigns[] = {
        {"!=", Comparator::kNotEqual},     {"<>", Comparator::kNotEqual}, {"<=", Comparator::kLessEqual},
        {">=", Comparator::kGreaterEqual}, {"=", Comparator::kEqual},     {"<", Comparator::kLess},
        {">", Comparator::kGreater}};
    for (const auto& [sign, value] : kSigns) {
      if (text_.substr(at_).starts_with(sign)) {
        at_ += sign.size();
        return value;
      }
    }
    if (keyword("LIKE")) return Comparator::kLike;
    if (keyword("ILIKE")) return Comparator::kIlike;
    if (keyword("RLIKE")) return Comparator::kRlike;
    if (keyword("IN")) return Comparator::kIn;
    if (keyword("NOT")) {
      skip_blanks();
      if (keyword("IN")) return Comparator::kNotIn;
      invalid("only IN may follow NOT", text_, at_);
    }
    if (keyword("IS")) {
      skip_blanks();
      if (keyword("NULL")) return Comparator::kIsNull;
      if (keyword("NOT")) {
        skip_blanks();
        if (keyword("NULL")) return Comparator::kIsNotNull;
      }
      invalid("expected NULL or NOT NULL after IS", text_, at_);
    }
    invalid("expected a comparator", text_, at_);
  }

  Comparison comparison() {
    Comparison c;
    const std::size_t start = at_;
    std::tie(c.entity, c.key) = identifier();
    c.comparator = comparator();
    skip_blanks();
    if (c.comparator == Comparator::kIn || c.comparator == Comparator::kNotIn) {
      list(c);
    } else if (c.comparator != Comparator::kIsNull && c.comparator != Comparator::kIsNotNull) {
      literal(c);
    }
    c.text = std::string(text_.substr(start, at_ - start));
    return c;
  }

  void literal(Comparison& c) {
    if (done()) invalid("a value is missing", text_, at_);
    if (peek() == '\'' || peek() == '"') {
      c.quoted = true;
      c.value = quoted(peek());
    } else {
      const std::size_t start = at_;
      while (!done() && !is_blank(peek()) && peek() != ')' && peek() != '(' && peek() != ',') ++at_;
      c.value = std::string(text_.substr(start, at_ - start));
      if (c.value.empty()) invalid("a value is missing", text_, start);
    }
    if (!done() && !is_blank(peek())) invalid("a blank is missing after the value", text_, at_);
  }

  void list(Comparison& c) {
    if (done() || peek() != '(') invalid("expected a list of quoted strings in parentheses", text_, at_);
    ++at_;
    while (true) {
      skip_blanks();
      if (done()) invalid("a parenthesis is not closed", text_, at_);
      if (peek() == ')' && !c.values.empty()) break;
      if (peek() != '\'' && peek() != '"') {
        invalid(peek() == ')' ? "an IN list cannot be empty" : "an IN list holds quoted strings", text_, at_);
      }
      c.values.push_back(quoted(peek()));
      if (c.values.size() > limits::kFilterListValues) {
        throw Error(ErrorCode::kInvalidArgument,
                    "Invalid clause(s) in filter string: an IN list holds more than {} values",
                    limits::kFilterListValues);
      }
      skip_blanks();
      if (!done() && peek() == ',') {
        ++at_;
        continue;
      }
      if (done() || peek() != ')') invalid("expected ',' or ')'", text_, at_);
    }
    ++at_;
    c.quoted = true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

void check_size(std::string_view text) {
  if (text.size() > limits::kFilterBytes) {
    throw Error(ErrorCode::kInvalidArgument, "Invalid clause(s) in filter string: it is longer than {} bytes",
                limits::kFilterBytes);
  }
}

}  // namespace

std::string_view to_string(Comparator comparator) {
  switch (comparator) {
    case Comparator::kEqual:
      return "=";
    case Comparator::kNotEqual:
      return "!=";
    case Comparator::kLess:
      return "<";
    case Comparator::kLessEqual:
      return "<=";
    case Comparator::kGreater:
      return ">";
    case Comparator::kGreaterEqual:
      return ">=";
    case Comparator::kLike:
      return "LIKE";
    case Comparator::kIlike:
      return "ILIKE";
    case Comparator::kRlike:
      return "RLIKE";
    case Comparator::kIn:
      return "IN";
    case Comparator::kNotIn:
      return "NOT IN";
    case Comparator::kIsNull:
      return "IS NULL";
    case Comparator::kIsNotNull:
      return "IS NOT NULL";
  }
  return "";
}

std::vector<Comparison> parse_filter(std::string_view filter) {
  check_size(filter);
  return Parser(filter).comparisons();
}

OrderBy parse_order_by(std::string_view text) {
  check_size(text);
  return Parser(text).order_by();
}

}  // namespace lakeloop::tracking
