#include "api/unity/wire.h"

#include "api/unity/routes.h"

namespace lakeloop::api::unity {

void add(Routes& routes, net::Method method, std::string_view path, std::string_view name, std::string_view summary,
         std::vector<Field> fields, JsonHandler handler) {
  routes.push_back({.method = method,
                    .path = std::string(kBase) + std::string(path),
                    .scope = Scope::authenticated(),
                    .name = "unity." + std::string(name),
                    .summary = std::string(summary),
                    .request = std::move(fields),
                    .handler = std::move(handler)});
}

std::vector<Field> paged(std::vector<Field> own) {
  own.push_back({"max_results", FieldType::kInteger, false, "Rows a page; 0: the server's choice"});
  own.push_back({"page_token", FieldType::kString, false, "next_page_token of the previous answer"});
  return own;
}

catalog::Page page_of(const Call& call) {
  const std::int64_t max_results = call.integer("max_results");
  if (max_results < 0) {
    throw Error(ErrorCode::kInvalidArgument, "max_results must not be negative, got {}", max_results)
        .with_param("max_results");
  }
  return {.max_results = static_cast<std::size_t>(max_results), .page_token = call.str("page_token")};
}

std::vector<Field> update_fields() {
  return {{"comment", FieldType::kString, false, "Text"},
          {"owner", FieldType::kString, false, "Name of a principal"},
          {"properties", FieldType::kObject, false, "Texts by name; replaces all"},
          {"new_name", FieldType::kString, false, "Not supported: names are for life"}};
}

catalog::Catalog::Update update_of(const Call& call) {
  if (!call.str("new_name").empty()) {
    throw Error(ErrorCode::kUnimplemented, "new_name: objects cannot be renamed; make a new one")
        .with_param("new_name");
  }
  catalog::Catalog::Update change;
  if (call.fields["comment"].is_string()) change.comment = call.str("comment");
  if (call.fields["owner"].is_string()) change.owner = call.str("owner");
  if (call.fields["properties"].is_object()) change.properties = properties_of(call);
  if (!change.comment && !change.owner && !change.properties) {
    throw Error(ErrorCode::kInvalidArgument, "nothing to change: send comment, owner or properties");
  }
  return change;
}

std::map<std::string, std::string> properties_of(const Call& call) {
  std::map<std::string, std::string> properties;
  if (!call.fields["properties"].is_object()) return properties;
  for (const auto& [key, value] : call.fields["properties"].members()) {
    if (!value.is_string()) {
      throw Error(ErrorCode::kInvalidArgument, "properties.{} must be a string, got {}", key, value.type_name())
          .with_param("properties");
    }
    properties[key] = value.as_string();
  }
  return properties;
}

Json properties_json(const std::map<std::string, std::string>& properties) {
  Json json = Json::object();
  for (const auto& [key, value] : properties) json.set(key, value);
  return json;
}

Routes routes(catalog::Catalog& catalog) {
  Routes all;
  for (auto* part : {&namespace_routes, &table_routes, &model_routes, &permission_routes, &metastore_routes}) {
    for (Route& route : part(catalog)) all.push_back(std::move(route));
  }
  return all;
}

}  // namespace lakeloop::api::unity
