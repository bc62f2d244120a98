#include "api/dispatcher.h"
#include "base/text.h"

namespace lakeloop::api {
namespace {

Json schema_of(const Field& field) {
  static constexpr std::string_view names[] = {"string", "integer", "number", "boolean", "array", "object", ""};
  Json schema = Json::object();
  const std::string_view name = names[static_cast<std::size_t>(field.type)];
  if (!name.empty()) schema.set("type", name);
  if (field.type == FieldType::kArray) schema.set("items", Json::object());
  if (field.type == FieldType::kInteger) schema.set("format", "int64");
  if (!field.doc.empty()) schema.set("description", field.doc);
  return schema;
}

Json object_schema(const std::vector<Field>& fields, std::string_view except_in_path) {
  Json properties = Json::object();
  Json required = Json::array();
  for (const Field& field : fields) {
    if (except_in_path.contains("{" + field.name + "}") || except_in_path.contains("{" + field.name + "...}")) continue;
    properties.set(field.name, schema_of(field));
    if (field.required) required.push_back(field.name);
  }
  Json schema = Json::object({{"type", "object"}, {"properties", std::move(properties)}});
  if (required.size() > 0) schema.set("required", std::move(required));
  return schema;
}

Json parameters_of(const Route& route) {
  Json parameters = Json::array();
  const bool in_query = route.method == net::Method::kGet || route.method == net::Method::kHead;
  for (const std::string_view segment : split(route.path, '/')) {
    if (!segment.starts_with('{')) continue;
    std::string name(segment.substr(1, segment.size() - 2));
    if (name.ends_with("...")) name.resize(name.size() - 3);
    parameters.push_back(Json::object(
        {{"name", name}, {"in", "path"}, {"required", true}, {"schema", Json::object({{"type", "string"}})}}));
  }
  if (!in_query) return parameters;
  for (const Field& field : route.request) {
    if (route.path.contains("{" + field.name)) continue;
    parameters.push_back(Json::object(
        {{"name", field.name}, {"in", "query"}, {"required", field.required}, {"schema", schema_of(field)}}));
  }
  return parameters;
}

}  // namespace

Json openapi(const Routes& routes, std::string_view version) {
  Json paths = Json::object();
  for (const Route& route : routes) {
    const std::string path = replace_all(route.path, "...}", "}");
    Json operation = Json::object({{"operationId", route.name}, {"summary", route.summary}});
    if (Json parameters = parameters_of(route); parameters.size() > 0)
      operation.set("parameters", std::move(parameters));
    const bool has_body = route.method != net::Method::kGet && route.method != net::Method::kHead;
    if (has_body && !route.raw_body && !route.stream_body) {
      operation.set(
          "requestBody",
          Json::object(
              {{"content", Json::object({{"application/json",
                                          Json::object({{"schema", object_schema(route.request, route.path)}})}})}}));
    }
    operation.set(
        "responses",
        Json::object(
            {{"200",
              Json::object(
                  {{"description", "Success"},
                   {"content", Json::object({{"application/json",
                                              Json::object({{"schema", object_schema(route.response, "")}})}})}})}}));
    if (route.scope == Scope::everyone()) operation.set("security", Json::array());
    if (!paths.contains(path)) paths.set(path, Json::object());
    paths.find(path)->set(ascii_lower(net::to_string(route.method)), std::move(operation));
  }
  return Json::object(
      {{"openapi", "3.1.0"},
       {"info", Json::object({{"title", "Lakeloop"}, {"version", version}})},
       {"security", Json::array({Json::object({{"token", Json::array()}})})},
       {"components",
        Json::object(
            {{"securitySchemes", Json::object({{"token", Json::object({{"type", "http"}, {"scheme", "bearer"}})}})}})},
       {"paths", std::move(paths)}});
}

}  // namespace lakeloop::api
