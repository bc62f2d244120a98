#include "api/mlflow/routes.h"
#include "api/mlflow/wire.h"

namespace lakeloop::api::mlflow {

namespace {

using net::Method;
using tracking::LoggedModel;

Json model_json(const LoggedModel& m) {
  Json info = Json::object({{"model_id", m.model_id},
                            {"experiment_id", m.experiment_id},
                            {"name", m.name},
                            {"creation_timestamp_ms", m.created},
                            {"last_updated_timestamp_ms", m.updated},
                            {"artifact_uri", m.artifact_uri},
                            {"status", m.status},
                            {"tags", pairs_json(m.tags)}});
  if (!m.model_type.empty()) info.set("model_type", m.model_type);
  if (!m.source_run_id.empty()) info.set("source_run_id", m.source_run_id);
  Json metrics = Json::array();
  for (const auto& metric : m.metrics) metrics.push_back(json_of(metric));
  return Json::object({{"info", std::move(info)},
                       {"data", Json::object({{"params", pairs_json(m.params)}, {"metrics", std::move(metrics)}})}});
}

Json answer(const LoggedModel& m) {
  return Json::object({{"model", model_json(m)}});
}

// [{field_name, ascending}] as the texts of the other searches.
std::vector<std::string> order_of(const Json& list) {
  std::vector<std::string> order;
  if (!list.is_array()) return order;
  for (const Json& item : list.items()) {
    order.push_back("`" + item.str("field_name") + "`" + (item["ascending"].bool_or(true) ? " ASC" : " DESC"));
  }
  return order;
}

}  // namespace

void add_logged_model_routes(Routes& routes, tracking::Tracking& tracking) {
  const Field id{"model_id", FieldType::kString, true, "\"m-...\""};
  add(routes, Method::kPost, "2.0/mlflow/logged-models", "createLoggedModel",
      "Make a logged model, whose files then follow",
      {{"experiment_id", FieldType::kString, true, "Where it belongs"},
       {"name", FieldType::kString, false, "Made up when missing"},
       {"model_type", FieldType::kString, false, "Free text"},
       {"source_run_id", FieldType::kString, false, "Run that made it"},
       {"params", FieldType::kArray, false, "[{key, value}]"},
       {"tags", FieldType::kArray, false, "[{key, value}]"}},
      [&tracking](Call& call) {
        LoggedModel model;
        model.experiment_id = call.str("experiment_id");
        model.name = call.str("name");
        model.model_type = call.str("model_type");
        model.source_run_id = call.str("source_run_id");
        model.params = pairs_of(call.fields["params"], "params");
        model.tags = pairs_of(call.fields["tags"], "tags");
        return answer(tracking.create_logged_model(call.who, model));
      });
  add(routes, Method::kGet, "2.0/mlflow/logged-models/{model_id}", "getLoggedModel", "Read a logged model", {id},
      [&tracking](Call& call) { return answer(tracking.get_logged_model(call.who, call.str("model_id"))); });
  add(routes, Method::kPatch, "2.0/mlflow/logged-models/{model_id}", "finalizeLoggedModel",
      "Say that the files are there, or failed",
      {id, {"status", FieldType::kString, true, "LOGGED_MODEL_READY, LOGGED_MODEL_UPLOAD_FAILED"}},
      [&tracking](Call& call) {
        return answer(tracking.finalize_logged_model(call.who, call.str("model_id"), call.str("status")));
      });
  add(routes, Method::kDelete, "2.0/mlflow/logged-models/{model_id}", "deleteLoggedModel", "Delete a logged model",
      {id}, [&tracking](Call& call) {
        tracking.delete_logged_model(call.who, call.str("model_id"));
        return Json::object();
      });
  add(routes, Method::kPatch, "2.0/mlflow/logged-models/{model_id}/tags", "setLoggedModelTags", "Set tags",
      {id, {"tags", FieldType::kArray, true, "[{key, value}]"}}, [&tracking](Call& call) {
        return answer(
            tracking.set_logged_model_tags(call.who, call.str("model_id"), pairs_of(call.fields["tags"], "tags")));
      });
  add(routes, Method::kDelete, "2.0/mlflow/logged-models/{model_id}/tags/{tag_key}", "deleteLoggedModelTag",
      "Take a tag away", {id, {"tag_key", FieldType::kString, true, "Tag"}}, [&tracking](Call& call) {
        tracking.delete_logged_model_tag(call.who, call.str("model_id"), call.str("tag_key"));
        return Json::object();
      });
  add(routes, Method::kPost, "2.0/mlflow/logged-models/{model_id}/params", "logLoggedModelParams",
      "Log params, which cannot change", {id, {"params", FieldType::kArray, false, "[{key, value}]"}},
      [&tracking](Call& call) {
        tracking.log_model_params(call.who, call.str("model_id"), pairs_of(call.fields["params"], "params"));
        return Json::object();
      });
  add(routes, Method::kPost, "2.0/mlflow/logged-models/search", "searchLoggedModels", "Search logged models",
      {{"experiment_ids", FieldType::kArray, false, "Where to search"},
       {"filter", FieldType::kString, false, "attributes, metrics, params, tags"},
       {"max_results", FieldType::kInteger, false, "1 to 1000"},
       {"order_by", FieldType::kArray, false, "[{field_name, ascending}]"},
       {"page_token", FieldType::kString, false, "Of the previous answer"}},
      [&tracking](Call& call) {
        tracking::Search search;
        search.experiment_ids = strings_of(call.fields["experiment_ids"], "experiment_ids");
        search.filter = call.str("filter");
        search.order_by = order_of(call.fields["order_by"]);
        search.page = {.max_results = optional_integer(call, "max_results").value_or(50),
                       .page_token = call.str("page_token")};
        const auto [found, token] = tracking.search_logged_models(call.who, search);
        Json list = Json::array();
        for (const LoggedModel& model : found) list.push_back(model_json(model));
        return with_token(Json::object({{"models", std::move(list)}}), token);
      });
}

}  // namespace lakeloop::api::mlflow
