#include "sql/statement.h"

#include <algorithm>
#include <array>

#include "base/limits.h"
#include "base/text.h"
#include "sql/execution.h"

namespace lakeloop::sql {
namespace {

constexpr std::array<std::string_view, 7> kQueryWords{"SELECT", "WITH", "FROM", "VALUES", "TABLE", "PIVOT", "UNPIVOT"};

bool is_query(const Token& first) {
  if (first.is('(')) return true;
  return std::ranges::any_of(kQueryWords, [&](std::string_view word) { return first.is(word); });
}

delta::Field text_column(std::string name) {
  return {.name = std::move(name), .type = delta::TypeKind::kString};
}

std::string name_at(const Tokens& tokens) {
  return tokens.empty() ? std::string("nothing") : tokens.front().text.substr(0, 40);
}

}  // namespace

std::int64_t weight(const Json& cell) {
  if (cell.is_string()) return static_cast<std::int64_t>(cell.as_string().size()) + 8;
  std::int64_t sum = 8;
  if (cell.is_array()) {
    for (const Json& item : cell.items()) sum += weight(item);
  } else if (cell.is_object()) {
    for (const auto& [key, value] : cell.members()) sum += static_cast<std::int64_t>(key.size()) + weight(value);
  }
  return sum;
}

StatementResult affected_rows(std::int64_t count) {
  StatementResult result;
  result.schema = {{.name = "num_affected_rows", .type = delta::TypeKind::kLong}};
  result.rows = {{Json(count)}};
  result.affected = count;
  return result;
}

StatementResult run_query(Execution& run, const Tokens& tokens) {
  const Query query = plan_query(tokens, run.parameters, run.resolver);
  Sandbox sandbox(query.views, run.options.memory_limit, run.deadline);
  StatementResult result;
  result.schema = sandbox.describe(query.text);
  std::int64_t bytes = 0;
  sandbox.run(query.text, run.parameters.values(), [&](delta::Row row) {
    for (const Json& cell : row) bytes += weight(cell);
    result.truncated =
        static_cast<std::int64_t>(result.rows.size()) >= run.options.row_limit || bytes > run.options.byte_limit;
    if (!result.truncated) result.rows.push_back(std::move(row));
    return !result.truncated;
  });
  return result;
}

StatementResult run_explain(Execution& run, Reader& reader) {
  for (const std::string_view word : {"EXTENDED", "FORMATTED", "COST", "CODEGEN", "ANALYZE"}) reader.take(word);
  if (!is_query(reader.peek())) throw Error(ErrorCode::kInvalidArgument, "EXPLAIN is for queries: EXPLAIN SELECT ...");
  const Query query = plan_query(reader.rest(), run.parameters, run.resolver);
  Sandbox sandbox(query.views, run.options.memory_limit, run.deadline);
  StatementResult result;
  result.schema = {text_column("plan")};
  sandbox.run("EXPLAIN " + query.text, run.parameters.values(), [&](delta::Row row) {
    result.rows.push_back({row.back()});
    return true;
  });
  return result;
}

StatementResult run_describe(Execution& run, Reader& reader) {
  StatementResult result;
  result.schema = {text_column("col_name"), text_column("data_type"), text_column("comment")};
  delta::Schema schema;
  std::vector<std::string> partitions;
  if (reader.take("QUERY") || is_query(reader.peek())) {
    const bool table = reader.peek().is("TABLE") && reader.peek(1).is_identifier();
    if (!table) {
      const Query query = plan_query(reader.rest(), run.parameters, run.resolver);
      schema = Sandbox(query.views, run.options.memory_limit, run.deadline).describe(query.text);
    }
  }
  if (!reader.at_end()) {
    reader.take("TABLE");
    reader.take("EXTENDED");
    const auto name = reader.name();
    reader.expect_end();
    delta::Snapshot snapshot = run.resolver.resolve(name, Access::kRead).snapshot();
    schema = std::move(snapshot.schema);
    partitions = std::move(snapshot.partition_columns);
  }
  const auto add = [&](const delta::Field& field) {
    const Json& comment = field.metadata["comment"];
    result.rows.push_back({field.name, field.type.text(), comment.is_string() ? comment : Json()});
  };
  for (const delta::Field& field : schema) add(field);
  if (!partitions.empty()) {
    result.rows.push_back({"# Partition Information", "", ""});
    result.rows.push_back({"# col_name", "data_type", "comment"});
    for (const std::string& name : partitions) {
      if (const auto column = delta::find_column(schema, name)) add(schema[*column]);
    }
  }
  return result;
}

StatementResult run_show(Execution& run, Reader& reader) {
  std::vector<std::string> in;
  const auto read_in = [&](std::size_t most) {
    if (reader.take("IN") || reader.take("FROM")) in = reader.name();
    reader.expect_end();
    if (in.size() > most) throw Error(ErrorCode::kInvalidArgument, "the name after IN has more than {} part(s)", most);
  };
  StatementResult result;
  const auto fill = [&](Listed what, std::string column) {
    result.schema = {text_column(std::move(column))};
    for (auto& name : run.resolver.list(what, in)) result.rows.push_back({Json(std::move(name))});
  };
  if (reader.take("CATALOGS")) {
    reader.expect_end();
    fill(Listed::kCatalogs, "catalog");
  } else if (reader.take("SCHEMAS") || reader.take("DATABASES")) {
    read_in(1);
    fill(Listed::kSchemas, "databaseName");
  } else if (reader.take("TABLES")) {
    read_in(2);
    fill(Listed::kTables, "tableName");
  } else if (reader.take("COLUMNS")) {
    read_in(3);
    result.schema = {text_column("col_name")};
    for (const auto& field : run.resolver.resolve(in, Access::kRead).snapshot().schema)
      result.rows.push_back({Json(field.name)});
  } else {
    throw Error(ErrorCode::kUnimplemented,
                "SHOW knows CATALOGS, SCHEMAS [IN catalog], TABLES [IN schema] and COLUMNS IN table");
  }
  return result;
}

StatementResult execute(std::string_view statement, TableResolver& resolver, const StatementOptions& options,
                        const Deadline& deadline) {
  if (statement.size() > limits::kStatementText) {
    throw Error(ErrorCode::kTooLarge, "the statement has more than {} bytes", limits::kStatementText);
  }
  deadline.check();
  Tokens tokens = tokenize(statement);
  while (!tokens.empty() && tokens.back().is(';')) tokens.pop_back();
  for (const Token& token : tokens) {
    if (token.is(';')) {
      throw Error(ErrorCode::kInvalidArgument, "one statement at a time: a second one starts after position {}",
                  token.offset);
    }
  }
  Execution run{
      .resolver = resolver, .options = options, .deadline = deadline, .parameters = Parameters(options.parameters)};
  Reader reader(tokens);
  if (is_query(reader.peek())) return run_query(run, tokens);
  if (reader.take("EXPLAIN")) return run_explain(run, reader);
  if (reader.take("DESCRIBE") || reader.take("DESC")) return run_describe(run, reader);
  if (reader.take("SHOW")) return run_show(run, reader);
  if (reader.take("INSERT")) return run_insert(run, reader);
  if (reader.take("DELETE")) return run_delete(run, reader);
  if (reader.take("UPDATE")) return run_update(run, reader);
  if (reader.take("CREATE")) return run_create(run, reader);
  if (reader.take("DROP")) return run_drop(run, reader);
  throw Error(ErrorCode::kInvalidArgument,
              "a statement that starts with '{}' is not supported: SELECT, INSERT, UPDATE, DELETE, CREATE TABLE, DROP "
              "TABLE, DESCRIBE, SHOW "
              "and EXPLAIN are",
              name_at(tokens));
}

}  // namespace lakeloop::sql
