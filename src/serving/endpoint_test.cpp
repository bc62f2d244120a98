#include "serving/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "serving/openai_shape.h"

namespace lakeloop::serving {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(EndpointConfig, SecretsAreTakenOut) {
  const ParsedConfig parsed = parse_endpoint_config(Json::parse(
      R"({"served_entities":[{"external_model":{"name":"gpt-x","provider":"openai","task":"llm/v1/chat",)"
      R"("openai_config":{"openai_api_key_plaintext":"sk-secret","openai_api_base":"https://api.example.com/v1/"}}}]})"));
  EXPECT_EQ(parsed.secret, "sk-secret");
  EXPECT_THAT(parsed.stored.dump(), Not(HasSubstr("sk-secret")));
  EXPECT_EQ(parsed.entities[0].base_url, "https://api.example.com/v1");
  EXPECT_EQ(parsed.entities[0].name, "gpt-x");
  const ParsedConfig custom = parse_endpoint_config(Json::parse(
      R"({"served_entities":[{"external_model":{"name":"m","provider":"custom","task":"llm/v1/chat","custom_provider_config":)"
      R"({"custom_provider_url":"https://x.example.com/v1","api_key_auth":{"key":"X-Api-Key","value_plaintext":"k1"}}}}]})"));
  EXPECT_EQ(custom.entities[0].auth_header, "x-api-key");
  EXPECT_EQ(custom.secret, "k1");
  // What was stored parses again: that is how it is read back.
  EXPECT_NO_THROW(parse_endpoint_config(custom.stored));
}

TEST(EndpointConfig, NamesTheWrongField) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "config.served_entities"},
      {R"({"served_entities":[]})", "config.served_entities"},
      {R"({"served_entities":[{}]})", "served_entities[0].entity_name is required"},
      {R"({"served_entities":[{"entity_name":"a.b.c"}]})", "entity_version is required"},
      {R"({"served_entities":[{"entity_name":"nodots","entity_version":"1"}]})", "nodots"},
      {R"({"served_entities":[{"external_model":{"name":"m","provider":"palm","task":"llm/v1/chat"}}]})", "palm"},
      {R"({"served_entities":[{"external_model":{"name":"m","provider":"custom","task":"draw","custom_provider_config":{}}}]})",
       "task"},
      {R"({"served_entities":[{"external_model":{"name":"m","provider":"custom","task":"llm/v1/chat",)"
       R"("custom_provider_config":{"custom_provider_url":"file:///etc/passwd"}}}]})",
       "http"},
      {R"({"served_entities":[{"external_model":{"name":"m","provider":"openai","task":"llm/v1/chat",)"
       R"("openai_config":{"openai_api_key":"{{secrets/a/b}}"}}}]})",
       "secret scopes"},
  };
  for (const auto& [json, text] : cases) {
    try {
      parse_endpoint_config(Json::parse(json));
      ADD_FAILURE() << json;
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), HasSubstr(text)) << json;
    }
  }
}

TEST(EndpointConfig, PayloadTable) {
  EXPECT_EQ(payload_table_of(
                Json::parse(R"({"inference_table_config":{"enabled":true,"catalog_name":"main","schema_name":"docs",)"
                            R"("table_name_prefix":"assistant"}})")),
            "main.docs.assistant_payload");
  EXPECT_EQ(payload_table_of(Json()), "");
  EXPECT_EQ(payload_table_of(Json::parse(R"({"inference_table_config":{"enabled":false}})")), "");
  EXPECT_THROW(payload_table_of(Json::parse(R"({"inference_table_config":{"enabled":true}})")), Error);
}

TEST(OpenAiShape, EmbeddingsAsFloatsAndBase64) {
  gateway::EmbeddingResult result;
  result.vectors = {{1.0f, -2.0f}};
  EXPECT_EQ(embedding_list(result, "m", true)["data"].at(0).str("embedding"), "AACAPwAAAMA=");
  EXPECT_EQ(embedding_list(result, "m", false)["data"].at(0)["embedding"].at(1).as_double(), -2.0);
  EXPECT_EQ(embedding_inputs(Json::parse(R"({"input":"a"})")), std::vector<std::string>{"a"});
  for (const char* bad : {R"({})", R"({"input":[]})", R"({"input":[1,2]})", R"({"input":{"a":1}})"}) {
    EXPECT_THROW(embedding_inputs(Json::parse(bad)), Error) << bad;
  }
}

}  // namespace
}  // namespace lakeloop::serving
