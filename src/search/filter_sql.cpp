// The SQL-like grammar of `filter_string`: a recursive-descent parser over typed tokens.
//
//   or      := and { OR and }
//   and     := not { AND not }
//   not     := NOT not | '(' or ')' | column test
//   test    := op literal | [NOT] IN '(' literal {',' literal} ')' | [NOT] LIKE text | IS [NOT] NULL

#include <cctype>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/format.h"
#include "base/text.h"
#include "codec/unicode.h"
#include "search/filter_value.h"

namespace lakeloop::search {

namespace {

enum class TokenKind : std::uint8_t { kWord, kName, kText, kNumber, kSymbol, kEnd };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;       // of a word as written, of a quoted name or text without its quotes
  Json value;             // of a literal
  std::size_t begin = 0;  // byte
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Token next() {
    while (at_ < text_.size() && (text_[at_] == ' ' || (text_[at_] >= '\t' && text_[at_] <= '\r'))) ++at_;
    Token token;
    token.begin = at_;
    if (at_ == text_.size()) return token;
    const char c = text_[at_];
    if (c == '\'') return quoted(token, '\'', TokenKind::kText);
    if (c == '`' || c == '"') return quoted(token, c, TokenKind::kName);
    if (is_digit(c) || ((c == '-' || c == '+' || c == '.') && at_ + 1 < text_.size() &&
                        (is_digit(text_[at_ + 1]) || text_[at_ + 1] == '.'))) {
      return number(token);
    }
    if (is_word(c)) {
      while (at_ < text_.size() && (is_word(text_[at_]) || is_digit(text_[at_]))) ++at_;
      token.kind = TokenKind::kWord;
      token.text = text_.substr(token.begin, at_ - token.begin);
      return token;
    }
    token.kind = TokenKind::kSymbol;
    for (const std::string_view symbol : {"<=", ">=", "!=", "<>", "=", "<", ">", "(", ")", ","}) {
      if (text_.substr(at_).starts_with(symbol)) {
        token.text = symbol;
        at_ += symbol.size();
        return token;
      }
    }
    fail(at_, "this character has no meaning here");
  }

  // Positions are counted in characters from 1, as an editor shows them.
  [[noreturn]] void fail(std::size_t byte, std::string_view what) const {
    throw Error(ErrorCode::kInvalidArgument, "filter_string, position {}: {}",
                codec::count_code_points(text_.substr(0, byte)) + 1, what);
  }
  [[nodiscard]] std::string where(std::size_t byte) const {
    return format(" (filter_string, position {})", codec::count_code_points(text_.substr(0, byte)) + 1);
  }

 private:
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
  }

  Token quoted(Token token, char quote, TokenKind kind) {
    token.kind = kind;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == quote) {
        if (at_ + 1 == text_.size() || text_[at_ + 1] != quote) {
          ++at_;
          token.value = token.text;
          return token;
        }
        ++at_;
      }
      token.text += text_[at_];
    }
    fail(token.begin, "the quote is not closed");
  }

  Token number(Token token) {
    token.kind = TokenKind::kNumber;
    if (text_[at_] == '+') ++at_;
    const std::size_t begin = at_;
    if (text_[at_] == '-') ++at_;
    const auto digits = [&] {
      while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    };
    digits();
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      digits();
    }
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      ++at_;
      if (at_ < text_.size() && (text_[at_] == '-' || text_[at_] == '+')) ++at_;
      digits();
    }
    if (at_ < text_.size() && is_word(text_[at_])) fail(token.begin, "this is no number");
    const std::string_view text = text_.substr(begin, at_ - begin);
    if (const auto integer = parse_number<std::int64_t>(text)) {
      token.value = *integer;
    } else if (const auto real = parse_number<double>(text); real && std::isfinite(*real)) {
      token.value = *real;
    } else {
      fail(token.begin, "this is no number, or it is too large");
    }
    return token;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

class Parser {
 public:
  Parser(std::string_view text, const delta::Schema& schema) : lexer_(text), schema_(schema) { advance(); }

  Condition parse() {
    Condition result = any(0);
    if (token_.kind != TokenKind::kEnd) fail("expected AND, OR or the end");
    return result;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const { lexer_.fail(token_.begin, what); }
  void advance() { token_ = lexer_.next(); }
  [[nodiscard]] bool is_word(std::string_view word) const {
    return token_.kind == TokenKind::kWord && iequals(token_.text, word);
  }
  [[nodiscard]] bool is_symbol(std::string_view symbol) const {
    return token_.kind == TokenKind::kSymbol && token_.text == symbol;
  }
  bool take_word(std::string_view word) {
    if (!is_word(word)) return false;
    advance();
    return true;
  }
  void expect_symbol(std::string_view symbol, std::string_view what) {
    if (!is_symbol(symbol)) fail(what);
    advance();
  }

  Condition combine(Condition::Kind kind, Condition first, std::string_view word, std::size_t depth) {
    if (!is_word(word)) return first;
    Condition result;
    result.kind = kind;
    result.parts.push_back(std::move(first));
    while (take_word(word)) result.parts.push_back(kind == Condition::Kind::kOr ? all(depth) : negation(depth));
    return result;
  }
  Condition any(std::size_t depth) { return combine(Condition::Kind::kOr, all(depth), "OR", depth); }
  Condition all(std::size_t depth) { return combine(Condition::Kind::kAnd, negation(depth), "AND", depth); }

  Condition negation(std::size_t depth) {
    if (depth >= kFilterDepth) fail("the condition is nested too deeply");
    if (take_word("NOT")) return inverse(negation(depth + 1));
    if (is_symbol("(")) {
      advance();
      Condition inner = any(depth + 1);
      expect_symbol(")", "expected ')'");
      return inner;
    }
    return comparison();
  }

  static Condition inverse(Condition condition) {
    Condition result;
    result.kind = Condition::Kind::kNot;
    result.parts.push_back(std::move(condition));
    return result;
  }

  Condition comparison() {
    if (++conditions_ > kFilterConditions) fail("the filter has too many conditions");
    if (token_.kind != TokenKind::kWord && token_.kind != TokenKind::kName) fail("expected the name of a column");
    const auto column = delta::find_column(schema_, token_.text);
    if (!column) fail(format("the index has no column {}", token_.text));
    advance();
    Condition result;
    result.column = *column;
    if (take_word("IS")) {
      const bool negative = take_word("NOT");
      if (!take_word("NULL")) fail("expected NULL");
      result.kind = Condition::Kind::kIsNull;
      return negative ? inverse(std::move(result)) : result;
    }
    const bool negative = take_word("NOT");
    if (take_word("IN")) {
      one_of(result);
    } else if (take_word("LIKE")) {
      if (token_.kind != TokenKind::kText) fail("expected a pattern in quotes");
      result.kind = Condition::Kind::kPattern;
      result.values.emplace_back(filter_pattern(schema_[*column], token_.value, true, lexer_.where(token_.begin)));
      advance();
    } else if (negative) {
      fail("expected IN or LIKE after NOT");
    } else {
      compare(result);
    }
    return negative ? inverse(std::move(result)) : result;
  }

  void compare(Condition& result) {
    static constexpr std::pair<std::string_view, Comparison> kSymbols[] = {
        {"=", Comparison::kEqual},        {"!=", Comparison::kNotEqual},  {"<>", Comparison::kNotEqual},
        {"<", Comparison::kLess},         {"<=", Comparison::kLessEqual}, {">", Comparison::kGreater},
        {">=", Comparison::kGreaterEqual}};
    std::optional<Comparison> found;
    for (const auto& [symbol, comparison] : kSymbols) {
      if (is_symbol(symbol)) found = comparison;
    }
    if (!found) fail("expected =, !=, <, <=, >, >=, IN, LIKE or IS");
    if (*found != Comparison::kEqual && *found != Comparison::kNotEqual)
      require_order(schema_[result.column], lexer_.where(token_.begin));
    advance();
    result.kind = Condition::Kind::kCompare;
    result.comparison = *found;
    const std::size_t begin = token_.begin;
    const Json value = literal();
    if (value.is_null()) {
      result.kind = Condition::Kind::kConstantUnknown;  // SQL: a comparison with NULL is never true
    } else {
      result.values.push_back(filter_value(schema_[result.column], value, lexer_.where(begin)));
    }
  }

  void one_of(Condition& result) {
    result.kind = Condition::Kind::kOneOf;
    expect_symbol("(", "expected '(' after IN");
    do {
      if (result.values.size() >= kFilterValues) fail("the list has too many values");
      const std::size_t begin = token_.begin;
      const Json value = literal();
      if (value.is_null()) {
        result.list_has_null = true;
      } else {
        result.values.push_back(filter_value(schema_[result.column], value, lexer_.where(begin)));
      }
    } while (is_symbol(",") && (advance(), true));
    expect_symbol(")", "expected ',' or ')'");
  }

  Json literal() {
    if (is_word("DATE") || is_word("TIMESTAMP")) {
      advance();
      if (token_.kind != TokenKind::kText) fail("expected a text in quotes");
    }
    Json value;
    if (token_.kind == TokenKind::kText || token_.kind == TokenKind::kNumber) {
      value = token_.value;
    } else if (is_word("TRUE") || is_word("FALSE")) {
      value = is_word("TRUE");
    } else if (!is_word("NULL")) {
      fail("expected a value: a number, 'text', TRUE, FALSE or NULL");
    }
    advance();
    return value;
  }

  Lexer lexer_;
  const delta::Schema& schema_;
  Token token_;
  std::size_t conditions_ = 0;
};

}  // namespace

Condition compile_filter_string(std::string_view text, const delta::Schema& schema) {
  if (trim(text).empty()) return {};
  if (text.size() > kFilterTextBytes)
    throw Error(ErrorCode::kInvalidArgument, "filter_string is limited to {} bytes", kFilterTextBytes);
  if (!codec::is_valid_utf8(text)) throw Error(ErrorCode::kInvalidArgument, "filter_string is not valid UTF-8");
  return Parser(text, schema).parse();
}

}  // namespace lakeloop::search
