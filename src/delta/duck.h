#pragma once

// DuckDB behind a small contract: statements with JSON parameters, rows out, rows in. delta reads and writes Parquet
// with it, sql runs users' statements on it. Cells are Json as in delta/schema.h; types without a Delta counterpart
// come as the nearest one (HUGEINT -> decimal(38,0), UUID, TIME, INTERVAL and ENUM -> string). The time zone is UTC.
// Errors of a statement are kInvalidArgument with DuckDB's text; out of memory is kResourceExhausted, a damaged or
// missing file kDataLoss.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "codec/json.h"
#include "delta/schema.h"

namespace lakeloop::delta {

struct DuckOptions {
  int threads = 2;
  std::string memory_limit = "1GB";
};

// An instance in memory. Opening one costs about 30 ms, a connection 0.3 ms. Thread-safe.
class DuckDatabase {
 public:
  explicit DuckDatabase(const DuckOptions& options = {});
  ~DuckDatabase();
  DuckDatabase(const DuckDatabase&) = delete;
  DuckDatabase& operator=(const DuckDatabase&) = delete;
  // The instance of this process, opened when first asked for; lives until the process ends.
  static DuckDatabase& shared();

  struct Impl;
  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// One connection: temporary tables are its own and end with it. Not thread-safe, but for interrupt().
class Duck {
 public:
  explicit Duck(DuckDatabase& database = DuckDatabase::shared());
  ~Duck();
  Duck(Duck&&) noexcept;
  Duck& operator=(Duck&&) noexcept;

  // Parameters are $1, $2, ... An integer bound where a date or timestamp is expected counts days or microseconds.
  Rows query(std::string_view sql, std::span<const Json> parameters = {}, const Deadline& deadline = {});
  // Hands over batches of about 2,000 rows as they are made; the batch's consumer answers false to stop.
  void stream(std::string_view sql, std::span<const Json> parameters, const Deadline& deadline,
              const std::function<bool(Rows)>& on_batch);
  void execute(std::string_view sql, std::span<const Json> parameters = {});  // result dropped
  // Columns of a SELECT, without running it.
  Schema describe(std::string_view select);
  // Rows in the order of `schema`; a cell that does not fit its type is kInvalidArgument naming column and row.
  void append(std::string_view table, const Schema& schema, std::span<const Row> rows);
  void create_temp_table(std::string_view name, const Schema& schema);
  // The syntax tree of one SELECT (DuckDB's json_serialize_sql); kInvalidArgument when it is anything else.
  Json parse_select(std::string_view sql);
  // Refuses an expression that reads anything but its row: tables, files, table functions. `what` names it in the
  // error.
  void check_expression(std::string_view expression, std::string_view what);
  // The same for the list after ORDER BY.
  void check_order(std::string_view list, std::string_view what);
  void interrupt() noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

std::string quote_identifier(std::string_view name);  // "a""b"
std::string quote_literal(std::string_view text);     // 'it''s'

}  // namespace lakeloop::delta
