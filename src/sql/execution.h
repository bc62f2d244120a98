#pragma once

// The parts of execute(): each takes a statement's tokens from where its keyword ended.

#include "sql/draft.h"
#include "sql/sandbox.h"
#include "sql/statement.h"
#include "sql/tokens.h"

namespace lakeloop::sql {

struct Execution {
  TableResolver& resolver;
  const StatementOptions& options;
  const Deadline& deadline;
  Parameters parameters;
};

StatementResult run_query(Execution& run, const Tokens& query);
StatementResult run_explain(Execution& run, Reader& reader);
StatementResult run_describe(Execution& run, Reader& reader);
StatementResult run_show(Execution& run, Reader& reader);
StatementResult run_insert(Execution& run, Reader& reader);
StatementResult run_delete(Execution& run, Reader& reader);
StatementResult run_update(Execution& run, Reader& reader);
StatementResult run_create(Execution& run, Reader& reader);
StatementResult run_drop(Execution& run, Reader& reader);

// Appends the rows of a query, cast to the columns that are named (all when empty) and NULL elsewhere.
std::int64_t insert_rows(Execution& run, delta::Table& table, const std::vector<std::string>& columns,
                         const Query& query);
// One row, one column "num_affected_rows".
StatementResult affected_rows(std::int64_t count);

// About what a cell weighs in a result.
std::int64_t weight(const Json& cell);

}  // namespace lakeloop::sql
