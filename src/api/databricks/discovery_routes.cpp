#include "api/databricks/identity_routes.h"
#include "api/databricks/workspace_id.h"
#include "base/format.h"

namespace lakeloop::api::databricks {

Routes discovery_routes(const std::string& base_url, const std::string& metastore_id) {
  const Json answer = Json::object(
      {{"oidc_endpoint", base_url + "/oidc"}, {"workspace_id", lakeloop::format("{}", workspace_id(metastore_id))}});
  return {{.method = net::Method::kGet,
           .path = "/.well-known/databricks-config",
           .scope = Scope::everyone(),
           .name = "databricks.config",
           .summary = "What clients ask first: which workspace is this?",
           .handler = [answer](Call&) { return answer; }}};
}

}  // namespace lakeloop::api::databricks
