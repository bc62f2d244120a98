#include "api/openai/routes.h"

#include "api/dispatcher.h"
#include "api/openai/sse_stream.h"

namespace lakeloop::api::openai {
namespace {

const std::vector<Field> kChatFields = {
    {"model", FieldType::kString, true, "Name of a serving endpoint"},
    {"messages", FieldType::kArray, true, "The conversation; the last message is the question"},
    {"stream", FieldType::kBoolean, false, "Answer as server-sent events"},
    {"stream_options", FieldType::kObject, false, "{include_usage}"},
    {"max_tokens", FieldType::kInteger, false, "Limit of the answer"},
    {"max_completion_tokens", FieldType::kInteger, false, "Limit of the answer"},
    {"temperature", FieldType::kNumber, false, "0 to 2"},
    {"response_format", FieldType::kObject, false, "text, json_object or json_schema"},
    {"custom_inputs", FieldType::kObject, false, "For chains: {answer_mode: cited, prose or verifiable}"}};

Json error_body(const Error& error, const std::string& request_id) {
  return Json::parse(render_error(error, Dialect::kOpenAi, request_id).body);
}

serving::Invocation invocation_of(Call& call, std::string endpoint) {
  return {.who = call.who, .endpoint = std::move(endpoint), .body = call.fields, .request_id = call.request_id};
}

Json model_list(serving::Serving& serving, const identity::Principal& who) {
  Json data = Json::array();
  for (const serving::Endpoint& endpoint : serving.list(who)) {
    data.push_back(Json::object({{"id", endpoint.name},
                                 {"object", "model"},
                                 {"created", endpoint.created.millis() / 1000},
                                 {"owned_by", endpoint.creator}}));
  }
  return Json::object({{"object", "list"}, {"data", std::move(data)}});
}

void add_face(Routes& routes, serving::Serving& serving, const std::string& prefix, const std::string& name) {
  routes.push_back({.method = net::Method::kPost,
                    .path = prefix + "/chat/completions",
                    .scope = Scope::authenticated(),
                    .name = name + ".chatCompletions",
                    .summary = "Chat completion by a chain or a model",
                    .dialect = Dialect::kOpenAi,
                    .request = kChatFields,
                    .handler = [&serving](Call& call, net::ResponseWriter& writer) {
                      answer_chat(serving, call, call.str("model"), writer);
                    }});
  routes.push_back({.method = net::Method::kPost,
                    .path = prefix + "/embeddings",
                    .scope = Scope::authenticated(),
                    .name = name + ".embeddings",
                    .summary = "Vectors of texts",
                    .dialect = Dialect::kOpenAi,
                    .request = {{"model", FieldType::kString, true, "Name of a serving endpoint"},
                                {"input", FieldType::kAny, true, "A text or a list of texts"},
                                {"encoding_format", FieldType::kString, false, "float or base64"},
                                {"dimensions", FieldType::kInteger, false, "Must be the model's own"}},
                    .handler = [&serving](Call& call) {
                      return serving.embeddings(invocation_of(call, call.str("model")), call.deadline);
                    }});
}

}  // namespace

void answer_chat(serving::Serving& serving, Call& call, std::string endpoint, net::ResponseWriter& writer) {
  const serving::Invocation invocation = invocation_of(call, std::move(endpoint));
  if (!call.flag("stream")) {
    net::Response response = net::Response::json(200, serving.chat(invocation, call.deadline).dump());
    response.headers.set("served-model-name", invocation.endpoint);
    writer.send(std::move(response));
    return;
  }
  SseStream stream(writer);
  try {
    static_cast<void>(serving.chat(invocation, call.deadline, [&](const Json& chunk) { return stream.send(chunk); }));
    stream.done();
  } catch (const Error& error) {
    if (!stream.started()) throw;
    stream.fail(error_body(error, call.request_id));
  }
}

Routes routes(serving::Serving& serving) {
  Routes routes;
  add_face(routes, serving, "/v1", "openai");
  add_face(routes, serving, "/serving-endpoints", "servingEndpoints");
  routes.push_back({.method = net::Method::kGet,
                    .path = "/v1/models",
                    .scope = Scope::authenticated(),
                    .name = "openai.listModels",
                    .summary = "Serving endpoints that the caller may use, as OpenAI lists models",
                    .dialect = Dialect::kOpenAi,
                    .handler = [&serving](Call& call) { return model_list(serving, call.who); }});
  routes.push_back({.method = net::Method::kGet,
                    .path = "/v1/models/{model}",
                    .scope = Scope::authenticated(),
                    .name = "openai.getModel",
                    .summary = "One serving endpoint, as OpenAI shows a model",
                    .dialect = Dialect::kOpenAi,
                    .handler = [&serving](Call& call) {
                      const serving::Endpoint endpoint = serving.get(call.who, call.str("model"));
                      return Json::object({{"id", endpoint.name},
                                           {"object", "model"},
                                           {"created", endpoint.created.millis() / 1000},
                                           {"owned_by", endpoint.creator}});
                    }});
  return routes;
}

}  // namespace lakeloop::api::openai
