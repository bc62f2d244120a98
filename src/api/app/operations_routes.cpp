#include "api/app/routes.h"
#include "api/dispatcher.h"
#include "base/metrics.h"

namespace lakeloop::api::app {

Routes operations_routes(std::string version) {
  Routes routes;
  routes.push_back(
      {.method = net::Method::kGet,
       .path = "/health",
       .scope = Scope::everyone(),
       .name = "app.health",
       .summary = "OK while the server answers",
       .handler = [](Call&, net::ResponseWriter& writer) { writer.send(net::Response::text(200, "OK")); }});
  // MLflow's client reads a bare version here and needs 3.4 or newer to send spans.
  routes.push_back(
      {.method = net::Method::kGet,
       .path = "/version",
       .scope = Scope::everyone(),
       .name = "app.version",
       .summary = "Version of the MLflow API that is served, as MLflow's client asks for it",
       .handler = [](Call&, net::ResponseWriter& writer) { writer.send(net::Response::text(200, "3.17.0")); }});
  routes.push_back(
      {.method = net::Method::kGet,
       .path = "/api/2.0/lakeloop/version",
       .scope = Scope::everyone(),
       .name = "app.lakeloopVersion",
       .summary = "Version of Lakeloop",
       .handler = [version](Call&) { return Json::object({{"version", version}, {"mlflow_version", "3.17.0"}}); }});
  routes.push_back({.method = net::Method::kGet,
                    .path = "/metrics",
                    .scope = Scope::authenticated(),
                    .name = "app.metrics",
                    .summary = "Metrics of the process in Prometheus' text format",
                    .handler = [](Call&, net::ResponseWriter& writer) {
                      net::Response response = net::Response::text(200, render_metrics());
                      response.headers.set("content-type", "text/plain; version=0.0.4; charset=utf-8");
                      writer.send(std::move(response));
                    }});
  return routes;
}

Route openapi_route(const Routes& described, std::string_view version) {
  const std::string document = openapi(described, version).dump();
  return {
      .method = net::Method::kGet,
      .path = "/openapi.json",
      .scope = Scope::everyone(),
      .name = "app.openapi",
      .summary = "This API",
      .handler = [document](Call&, net::ResponseWriter& writer) { writer.send(net::Response::json(200, document)); }};
}

}  // namespace lakeloop::api::app
