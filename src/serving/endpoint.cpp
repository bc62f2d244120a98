#include "serving/endpoint.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "catalog/securable.h"
#include "net/outbound_guard.h"

namespace lakeloop::serving {
namespace {

constexpr std::size_t kMaxEntities = 10;

[[noreturn]] void wrong(std::string_view field, std::string_view rule) {
  throw Error(ErrorCode::kInvalidArgument, "{} {}", field, rule).with_param(std::string(field));
}

std::string required_text(const Json& json, std::string_view key, std::string_view where) {
  const Json& value = json[key];
  if (!value.is_string() || value.as_string().empty())
    wrong(std::string(where) + "." + std::string(key), "is required");
  return value.as_string();
}

// Takes `key`_plaintext out of the configuration. A reference {{secrets/scope/key}} needs secret scopes, which are not
// served.
std::string take_secret(Json& json, const std::string& key, std::string_view where) {
  const std::string plain_key = key + "_plaintext";
  if (const Json* plain = json.find(plain_key)) {
    std::string secret = plain->string_or("");
    json.erase(plain_key);
    if (secret.empty()) wrong(std::string(where) + "." + plain_key, "must be a non-empty string");
    return secret;
  }
  if (json.contains(key)) {
    throw Error(ErrorCode::kUnimplemented, "{}.{}: references to secret scopes are not served; send {} instead", where,
                key, plain_key);
  }
  return {};
}

ServedEntity parse_external(Json& external, std::string& secret, const std::string& where) {
  ServedEntity entity;
  entity.kind = EntityKind::kExternal;
  entity.provider = required_text(external, "provider", where);
  entity.model = required_text(external, "name", where);
  entity.task = required_text(external, "task", where);
  if (entity.task != "llm/v1/chat" && entity.task != "llm/v1/embeddings") {
    wrong(where + ".task", "must be llm/v1/chat or llm/v1/embeddings");
  }
  if (entity.provider == "openai") {
    Json* config = external.find("openai_config");
    if (config == nullptr || !config->is_object())
      wrong(where + ".openai_config", "is required by the provider openai");
    if (const std::string type = config->str("openai_api_type", "openai"); type != "openai") {
      throw Error(ErrorCode::kUnimplemented, "{}.openai_config.openai_api_type: {} is not served, only openai", where,
                  type);
    }
    entity.base_url = config->str("openai_api_base", "https://api.openai.com/v1");
    secret = take_secret(*config, "openai_api_key", where + ".openai_config");
    entity.auth_header = "authorization";
    entity.auth_prefix = "Bearer ";
  } else if (entity.provider == "custom") {
    Json* config = external.find("custom_provider_config");
    if (config == nullptr || !config->is_object()) {
      wrong(where + ".custom_provider_config", "is required by the provider custom");
    }
    entity.base_url = required_text(*config, "custom_provider_url", where + ".custom_provider_config");
    if (Json* bearer = config->find("bearer_token_auth")) {
      secret = take_secret(*bearer, "token", where + ".custom_provider_config.bearer_token_auth");
      entity.auth_header = "authorization";
      entity.auth_prefix = "Bearer ";
    } else if (Json* key = config->find("api_key_auth")) {
      entity.auth_header = ascii_lower(required_text(*key, "key", where + ".custom_provider_config.api_key_auth"));
      secret = take_secret(*key, "value", where + ".custom_provider_config.api_key_auth");
    }
  } else {
    throw Error(ErrorCode::kUnimplemented, "{}.provider: \"{}\" is not served; openai and custom are", where,
                entity.provider);
  }
  net::parse_url(entity.base_url);
  if (entity.base_url.ends_with('/')) entity.base_url.pop_back();
  return entity;
}

}  // namespace

ParsedConfig parse_endpoint_config(Json config) {
  Json* entities = config.find("served_entities");
  if (entities == nullptr || !entities->is_array() || entities->size() == 0) {
    wrong("config.served_entities", "must be a list with one served entity");
  }
  if (entities->size() > kMaxEntities) wrong("config.served_entities", "has more than 10 entries");
  if (entities->size() > 1) {
    throw Error(ErrorCode::kUnimplemented,
                "config.served_entities: traffic between several served entities is not served; configure one");
  }
  ParsedConfig parsed;
  for (Json& json : entities->items()) {
    const std::string where = "config.served_entities[0]";
    if (!json.is_object()) wrong(where, "must be an object");
    ServedEntity entity;
    if (Json* external = json.find("external_model")) {
      entity = parse_external(*external, parsed.secret, where + ".external_model");
      entity.name = json.str("name", replace_all(replace_all(entity.model, ".", "-"), ":", "-"));
    } else {
      entity.entity_name = required_text(json, "entity_name", where);
      catalog::parse_full_name(entity.entity_name);
      entity.entity_version = required_text(json, "entity_version", where);
      entity.name = json.str("name", catalog::parse_full_name(entity.entity_name).name + "-" + entity.entity_version);
    }
    json.set("name", entity.name);
    parsed.entities.push_back(std::move(entity));
  }
  if (!config.contains("traffic_config")) {
    config.set("traffic_config",
               Json::object({{"routes", Json::array({Json::object({{"served_model_name", parsed.entities[0].name},
                                                                   {"served_entity_name", parsed.entities[0].name},
                                                                   {"traffic_percentage", 100}})})}}));
  }
  config.erase("name");  // the SDK repeats the endpoint's name here
  parsed.stored = std::move(config);
  return parsed;
}

std::string payload_table_of(const Json& ai_gateway) {
  const Json& table = ai_gateway["inference_table_config"];
  if (!table["enabled"].bool_or(false)) return {};
  const std::string where = "ai_gateway.inference_table_config";
  return required_text(table, "catalog_name", where) + "." + required_text(table, "schema_name", where) + "." +
         required_text(table, "table_name_prefix", where) + "_payload";
}

}  // namespace lakeloop::serving
