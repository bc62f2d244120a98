#include "sql/tokens.h"

#include <algorithm>

#include "base/error.h"
#include "base/format.h"
#include "base/text.h"

namespace lakeloop::sql {
namespace {

const Token kEndToken{};

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_word_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool is_word_part(char c) {
  return is_word_start(c) || is_digit(c);
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  Tokens run() {
    while (true) {
      const std::size_t before = at_;
      skip_blanks();
      if (at_ == text_.size()) return std::move(tokens_);
      glued_ = at_ == before && !tokens_.empty();
      start_ = at_;
      scan();
    }
  }

 private:
  [[nodiscard]] char at(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  [[noreturn]] void fail(std::string_view what) const {
    throw Error(ErrorCode::kInvalidArgument, "syntax error: {} at position {} does not end", what, start_);
  }

  void skip_blanks() {
    while (at_ < text_.size()) {
      if (is_blank(at())) {
        ++at_;
      } else if (at() == '-' && at(1) == '-') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (at() == '/' && at(1) == '*') {
        skip_comment();
      } else {
        return;
      }
    }
  }

  void skip_comment() {  // they nest
    start_ = at_;
    int depth = 0;
    do {
      if (at_ + 1 >= text_.size()) fail("the comment");
      const bool opens = at() == '/' && at(1) == '*', closes = at() == '*' && at(1) == '/';
      depth += opens ? 1 : closes ? -1 : 0;
      at_ += opens || closes ? 2 : 1;
    } while (depth > 0);
  }

  void add(TokenKind kind, std::string text) {
    tokens_.push_back({.kind = kind, .text = std::move(text), .offset = start_, .glued = glued_});
  }

  void scan() {
    const char c = at();
    if (c == '\0') throw Error(ErrorCode::kInvalidArgument, "syntax error: a NUL character at position {}", at_);
    if (c == '\'') return scan_string(false);
    if ((c == 'e' || c == 'E') && at(1) == '\'') return scan_string(true);
    if (c == '"' || c == '`') return scan_quoted(c);
    if (c == '$' && (at(1) == '$' || is_word_start(at(1)))) return scan_dollar();
    if (is_digit(c) || (c == '.' && is_digit(at(1)))) return scan_number();
    if (is_word_start(c)) {
      while (is_word_part(at())) ++at_;
      return add(TokenKind::kWord, std::string(text_.substr(start_, at_ - start_)));
    }
    ++at_;
    add(TokenKind::kSymbol, std::string(1, c));
  }

  void scan_string(bool escapes) {
    at_ += escapes ? 2 : 1;
    while (true) {
      if (at_ >= text_.size()) fail("the string");
      if (escapes && at() == '\\') {
        at_ += 2;
      } else if (at() == '\'' && at(1) == '\'') {
        at_ += 2;
      } else if (text_[at_++] == '\'') {
        break;
      }
    }
    at_ = std::min(at_, text_.size());
    add(TokenKind::kString, std::string(text_.substr(start_, at_ - start_)));
  }

  void scan_quoted(char quote) {
    std::string content;
    ++at_;
    while (true) {
      if (at_ >= text_.size()) fail("the quoted name");
      if (at() == quote && at(1) == quote) {
        content += quote;
        at_ += 2;
      } else if (at() == quote) {
        ++at_;
        break;
      } else {
        content += text_[at_++];
      }
    }
    add(TokenKind::kQuoted, std::move(content));
  }

  // $$text$$, $tag$text$tag$; else the '$' of a parameter.
  void scan_dollar() {
    std::size_t end = at_ + 1;
    while (end < text_.size() && is_word_part(text_[end])) ++end;
    if (end >= text_.size() || text_[end] != '$') {
      ++at_;
      return add(TokenKind::kSymbol, "$");
    }
    const std::string_view tag = text_.substr(at_, end + 1 - at_);
    const std::size_t close = text_.find(tag, end + 1);
    if (close == std::string_view::npos) fail("the string");
    at_ = close + tag.size();
    add(TokenKind::kString, std::string(text_.substr(start_, at_ - start_)));
  }

  void scan_number() {
    while (is_word_part(at()) || at() == '.' ||
           ((at() == '+' || at() == '-') && (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E'))) {
      ++at_;
    }
    add(TokenKind::kNumber, std::string(text_.substr(start_, at_ - start_)));
  }

  std::string_view text_;
  std::size_t at_ = 0, start_ = 0;
  bool glued_ = false;
  Tokens tokens_;
};

}  // namespace

bool Token::is(std::string_view keyword) const {
  return kind == TokenKind::kWord && iequals(text, keyword);
}

Tokens tokenize(std::string_view statement) {
  return Scanner(statement).run();
}

std::string string_content(const Token& token) {
  if (token.kind != TokenKind::kString || token.text[0] != '\'') {
    throw Error(ErrorCode::kInvalidArgument, "syntax error: expected a string in single quotes at position {}",
                token.offset);
  }
  return replace_all(token.text.substr(1, token.text.size() - 2), "''", "'");
}

const Token& Reader::peek(std::size_t ahead) const {
  return at_ + ahead < tokens_.size() ? tokens_[at_ + ahead] : kEndToken;
}

const Token& Reader::next() {
  const Token& token = peek();
  if (at_ < tokens_.size()) ++at_;
  return token;
}

bool Reader::take(std::string_view keyword) {
  if (!peek().is(keyword)) return false;
  ++at_;
  return true;
}

bool Reader::take(char symbol) {
  if (!peek().is(symbol)) return false;
  ++at_;
  return true;
}

void Reader::fail(std::string_view expected) const {
  if (at_end())
    throw Error(ErrorCode::kInvalidArgument, "syntax error: expected {} at the end of the statement", expected);
  throw Error(ErrorCode::kInvalidArgument, "syntax error: expected {} and not '{}' at position {}", expected,
              peek().text.substr(0, 80), peek().offset);
}

void Reader::expect(std::string_view keyword) {
  if (!take(keyword)) fail(keyword);
}

void Reader::expect(char symbol) {
  if (!take(symbol)) fail(std::string{'\'', symbol, '\''});
}

void Reader::expect_end() {
  if (!at_end()) fail("the end of the statement");
}

std::string Reader::identifier(std::string_view what) {
  if (!peek().is_identifier()) fail(what);
  return next().text;
}

std::vector<std::string> Reader::name() {
  std::vector<std::string> parts{identifier("a table name")};
  while (take('.')) parts.push_back(identifier("a name after '.'"));
  if (parts.size() > 3)
    throw Error(ErrorCode::kInvalidArgument, "the name '{}' has more than three parts", join(parts, "."));
  return parts;
}

Tokens Reader::until(std::string_view symbols, std::initializer_list<std::string_view> keywords) {
  Tokens tokens;
  int depth = 0;
  while (!at_end()) {
    const Token& token = peek();
    if (depth == 0) {
      if (token.kind == TokenKind::kSymbol && symbols.contains(token.text[0])) break;
      if (std::ranges::any_of(keywords, [&](std::string_view keyword) { return token.is(keyword); })) break;
    }
    if (token.is('(') || token.is('[') || token.is('{')) ++depth;
    if (token.is(')') || token.is(']') || token.is('}')) {
      if (depth == 0) break;
      --depth;
    }
    tokens.push_back(next());
  }
  return tokens;
}

Tokens Reader::rest() {
  Tokens tokens(tokens_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, tokens_.size())), tokens_.end());
  at_ = tokens_.size();
  return tokens;
}

}  // namespace lakeloop::sql
