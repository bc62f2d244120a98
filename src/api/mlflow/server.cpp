#include "api/mlflow/routes.h"
#include "api/mlflow/wire.h"

namespace lakeloop::api::mlflow {

void add_server_routes(Routes& routes) {
  Route route{.method = net::Method::kGet,
              .path = "/api/3.0/mlflow/server-info",
              .scope = Scope::everyone(),
              .name = "mlflow.serverInfo",
              .summary = "What the client asks before its first call",
              .dialect = Dialect::kMlflow,
              .handler = [](Call&) {
                return Json::object({{"store_type", "SqlStore"},
                                     {"workspaces_enabled", false},
                                     {"trace_archival_enabled", false},
                                     {"multipart_uploads_enabled", false},
                                     {"multipart_downloads_enabled", false},
                                     {"presigned_upload_run_id_supported", false},
                                     {"presigned_upload_model_id_supported", false},
                                     {"features_enabled", Json::object({{"gateway", false}})}});
              }};
  add_with_twin(routes, std::move(route), "/api", "/ajax-api");
}

Routes routes(const Services& services) {
  Routes routes;
  add_server_routes(routes);
  add_experiment_routes(routes, services.tracking);
  add_run_routes(routes, services.tracking);
  add_logged_model_routes(routes, services.tracking);
  add_trace_routes(routes, services.tracking);
  add_assessment_routes(routes, services.tracking);
  add_registered_model_routes(routes, services);
  add_artifact_routes(routes, services);
  return routes;
}

}  // namespace lakeloop::api::mlflow
