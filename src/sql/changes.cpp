// INSERT, DELETE and UPDATE: queries and conditions that become Delta commits.

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "sql/execution.h"
#include "sql/syntax_tree.h"

namespace lakeloop::sql {
namespace {

using delta::quote_identifier;

delta::CommitOptions commit_options(const Execution& run, std::string operation) {
  delta::CommitOptions options;
  options.operation = std::move(operation);
  options.user = run.options.user;
  return options;
}

std::size_t column_of(const delta::Schema& schema, std::string_view name) {
  const auto column = delta::find_column(schema, name);
  if (!column) throw Error(ErrorCode::kInvalidArgument, "the table has no column '{}'", name);
  return *column;
}

// "t", "docs.t", "main.docs.t" and the alias may stand before a column; what commits know are bare columns.
class Qualifiers {
 public:
  Qualifiers(std::vector<std::string> table, std::optional<std::string> alias) {
    if (alias) {
      prefixes_.push_back({*alias});
      return;
    }
    while (!table.empty()) {
      prefixes_.push_back(table);
      table.erase(table.begin());
    }
  }

  [[nodiscard]] Tokens strip(const Tokens& tokens) const {
    Tokens result;
    for (std::size_t i = 0; i < tokens.size();) {
      if (tokens[i].is_identifier() && (i == 0 || !tokens[i - 1].is('.'))) i += prefix_at(tokens, i);
      result.push_back(tokens[i++]);
    }
    return result;
  }

 private:
  static bool matches(const Tokens& tokens, std::size_t at, const std::vector<std::string>& prefix) {
    if (at + 2 * prefix.size() >= tokens.size()) return false;
    for (std::size_t k = 0; k < prefix.size(); ++k) {
      if (!tokens[at + 2 * k].is_identifier() || !iequals(tokens[at + 2 * k].text, prefix[k])) return false;
      if (!tokens[at + 2 * k + 1].is('.')) return false;
    }
    return tokens[at + 2 * prefix.size()].is_identifier();
  }
  // How many tokens to leave out.
  [[nodiscard]] std::size_t prefix_at(const Tokens& tokens, std::size_t at) const {
    for (const auto& prefix : prefixes_) {
      if (matches(tokens, at, prefix)) return 2 * prefix.size();
    }
    return 0;
  }

  std::vector<std::vector<std::string>> prefixes_;
};

// A condition or a new value, in DuckDB's dialect; it reads its row only.
std::string row_expression(Execution& run, const Tokens& tokens, std::string_view what) {
  if (tokens.empty()) throw Error(ErrorCode::kInvalidArgument, "{} is empty", what);
  // "a) OR (b" would be an expression between our brackets, and is none.
  Reader brackets(tokens);
  brackets.until({});
  brackets.expect_end();
  Tokens wrapped = tokenize("SELECT (");
  wrapped.insert(wrapped.end(), tokens.begin(), tokens.end());
  wrapped.push_back({.kind = TokenKind::kSymbol,
                     .text = ")",
                     .offset = tokens.back().offset + tokens.back().text.size(),
                     .glued = false});
  check_row_expression(parse_query(Draft(wrapped, run.parameters)), what);
  return Draft(tokens, run.parameters).text();
}

struct Target {
  std::vector<std::string> name;
  std::optional<std::string> alias;
};

Target read_target(Reader& reader, std::initializer_list<std::string_view> ends) {
  Target target{.name = reader.name(), .alias = {}};
  if (reader.take("AS")) {
    target.alias = reader.identifier("an alias");
  } else if (reader.peek().is_identifier() &&
             std::ranges::none_of(ends, [&](std::string_view end) { return reader.peek().is(end); })) {
    target.alias = reader.next().text;
  }
  return target;
}

std::string read_condition(Execution& run, Reader& reader, const Qualifiers& qualifiers) {
  if (reader.at_end()) return "true";
  reader.expect("WHERE");
  return row_expression(run, qualifiers.strip(reader.rest()), "the condition");
}

}  // namespace

std::int64_t insert_rows(Execution& run, delta::Table& table, const std::vector<std::string>& columns,
                         const Query& query) {
  const delta::Schema schema = table.snapshot().schema;
  std::vector<std::size_t> targets;
  for (const std::string& name : columns) {
    targets.push_back(column_of(schema, name));
    if (std::ranges::count(targets, targets.back()) > 1)
      throw Error(ErrorCode::kInvalidArgument, "column '{}' is named twice", name);
  }
  if (columns.empty()) {
    for (std::size_t i = 0; i < schema.size(); ++i) targets.push_back(i);
  }
  Sandbox sandbox(query.views, run.options.memory_limit, run.deadline);
  const std::size_t given = sandbox.describe(query.text).size();
  if (given != targets.size()) {
    throw Error(ErrorCode::kInvalidArgument, "INSERT names {} columns but the query gives {}", targets.size(), given);
  }
  std::string list, names;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const std::string name = "\"/c" + std::to_string(i) + '"';
    list += (i == 0 ? "CAST(" : ", CAST(") + name + " AS " + schema[targets[i]].type.duckdb() + ')';
    names += (i == 0 ? "" : ", ") + name;
  }
  std::vector<delta::Row> rows;
  std::int64_t bytes = 0;
  sandbox.run("SELECT " + list + " FROM (" + query.text + ") AS \"/q\"(" + names + ')', run.parameters.values(),
              [&](delta::Row row) {
                delta::Row full(schema.size());
                for (std::size_t i = 0; i < targets.size(); ++i) {
                  bytes += weight(row[i]);
                  full[targets[i]] = std::move(row[i]);
                }
                rows.push_back(std::move(full));
                if (rows.size() > limits::kInsertRows || bytes > static_cast<std::int64_t>(limits::kInsertBytes)) {
                  throw Error(ErrorCode::kTooLarge, "one statement inserts at most {} rows and {} bytes: split it",
                              limits::kInsertRows, limits::kInsertBytes);
                }
                return true;
              });
  const auto count = static_cast<std::int64_t>(rows.size());
  run.deadline.check();
  if (count > 0) table.append(rows, commit_options(run, "WRITE"));
  return count;
}

StatementResult run_insert(Execution& run, Reader& reader) {
  if (reader.peek().is("OVERWRITE")) {
    throw Error(ErrorCode::kUnimplemented,
                "INSERT OVERWRITE is not supported: DELETE FROM the table, then INSERT INTO it");
  }
  reader.expect("INTO");
  reader.take("TABLE");
  const auto name = reader.name();
  std::vector<std::string> columns;
  const bool list = reader.peek().is('(') && reader.peek(1).is_identifier() && !reader.peek(1).is("SELECT") &&
                    !reader.peek(1).is("WITH") && !reader.peek(1).is("VALUES") && !reader.peek(1).is("FROM");
  if (list) {
    reader.expect('(');
    do columns.push_back(reader.identifier("a column name"));
    while (reader.take(','));
    reader.expect(')');
  }
  delta::Table table = run.resolver.resolve(name, Access::kModify);
  if (reader.at_end())
    throw Error(ErrorCode::kInvalidArgument, "syntax error: INSERT INTO a table needs VALUES or a query");
  return affected_rows(insert_rows(run, table, columns, plan_query(reader.rest(), run.parameters, run.resolver)));
}

StatementResult run_delete(Execution& run, Reader& reader) {
  reader.expect("FROM");
  const Target target = read_target(reader, {"WHERE", "USING"});
  if (reader.peek().is("USING"))
    throw Error(ErrorCode::kUnimplemented, "DELETE ... USING is not supported: name the rows in WHERE");
  delta::Table table = run.resolver.resolve(target.name, Access::kModify);
  const std::string condition = read_condition(run, reader, Qualifiers(target.name, target.alias));
  return affected_rows(table.delete_where(condition, run.parameters.values(), commit_options(run, "DELETE")).deleted);
}

StatementResult run_update(Execution& run, Reader& reader) {
  const Target target = read_target(reader, {"SET"});
  reader.expect("SET");
  delta::Table table = run.resolver.resolve(target.name, Access::kModify);
  const delta::Schema schema = table.snapshot().schema;
  const Qualifiers qualifiers(target.name, target.alias);
  std::map<std::string, std::string> assignments;
  do {
    const Tokens left = qualifiers.strip(reader.until("=,"));
    if (left.size() != 1 || !left[0].is_identifier()) {
      throw Error(ErrorCode::kInvalidArgument, "syntax error: expected SET column = value, at position {}",
                  reader.peek().offset);
    }
    const std::string& column = schema[column_of(schema, left[0].text)].name;
    reader.expect('=');
    std::string value = row_expression(run, qualifiers.strip(reader.until(",", {"WHERE", "FROM"})),
                                       "the new value of '" + column + '\'');
    if (!assignments.emplace(column, std::move(value)).second) {
      throw Error(ErrorCode::kInvalidArgument, "column '{}' is set twice", column);
    }
  } while (reader.take(','));
  if (reader.peek().is("FROM"))
    throw Error(ErrorCode::kUnimplemented, "UPDATE ... FROM is not supported: an update reads its own rows only");
  const std::string condition = read_condition(run, reader, qualifiers);
  return affected_rows(
      table.update_where(assignments, condition, run.parameters.values(), commit_options(run, "UPDATE")).updated);
}

}  // namespace lakeloop::sql
