#pragma once

// What a query reads, found in DuckDB's own syntax tree: the tables by place and name, with common table expressions
// told apart by their scope. A tree that does anything but read named tables is refused: files, table functions beyond
// a short list, functions that look at the process.

#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"
#include "sql/draft.h"

namespace lakeloop::sql {

// The tree of one SELECT. kInvalidArgument with DuckDB's message and the position in the user's statement.
Json parse_query(const Draft& draft);

// Offsets (in the draft's text) of names: of tables, and of columns that are qualified up to the catalog.
struct NamePlaces {
  std::vector<std::size_t> tables, long_columns;
};
NamePlaces find_names(const Json& tree, const Draft& draft);

// Of "SELECT (condition)": one expression that reads its row only. `what` names it in errors.
void check_row_expression(const Json& tree, std::string_view what);

}  // namespace lakeloop::sql
