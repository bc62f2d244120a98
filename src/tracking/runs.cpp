#include <algorithm>
#include <array>
#include <cmath>

#include "base/id.h"
#include "tracking/impl.h"
#include "tracking/run_rows.h"
#include "tracking/validation.h"

namespace lakeloop::tracking {

namespace {

constexpr std::string_view kRunName = "mlflow.runName";
constexpr std::string_view kUser = "mlflow.user";
constexpr std::array<std::string_view, 5> kStatuses = {"RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"};

// "adjective-noun-N", as MLflow names runs that have no name.
std::string random_run_name() {
  static constexpr std::array<std::string_view, 16> kAdjectives = {
      "able",   "bold",  "calm", "clean", "eager", "fair",  "fleet",  "kind",
      "lively", "merry", "neat", "quiet", "rapid", "sleek", "steady", "wise"};
  static constexpr std::array<std::string_view, 16> kNouns = {"ant",  "bass", "crane", "doe", "eel",  "finch",
                                                              "goat", "hare", "ibis",  "jay", "lark", "mole",
                                                              "newt", "owl",  "shrew", "wren"};
  const std::string random = random_hex(3);
  const auto number = static_cast<std::size_t>(std::stoul(random, nullptr, 16));
  return lakeloop::format("{}-{}-{}", kAdjectives[number % 16], kNouns[number / 16 % 16], number / 256 % 1000);
}

void check_status(std::string_view status) {
  if (std::ranges::find(kStatuses, status) == kStatuses.end()) {
    throw Error(ErrorCode::kInvalidArgument,
                "Invalid value \"{}\" for parameter 'status' supplied: it must be one of {}", status,
                "RUNNING, SCHEDULED, FINISHED, FAILED, KILLED");
  }
}

void check_batch(const RunBatch& batch) {
  if (batch.metrics.size() > 1000 || batch.params.size() > 100 || batch.tags.size() > 100 ||
      batch.metrics.size() + batch.params.size() + batch.tags.size() > 1000) {
    throw Error(ErrorCode::kInvalidArgument,
                "A batch logging request can contain at most 1000 metrics, 100 params, 100 tags, and 1000 in all; got "
                "{}, {} and {}.",
                batch.metrics.size(), batch.params.size(), batch.tags.size());
  }
  for (std::size_t i = 0; i < batch.metrics.size(); ++i) {
    check_key(lakeloop::format("metrics[{}].name", i), batch.metrics[i].key);
    if (batch.metrics[i].timestamp < 0) {
      throw Error(ErrorCode::kInvalidArgument,
                  "Invalid value {} for parameter 'metrics[{}].timestamp' supplied: it must not be negative",
                  batch.metrics[i].timestamp, i);
    }
  }
  std::map<std::string, std::string> seen;
  for (std::size_t i = 0; i < batch.params.size(); ++i) {
    const auto& [key, value] = batch.params[i];
    check_key(lakeloop::format("params[{}].key", i), key);
    check_length(lakeloop::format("params[{}].value", i), value, kParamLength);
    const auto [at, inserted] = seen.emplace(key, value);
    if (!inserted && at->second != value) {
      throw Error(ErrorCode::kInvalidArgument,
                  "Duplicate parameter keys have been submitted: [{}]. Please ensure the request contains only "
                  "one param value per param key.",
                  key);
    }
  }
  for (std::size_t i = 0; i < batch.tags.size(); ++i) {
    check_key(lakeloop::format("tags[{}].key", i), batch.tags[i].first);
    check_length(lakeloop::format("tags[{}].value", i), batch.tags[i].second, kRunTagLength);
  }
}

void write_metric(db::Transaction& t, const std::string& run_id, const Metric& metric) {
  const bool nan = std::isnan(metric.value);
  const double value = nan ? 0 : metric.value;
  t.execute(
      "INSERT INTO run_metrics (run_id, key, value, is_nan, timestamp_ms, step, model_id, dataset_name, "
      "dataset_digest) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (run_id, key, timestamp_ms, step, value, is_nan) DO "
      "NOTHING",
      {run_id, metric.key, value, std::int64_t{nan}, metric.timestamp, metric.step, metric.model_id,
       metric.dataset_name, metric.dataset_digest});
  t.execute(
      "INSERT INTO run_latest_metrics (run_id, key, value, is_nan, timestamp_ms, step, model_id, dataset_name, "
      "dataset_digest) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value, "
      "is_nan = excluded.is_nan, timestamp_ms = excluded.timestamp_ms, step = excluded.step, model_id = "
      "excluded.model_id, "
      "dataset_name = excluded.dataset_name, dataset_digest = excluded.dataset_digest "
      "WHERE (excluded.step, excluded.timestamp_ms, excluded.value) > "
      "(run_latest_metrics.step, run_latest_metrics.timestamp_ms, run_latest_metrics.value)",
      {run_id, metric.key, value, std::int64_t{nan}, metric.timestamp, metric.step, metric.model_id,
       metric.dataset_name, metric.dataset_digest});
}

void write_tag(db::Transaction& t, const std::string& run_id, std::string_view key, std::string_view value) {
  write_pair(t, "run_tags", "run_id", run_id, key, value);
  if (key == kRunName) t.execute("UPDATE runs SET name = $1 WHERE run_id = $2", {std::string(value), run_id});
}

// The run again, inside the write transaction: it may have been deleted since it was looked up.
RunInfo active_run(db::Transaction& t, std::string_view run_id) {
  auto run = read_run_info(t, run_id);
  if (!run) throw Error(ErrorCode::kNotFound, "Run '{}' not found", run_id);
  check_active(*run);
  return std::move(*run);
}

}  // namespace

Run Tracking::create_run(const Principal& who, const RunInfo& info, const std::map<std::string, std::string>& tags) {
  const std::string experiment_id = info.experiment_id.empty() ? "0" : info.experiment_id;
  check_active(impl_->experiment_for(who, Privilege::kModify, experiment_id));
  for (const auto& [key, value] : tags) {
    check_key("tags.key", key);
    check_length("tags.value", value, kRunTagLength);
  }
  std::string name = info.name;
  if (const auto tag = tags.find(std::string(kRunName)); tag != tags.end()) {
    if (!name.empty() && name != tag->second) {
      throw Error(ErrorCode::kInvalidArgument,
                  "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
                  "(run_name='{}', mlflow.runName='{}').",
                  name, tag->second);
    }
    name = tag->second;
  }
  if (name.empty()) name = random_run_name();
  std::string user = info.user_id;
  if (const auto tag = tags.find(std::string(kUser)); user.empty() && tag != tags.end()) user = tag->second;
  if (user.empty()) user = who.name;
  const std::string run_id = random_hex(16);
  impl_->db.write([&](db::Transaction& t) {
    const auto experiment = read_experiment(t, parse_experiment_id(experiment_id));
    check_active(*experiment);
    t.execute(
        "INSERT INTO runs (run_id, experiment_id, name, user_id, status, start_ms, end_ms, lifecycle_stage, "
        "artifact_uri) "
        "VALUES ($1, $2, $3, $4, 'RUNNING', $5, NULL, 'active', $6)",
        {run_id, parse_experiment_id(experiment_id), name, user,
         info.start_time != 0 ? info.start_time : Timestamp::now().millis(),
         lakeloop::format("{}/{}/artifacts", experiment->artifact_location, run_id)});
    for (const auto& [key, value] : tags) write_pair(t, "run_tags", "run_id", run_id, key, value);
    write_pair(t, "run_tags", "run_id", run_id, kRunName, name);
  });
  return get_run(who, run_id);
}

Run Tracking::get_run(const Principal& who, std::string_view run_id) {
  impl_->run_for(who, Privilege::kSelect, run_id);
  auto run = impl_->db.reading([&](db::Transaction& t) { return read_run(t, run_id); });
  if (!run) throw Error(ErrorCode::kNotFound, "Run '{}' not found", run_id);
  return std::move(*run);
}

RunInfo Tracking::update_run(const Principal& who, std::string_view run_id, const RunUpdate& update) {
  if (update.status) check_status(*update.status);
  if (update.name) check_length("run_name", *update.name, kRunTagLength);
  impl_->run_for(who, Privilege::kModify, run_id);
  return impl_->db.writing([&](db::Transaction& t) {
    const RunInfo run = active_run(t, run_id);
    if (update.status) t.execute("UPDATE runs SET status = $1 WHERE run_id = $2", {*update.status, run.run_id});
    if (update.end_time) t.execute("UPDATE runs SET end_ms = $1 WHERE run_id = $2", {*update.end_time, run.run_id});
    if (update.name && !update.name->empty()) write_tag(t, run.run_id, kRunName, *update.name);
    return *read_run_info(t, run_id);
  });
}

void Tracking::delete_run(const Principal& who, std::string_view run_id) {
  impl_->run_for(who, Privilege::kModify, run_id);
  impl_->db.write([&](db::Transaction& t) {
    t.execute("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_id = $1", {std::string(run_id)});
  });
}

void Tracking::restore_run(const Principal& who, std::string_view run_id) {
  impl_->run_for(who, Privilege::kModify, run_id);
  impl_->db.write([&](db::Transaction& t) {
    t.execute("UPDATE runs SET lifecycle_stage = 'active' WHERE run_id = $1", {std::string(run_id)});
  });
}

void Tracking::log_batch(const Principal& who, std::string_view run_id, const RunBatch& batch) {
  check_batch(batch);
  impl_->run_for(who, Privilege::kModify, run_id);
  impl_->db.write([&](db::Transaction& t) {
    const RunInfo run = active_run(t, run_id);
    for (const auto& [key, value] : batch.params) {
      const auto old = t.query_one("SELECT value FROM run_params WHERE run_id = $1 AND key = $2", {run.run_id, key});
      if (old && old->text(0) != value) {
        throw Error(ErrorCode::kInvalidArgument,
                    "Changing param values is not allowed. Param with key='{}' was already logged with value='{}' for "
                    "run ID='{}'. "
                    "Attempted logging new value '{}'.",
                    key, old->text(0), run.run_id, value);
      }
      if (!old) write_pair(t, "run_params", "run_id", run.run_id, key, value);
    }
    for (const Metric& metric : batch.metrics) write_metric(t, run.run_id, metric);
    for (const auto& [key, value] : batch.tags) write_tag(t, run.run_id, key, value);
  });
}

void Tracking::log_model(const Principal& who, std::string_view run_id, std::string_view model_json) {
  const auto model = Json::try_parse(model_json);
  for (const std::string_view field : {"artifact_path", "flavors", "utc_time_created", "run_id"}) {
    if (!model || !model->contains(field)) {
      throw Error(ErrorCode::kInvalidArgument, "Malformed model info: model_json must be an MLmodel as JSON, with '{}'",
                  field);
    }
  }
  impl_->run_for(who, Privilege::kModify, run_id);
  impl_->db.write([&](db::Transaction& t) {
    const RunInfo run = active_run(t, run_id);
    const auto tag =
        t.query_one("SELECT value FROM run_tags WHERE run_id = $1 AND key = 'mlflow.log-model.history'", {run.run_id});
    Json history = Json::array();
    if (tag) {
      if (auto old = Json::try_parse(tag->text(0)); old && old->is_array()) history = std::move(*old);
    }
    if (std::ranges::find(history.items(), *model) == history.items().end()) history.push_back(*model);
    write_tag(t, run.run_id, "mlflow.log-model.history", history.dump());
  });
}

void Tracking::delete_run_tag(const Principal& who, std::string_view run_id, std::string_view key) {
  impl_->run_for(who, Privilege::kModify, run_id);
  const std::int64_t changed = impl_->db.writing([&](db::Transaction& t) {
    active_run(t, run_id);
    return t.execute("DELETE FROM run_tags WHERE run_id = $1 AND key = $2", {std::string(run_id), std::string(key)});
  });
  if (changed == 0) throw Error(ErrorCode::kNotFound, "No tag with name: {} in run with id {}", key, run_id);
}

void Tracking::log_inputs(const Principal& who, std::string_view run_id, const std::vector<DatasetInput>& datasets,
                          const std::vector<ModelReference>& models) {
  for (const DatasetInput& dataset : datasets) {
    if (dataset.name.empty() || dataset.digest.empty()) {
      throw Error(ErrorCode::kInvalidArgument, "a dataset input needs a name and a digest");
    }
    check_length("datasets.dataset.name", dataset.name, 500);
    check_length("datasets.dataset.digest", dataset.digest, 36);
    check_length("datasets.dataset.source", dataset.source, 65'535);
    check_length("datasets.dataset.schema", dataset.schema, 1'048'575);
    check_length("datasets.dataset.profile", dataset.profile, 16'777'215);
  }
  impl_->run_for(who, Privilege::kModify, run_id);
  impl_->db.write([&](db::Transaction& t) {
    const RunInfo run = active_run(t, run_id);
    for (const DatasetInput& d : datasets) {
      const auto context = d.tags.find("mlflow.data.context");
      t.execute(
          "INSERT INTO run_datasets (run_id, name, digest, source_type, source, schema_text, profile, context, tags) "
          "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (run_id, name, digest) DO NOTHING",
          {run.run_id, d.name, d.digest, d.source_type, d.source, d.schema, d.profile,
           context == d.tags.end() ? std::string() : context->second, json_of_map(d.tags).dump()});
    }
    for (const ModelReference& model : models) {
      t.execute(
          "INSERT INTO run_models (run_id, model_id, direction, step) VALUES ($1, $2, 'input', $3) "
          "ON CONFLICT (run_id, model_id, direction) DO NOTHING",
          {run.run_id, model.model_id, model.step});
    }
  });
}

void Tracking::log_outputs(const Principal& who, std::string_view run_id, const std::vector<ModelReference>& models) {
  impl_->run_for(who, Privilege::kModify, run_id);
  impl_->db.write([&](db::Transaction& t) {
    const RunInfo run = active_run(t, run_id);
    for (const ModelReference& model : models) {
      t.execute(
          "INSERT INTO run_models (run_id, model_id, direction, step) VALUES ($1, $2, 'output', $3) "
          "ON CONFLICT (run_id, model_id, direction) DO UPDATE SET step = excluded.step",
          {run.run_id, model.model_id, model.step});
    }
  });
}

Found<Metric> Tracking::metric_history(const Principal& who, std::string_view run_id, std::string_view key,
                                       const SearchPage& page) {
  if (page.max_results < 0) {
    throw Error(ErrorCode::kInvalidArgument,
                "Invalid value {} for parameter 'max_results' supplied: it must not be negative", page.max_results);
  }
  impl_->run_for(who, Privilege::kSelect, run_id);
  const std::vector<SortKey> keys = {{"timestamp_ms", true}, {"step", true}, {"is_nan", true}, {"value", true}};
  const std::string text = lakeloop::format("history {} {}", run_id, key);
  SqlText query{.sql =
                    "SELECT value, is_nan, timestamp_ms, step, model_id, dataset_name, dataset_digest FROM run_metrics "
                    "WHERE run_id = ",
                .values = {}};
  query.append(query.bind(std::string(run_id)) + " AND key = " + query.bind(std::string(key)));
  if (!page.page_token.empty()) {
    query.append(" AND " + after_sql(query, keys, parse_page_token(text, page.page_token, keys.size())));
  }
  query.append(" ORDER BY " + order_by_sql(keys));
  if (page.max_results > 0) query.append(" LIMIT " + query.bind(page.max_results + 1));
  const std::vector<db::Row> rows =
      impl_->db.reading([&](db::Transaction& t) { return t.query(query.sql, query.values); });
  Found<Metric> found;
  for (const db::Row& row : rows) {
    if (page.max_results > 0 && static_cast<std::int64_t>(found.first.size()) == page.max_results) {
      const Metric& m = found.first.back();
      const bool nan = std::isnan(m.value);
      found.second = page_token(text, {m.timestamp, m.step, std::int64_t{nan}, nan ? 0.0 : m.value});
      break;
    }
    found.first.push_back(metric_of_row(row, std::string(key), std::string(run_id)));
  }
  return found;
}

}  // namespace lakeloop::tracking
