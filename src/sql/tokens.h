#pragma once

// The words of a SQL statement, as Spark and DuckDB both write them: enough to find names, parameters and clauses
// without being fooled by quotes and comments. Comments are left out.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lakeloop::sql {

enum class TokenKind : std::uint8_t {
  kWord,    // an unquoted identifier or keyword
  kQuoted,  // "..." or `...`; `text` is what is inside
  kString,  // '...', e'...', $$...$$; `text` is as written
  kNumber,
  kSymbol,  // one character
  kEnd
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  std::size_t offset = 0;  // into the statement
  bool glued = false;      // no blank before it

  [[nodiscard]] bool is(char symbol) const { return kind == TokenKind::kSymbol && text[0] == symbol; }
  [[nodiscard]] bool is(std::string_view keyword) const;  // upper case; a quoted word is no keyword
  [[nodiscard]] bool is_identifier() const { return kind == TokenKind::kWord || kind == TokenKind::kQuoted; }
};

using Tokens = std::vector<Token>;

// kInvalidArgument with the position of a quote or comment that does not end.
Tokens tokenize(std::string_view statement);

// The content of a plain string literal: 'it''s' -> it's.
std::string string_content(const Token& token);

// Reads tokens one after the other; the end is a token like any other.
class Reader {
 public:
  explicit Reader(const Tokens& tokens, std::size_t at = 0) : tokens_(tokens), at_(at) {}
  [[nodiscard]] const Token& peek(std::size_t ahead = 0) const;
  const Token& next();
  bool take(std::string_view keyword);
  bool take(char symbol);
  // kInvalidArgument "expected ... at position ...".
  void expect(std::string_view keyword);
  void expect(char symbol);
  void expect_end();
  std::string identifier(std::string_view what);
  std::vector<std::string> name();  // one to three parts
  [[nodiscard]] std::size_t position() const { return at_; }
  [[nodiscard]] bool at_end() const { return peek().kind == TokenKind::kEnd; }
  // The tokens up to the first of `symbols` or `keywords` outside of brackets, or the end.
  Tokens until(std::string_view symbols, std::initializer_list<std::string_view> keywords = {});
  Tokens rest();

 private:
  [[noreturn]] void fail(std::string_view expected) const;
  const Tokens& tokens_;
  std::size_t at_;
};

}  // namespace lakeloop::sql
