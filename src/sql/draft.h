#pragma once

// A query on its way from Spark's dialect to DuckDB's: back-quotes become double quotes, `:name` becomes a bound and
// cast $n, time travel clauses are taken out and kept beside the name. The text is built from tokens, so nothing inside
// a string or a comment is ever changed, and no value is pasted.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "codec/json.h"
#include "sql/statement.h"
#include "sql/tokens.h"

namespace lakeloop::sql {

// The state of a table that is asked for; both empty: the newest.
struct AsOf {
  std::optional<std::int64_t> version;
  std::optional<Timestamp> timestamp;
  [[nodiscard]] bool newest() const { return !version && !timestamp; }
};

// Values for $1, $2, ... in the order of their first use, shared by all drafts of a statement.
class Parameters {
 public:
  explicit Parameters(const std::vector<Parameter>& given);
  // "CAST($1 AS BIGINT)"; kInvalidArgument when no such parameter was given.
  std::string use(std::string_view name);
  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] const std::vector<Json>& values() const { return values_; }

 private:
  struct Known {
    const Parameter* parameter;
    std::string type;        // DuckDB's
    std::size_t number = 0;  // 0: not used yet
  };
  std::vector<Known> known_;
  std::vector<Json> values_;
};

class Draft {
 public:
  Draft(const Tokens& tokens, Parameters& parameters);

  [[nodiscard]] const std::string& text() const { return text_; }
  // Where a place in the text was in the statement.
  [[nodiscard]] std::size_t source_of(std::size_t offset) const;
  // The name that starts at a place in the text, with its time travel clause; nullopt when none does.
  struct Name {
    std::vector<std::string> parts;
    AsOf as_of;
    std::size_t first = 0, last = 0;  // pieces
  };
  [[nodiscard]] std::optional<Name> name_at(std::size_t offset) const;
  void replace(const Name& name, std::string text);
  void replace_first_part(const Name& name, std::string text);
  // After replacements.
  [[nodiscard]] std::string finished() const;

 private:
  struct Piece {
    Token token;
    std::string text;
    std::size_t offset = 0;  // in text_
    AsOf as_of;              // of the name that ends here
  };
  std::vector<Piece> pieces_;
  std::string text_;
};

}  // namespace lakeloop::sql
