#include "api/mlflow/routes.h"
#include "api/mlflow/wire.h"
#include "base/format.h"

namespace lakeloop::api::mlflow {

namespace {

using net::Method;
using tracking::Run;

Json info_json(const tracking::RunInfo& r) {
  Json json = Json::object({{"run_id", r.run_id},
                            {"run_uuid", r.run_id},
                            {"run_name", r.name},
                            {"experiment_id", r.experiment_id},
                            {"user_id", r.user_id},
                            {"status", r.status},
                            {"start_time", r.start_time},
                            {"artifact_uri", r.artifact_uri},
                            {"lifecycle_stage", r.lifecycle_stage}});
  if (r.end_time) json.set("end_time", *r.end_time);
  return json;
}

Json models_json(const std::vector<tracking::ModelReference>& models, bool with_step) {
  Json list = Json::array();
  for (const auto& model : models) {
    Json json = Json::object({{"model_id", model.model_id}});
    if (with_step) json.set("step", model.step);
    list.push_back(std::move(json));
  }
  return list;
}

Json run_json(const Run& run) {
  Json metrics = Json::array();
  for (const auto& metric : run.metrics) metrics.push_back(json_of(metric));
  Json datasets = Json::array();
  for (const auto& d : run.datasets) {
    Json dataset =
        Json::object({{"name", d.name}, {"digest", d.digest}, {"source_type", d.source_type}, {"source", d.source}});
    if (!d.schema.empty()) dataset.set("schema", d.schema);
    if (!d.profile.empty()) dataset.set("profile", d.profile);
    datasets.push_back(Json::object({{"tags", pairs_json(d.tags)}, {"dataset", std::move(dataset)}}));
  }
  Json inputs = Json::object();
  if (datasets.size() > 0) inputs.set("dataset_inputs", std::move(datasets));
  if (!run.model_inputs.empty()) inputs.set("model_inputs", models_json(run.model_inputs, false));
  Json outputs = Json::object();
  if (!run.model_outputs.empty()) outputs.set("model_outputs", models_json(run.model_outputs, true));
  return Json::object({{"info", info_json(run.info)},
                       {"data", Json::object({{"metrics", std::move(metrics)},
                                              {"params", pairs_json(run.params)},
                                              {"tags", pairs_json(run.tags)}})},
                       {"inputs", std::move(inputs)},
                       {"outputs", std::move(outputs)}});
}

std::vector<tracking::ModelReference> models_of(const Json& list) {
  std::vector<tracking::ModelReference> models;
  if (!list.is_array()) return models;
  for (const Json& item : list.items())
    models.push_back({.model_id = item.str("model_id"), .step = integer_of(item["step"]).value_or(0)});
  return models;
}

void add_lifecycle(Routes& routes, tracking::Tracking& tracking, const std::vector<Field>& id) {
  add(routes, Method::kPost, "2.0/mlflow/runs/create", "createRun", "Begin a run",
      {{"experiment_id", FieldType::kString, false, "Default is 0"},
       {"user_id", FieldType::kString, false, "Deprecated: tag mlflow.user"},
       {"run_name", FieldType::kString, false, "Made up when missing"},
       {"start_time", FieldType::kInteger, false, "Milliseconds"},
       {"tags", FieldType::kArray, false, "[{key, value}]"}},
      [&tracking](Call& call) {
        tracking::RunInfo info;
        info.experiment_id = call.str("experiment_id");
        info.user_id = call.str("user_id");
        info.name = call.str("run_name");
        info.start_time = call.integer("start_time");
        return Json::object(
            {{"run", run_json(tracking.create_run(call.who, info, pairs_of(call.fields["tags"], "tags")))}});
      });
  std::vector<Field> update = id;
  update.push_back({"status", FieldType::kString, false, "RUNNING, SCHEDULED, FINISHED, FAILED, KILLED"});
  update.push_back({"end_time", FieldType::kInteger, false, "Milliseconds"});
  update.push_back({"run_name", FieldType::kString, false, "New name"});
  add(routes, Method::kPost, "2.0/mlflow/runs/update", "updateRun", "Change or end a run", update,
      [&tracking](Call& call) {
        tracking::RunUpdate change;
        if (!call.str("status").empty()) change.status = call.str("status");
        if (!call.str("run_name").empty()) change.name = call.str("run_name");
        change.end_time = optional_integer(call, "end_time");
        return Json::object({{"run_info", info_json(tracking.update_run(call.who, run_id_of(call), change))}});
      });
  add(routes, Method::kPost, "2.0/mlflow/runs/delete", "deleteRun", "Delete a run", id, [&tracking](Call& call) {
    tracking.delete_run(call.who, run_id_of(call));
    return Json::object();
  });
  add(routes, Method::kPost, "2.0/mlflow/runs/restore", "restoreRun", "Take a deletion back", id,
      [&tracking](Call& call) {
        tracking.restore_run(call.who, run_id_of(call));
        return Json::object();
      });
  add(routes, Method::kGet, "2.0/mlflow/runs/get", "getRun", "Read a run, deleted ones too", id,
      [&tracking](Call& call) {
        return Json::object({{"run", run_json(tracking.get_run(call.who, run_id_of(call)))}});
      });
  add(routes, Method::kPost, "2.0/mlflow/runs/search", "searchRuns", "Search runs",
      {{"experiment_ids", FieldType::kArray, false, "Where to search"},
       {"filter", FieldType::kString, false, "MLflow's grammar"},
       {"run_view_type", FieldType::kAny, false, "ACTIVE_ONLY, DELETED_ONLY, ALL"},
       {"max_results", FieldType::kInteger, false, "1 to 50000"},
       {"order_by", FieldType::kArray, false, "\"metrics.acc DESC\""},
       {"page_token", FieldType::kString, false, "Of the previous answer"}},
      [&tracking](Call& call) {
        tracking::Search search = search_of(call, 1000);
        search.view = view_of(call, "run_view_type");
        const auto [found, token] = tracking.search_runs(call.who, search);
        Json list = Json::array();
        for (const Run& run : found) list.push_back(run_json(run));
        return with_token(Json::object({{"runs", std::move(list)}}), token);
      });
}

void add_logging(Routes& routes, tracking::Tracking& tracking, const std::vector<Field>& id) {
  const auto with = [&](std::vector<Field> more) {
    std::vector<Field> fields = id;
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
  };
  add(routes, Method::kPost, "2.0/mlflow/runs/log-metric", "logMetric", "Log one value of a metric",
      with({{"key", FieldType::kString, true, "Metric"},
            {"value", FieldType::kNumber, true, "Value"},
            {"timestamp", FieldType::kInteger, true, "Milliseconds"},
            {"step", FieldType::kInteger, false, "Default is 0"}}),
      [&tracking](Call& call) {
        tracking.log_batch(call.who, run_id_of(call),
                           {.metrics = {metric_of(call.fields, "")}, .params = {}, .tags = {}});
        return Json::object();
      });
  add(routes, Method::kPost, "2.0/mlflow/runs/log-parameter", "logParam", "Log a param, which cannot change",
      with({{"key", FieldType::kString, true, "Param"}, {"value", FieldType::kString, true, "Value"}}),
      [&tracking](Call& call) {
        tracking.log_batch(call.who, run_id_of(call),
                           {.metrics = {}, .params = {{call.str("key"), call.str("value")}}, .tags = {}});
        return Json::object();
      });
  add(routes, Method::kPost, "2.0/mlflow/runs/set-tag", "setTag", "Set a tag",
      with({{"key", FieldType::kString, true, "Tag"}, {"value", FieldType::kString, false, "Value"}}),
      [&tracking](Call& call) {
        tracking.log_batch(call.who, run_id_of(call),
                           {.metrics = {}, .params = {}, .tags = {{call.str("key"), call.str("value")}}});
        return Json::object();
      });
  add(routes, Method::kPost, "2.0/mlflow/runs/delete-tag", "deleteTag", "Take a tag away",
      with({{"key", FieldType::kString, true, "Tag"}}), [&tracking](Call& call) {
        tracking.delete_run_tag(call.who, run_id_of(call), call.str("key"));
        return Json::object();
      });
  add(routes, Method::kPost, "2.0/mlflow/runs/log-batch", "logBatch", "Log metrics, params and tags, all or nothing",
      with({{"metrics", FieldType::kArray, false, "[{key, value, timestamp, step}]"},
            {"params", FieldType::kArray, false, "[{key, value}]"},
            {"tags", FieldType::kArray, false, "[{key, value}]"}}),
      [&tracking](Call& call) {
        tracking::RunBatch batch;
        const Json& metrics = call.fields["metrics"];
        for (std::size_t i = 0; i < metrics.size(); ++i)
          batch.metrics.push_back(metric_of(metrics.at(i), lakeloop::format("metrics[{}]", i)));
        batch.params = pair_list_of(call.fields["params"], "params");
        batch.tags = pair_list_of(call.fields["tags"], "tags");
        tracking.log_batch(call.who, run_id_of(call), batch);
        return Json::object();
      });
  add(routes, Method::kPost, "2.0/mlflow/runs/log-model", "logModel", "Note a model in the run's history",
      with({{"model_json", FieldType::kString, true, "MLmodel as JSON"}}), [&tracking](Call& call) {
        tracking.log_model(call.who, run_id_of(call), call.str("model_json"));
        return Json::object();
      });
  add(routes, Method::kPost, "2.0/mlflow/runs/log-inputs", "logInputs", "Note datasets and models that the run reads",
      with({{"datasets", FieldType::kArray, false, "[{tags, dataset}]"},
            {"models", FieldType::kArray, false, "[{model_id}]"}}),
      [&tracking](Call& call) {
        std::vector<tracking::DatasetInput> datasets;
        if (call.fields["datasets"].is_array()) {
          for (const Json& item : call.fields["datasets"].items()) {
            const Json& d = item["dataset"];
            datasets.push_back({.name = d.str("name"),
                                .digest = d.str("digest"),
                                .source_type = d.str("source_type"),
                                .source = d.str("source"),
                                .schema = d.str("schema"),
                                .profile = d.str("profile"),
                                .tags = pairs_of(item["tags"], "datasets.tags")});
          }
        }
        tracking.log_inputs(call.who, run_id_of(call), datasets, models_of(call.fields["models"]));
        return Json::object();
      });
  add(routes, Method::kPost, "2.0/mlflow/runs/outputs", "logOutputs", "Note models that the run made",
      with({{"models", FieldType::kArray, false, "[{model_id, step}]"}}), [&tracking](Call& call) {
        tracking.log_outputs(call.who, run_id_of(call), models_of(call.fields["models"]));
        return Json::object();
      });
  add(routes, Method::kGet, "2.0/mlflow/metrics/get-history", "getMetricHistory",
      "All values of a metric, oldest first",
      with({{"metric_key", FieldType::kString, true, "Metric"},
            {"page_token", FieldType::kString, false, "Of the previous answer"},
            {"max_results", FieldType::kInteger, false, "All when missing"}}),
      [&tracking](Call& call) {
        const tracking::SearchPage page{.max_results = optional_integer(call, "max_results").value_or(0),
                                        .page_token = call.str("page_token")};
        auto [found, token] = tracking.metric_history(call.who, run_id_of(call), call.str("metric_key"), page);
        Json list = Json::array();
        for (tracking::Metric& metric : found) {
          metric.run_id.clear();
          list.push_back(json_of(metric));
        }
        return with_token(Json::object({{"metrics", std::move(list)}}), token);
      });
}

}  // namespace

void add_run_routes(Routes& routes, tracking::Tracking& tracking) {
  const std::vector<Field> id = {{"run_id", FieldType::kString, false, "Id of the run"},
                                 {"run_uuid", FieldType::kString, false, "Old name of run_id"}};
  add_lifecycle(routes, tracking, id);
  add_logging(routes, tracking, id);
}

}  // namespace lakeloop::api::mlflow
