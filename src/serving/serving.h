#pragma once

// Model serving: endpoints that answer with a registered model (a RAG chain or a GGUF file) or through a provider's
// API. An alias in a configuration is followed at each request, so that moving it moves the traffic, one version per
// answer. Every request leaves a trace and, where the endpoint says so, a row in its payload table, durable before the
// answer ends. Thread-safe.

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/catalog.h"
#include "codec/seal.h"
#include "gateway/engine.h"
#include "identity/identity.h"
#include "net/client.h"
#include "search/vector_search.h"
#include "serving/endpoint.h"
#include "serving/invocation_log.h"
#include "tracking/tracking.h"

namespace lakeloop::serving {

using identity::Principal;

struct ServingOptions {
  std::filesystem::path worker;  // the program lakeloop-llm
  std::filesystem::path log_folder;
  int model_threads = 1;
  bool allow_private_upstreams = false;  // external models on private or loopback addresses
};

// One request of a caller.
struct Invocation {
  Principal who;
  std::string endpoint;
  Json body;  // OpenAI's shape
  std::string request_id;
};

std::vector<db::Migration> migrations();

class Serving : public gateway::EngineDirectory {
 public:
  Serving(db::Database& database, identity::Identity& identity, catalog::Catalog& catalog, tracking::Tracking& tracking,
          codec::Sealer sealer, std::shared_ptr<net::Client> client, ServingOptions options);
  ~Serving() override;

  // The parts that need this one as their engine directory, or that it needs once it serves.
  void connect(search::VectorSearch& search, InvocationLog& log);

  // --- configuration (Databricks' API: `body` is a create request)
  Endpoint create(const Principal& who, const Json& body);
  Endpoint update_config(const Principal& who, std::string_view name, const Json& config);
  Endpoint update_ai_gateway(const Principal& who, std::string_view name, const Json& ai_gateway);
  Endpoint get(const Principal& who, std::string_view name);
  std::vector<Endpoint> list(const Principal& who);
  void remove(const Principal& who, std::string_view name);
  // ServingEndpointDetailed.
  Json describe(const Endpoint& endpoint);

  // --- inference
  std::shared_ptr<gateway::InferenceEngine> engine(const Principal& who, std::string_view endpoint) override;

  // A chat completion in OpenAI's shape. With `on_chunk`, chunks in OpenAI's stream shape are handed over as they come
  // (false cancels) and the result is the whole completion all the same.
  Json chat(const Invocation& invocation, const Deadline& deadline,
            const std::function<bool(const Json&)>& on_chunk = {});
  Json embeddings(const Invocation& invocation, const Deadline& deadline);
  // The formats of pyfunc models on a chain: dataframe_split, dataframe_records, instances, inputs.
  Json predictions(const Invocation& invocation, const Deadline& deadline);

  // Ends workers; requests then fail.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::serving
