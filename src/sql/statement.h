#pragma once

// One SQL statement over Delta tables, in DuckDB. Each statement runs in a fresh in-memory database that can see
// nothing but the files of the tables it names and its caller may read: no other file, no network, no settings, no
// attach. SELECT (with CTEs), DESCRIBE/SHOW of what the resolver knows, EXPLAIN; INSERT, UPDATE, DELETE, CREATE TABLE
// [AS] and DROP TABLE become Delta commits. Time travel: `t VERSION AS OF n`, `t TIMESTAMP AS OF '...'`, `t@v3`.
// Parameters are `:name`. Conditions and assignments of UPDATE and DELETE read the row only: no subqueries
// (kUnimplemented). Thread-safe.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "delta/table.h"

namespace lakeloop::sql {

enum class Access : std::uint8_t { kRead, kModify, kCreate };

enum class Listed : std::uint8_t { kCatalogs, kSchemas, kTables };

// Answers for names; throws kNotFound or kPermissionDenied. `name` has one to three parts, already unquoted.
class TableResolver {
 public:
  virtual ~TableResolver() = default;
  virtual delta::Table resolve(const std::vector<std::string>& name, Access access) = 0;
  virtual void create(const std::vector<std::string>& name, const delta::CreateOptions& options) = 0;
  virtual void drop(const std::vector<std::string>& name) = 0;
  // Names for SHOW, in order: schemas of the catalog `in`, tables of the schema `in`; empty means the default.
  virtual std::vector<std::string> list(Listed what, const std::vector<std::string>& in) = 0;
};

struct Parameter {
  std::string name;                  // ":name" in the statement
  std::optional<std::string> value;  // nullopt = NULL
  std::string type = "STRING";       // Spark's type name
};

struct StatementOptions {
  std::vector<Parameter> parameters;
  std::int64_t row_limit = 100'000;
  std::int64_t byte_limit = 25 * 1024 * 1024;
  std::uint64_t memory_limit = 512ull * 1024 * 1024;
  std::string user;  // written into the commits that the statement makes
};

struct StatementResult {
  delta::Schema schema;
  std::vector<delta::Row> rows;  // cells as in delta/schema.h
  bool truncated = false;        // row or byte limit met
  std::int64_t affected = -1;    // of INSERT, UPDATE, DELETE, CREATE TABLE AS; also the one row of the result
};

// kInvalidArgument carries DuckDB's message (syntax errors with their position).
StatementResult execute(std::string_view statement, TableResolver& resolver, const StatementOptions& options,
                        const Deadline& deadline);

// A cell as text, as the statement execution API prints it (JSON_ARRAY): dates "2026-01-02", timestamps ISO 8601,
// numbers in full, booleans "true"/"false", nested values as JSON. nullopt for NULL.
std::optional<std::string> cell_text(const Json& cell, const delta::DataType& type);

}  // namespace lakeloop::sql
