#include "api/mlflow/routes.h"
#include "api/mlflow/wire.h"
#include "base/format.h"

namespace lakeloop::api::mlflow {

namespace {

using catalog::ModelInfo;
using catalog::ModelVersionInfo;
using net::Method;
using tracking::Registry;

// "models:/m-..." and ".../models/m-.../artifacts" say which logged model the version is; the client needs it to copy
// versions.
std::string model_id_of(const std::string& source) {
  const std::size_t at = source.rfind("/m-");
  if (at == std::string::npos) return {};
  const std::size_t end = source.find('/', at + 1);
  return source.substr(at + 1, end == std::string::npos ? std::string::npos : end - at - 1);
}

Json version_json(const ModelVersionInfo& v) {
  Json json = Json::object({{"name", Registry::shown_name(v.catalog_name, v.schema_name, v.model_name)},
                            {"version", lakeloop::format("{}", v.version)},
                            {"creation_timestamp", v.created.millis()},
                            {"last_updated_timestamp", v.updated.millis()},
                            {"user_id", v.created_by},
                            {"current_stage", "None"},
                            {"source", v.source},
                            {"status", v.status}});
  if (!v.comment.empty()) json.set("description", v.comment);
  if (!v.run_id.empty()) json.set("run_id", v.run_id);
  if (const std::string id = model_id_of(v.source); !id.empty()) json.set("model_id", id);
  if (!v.tags.empty()) json.set("tags", pairs_json(v.tags));
  if (!v.aliases.empty()) json.set("aliases", Json::strings(v.aliases));
  return json;
}

Json model_json(const Services& s, const identity::Principal& who, const ModelInfo& m) {
  const std::string name = Registry::shown_name(m.catalog_name, m.schema_name, m.name);
  Json json = Json::object({{"name", name},
                            {"creation_timestamp", m.created.millis()},
                            {"last_updated_timestamp", m.updated.millis()},
                            {"user_id", m.created_by}});
  if (!m.comment.empty()) json.set("description", m.comment);
  if (!m.tags.empty()) json.set("tags", pairs_json(m.tags));
  Json aliases = Json::array();
  for (const auto& [alias, version] : m.aliases) {
    aliases.push_back(Json::object({{"alias", alias}, {"version", lakeloop::format("{}", version)}}));
  }
  if (aliases.size() > 0) json.set("aliases", std::move(aliases));
  Json latest = Json::array();
  for (const ModelVersionInfo& v : s.registry.latest_versions(who, name)) latest.push_back(version_json(v));
  if (latest.size() > 0) json.set("latest_versions", std::move(latest));
  return json;
}

std::int64_t version_of(const Call& call) {
  const auto version = integer_of(call.fields["version"]);
  if (!version)
    throw Error(ErrorCode::kInvalidArgument, "Model version must be an integer, got '{}'", call.str("version"));
  return *version;
}

std::string full(const Call& call) {
  return Registry::full_name(call.str("name"));
}

Json model_answer(const Services& s, Call& call, const ModelInfo& m) {
  return Json::object({{"registered_model", model_json(s, call.who, m)}});
}
Json version_answer(const ModelVersionInfo& v) {
  return Json::object({{"model_version", version_json(v)}});
}

tracking::Search paged_search(const Call& call, std::int64_t default_results) {
  tracking::Search search = search_of(call, default_results);
  search.experiment_ids.clear();
  return search;
}

const Field kName{"name", FieldType::kString, true, "catalog.schema.name, or a name without dots for main.default"};
const Field kVersion{"version", FieldType::kAny, true, "Number of the version"};
const Field kKey{"key", FieldType::kString, true, "Tag"};
const Field kValue{"value", FieldType::kString, false, "Value"};
const Field kAlias{"alias", FieldType::kString, true, "Alias"};
const std::vector<Field> kSearch = {
    {"filter", FieldType::kString, false, "name, tags; versions also run_id, source_path, version_number"},
    {"max_results", FieldType::kInteger, false, "Rows a page"},
    {"order_by", FieldType::kArray, false, "\"name ASC\""},
    {"page_token", FieldType::kString, false, "Of the previous answer"}};

void add_models(Routes& routes, const Services& s) {
  add(routes, Method::kPost, "2.0/mlflow/registered-models/create", "createRegisteredModel",
      "Make a registered model or prompt",
      {kName, {"description", FieldType::kString, false, "Text"}, {"tags", FieldType::kArray, false, "[{key, value}]"}},
      [s](Call& call) {
        return model_answer(s, call,
                            s.registry.create_model(call.who, call.str("name"), call.str("description"),
                                                    pairs_of(call.fields["tags"], "tags")));
      });
  add(routes, Method::kGet, "2.0/mlflow/registered-models/get", "getRegisteredModel", "Read a registered model",
      {kName}, [s](Call& call) { return model_answer(s, call, s.catalog.get_model(call.who, full(call))); });
  add(routes, Method::kPatch, "2.0/mlflow/registered-models/update", "updateRegisteredModel", "Change the description",
      {kName, {"description", FieldType::kString, false, "Text"}}, [s](Call& call) {
        s.catalog.update_model(call.who, full(call), call.str("description"));
        return model_answer(s, call, s.catalog.get_model(call.who, full(call)));
      });
  add(routes, Method::kDelete, "2.0/mlflow/registered-models/delete", "deleteRegisteredModel",
      "Delete a model with its versions", {kName}, [s](Call& call) {
        s.catalog.delete_model(call.who, full(call));
        return Json::object();
      });
  add(routes, Method::kGet, "2.0/mlflow/registered-models/search", "searchRegisteredModels",
      "Search registered models; prompts only where the filter asks for them", kSearch, [s](Call& call) {
        const auto [found, token] = s.registry.search_models(call.who, paged_search(call, 100));
        Json list = Json::array();
        for (const ModelInfo& m : found) list.push_back(model_json(s, call.who, m));
        return with_token(Json::object({{"registered_models", std::move(list)}}), token);
      });
  const JsonHandler latest = [s](Call& call) {
    Json list = Json::array();
    for (const ModelVersionInfo& v : s.registry.latest_versions(call.who, call.str("name")))
      list.push_back(version_json(v));
    return Json::object({{"model_versions", std::move(list)}});
  };
  add(routes, Method::kPost, "2.0/mlflow/registered-models/get-latest-versions", "getLatestVersions",
      "The newest version", {kName}, latest);
  add(routes, Method::kGet, "2.0/mlflow/registered-models/get-latest-versions", "getLatestVersionsByQuery",
      "The newest version", {kName}, latest);
  add(routes, Method::kPost, "2.0/mlflow/registered-models/set-tag", "setRegisteredModelTag", "Set a tag",
      {kName, kKey, kValue}, [s](Call& call) {
        s.catalog.set_model_tag(call.who, full(call), call.str("key"), call.str("value"));
        return Json::object();
      });
  add(routes, Method::kDelete, "2.0/mlflow/registered-models/delete-tag", "deleteRegisteredModelTag", "Take a tag away",
      {kName, kKey}, [s](Call& call) {
        s.catalog.delete_model_tag(call.who, full(call), call.str("key"));
        return Json::object();
      });
  add(routes, Method::kPost, "2.0/mlflow/registered-models/alias", "setRegisteredModelAlias",
      "Let an alias name a version", {kName, kAlias, kVersion}, [s](Call& call) {
        s.catalog.set_alias(call.who, full(call), call.str("alias"), version_of(call));
        return Json::object();
      });
  add(routes, Method::kDelete, "2.0/mlflow/registered-models/alias", "deleteRegisteredModelAlias", "Take an alias away",
      {kName, kAlias}, [s](Call& call) {
        s.catalog.delete_alias(call.who, full(call), call.str("alias"));
        return Json::object();
      });
  add(routes, Method::kGet, "2.0/mlflow/registered-models/alias", "getModelVersionByAlias",
      "The version that an alias names", {kName, kAlias}, [s](Call& call) {
        return version_answer(s.registry.version_by_alias(call.who, call.str("name"), call.str("alias")));
      });
}

void add_versions(Routes& routes, const Services& s) {
  add(routes, Method::kPost, "2.0/mlflow/model-versions/create", "createModelVersion", "Add a version",
      {kName,
       {"source", FieldType::kString, true, "URI of its files"},
       {"run_id", FieldType::kString, false, "Run that made it"},
       {"model_id", FieldType::kString, false, "Logged model that it is"},
       {"description", FieldType::kString, false, "Text"},
       {"tags", FieldType::kArray, false, "[{key, value}]"}},
      [s](Call& call) {
        return version_answer(s.registry.create_version(call.who, {.name = call.str("name"),
                                                                   .source = call.str("source"),
                                                                   .run_id = call.str("run_id"),
                                                                   .model_id = call.str("model_id"),
                                                                   .description = call.str("description"),
                                                                   .tags = pairs_of(call.fields["tags"], "tags")}));
      });
  add(routes, Method::kGet, "2.0/mlflow/model-versions/get", "getModelVersion", "Read a version", {kName, kVersion},
      [s](Call& call) { return version_answer(s.catalog.get_model_version(call.who, full(call), version_of(call))); });
  add(routes, Method::kPatch, "2.0/mlflow/model-versions/update", "updateModelVersion", "Change the description",
      {kName, kVersion, {"description", FieldType::kString, false, "Text"}}, [s](Call& call) {
        s.catalog.update_model_version(call.who, full(call), version_of(call), call.str("description"));
        return version_answer(s.catalog.get_model_version(call.who, full(call), version_of(call)));
      });
  add(routes, Method::kDelete, "2.0/mlflow/model-versions/delete", "deleteModelVersion",
      "Delete a version and its aliases", {kName, kVersion}, [s](Call& call) {
        s.catalog.delete_model_version(call.who, full(call), version_of(call));
        return Json::object();
      });
  add(routes, Method::kGet, "2.0/mlflow/model-versions/search", "searchModelVersions", "Search versions", kSearch,
      [s](Call& call) {
        const auto [found, token] = s.registry.search_versions(call.who, paged_search(call, 10'000));
        Json list = Json::array();
        for (const ModelVersionInfo& v : found) list.push_back(version_json(v));
        return with_token(Json::object({{"model_versions", std::move(list)}}), token);
      });
  add(routes, Method::kGet, "2.0/mlflow/model-versions/get-download-uri", "getModelVersionDownloadUri",
      "Where the version's files are", {kName, kVersion}, [s](Call& call) {
        return Json::object({{"artifact_uri", s.registry.download_uri(call.who, call.str("name"), version_of(call))}});
      });
  add(routes, Method::kPost, "2.0/mlflow/model-versions/set-tag", "setModelVersionTag", "Set a tag",
      {kName, kVersion, kKey, kValue}, [s](Call& call) {
        s.catalog.set_model_version_tag(call.who, full(call), version_of(call), call.str("key"), call.str("value"));
        return Json::object();
      });
  add(routes, Method::kDelete, "2.0/mlflow/model-versions/delete-tag", "deleteModelVersionTag", "Take a tag away",
      {kName, kVersion, kKey}, [s](Call& call) {
        s.catalog.delete_model_version_tag(call.who, full(call), version_of(call), call.str("key"));
        return Json::object();
      });
}

}  // namespace

void add_registered_model_routes(Routes& routes, const Services& services) {
  add_models(routes, services);
  add_versions(routes, services);
}

}  // namespace lakeloop::api::mlflow
