#include "api/unity/routes.h"
#include "api/unity/wire.h"
#include "base/text.h"

namespace lakeloop::api::unity {
namespace {

using catalog::ModelInfo;
using catalog::ModelVersionInfo;
using catalog::SecurableType;
using net::Method;

Json alias_json(const std::string& catalog_name, const std::string& schema_name, const std::string& model_name,
                const std::string& alias, std::int64_t version) {
  return Json::object({{"alias_name", alias},
                       {"version_num", version},
                       {"catalog_name", catalog_name},
                       {"schema_name", schema_name},
                       {"model_name", model_name}});
}

Json model_json(const ModelInfo& info, const std::string& metastore_id) {
  Json aliases = Json::array();
  for (const auto& [alias, version] : info.aliases) {
    aliases.push_back(alias_json(info.catalog_name, info.schema_name, info.name, alias, version));
  }
  Json json = Json::object({{"name", info.name},
                            {"catalog_name", info.catalog_name},
                            {"schema_name", info.schema_name},
                            {"full_name", catalog::join_full_name({info.catalog_name, info.schema_name, info.name})},
                            {"id", info.id},
                            {"owner", info.owner},
                            {"metastore_id", metastore_id},
                            {"aliases", std::move(aliases)}});
  set_audit(json, info);
  return json;
}

Json version_json(const ModelVersionInfo& info, const std::string& metastore_id) {
  Json aliases = Json::array();
  for (const std::string& alias : info.aliases) {
    aliases.push_back(alias_json(info.catalog_name, info.schema_name, info.model_name, alias, info.version));
  }
  Json json = Json::object({{"model_name", info.model_name},
                            {"catalog_name", info.catalog_name},
                            {"schema_name", info.schema_name},
                            {"version", info.version},
                            {"id", info.id},
                            {"source", info.source},
                            {"status", info.status},
                            {"storage_location", info.storage_location},
                            {"metastore_id", metastore_id},
                            {"aliases", std::move(aliases)}});
  if (!info.run_id.empty()) json.set("run_id", info.run_id);
  set_audit(json, info);
  return json;
}

std::string full_name_of(const Call& call, std::string_view name) {
  return catalog::join_full_name({call.str("catalog_name"), call.str("schema_name"), call.str(name)});
}

const Field kCatalog{"catalog_name", FieldType::kString, true, "Catalog"};
const Field kSchema{"schema_name", FieldType::kString, true, "Schema within the catalog"};
const Field kComment{"comment", FieldType::kString, false, "Text"};
const Field kVersion{"version", FieldType::kInteger, true, "Number of the version"};

void add_models(Routes& routes, catalog::Catalog& catalog, const std::string& metastore) {
  add(routes, Method::kPost, "/models", "createRegisteredModel", "Create a registered model",
      {kCatalog, kSchema, {"name", FieldType::kString, true, "Name within the schema"}, kComment},
      [&catalog, metastore](Call& call) {
        return model_json(catalog.create_model(call.who, full_name_of(call, "name"), call.str("comment")), metastore);
      });
  add(routes, Method::kGet, "/models", "listRegisteredModels", "Models that the caller may see",
      paged({{"catalog_name", FieldType::kString, false, "With schema_name: models of that schema only"},
             {"schema_name", FieldType::kString, false, "Schema within the catalog"}}),
      [&catalog, metastore](Call& call) {
        if (call.str("catalog_name").empty() != call.str("schema_name").empty()) {
          throw Error(ErrorCode::kInvalidArgument, "catalog_name and schema_name go together: send both or none");
        }
        return listing_json(
            "registered_models",
            catalog.list_models(call.who, call.str("catalog_name"), call.str("schema_name"), page_of(call)),
            [&](const ModelInfo& info) { return model_json(info, metastore); });
      });
  add(routes, Method::kGet, "/models/{full_name}", "getRegisteredModel", "Read a registered model", {},
      [&catalog, metastore](Call& call) {
        return model_json(catalog.get_model(call.who, call.str("full_name")), metastore);
      });
  add(routes, Method::kPatch, "/models/{full_name}", "updateRegisteredModel", "Change comment or owner",
      update_fields(), [&catalog, metastore](Call& call) {
        catalog.update(call.who, {SecurableType::kModel, call.str("full_name")}, update_of(call));
        return model_json(catalog.get_model(call.who, call.str("full_name")), metastore);
      });
  add(routes, Method::kDelete, "/models/{full_name}", "deleteRegisteredModel", "Delete a model with its versions", {},
      [&catalog](Call& call) {
        catalog.delete_model(call.who, call.str("full_name"));
        return Json::object();
      });
}

void add_versions(Routes& routes, catalog::Catalog& catalog, const std::string& metastore) {
  add(routes, Method::kPost, "/models/versions", "createModelVersion", "Add a version; it is usable once finalized",
      {kCatalog,
       kSchema,
       {"model_name", FieldType::kString, true, "Model within the schema"},
       {"source", FieldType::kString, true, "Where its files come from"},
       {"run_id", FieldType::kString, false, "Run that made it"},
       kComment},
      [&catalog, metastore](Call& call) {
        return version_json(catalog.create_model_version(call.who, full_name_of(call, "model_name"), call.str("source"),
                                                         call.str("run_id"), call.str("comment")),
                            metastore);
      });
  const std::string versions = "/models/{full_name}/versions";
  add(routes, Method::kGet, versions, "listModelVersions", "Versions of a model, newest first", paged(),
      [&catalog, metastore](Call& call) {
        return listing_json("model_versions",
                            catalog.list_model_versions(call.who, call.str("full_name"), page_of(call)),
                            [&](const ModelVersionInfo& info) { return version_json(info, metastore); });
      });
  add(routes, Method::kGet, versions + "/{version}", "getModelVersion", "Read a version", {kVersion},
      [&catalog, metastore](Call& call) {
        return version_json(catalog.get_model_version(call.who, call.str("full_name"), call.integer("version")),
                            metastore);
      });
  add(routes, Method::kPatch, versions + "/{version}", "updateModelVersion", "Change the comment",
      {kVersion, {"comment", FieldType::kString, true, "Text"}}, [&catalog, metastore](Call& call) {
        catalog.update_model_version(call.who, call.str("full_name"), call.integer("version"), call.str("comment"));
        return version_json(catalog.get_model_version(call.who, call.str("full_name"), call.integer("version")),
                            metastore);
      });
  add(routes, Method::kPatch, versions + "/{version}/finalize", "finalizeModelVersion", "All files are there: READY",
      {kVersion}, [&catalog, metastore](Call& call) {
        return version_json(catalog.finalize_model_version(call.who, call.str("full_name"), call.integer("version")),
                            metastore);
      });
  add(routes, Method::kDelete, versions + "/{version}", "deleteModelVersion", "Delete a version and its aliases",
      {kVersion}, [&catalog](Call& call) {
        catalog.delete_model_version(call.who, call.str("full_name"), call.integer("version"));
        return Json::object();
      });
}

void add_aliases(Routes& routes, catalog::Catalog& catalog, const std::string& metastore) {
  const std::string path = "/models/{full_name}/aliases/{alias}";
  add(routes, Method::kPut, path, "setModelAlias", "Let an alias name a version",
      {{"version_num", FieldType::kInteger, true, "Number of the version"}}, [&catalog](Call& call) {
        catalog.set_alias(call.who, call.str("full_name"), call.str("alias"), call.integer("version_num"));
        const ModelInfo model = catalog.get_model(call.who, call.str("full_name"));
        return alias_json(model.catalog_name, model.schema_name, model.name, call.str("alias"),
                          call.integer("version_num"));
      });
  add(routes, Method::kGet, path, "getModelVersionByAlias", "The version that an alias names", {},
      [&catalog, metastore](Call& call) {
        return version_json(catalog.get_model_version_by_alias(call.who, call.str("full_name"), call.str("alias")),
                            metastore);
      });
  add(routes, Method::kDelete, path, "deleteModelAlias", "Take an alias away", {}, [&catalog](Call& call) {
    catalog.delete_alias(call.who, call.str("full_name"), call.str("alias"));
    return Json::object();
  });
}

}  // namespace

Routes model_routes(catalog::Catalog& catalog) {
  Routes routes;
  const std::string metastore = catalog.metastore_id();
  add_models(routes, catalog, metastore);
  add_versions(routes, catalog, metastore);
  add_aliases(routes, catalog, metastore);
  return routes;
}

}  // namespace lakeloop::api::unity
