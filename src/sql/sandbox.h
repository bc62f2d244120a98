#pragma once

// Runs one query where it can do no harm: a DuckDB instance of its own that may open the files of the tables it names
// and nothing else, with its settings locked, memory bounded and no spilling to disk.

#include <functional>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "delta/duck.h"
#include "delta/table.h"
#include "sql/draft.h"
#include "sql/statement.h"

namespace lakeloop::sql {

// A query whose tables are resolved: its text names views of the sandbox.
struct Query {
  struct View {
    std::string database, schema, name;
    delta::Table::Relation relation;
  };
  std::string text;
  std::vector<View> views;
};

// Parses, resolves the names with the eyes of the resolver, and rewrites them.
Query plan_query(const Tokens& tokens, Parameters& parameters, TableResolver& resolver);

class Sandbox {
 public:
  Sandbox(const std::vector<Query::View>& views, std::uint64_t memory_limit, const Deadline& deadline);
  ~Sandbox();

  delta::Schema describe(const std::string& sql);
  // Rows one by one, until `take` answers false.
  void run(const std::string& sql, const std::vector<Json>& parameters, const std::function<bool(delta::Row)>& take);

 private:
  Deadline deadline_;
  delta::DuckDatabase database_;
  delta::Duck duck_;
};

}  // namespace lakeloop::sql
