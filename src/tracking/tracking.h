#pragma once

// MLflow's tracking: experiments, runs, logged models, traces and assessments. Everything that is written may be sent
// twice (clients retry) and is there once: spans by trace and span id, traces by id, metric points by their fields,
// assessments by their id or, when the client stamped them, by what they say. Assessments are an append-only log; of a
// chain of overrides the newest that is not deleted is the valid one. Errors use MLflow's texts where its clients look
// at them.
//
// Access: experiments are securables of the catalog. Reading needs kSelect, writing kModify, deleting and renaming
// kManage; runs, logged models, traces and assessments follow their experiment. Thread-safe.

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "catalog/catalog.h"
#include "db/database.h"
#include "identity/identity.h"
#include "tracking/run.h"
#include "tracking/trace.h"

namespace lakeloop::tracking {

using identity::Principal;
using TraceSearch = Search;

// What the caller may not have set is nullopt, not 0: MLflow tells them apart.
struct TraceDeletion {
  std::string experiment_id;
  std::optional<std::int64_t> max_timestamp_ms, max_traces;
  std::vector<std::string> trace_ids;
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
  Found<Experiment> search_experiments(const Principal& who, const Search& search);
  void rename_experiment(const Principal& who, std::string_view experiment_id, std::string_view new_name);
  void delete_experiment(const Principal& who, std::string_view experiment_id);  // with its runs
  void restore_experiment(const Principal& who, std::string_view experiment_id);
  void set_experiment_tag(const Principal& who, std::string_view experiment_id, std::string_view key,
                          std::string_view value);
  void delete_experiment_tag(const Principal& who, std::string_view experiment_id, std::string_view key);

  // --- runs
  Run create_run(const Principal& who, const RunInfo& info, const std::map<std::string, std::string>& tags);
  Run get_run(const Principal& who, std::string_view run_id);
  RunInfo update_run(const Principal& who, std::string_view run_id, const RunUpdate& update);
  void delete_run(const Principal& who, std::string_view run_id);
  void restore_run(const Principal& who, std::string_view run_id);
  Found<Run> search_runs(const Principal& who, const Search& search);
  void log_batch(const Principal& who, std::string_view run_id, const RunBatch& batch);  // all or nothing
  void log_model(const Principal& who, std::string_view run_id,
                 std::string_view model_json);  // tag mlflow.log-model.history
  void delete_run_tag(const Principal& who, std::string_view run_id, std::string_view key);
  void log_inputs(const Principal& who, std::string_view run_id, const std::vector<DatasetInput>& datasets,
                  const std::vector<ModelReference>& models);
  void log_outputs(const Principal& who, std::string_view run_id, const std::vector<ModelReference>& models);
  Found<Metric> metric_history(const Principal& who, std::string_view run_id, std::string_view key,
                               const SearchPage& page);

  // --- logged models
  LoggedModel create_logged_model(const Principal& who, const LoggedModel& model);
  LoggedModel get_logged_model(const Principal& who, std::string_view model_id);
  LoggedModel finalize_logged_model(const Principal& who, std::string_view model_id, std::string_view status);
  void delete_logged_model(const Principal& who, std::string_view model_id);
  LoggedModel set_logged_model_tags(const Principal& who, std::string_view model_id,
                                    const std::map<std::string, std::string>& tags);
  void delete_logged_model_tag(const Principal& who, std::string_view model_id, std::string_view key);
  void log_model_params(const Principal& who, std::string_view model_id,
                        const std::map<std::string, std::string>& params);
  Found<LoggedModel> search_logged_models(const Principal& who, const Search& search);

  // --- traces
  // All spans or none; a span that is there already is left as it is. Makes the trace row when missing; a root span
  // ends it.
  void log_spans(const Principal& who, std::string_view experiment_id, const std::vector<ResourceSpans>& spans);
  void log_spans(const Principal& who, std::string_view experiment_id, const std::vector<Span>& spans,
                 const std::map<std::string, std::string>& resource_attributes);
  TraceInfo start_trace(const Principal& who, const TraceInfo& info);  // StartTraceV3: upsert, keeps spansLocation
  // A whole trace of this server (journal consumer): info and spans in one transaction, idempotent.
  void record_trace(const Trace& trace);
  Trace get_trace(const Principal& who, std::string_view trace_id);
  // Waits up to 3 s for spans that the client says exist; kNotFound "... is not fully exported yet" after that.
  Trace get_complete_trace(const Principal& who, std::string_view trace_id, const Deadline& deadline);
  TraceInfo get_trace_info(const Principal& who, std::string_view trace_id);
  // Unknown ids, and those of experiments that `who` may not read, are left out.
  std::vector<Trace> get_traces(const Principal& who, const std::vector<std::string>& trace_ids, bool with_spans);
  // Assessments that are still in force are read with the infos.
  Found<TraceInfo> search_traces(const Principal& who, const TraceSearch& search);
  std::vector<Assessment> assessments_of(const Principal& who, std::string_view trace_id);
  void set_trace_tag(const Principal& who, std::string_view trace_id, std::string_view key, std::string_view value);
  void delete_trace_tag(const Principal& who, std::string_view trace_id, std::string_view key);
  std::int64_t delete_traces(const Principal& who, const TraceDeletion& what);
  void link_traces_to_run(const Principal& who, const std::vector<std::string>& trace_ids, std::string_view run_id);
  void link_prompts(const Principal& who, std::string_view trace_id,
                    const std::vector<std::pair<std::string, std::string>>& name_versions);

  // --- assessments
  Assessment create_assessment(const Principal& who, Assessment assessment);
  Assessment get_assessment(const Principal& who, std::string_view trace_id, std::string_view assessment_id);
  // `fields`: names of the update mask.
  Assessment update_assessment(const Principal& who, const Assessment& changed, const std::vector<std::string>& fields);
  void delete_assessment(const Principal& who, std::string_view trace_id, std::string_view assessment_id);

  // Waits until something was written after `seen` (0 at first), `wait` is over or wake() is called; the number to wait
  // for next.
  std::uint64_t wait_for_change(std::uint64_t seen, std::chrono::milliseconds wait);
  void wake();

  struct Impl;
  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::tracking
