#pragma once

// The subcommands that talk to a server. Each prints for people on standard output, or the server's JSON with `json`.

#include <cstdint>
#include <string>

#include "app/api_client.h"

namespace lakeloop::app {

void status(ApiClient& client, bool json);
void list_hub(ApiClient& client, bool json);
void import_model(ApiClient& client, const std::string& model, const std::string& file, bool json);

struct IngestArguments {
  std::string folder, table = "main.docs.pages";
};
void ingest(ApiClient& client, const IngestArguments& arguments, bool json);

struct ChunkArguments {
  std::string pages = "main.docs.pages", chunks = "main.docs.chunks", embedding;
  std::int64_t max_tokens = 0, overlap_tokens = -1;
};
void chunk(ApiClient& client, const ChunkArguments& arguments, bool json);

struct IndexArguments {
  std::string name, endpoint = "local", table, key = "id", text_column = "text", context_column, embedding;
  bool wait = false, if_absent = false;
};
void create_index(ApiClient& client, const IndexArguments& arguments, bool json);
void show_index(ApiClient& client, const std::string& name, bool json);
void query_index(ApiClient& client, const std::string& name, const std::string& text, const std::string& type,
                 std::int64_t count, bool json);

void register_prompt(ApiClient& client, const std::string& name, const std::string& file, bool json);

struct ChainArguments {
  std::string name, file, alias;
  bool if_changed = false;
};
void register_chain(ApiClient& client, const ChainArguments& arguments, bool json);

struct EndpointArguments {
  std::string name;
  std::string model;  // "main.docs.assistant@champion" or "system.ai.smollm2/1"
  std::string url, external_model, task = "llm/v1/chat", key_environment;
  std::string payload;   // "main.docs.assistant": rows go to main.docs.assistant_payload
  bool replace = false;  // an endpoint of that name is brought to this configuration
};
void create_endpoint(ApiClient& client, const EndpointArguments& arguments, bool json);
void show_endpoint(ApiClient& client, const std::string& name, const std::string& field, bool json);
void list_endpoints(ApiClient& client, bool json);

struct AskArguments {
  std::string endpoint, question, mode;
  bool stream = false;
  std::int64_t max_tokens = 0;
};
void ask(ApiClient& client, const AskArguments& arguments, bool json);
void explain(ApiClient& client, const std::string& trace_id, bool json);

struct FeedbackArguments {
  std::string trace_id, name = "correct", value, rationale, source;
  bool expectation = false;
};
void feedback(ApiClient& client, const FeedbackArguments& arguments, bool json);

void sql(ApiClient& client, const std::string& statement, bool json);
void create_token(ApiClient& client, const std::string& comment, std::int64_t lifetime_seconds, bool json);

}  // namespace lakeloop::app
