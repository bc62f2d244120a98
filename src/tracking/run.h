#pragma once

// Experiments, runs and logged models as data (mlflow/protos/service.proto). Times are milliseconds since the epoch, as
// on MLflow's wire.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace lakeloop::tracking {

struct Experiment {
  std::string experiment_id, name, artifact_location, lifecycle_stage = "active";
  Timestamp created, updated;
  std::map<std::string, std::string> tags;
};

enum class ViewType : std::uint8_t { kActiveOnly, kDeletedOnly, kAll };

struct Metric {
  std::string key;
  double value = 0;
  std::int64_t timestamp = 0, step = 0;
  std::string model_id, dataset_name, dataset_digest;
  std::string run_id;  // filled when read
};

struct RunInfo {
  std::string run_id, name, experiment_id, user_id;
  std::string status = "RUNNING";  // RUNNING, SCHEDULED, FINISHED, FAILED, KILLED
  std::string artifact_uri, lifecycle_stage = "active";
  std::int64_t start_time = 0;
  std::optional<std::int64_t> end_time;
};

struct DatasetInput {
  std::string name, digest, source_type, source, schema, profile;
  std::map<std::string, std::string> tags;
};

struct ModelReference {
  std::string model_id;
  std::int64_t step = 0;
};

struct Run {
  RunInfo info;
  std::vector<Metric> metrics;  // the latest of each key
  std::map<std::string, std::string> params, tags;
  std::vector<DatasetInput> datasets;
  std::vector<ModelReference> model_inputs, model_outputs;
};

struct RunUpdate {
  std::optional<std::string> status, name;
  std::optional<std::int64_t> end_time;
};

struct RunBatch {
  std::vector<Metric> metrics;
  std::vector<std::pair<std::string, std::string>> params, tags;
};

struct LoggedModel {
  std::string model_id, experiment_id, name, model_type, source_run_id, artifact_uri;
  std::string status = "LOGGED_MODEL_PENDING";
  std::int64_t created = 0, updated = 0;
  std::map<std::string, std::string> params, tags;
  std::vector<Metric> metrics;
};

struct SearchPage {
  std::int64_t max_results = 100;
  std::string page_token;
};

struct Search {
  std::vector<std::string> experiment_ids;
  std::string filter;                 // MLflow's grammar
  std::vector<std::string> order_by;  // "timestamp_ms DESC"
  SearchPage page;
  ViewType view = ViewType::kActiveOnly;
};

template <typename T>
using Found = std::pair<std::vector<T>, std::string>;  // items and the next page's token, empty on the last page

}  // namespace lakeloop::tracking
