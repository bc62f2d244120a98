#pragma once

// A serving endpoint as it is configured: the subset of Databricks' serving-endpoints API that Lakeloop serves. The
// configuration is kept as it was sent (minus secrets, which are sealed), so that a client that reads it back finds its
// own.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "codec/json.h"

namespace lakeloop::serving {

// What answers: a registered model version (a chain or a GGUF file), or a model behind a provider's API.
enum class EntityKind : std::uint8_t { kModel, kExternal };

struct ServedEntity {
  std::string name;  // unique within the endpoint
  EntityKind kind = EntityKind::kModel;
  std::string entity_name;     // kModel: full name of the registered model
  std::string entity_version;  // kModel: a number, or an alias that is followed ("champion")
  std::string task;            // kExternal: llm/v1/chat or llm/v1/embeddings
  std::string provider;        // kExternal: openai or custom
  std::string model;           // kExternal: the provider's model id
  std::string base_url;        // kExternal
  std::string auth_header;     // kExternal: header that carries the key
  std::string auth_prefix;     // "Bearer "
  std::string secret_path;     // where in the configuration the key came from
};

struct Endpoint {
  std::string id, name, creator, description;
  Timestamp created, updated;
  Json config;      // {served_entities, traffic_config}, as sent, without plain secrets
  Json ai_gateway;  // as sent, or null
  Json tags;
  std::int64_t config_version = 1;
  std::string experiment_id;  // where its traces go
  std::string sealed_secret;  // of the external model's key
  std::string payload_table;  // full name; empty: requests are not kept in a table
  std::vector<ServedEntity> entities;
};

// Takes plain secrets out of `config` (they end in "_plaintext", or are custom_provider_config's) and checks every
// field. kInvalidArgument names the field; providers other than openai and custom are kUnimplemented by name.
struct ParsedConfig {
  std::vector<ServedEntity> entities;
  Json stored;
  std::string secret;  // plain; sealed at once by the caller
};
ParsedConfig parse_endpoint_config(Json config);

// "<prefix>_payload" of ai_gateway.inference_table_config when it is enabled.
std::string payload_table_of(const Json& ai_gateway);

}  // namespace lakeloop::serving
