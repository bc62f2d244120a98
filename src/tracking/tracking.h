#pragma once

// MLflow's tracking: experiments, runs, traces and assessments. Everything that is written may be sent twice (clients retry) and
// is there once: spans by trace and span id, traces by id, assessments by id. Assessments are an append-only log; reads see
// the valid link of each chain. Errors use MLflow's texts where its clients look at them. Thread-safe.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/catalog.h"
#include "db/database.h"
#include "identity/identity.h"
#include "tracking/trace.h"

namespace lakeloop::tracking {

using identity::Principal;

struct Experiment {
  std::string experiment_id, name, artifact_location, lifecycle_stage = "active";
  Timestamp created, updated;
  std::map<std::string, std::string> tags;
};

struct SearchPage {
  std::int64_t max_results = 100;
  std::string page_token;
};

struct TraceSearch {
  std::vector<std::string> experiment_ids;
  std::string filter;                 // MLflow's grammar
  std::vector<std::string> order_by;  // "timestamp_ms DESC"
  SearchPage page;
};

std::vector<db::Migration> migrations();

class Tracking {
 public:
  Tracking(db::Database& database, catalog::Catalog& catalog);
  ~Tracking();

  // --- experiments; "0" is Default
  Experiment create_experiment(const Principal& who, std::string_view name, std::string_view artifact_location,
                               const std::map<std::string, std::string>& tags);
  Experiment get_experiment(const Principal& who, std::string_view experiment_id);
  std::optional<Experiment> find_experiment(const Principal& who, std::string_view name);

  // --- traces
  // All spans or none; a span that is there already is left as it is. Makes the trace row when missing; a root span ends it.
  void log_spans(const Principal& who, std::string_view experiment_id, const std::vector<Span>& spans,
                 const std::map<std::string, std::string>& resource_attributes);
  TraceInfo start_trace(const Principal& who, const TraceInfo& info);  // StartTraceV3: upsert, keeps spansLocation
  // A whole trace of this server (journal consumer): info and spans in one transaction, idempotent.
  void record_trace(const Trace& trace);
  Trace get_trace(const Principal& who, std::string_view trace_id);
  std::pair<std::vector<TraceInfo>, std::string> search_traces(const Principal& who, const TraceSearch& search);

  // --- assessments
  Assessment create_assessment(const Principal& who, Assessment assessment);
  Assessment get_assessment(const Principal& who, std::string_view trace_id, std::string_view assessment_id);
  // `fields`: names of the update mask.
  Assessment update_assessment(const Principal& who, const Assessment& changed, const std::vector<std::string>& fields);
  void delete_assessment(const Principal& who, std::string_view trace_id, std::string_view assessment_id);

  struct Impl;
  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::tracking
