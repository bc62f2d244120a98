#include "tracking/tracking.h"

namespace lakeloop::tracking {

namespace {

// Times are milliseconds as on MLflow's wire, of spans nanoseconds, of assessments microseconds. `sequence` numbers
// come from tracking_counters inside the write transaction: they grow in commit order, so "all rows after N" never
// misses one.
constexpr const char* kFirst = R"sql(
CREATE TABLE tracking_counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
INSERT INTO tracking_counters (name, value) VALUES ('sequence', 0);
INSERT INTO tracking_counters (name, value) VALUES ('experiment', 0);

CREATE TABLE experiments (
  experiment_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  artifact_location TEXT NOT NULL,
  lifecycle_stage TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE experiment_tags (
  experiment_id INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (experiment_id, key)
) STRICT;

CREATE TABLE runs (
  run_id TEXT PRIMARY KEY,
  experiment_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  user_id TEXT NOT NULL,
  status TEXT NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER,
  lifecycle_stage TEXT NOT NULL,
  artifact_uri TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_start ON runs (experiment_id, start_ms, run_id);
CREATE TABLE run_tags (run_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run_id, key)) STRICT;
CREATE INDEX run_tags_by_key ON run_tags (key, value);
CREATE TABLE run_params (run_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run_id, key)) STRICT;
CREATE TABLE run_metrics (
  run_id TEXT NOT NULL, key TEXT NOT NULL, value REAL NOT NULL, is_nan INTEGER NOT NULL,
  timestamp_ms INTEGER NOT NULL, step INTEGER NOT NULL,
  model_id TEXT NOT NULL, dataset_name TEXT NOT NULL, dataset_digest TEXT NOT NULL,
  PRIMARY KEY (run_id, key, timestamp_ms, step, value, is_nan)
) STRICT;
CREATE INDEX run_metrics_by_model ON run_metrics (model_id) WHERE model_id <> '';
CREATE TABLE run_latest_metrics (
  run_id TEXT NOT NULL, key TEXT NOT NULL, value REAL NOT NULL, is_nan INTEGER NOT NULL,
  timestamp_ms INTEGER NOT NULL, step INTEGER NOT NULL,
  model_id TEXT NOT NULL, dataset_name TEXT NOT NULL, dataset_digest TEXT NOT NULL,
  PRIMARY KEY (run_id, key)
) STRICT;
CREATE TABLE run_datasets (
  run_id TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, source_type TEXT NOT NULL, source TEXT NOT NULL,
  schema_text TEXT NOT NULL, profile TEXT NOT NULL, context TEXT NOT NULL, tags TEXT NOT NULL,
  PRIMARY KEY (run_id, name, digest)
) STRICT;
CREATE TABLE run_models (
  run_id TEXT NOT NULL, model_id TEXT NOT NULL, direction TEXT NOT NULL, step INTEGER NOT NULL,
  PRIMARY KEY (run_id, model_id, direction)
) STRICT;

CREATE TABLE logged_models (
  model_id TEXT PRIMARY KEY, experiment_id INTEGER NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
  model_type TEXT NOT NULL, source_run_id TEXT NOT NULL, artifact_uri TEXT NOT NULL, created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL, deleted INTEGER NOT NULL
) STRICT;
CREATE INDEX logged_models_by_experiment ON logged_models (experiment_id, created_ms, model_id);
CREATE TABLE logged_model_tags (model_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (model_id, key)) STRICT;
CREATE TABLE logged_model_params (model_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (model_id, key)) STRICT;

CREATE TABLE traces (
  trace_id TEXT PRIMARY KEY,
  experiment_id INTEGER NOT NULL,
  client_request_id TEXT NOT NULL,
  request_preview TEXT NOT NULL,
  response_preview TEXT NOT NULL,
  request_ms INTEGER NOT NULL,
  execution_ms INTEGER NOT NULL,
  state TEXT NOT NULL,
  finalized INTEGER NOT NULL,
  sequence INTEGER NOT NULL
) STRICT;
CREATE INDEX traces_by_time ON traces (experiment_id, request_ms, trace_id);
CREATE INDEX traces_by_sequence ON traces (sequence);
CREATE TABLE trace_tombstones (sequence INTEGER PRIMARY KEY, trace_id TEXT NOT NULL, experiment_id INTEGER NOT NULL) STRICT;
CREATE TABLE trace_tags (trace_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (trace_id, key)) STRICT;
CREATE INDEX trace_tags_by_key ON trace_tags (key, value);
CREATE TABLE trace_metadata (trace_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (trace_id, key)) STRICT;
CREATE INDEX trace_metadata_by_key ON trace_metadata (key, value);
CREATE TABLE trace_runs (run_id TEXT NOT NULL, trace_id TEXT NOT NULL, PRIMARY KEY (run_id, trace_id)) STRICT;
CREATE INDEX trace_runs_by_trace ON trace_runs (trace_id);

CREATE TABLE spans (
  trace_id TEXT NOT NULL, span_id TEXT NOT NULL, parent_id TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,
  status TEXT NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, content TEXT NOT NULL,
  usage TEXT, sequence INTEGER NOT NULL,
  PRIMARY KEY (trace_id, span_id)
) STRICT;
CREATE INDEX spans_by_sequence ON spans (sequence);
CREATE INDEX spans_with_usage ON spans (trace_id) WHERE usage IS NOT NULL;

CREATE TABLE assessments (
  assessment_id TEXT PRIMARY KEY, trace_id TEXT NOT NULL, span_id TEXT NOT NULL, name TEXT NOT NULL,
  source_type TEXT NOT NULL, source_id TEXT NOT NULL, kind TEXT NOT NULL, value TEXT, error TEXT,
  rationale TEXT NOT NULL, metadata TEXT NOT NULL, overrides TEXT NOT NULL, chain TEXT NOT NULL, valid INTEGER NOT NULL,
  created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL, sequence INTEGER NOT NULL
) STRICT;
CREATE INDEX assessments_by_trace ON assessments (trace_id, sequence);
CREATE INDEX assessments_by_chain ON assessments (chain, sequence);
CREATE TABLE assessment_events (
  sequence INTEGER PRIMARY KEY, event TEXT NOT NULL, at_us INTEGER NOT NULL, assessment_id TEXT NOT NULL, trace_id TEXT NOT NULL,
  span_id TEXT NOT NULL, name TEXT NOT NULL, source_type TEXT NOT NULL, source_id TEXT NOT NULL, kind TEXT NOT NULL,
  value TEXT, error TEXT, rationale TEXT NOT NULL, metadata TEXT NOT NULL, overrides TEXT NOT NULL, valid INTEGER NOT NULL,
  created_us INTEGER NOT NULL
) STRICT;
CREATE INDEX assessment_events_by_id ON assessment_events (assessment_id, sequence);
)sql";

}  // namespace

std::vector<db::Migration> migrations() {
  return {{.module = "tracking", .number = 1, .sql = kFirst}};
}

}  // namespace lakeloop::tracking
