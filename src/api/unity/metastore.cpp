#include "api/databricks/workspace_id.h"
#include "api/unity/routes.h"
#include "api/unity/wire.h"

namespace lakeloop::api::unity {

Routes metastore_routes(catalog::Catalog& catalog) {
  Routes routes;
  const std::string metastore = catalog.metastore_id();
  add(routes, net::Method::kGet, "/metastore_summary", "getMetastoreSummary", "The metastore of this workspace", {},
      [metastore](Call&) {
        return Json::object({{"metastore_id", metastore},
                             {"name", "lakeloop"},
                             {"global_metastore_id", "lakeloop:local:" + metastore},
                             {"cloud", "local"},
                             {"region", "local"},
                             {"privilege_model_version", "1.0"}});
      });
  add(routes, net::Method::kGet, "/current-metastore-assignment", "getCurrentMetastoreAssignment",
      "Metastore and default catalog of this workspace", {}, [metastore](Call&) {
        return Json::object({{"metastore_id", metastore},
                             {"workspace_id", databricks::workspace_id(metastore)},
                             {"default_catalog_name", "main"}});
      });
  return routes;
}

}  // namespace lakeloop::api::unity
