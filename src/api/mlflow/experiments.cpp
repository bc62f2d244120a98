#include "api/mlflow/routes.h"
#include "api/mlflow/wire.h"

namespace lakeloop::api::mlflow {

namespace {

using net::Method;

Json experiment_json(const tracking::Experiment& e) {
  Json json = Json::object({{"experiment_id", e.experiment_id},
                            {"name", e.name},
                            {"artifact_location", e.artifact_location},
                            {"lifecycle_stage", e.lifecycle_stage},
                            {"last_update_time", e.updated.millis()},
                            {"creation_time", e.created.millis()}});
  if (!e.tags.empty()) json.set("tags", pairs_json(e.tags));
  return json;
}

}  // namespace

void add_experiment_routes(Routes& routes, tracking::Tracking& tracking) {
  const Field id{"experiment_id", FieldType::kString, true, "Decimal id of the experiment"};
  const Field key{"key", FieldType::kString, true, "Tag"};

  add(routes, Method::kPost, "2.0/mlflow/experiments/create", "createExperiment", "Make an experiment",
      {{"name", FieldType::kString, true, "Unique, deleted experiments counted"},
       {"artifact_location", FieldType::kString, false, "Where artifacts lie; default is this server"},
       {"tags", FieldType::kArray, false, "[{key, value}]"}},
      [&tracking](Call& call) {
        const auto made = tracking.create_experiment(call.who, call.str("name"), call.str("artifact_location"),
                                                     pairs_of(call.fields["tags"], "tags"));
        return Json::object({{"experiment_id", made.experiment_id}});
      });

  add(routes, Method::kGet, "2.0/mlflow/experiments/get", "getExperiment", "Read an experiment, deleted ones too", {id},
      [&tracking](Call& call) {
        return Json::object(
            {{"experiment", experiment_json(tracking.get_experiment(call.who, call.str("experiment_id")))}});
      });

  add(routes, Method::kGet, "2.0/mlflow/experiments/get-by-name", "getExperimentByName",
      "Read an experiment by its name", {{"experiment_name", FieldType::kString, true, "Name"}},
      [&tracking](Call& call) {
        const std::string name = call.str("experiment_name");
        const auto found = tracking.find_experiment(call.who, name);
        if (!found) throw Error(ErrorCode::kNotFound, "Could not find experiment with name '{}'", name);
        return Json::object({{"experiment", experiment_json(*found)}});
      });

  const std::vector<Field> search = {
      {"max_results", FieldType::kInteger, false, "1 to 50000"},
      {"page_token", FieldType::kString, false, "Of the previous answer"},
      {"filter", FieldType::kString, false, "name, creation_time, last_update_time, tags"},
      {"order_by", FieldType::kArray, false, "\"name ASC\""},
      {"view_type", FieldType::kAny, false, "ACTIVE_ONLY, DELETED_ONLY, ALL"}};
  const JsonHandler run_search = [&tracking](Call& call) {
    tracking::Search wanted = search_of(call, 1000);
    wanted.view = view_of(call, "view_type");
    const auto [found, token] = tracking.search_experiments(call.who, wanted);
    Json list = Json::array();
    for (const auto& e : found) list.push_back(experiment_json(e));
    return with_token(Json::object({{"experiments", std::move(list)}}), token);
  };
  add(routes, Method::kPost, "2.0/mlflow/experiments/search", "searchExperiments", "Search experiments", search,
      run_search);
  add(routes, Method::kGet, "2.0/mlflow/experiments/search", "searchExperimentsByQuery", "Search experiments", search,
      run_search);

  add(routes, Method::kPost, "2.0/mlflow/experiments/update", "updateExperiment", "Rename an experiment",
      {id, {"new_name", FieldType::kString, false, "New name"}}, [&tracking](Call& call) {
        if (!call.str("new_name").empty())
          tracking.rename_experiment(call.who, call.str("experiment_id"), call.str("new_name"));
        return Json::object();
      });
  add(routes, Method::kPost, "2.0/mlflow/experiments/delete", "deleteExperiment", "Delete an experiment and its runs",
      {id}, [&tracking](Call& call) {
        tracking.delete_experiment(call.who, call.str("experiment_id"));
        return Json::object();
      });
  add(routes, Method::kPost, "2.0/mlflow/experiments/restore", "restoreExperiment", "Take a deletion back", {id},
      [&tracking](Call& call) {
        tracking.restore_experiment(call.who, call.str("experiment_id"));
        return Json::object();
      });
  add(routes, Method::kPost, "2.0/mlflow/experiments/set-experiment-tag", "setExperimentTag", "Set a tag",
      {id, key, {"value", FieldType::kString, true, "Value"}}, [&tracking](Call& call) {
        tracking.set_experiment_tag(call.who, call.str("experiment_id"), call.str("key"), call.str("value"));
        return Json::object();
      });
  add(routes, Method::kPost, "2.0/mlflow/experiments/delete-experiment-tag", "deleteExperimentTag", "Take a tag away",
      {id, key}, [&tracking](Call& call) {
        tracking.delete_experiment_tag(call.who, call.str("experiment_id"), call.str("key"));
        return Json::object();
      });
}

}  // namespace lakeloop::api::mlflow
