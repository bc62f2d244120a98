#include "tracking/table_mirror.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>

#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "tracking/impl.h"

namespace lakeloop::tracking {

namespace {

using delta::Field;
using delta::TypeKind;

constexpr auto kGather = std::chrono::milliseconds(150);  // writes that come together make one commit
constexpr auto kIdle = std::chrono::seconds(2);
constexpr auto kRetry = std::chrono::seconds(1);

Gauge behind("lakeloop_tracking_mirror_failures", "Copies to system.mlflow.* that failed in a row.");

struct Column {
  const char* name;
  TypeKind type;
  const char* sql;  // in the order of the SELECT
};

// One table: what it is made of, and the query that yields its rows above sequence $1, at most $2, in order.
struct Source {
  const char* table;
  std::vector<Column> columns;
  const char* from;
};

const std::array<Source, 3>& sources() {
  static const std::array<Source, 3> kSources = {{
      {"traces",
       {{"trace_id", TypeKind::kString, "c.trace_id"},
        {"experiment_id", TypeKind::kString, "CAST(c.experiment_id AS TEXT)"},
        {"event", TypeKind::kString, "c.event"},
        {"client_request_id", TypeKind::kString, "t.client_request_id"},
        {"request_preview", TypeKind::kString, "t.request_preview"},
        {"response_preview", TypeKind::kString, "t.response_preview"},
        {"request_time", TypeKind::kTimestamp, "t.request_ms * 1000"},
        {"execution_ms", TypeKind::kLong, "t.execution_ms"},
        {"state", TypeKind::kString, "t.state"},
        {"tags", TypeKind::kString,
         "(SELECT json_group_object(g.key, g.value) FROM trace_tags g WHERE g.trace_id = c.trace_id)"},
        {"metadata", TypeKind::kString,
         "(SELECT json_group_object(g.key, g.value) FROM trace_metadata g WHERE g.trace_id = c.trace_id)"},
        {"sequence", TypeKind::kLong, "c.sequence"}},
       "FROM (SELECT * FROM (SELECT sequence, trace_id, experiment_id, 'upsert' AS event FROM traces WHERE sequence > "
       "$1 "
       "ORDER BY sequence LIMIT $2) UNION ALL SELECT * FROM (SELECT sequence, trace_id, experiment_id, 'delete' AS "
       "event "
       "FROM trace_tombstones WHERE sequence > $1 ORDER BY sequence LIMIT $2)) c "
       "LEFT JOIN traces t ON t.trace_id = c.trace_id AND t.sequence = c.sequence ORDER BY c.sequence LIMIT $2"},
      {"spans",
       {{"trace_id", TypeKind::kString, "s.trace_id"},
        {"span_id", TypeKind::kString, "s.span_id"},
        {"parent_id", TypeKind::kString, "NULLIF(s.parent_id, '')"},
        {"name", TypeKind::kString, "s.name"},
        {"type", TypeKind::kString, "s.type"},
        {"status", TypeKind::kString, "s.status"},
        {"start_time", TypeKind::kTimestamp, "s.start_ns / 1000"},
        {"end_time", TypeKind::kTimestamp, "s.end_ns / 1000"},
        {"duration_ns", TypeKind::kLong, "s.end_ns - s.start_ns"},
        {"attributes", TypeKind::kString, "json_extract(s.content, '$.attributes')"},
        {"events", TypeKind::kString, "json_extract(s.content, '$.events')"},
        {"sequence", TypeKind::kLong, "s.sequence"}},
       "FROM spans s WHERE s.sequence > $1 ORDER BY s.sequence LIMIT $2"},
      {"assessments",
       {{"assessment_id", TypeKind::kString, "e.assessment_id"},
        {"trace_id", TypeKind::kString, "e.trace_id"},
        {"span_id", TypeKind::kString, "NULLIF(e.span_id, '')"},
        {"name", TypeKind::kString, "e.name"},
        {"source_type", TypeKind::kString, "e.source_type"},
        {"source_id", TypeKind::kString, "e.source_id"},
        {"kind", TypeKind::kString, "e.kind"},
        {"value", TypeKind::kString, "e.value"},
        {"error", TypeKind::kString, "e.error"},
        {"rationale", TypeKind::kString, "e.rationale"},
        {"metadata", TypeKind::kString, "e.metadata"},
        {"valid", TypeKind::kBoolean, "e.valid"},
        {"overrides", TypeKind::kString, "NULLIF(e.overrides, '')"},
        {"created_at", TypeKind::kTimestamp, "e.created_us"},
        {"event_at", TypeKind::kTimestamp, "e.at_us"},
        {"event", TypeKind::kString, "e.event"},
        {"sequence", TypeKind::kLong, "e.sequence"}},
       "FROM assessment_events e WHERE e.sequence > $1 ORDER BY e.sequence LIMIT $2"},
  }};
  return kSources;
}

Json cell(const db::Row& row, std::size_t column, TypeKind type) {
  if (row.is_null(column)) return {};
  switch (type) {
    case TypeKind::kString:
      return row.text(column);
    case TypeKind::kBoolean:
      return row.integer(column) != 0;
    default:
      return row.integer(column);
  }
}

}  // namespace

struct TableMirror::Impl {
  Impl(Tracking& the_tracking, catalog::Catalog& the_catalog, Principal who)
      : tracking(the_tracking), catalog(the_catalog), owner(std::move(who)) {}

  Tracking& tracking;
  catalog::Catalog& catalog;
  Principal owner;
  std::mutex mutex;                              // one copy at a time
  std::array<std::int64_t, 3> last{-1, -1, -1};  // -1: not asked of the table yet
  std::atomic<bool> stopping{false};
  std::thread thread;

  delta::Table open(const Source& source) {
    delta::CreateOptions options;
    for (const Column& column : source.columns) options.schema.push_back({.name = column.name, .type = column.type});
    options.name = source.table;
    return catalog.open_or_create_table(owner, lakeloop::format("system.mlflow.{}", source.table), options);
  }

  static std::string app_id(const Source& source) { return lakeloop::format("lakeloop.tracking.{}", source.table); }

  // True when there may be more.
  bool copy(std::size_t index) {
    const Source& source = sources()[index];
    if (last[index] < 0) {
      const auto transactions = open(source).snapshot().transactions;
      const auto known = transactions.find(app_id(source));
      last[index] = known == transactions.end() ? 0 : known->second;
    }
    std::string sql = "SELECT ";
    for (const Column& column : source.columns)
      sql += (column.name == source.columns[0].name ? "" : ", ") + std::string(column.sql);
    sql += lakeloop::format(" {}", source.from);
    const auto limit = static_cast<std::int64_t>(limits::kMirrorRows);
    const std::vector<db::Row> found =
        tracking.impl().db.reading([&](db::Transaction& t) { return t.query(sql, {last[index], limit}); });
    if (found.empty()) return false;
    std::vector<delta::Row> rows;
    std::size_t bytes = 0;
    std::int64_t sequence = last[index];
    for (const db::Row& row : found) {
      delta::Row cells;
      for (std::size_t i = 0; i < source.columns.size(); ++i) {
        cells.push_back(cell(row, i, source.columns[i].type));
        if (cells.back().is_string()) bytes += cells.back().as_string().size();
      }
      rows.push_back(std::move(cells));
      sequence = row.integer(source.columns.size() - 1);
      if (bytes > limits::kMirrorBytes) break;
    }
    const bool more = rows.size() < found.size() || static_cast<std::int64_t>(found.size()) == limit;
    delta::Table table = open(source);
    const delta::CommitResult result = table.append(
        rows, {.operation = "STREAMING UPDATE", .user = owner.name, .app_id = app_id(source), .app_version = sequence});
    if (!result.written) {
      // Another writer, or this one before a lost answer, is further on: ask the table.
      last[index] = -1;
      return true;
    }
    last[index] = sequence;
    return more;
  }

  void copy_all() {
    const std::lock_guard lock(mutex);
    try {
      for (std::size_t i = 0; i < sources().size(); ++i) {
        while (copy(i)) {
        }
      }
    } catch (...) {
      last.fill(-1);  // what was committed is what the table says
      throw;
    }
  }

  void run() {
    std::uint64_t seen = 0;
    std::int64_t failures = 0;
    ensure_schema();
    while (true) {
      const bool ending = stopping;
      try {
        copy_all();
        failures = 0;
      } catch (const std::exception& error) {
        ++failures;
        if (failures == 1 || failures % 60 == 0)
          log_error("tracking_mirror_failed", {{"error", error.what()}, {"failures", failures}});
      }
      behind.set(static_cast<double>(failures));
      if (ending) return;
      if (failures > 0) {
        wait(seen, kRetry, false);
        continue;
      }
      seen = wait(seen, kIdle, true);
      if (!stopping) wait(seen, kGather, false);
    }
  }

  // `any`: a change ends the wait; else only stopping does.
  std::uint64_t wait(std::uint64_t seen, std::chrono::milliseconds time, bool any) {
    const auto until = Steady::now() + time;
    while (!stopping && Steady::now() < until) {
      const std::uint64_t now =
          tracking.wait_for_change(seen, std::chrono::ceil<std::chrono::milliseconds>(until - Steady::now()));
      if (any && now != seen) return now;
      seen = now;
    }
    return seen;
  }

  void ensure_schema() {
    try {
      catalog.ensure_schema(owner, "system", "mlflow");
    } catch (const std::exception& error) {
      log_error("tracking_mirror_failed", {{"error", error.what()}});
    }
  }
};

TableMirror::TableMirror(Tracking& tracking, catalog::Catalog& catalog, Principal owner)
    : impl_(std::make_unique<Impl>(tracking, catalog, std::move(owner))) {
  impl_->thread = std::thread([this] { impl_->run(); });
}

TableMirror::~TableMirror() {
  impl_->stopping = true;
  impl_->tracking.wake();
  impl_->thread.join();
}

void TableMirror::flush() {
  impl_->ensure_schema();
  impl_->copy_all();
}

}  // namespace lakeloop::tracking
