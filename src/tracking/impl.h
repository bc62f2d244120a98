#pragma once

// What the sources of Tracking share: access, rows to values, counters, and the signal that something was written.

#include <condition_variable>
#include <mutex>
#include <set>

#include "base/format.h"
#include "tracking/sql_text.h"
#include "tracking/tracking.h"

namespace lakeloop::tracking {

using catalog::Privilege;
using Tags = std::map<std::string, std::string>;

struct Tracking::Impl {
  Impl(db::Database& database, catalog::Catalog& the_catalog) : db(database), catalog(the_catalog) {}

  db::Database& db;
  catalog::Catalog& catalog;

  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t changes = 0;

  void signal();

  // kPermissionDenied in MLflow's words. Never called inside a transaction: the catalog has its own.
  void authorize(const Principal& who, Privilege privilege, std::int64_t experiment_id);
  [[nodiscard]] bool may_read(const Principal& who, std::int64_t experiment_id);
  // Those of the named experiments that exist; kPermissionDenied when one may not be read.
  std::vector<std::int64_t> readable(const Principal& who, const std::vector<std::string>& experiment_ids);

  // Looks the object up, and asks the catalog about its experiment.
  Experiment experiment_for(const Principal& who, Privilege privilege, std::string_view experiment_id);
  RunInfo run_for(const Principal& who, Privilege privilege, std::string_view run_id);
  std::int64_t trace_experiment_for(const Principal& who, Privilege privilege, std::string_view trace_id);
};

std::int64_t parse_experiment_id(std::string_view text);  // kInvalidArgument
std::string checked_trace_id(std::string_view trace_id);  // "tr-..." as a path segment, else kInvalidArgument
[[noreturn]] void no_such_trace(std::string_view trace_id);

// Inside a write transaction.
std::int64_t next_numbers(db::Transaction& t, std::string_view counter, std::size_t count);  // the first of them
inline std::int64_t next_number(db::Transaction& t, std::string_view counter) {
  return next_numbers(t, counter, 1);
}
std::optional<Experiment> read_experiment(db::Transaction& t, std::int64_t experiment_id);
std::optional<RunInfo> read_run_info(db::Transaction& t, std::string_view run_id);
void check_active(const RunInfo& run);
void check_active(const Experiment& experiment);
// `table`: "trace_tags" of column "trace_id" and the like: our own names.
Tags read_pairs(db::Transaction& t, std::string_view table, std::string_view column, const db::Value& id);
void write_pair(db::Transaction& t, std::string_view table, std::string_view column, const db::Value& id,
                std::string_view key, std::string_view value);
std::string placeholders(SqlText& query, const std::vector<std::int64_t>& values);
std::string placeholders(SqlText& query, const std::vector<std::string>& values);

// A trace row was changed: it gets a new sequence number, so that the mirror sees it again.
void touch_trace(db::Transaction& t, std::string_view trace_id);
TraceInfo read_trace_info(db::Transaction& t, const db::Row& row);  // columns as kTraceColumns
inline constexpr std::string_view kTraceColumns =
    "t.trace_id, t.experiment_id, t.client_request_id, t.request_preview, t.response_preview, t.request_ms, "
    "t.execution_ms, t.state, "
    "t.finalized";
std::optional<TraceInfo> find_trace_info(db::Transaction& t, std::string_view trace_id);
std::vector<Assessment> read_assessments(db::Transaction& t, std::string_view trace_id);
void remove_assessments(db::Transaction& t, std::string_view trace_id);  // with an event each
// What can be done before the store's one writer is taken.
struct PreparedSpan {
  Span span;            // with MLflow's attributes
  std::string content;  // as JSON
  std::string usage;    // JSON, or empty
  const Tags* resource = nullptr;
};
std::vector<PreparedSpan> prepared(const std::vector<ResourceSpans>& batches);  // `batches` must outlive it
void write_spans(db::Transaction& t, std::int64_t experiment_id, const std::vector<PreparedSpan>& spans);
// traces.finalized: 0 by spans alone, 1 StartTraceV3 came, 2 and it said the token usage.
inline constexpr std::int64_t kFinal = 1;
inline constexpr std::int64_t kFinalWithUsage = 2;
Json json_of_map(const Tags& map);
Tags map_of_json(std::string_view text);

}  // namespace lakeloop::tracking
