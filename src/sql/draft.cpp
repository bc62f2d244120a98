#include "sql/draft.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "delta/duck.h"

namespace lakeloop::sql {
namespace {

bool opens(const Token& token) {
  return token.is('(') || token.is('[') || token.is('{');
}
bool closes(const Token& token) {
  return token.is(')') || token.is(']') || token.is('}');
}

// In [a:b] and {'key': value} a colon after a value separates; it starts no parameter. Neither does one glued to a
// name.
bool starts_parameter(const Token* before, const Token& colon, const Token& name, char bracket) {
  if (!name.is_identifier() || !name.glued) return false;
  if (!before) return true;
  if (before->is(':') && colon.glued) return false;  // a::INT
  const bool value = before->is_identifier() || before->kind == TokenKind::kString ||
                     before->kind == TokenKind::kNumber || closes(*before);
  if (bracket == '[' || bracket == '{') return !value;
  return !(value && colon.glued);
}

// VERSION AS OF 3 | TIMESTAMP AS OF '...' | FOR VERSION AS OF ... | @v3, after a name. The number of tokens, 0 when
// there is none.
std::size_t time_travel(const Tokens& tokens, std::size_t at, AsOf& as_of) {
  const Reader look(tokens, at);
  if (look.peek().is('@') && look.peek().glued && look.peek(1).glued && look.peek(1).kind == TokenKind::kWord) {
    const std::string_view word = look.peek(1).text;
    const auto version =
        word.starts_with('v') || word.starts_with('V') ? parse_number<std::int64_t>(word.substr(1)) : std::nullopt;
    if (!version) return 0;
    as_of.version = *version;
    return 2;
  }
  const std::size_t skip = look.peek().is("FOR") ? 1 : 0;
  const bool version = look.peek(skip).is("VERSION") || look.peek(skip).is("SYSTEM_VERSION");
  const bool timestamp = look.peek(skip).is("TIMESTAMP") || look.peek(skip).is("SYSTEM_TIME");
  if ((!version && !timestamp) || !look.peek(skip + 1).is("AS") || !look.peek(skip + 2).is("OF")) return 0;
  const Token& value = look.peek(skip + 3);
  const std::string text = value.kind == TokenKind::kString ? string_content(value) : value.text;
  if (version) {
    as_of.version = parse_number<std::int64_t>(text);
    if (!as_of.version || *as_of.version < 0) {
      throw Error(ErrorCode::kInvalidArgument, "VERSION AS OF needs a version number, not '{}'", text.substr(0, 80));
    }
  } else {
    if (value.kind == TokenKind::kString) as_of.timestamp = parse_timestamp(text);
    if (!as_of.timestamp && value.kind == TokenKind::kString)
      as_of.timestamp = parse_timestamp(text + "Z");  // without zone: UTC
    if (!as_of.timestamp) {
      throw Error(ErrorCode::kInvalidArgument, "TIMESTAMP AS OF needs a string like '2026-01-02T03:04:05Z', not {}",
                  value.text.substr(0, 80));
    }
  }
  return skip + 4;
}

std::string print(const Token& token) {
  return token.kind == TokenKind::kQuoted ? delta::quote_identifier(token.text) : token.text;
}

}  // namespace

Parameters::Parameters(const std::vector<Parameter>& given) {
  if (given.size() > limits::kStatementParameters) {
    throw Error(ErrorCode::kInvalidArgument, "parameters has more than {} entries", limits::kStatementParameters);
  }
  for (const Parameter& parameter : given) {
    std::string type = ascii_lower(trim(parameter.type));
    if (type.empty()) type = "string";
    const delta::DataType parsed = delta::type_from_text(type);
    using enum delta::TypeKind;
    if (parsed.kind == kStruct || parsed.kind == kArray || parsed.kind == kMap || parsed.kind == kBinary) {
      throw Error(ErrorCode::kInvalidArgument, "parameter '{}' has type {}: only scalar types can be bound",
                  parameter.name, type);
    }
    if (has(parameter.name)) throw Error(ErrorCode::kInvalidArgument, "parameter '{}' is given twice", parameter.name);
    known_.push_back({.parameter = &parameter, .type = parsed.duckdb()});
  }
}

bool Parameters::has(std::string_view name) const {
  return std::ranges::any_of(known_, [&](const Known& known) { return iequals(known.parameter->name, name); });
}

std::string Parameters::use(std::string_view name) {
  for (Known& known : known_) {
    if (!iequals(known.parameter->name, name)) continue;
    if (known.number == 0) {
      values_.emplace_back(known.parameter->value);
      known.number = values_.size();
    }
    // A value travels as text and is read as its type by DuckDB, which names what does not fit.
    return "CAST(CAST($" + std::to_string(known.number) + " AS VARCHAR) AS " + known.type + ")";
  }
  throw Error(ErrorCode::kInvalidArgument, "parameter ':{}' has no value: give it in `parameters`", name);
}

Draft::Draft(const Tokens& tokens, Parameters& parameters) {
  std::string brackets;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const Token& token = tokens[i];
    if (opens(token)) brackets += token.text;
    if (closes(token) && !brackets.empty()) brackets.pop_back();
    if (token.is(';'))
      throw Error(ErrorCode::kInvalidArgument, "one statement at a time: a second one starts at position {}",
                  token.offset + 1);
    if (token.is('?') || token.is('$')) {
      throw Error(ErrorCode::kInvalidArgument,
                  "syntax error: unexpected '{}' at position {}: parameters are written :name", token.text,
                  token.offset);
    }
    Piece piece;
    piece.token = token;
    piece.text = print(token);
    // The name of a schema to Spark, a keyword to DuckDB, which has no use for it before a dot.
    if (token.is("DEFAULT") && i + 1 < tokens.size() && tokens[i + 1].is('.')) {
      piece.text = delta::quote_identifier(token.text);
    }
    if (token.is(':') && i + 1 < tokens.size() &&
        starts_parameter(i > 0 ? &tokens[i - 1] : nullptr, token, tokens[i + 1],
                         brackets.empty() ? '\0' : brackets.back())) {
      piece.text = parameters.use(tokens[++i].text);
      piece.token.kind = TokenKind::kString;  // opaque from here on
    } else if (token.is_identifier()) {
      i += time_travel(tokens, i + 1, piece.as_of);
    }
    if (!text_.empty() && !token.glued) text_ += ' ';
    piece.offset = text_.size();
    text_ += piece.text;
    pieces_.push_back(std::move(piece));
  }
}

std::size_t Draft::source_of(std::size_t offset) const {
  const auto after = std::ranges::upper_bound(pieces_, offset, {}, &Piece::offset);
  if (after == pieces_.begin()) return offset;
  const Piece& piece = *std::prev(after);
  return piece.token.offset + std::min(offset - piece.offset, piece.token.text.size());
}

std::optional<Draft::Name> Draft::name_at(std::size_t offset) const {
  const auto start = std::ranges::lower_bound(pieces_, offset, {}, &Piece::offset);
  if (start == pieces_.end() || start->offset != offset || !start->token.is_identifier()) return std::nullopt;
  Name name;
  name.first = name.last = static_cast<std::size_t>(start - pieces_.begin());
  name.parts.push_back(start->token.text);
  while (name.last + 2 < pieces_.size() && pieces_[name.last].as_of.newest() && pieces_[name.last + 1].token.is('.') &&
         pieces_[name.last + 2].token.is_identifier()) {
    name.last += 2;
    name.parts.push_back(pieces_[name.last].token.text);
  }
  name.as_of = pieces_[name.last].as_of;
  return name;
}

void Draft::replace(const Name& name, std::string text) {
  pieces_[name.first].text = std::move(text);
  for (std::size_t i = name.first + 1; i <= name.last; ++i) pieces_[i].text.clear();
}

void Draft::replace_first_part(const Name& name, std::string text) {
  pieces_[name.first].text = std::move(text);
}

std::string Draft::finished() const {
  std::string text;
  for (const Piece& piece : pieces_) {
    if (!text.empty() && !piece.token.glued) text += ' ';
    text += piece.text;
  }
  return text;
}

}  // namespace lakeloop::sql
