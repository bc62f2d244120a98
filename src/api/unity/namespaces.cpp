#include "api/unity/routes.h"
#include "api/unity/wire.h"

namespace lakeloop::api::unity {
namespace {

using catalog::CatalogInfo;
using catalog::SchemaInfo;
using catalog::SecurableType;
using net::Method;

Json catalog_json(const CatalogInfo& info, const std::string& metastore_id) {
  Json json = Json::object({{"name", info.name},
                            {"full_name", info.name},
                            {"id", info.id},
                            {"owner", info.owner},
                            {"metastore_id", metastore_id},
                            {"catalog_type", "MANAGED_CATALOG"},
                            {"isolation_mode", "OPEN"},
                            {"securable_type", "CATALOG"},
                            {"properties", properties_json(info.properties)}});
  set_audit(json, info);
  return json;
}

Json schema_json(const SchemaInfo& info, const std::string& metastore_id) {
  Json json = Json::object({{"name", info.name},
                            {"catalog_name", info.catalog_name},
                            {"full_name", catalog::join_full_name({info.catalog_name, info.name})},
                            {"schema_id", info.id},
                            {"owner", info.owner},
                            {"metastore_id", metastore_id},
                            {"catalog_type", "MANAGED_CATALOG"},
                            {"properties", properties_json(info.properties)}});
  set_audit(json, info);
  return json;
}

const Field kForce{"force", FieldType::kBoolean, false, "Delete what it holds as well"};

void add_catalogs(Routes& routes, catalog::Catalog& catalog, const std::string& metastore) {
  add(routes, Method::kPost, "/catalogs", "createCatalog", "Create a catalog",
      {{"name", FieldType::kString, true, "Name"},
       {"comment", FieldType::kString, false, "Text"},
       {"properties", FieldType::kObject, false, "Texts by name"}},
      [&catalog, metastore](Call& call) {
        return catalog_json(
            catalog.create_catalog(call.who, call.str("name"), call.str("comment"), properties_of(call)), metastore);
      });
  add(routes, Method::kGet, "/catalogs", "listCatalogs", "Catalogs that the caller may see", paged(),
      [&catalog, metastore](Call& call) {
        return listing_json("catalogs", catalog.list_catalogs(call.who, page_of(call)),
                            [&](const CatalogInfo& info) { return catalog_json(info, metastore); });
      });
  add(routes, Method::kGet, "/catalogs/{name}", "getCatalog", "Read a catalog", {}, [&catalog, metastore](Call& call) {
    return catalog_json(catalog.get_catalog(call.who, call.str("name")), metastore);
  });
  add(routes, Method::kPatch, "/catalogs/{name}", "updateCatalog", "Change comment, owner or properties",
      update_fields(), [&catalog, metastore](Call& call) {
        catalog.update(call.who, {SecurableType::kCatalog, call.str("name")}, update_of(call));
        return catalog_json(catalog.get_catalog(call.who, call.str("name")), metastore);
      });
  add(routes, Method::kDelete, "/catalogs/{name}", "deleteCatalog", "Delete a catalog", {kForce},
      [&catalog](Call& call) {
        catalog.delete_catalog(call.who, call.str("name"), call.flag("force"));
        return Json::object();
      });
}

void add_schemas(Routes& routes, catalog::Catalog& catalog, const std::string& metastore) {
  add(routes, Method::kPost, "/schemas", "createSchema", "Create a schema",
      {{"catalog_name", FieldType::kString, true, "Catalog"},
       {"name", FieldType::kString, true, "Name within the catalog"},
       {"comment", FieldType::kString, false, "Text"},
       {"properties", FieldType::kObject, false, "Texts by name"}},
      [&catalog, metastore](Call& call) {
        return schema_json(catalog.create_schema(call.who, call.str("catalog_name"), call.str("name"),
                                                 call.str("comment"), properties_of(call)),
                           metastore);
      });
  add(routes, Method::kGet, "/schemas", "listSchemas", "Schemas of a catalog that the caller may see",
      paged({{"catalog_name", FieldType::kString, true, "Catalog"}}), [&catalog, metastore](Call& call) {
        return listing_json("schemas", catalog.list_schemas(call.who, call.str("catalog_name"), page_of(call)),
                            [&](const SchemaInfo& info) { return schema_json(info, metastore); });
      });
  add(routes, Method::kGet, "/schemas/{full_name}", "getSchema", "Read a schema", {},
      [&catalog, metastore](Call& call) {
        return schema_json(catalog.get_schema(call.who, call.str("full_name")), metastore);
      });
  add(routes, Method::kPatch, "/schemas/{full_name}", "updateSchema", "Change comment, owner or properties",
      update_fields(), [&catalog, metastore](Call& call) {
        catalog.update(call.who, {SecurableType::kSchema, call.str("full_name")}, update_of(call));
        return schema_json(catalog.get_schema(call.who, call.str("full_name")), metastore);
      });
  add(routes, Method::kDelete, "/schemas/{full_name}", "deleteSchema", "Delete a schema", {kForce},
      [&catalog](Call& call) {
        catalog.delete_schema(call.who, call.str("full_name"), call.flag("force"));
        return Json::object();
      });
}

}  // namespace

Routes namespace_routes(catalog::Catalog& catalog) {
  Routes routes;
  const std::string metastore = catalog.metastore_id();
  add_catalogs(routes, catalog, metastore);
  add_schemas(routes, catalog, metastore);
  return routes;
}

}  // namespace lakeloop::api::unity
