#include "api/app/routes.h"
#include "hub/model_hub.h"

namespace lakeloop::api::app {

Routes hub_routes(Services services) {
  Routes routes;
  const std::string base = "/api/2.0/lakeloop/hub";
  routes.push_back(
      {.method = net::Method::kGet,
       .path = base + "/models",
       .scope = Scope::authenticated(),
       .name = "app.listHubModels",
       .summary = "Models in the box",
       .handler = [](Call&) {
         Json models = Json::array();
         for (const hub::KnownModel& model : hub::known_models()) {
           Json json = Json::object({{"id", model.id},
                                     {"registered_name", model.registered_name},
                                     {"task", model.task},
                                     {"license", model.license}});
           if (!model.package.empty()) {
             json.set("package", model.package).set("version", model.version).set("sha256", model.wheel_sha256);
           }
           models.push_back(std::move(json));
         }
         return Json::object({{"models", std::move(models)}});
       }});
  routes.push_back(
      {.method = net::Method::kPost,
       .path = base + "/import",
       .scope = Scope::admin(),  // it reads a file of the server's machine
       .name = "app.importModel",
       .summary = "Check, convert and register a model in the box, as a task",
       .request = {{"model", FieldType::kString, true, "Its id"},
                   {"file", FieldType::kString, true, "Absolute path of the package or GGUF file on the server"}},
       .handler = [services](Call& call) {
         const hub::KnownModel& model = hub::known_model(call.str("model"));
         const hub::ImportOptions options{
             .file = call.str("file"), .worker = services.worker, .scratch = services.scratch};
         const identity::Principal who = call.who;
         const std::string id = services.tasks.submit(
             "hub_import", who.name, [services, who, &model, options](workflow::TaskRunner::Task& task) {
               const hub::ImportResult result =
                   hub::import_model(services.catalog, who, model, options,
                                     [&](std::string_view what) { task.report(0, 0, std::string(what)); });
               return Json::object({{"name", result.name},
                                    {"version", result.version},
                                    {"sha256", result.sha256},
                                    {"imported", result.imported}});
             });
         return Json::object({{"task_id", id}});
       }});
  return routes;
}

}  // namespace lakeloop::api::app
