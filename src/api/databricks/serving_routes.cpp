#include "api/databricks/serving_routes.h"

#include "api/openai/routes.h"

namespace lakeloop::api::databricks {
namespace {

constexpr const char* kBase = "/api/2.0/serving-endpoints";

// The request's shape decides what is asked for: messages, input, or the rows of a pyfunc model.
void invoke(serving::Serving& serving, Call& call, net::ResponseWriter& writer) {
  const std::string endpoint = call.str("name");
  call.fields.erase("name");
  if (call.fields.contains("messages")) return openai::answer_chat(serving, call, endpoint, writer);
  const serving::Invocation invocation{
      .who = call.who, .endpoint = endpoint, .body = call.fields, .request_id = call.request_id};
  const Json answer = call.fields.contains("input") ? serving.embeddings(invocation, call.deadline)
                                                    : serving.predictions(invocation, call.deadline);
  net::Response response = net::Response::json(200, answer.dump());
  response.headers.set("served-model-name", endpoint);
  writer.send(std::move(response));
}

}  // namespace

Routes serving_routes(serving::Serving& serving) {
  Routes routes;
  const std::string base = kBase;
  const Field name{"name", FieldType::kString, true, "Name of the endpoint"};
  routes.push_back(
      {.method = net::Method::kPost,
       .path = base,
       .scope = Scope::authenticated(),
       .name = "servingEndpoints.create",
       .summary = "Create a serving endpoint",
       .request = {name,
                   {"config", FieldType::kObject, true, "served_entities with one registered or external model"},
                   {"ai_gateway", FieldType::kObject, false, "inference_table_config"},
                   {"tags", FieldType::kArray, false, "[{key, value}]"},
                   {"description", FieldType::kString, false, ""}},
       .handler = [&serving](Call& call) { return serving.describe(serving.create(call.who, call.fields)); }});
  routes.push_back({.method = net::Method::kGet,
                    .path = base,
                    .scope = Scope::authenticated(),
                    .name = "servingEndpoints.list",
                    .summary = "Serving endpoints that the caller may see",
                    .handler = [&serving](Call& call) {
                      Json endpoints = Json::array();
                      for (const serving::Endpoint& endpoint : serving.list(call.who)) {
                        endpoints.push_back(serving.describe(endpoint));
                      }
                      return Json::object({{"endpoints", std::move(endpoints)}});
                    }});
  routes.push_back(
      {.method = net::Method::kGet,
       .path = base + "/{name}",
       .scope = Scope::authenticated(),
       .name = "servingEndpoints.get",
       .summary = "One serving endpoint",
       .handler = [&serving](Call& call) { return serving.describe(serving.get(call.who, call.str("name"))); }});
  routes.push_back(
      {.method = net::Method::kPut,
       .path = base + "/{name}/config",
       .scope = Scope::authenticated(),
       .name = "servingEndpoints.updateConfig",
       .summary = "Replace what an endpoint serves; requests in flight finish on the old model",
       .request = {{"served_entities", FieldType::kArray, true, ""}, {"traffic_config", FieldType::kObject, false, ""}},
       .handler = [&serving](Call& call) {
         const std::string endpoint = call.str("name");
         call.fields.erase("name");
         return serving.describe(serving.update_config(call.who, endpoint, call.fields));
       }});
  routes.push_back({.method = net::Method::kPut,
                    .path = base + "/{name}/ai-gateway",
                    .scope = Scope::authenticated(),
                    .name = "servingEndpoints.putAiGateway",
                    .summary = "Set the payload table of an endpoint",
                    .request = {{"inference_table_config", FieldType::kObject, false, ""}},
                    .handler = [&serving](Call& call) {
                      const std::string endpoint = call.str("name");
                      call.fields.erase("name");
                      serving.update_ai_gateway(call.who, endpoint, call.fields);
                      return call.fields;
                    }});
  routes.push_back({.method = net::Method::kDelete,
                    .path = base + "/{name}",
                    .scope = Scope::authenticated(),
                    .name = "servingEndpoints.delete",
                    .summary = "Delete a serving endpoint",
                    .handler = [&serving](Call& call) {
                      serving.remove(call.who, call.str("name"));
                      return Json::object();
                    }});
  routes.push_back({.method = net::Method::kPost,
                    .path = "/serving-endpoints/{name}/invocations",
                    .scope = Scope::authenticated(),
                    .name = "servingEndpoints.query",
                    .summary = "Ask an endpoint: messages, input, or the rows of a pyfunc model",
                    .dialect = Dialect::kOpenAi,
                    .request = {{"messages", FieldType::kArray, false, "Chat"},
                                {"input", FieldType::kAny, false, "Embeddings"},
                                {"dataframe_split", FieldType::kObject, false, ""},
                                {"dataframe_records", FieldType::kArray, false, ""},
                                {"instances", FieldType::kAny, false, ""},
                                {"inputs", FieldType::kAny, false, ""},
                                {"stream", FieldType::kBoolean, false, ""}},
                    .handler = [&serving](Call& call, net::ResponseWriter& writer) { invoke(serving, call, writer); }});
  return routes;
}

}  // namespace lakeloop::api::databricks
