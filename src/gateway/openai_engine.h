#pragma once

// The engine behind any OpenAI-compatible URL: OpenAI itself, llama-server, vLLM, SGLang, TGI, another Lakeloop.
// Streams with include_usage where the server knows it; retries before the first byte on 408, 429, 5xx and broken
// connections (twice, honouring Retry-After up to the deadline); a stream that ends without finish_reason is kUpstream.

#include <memory>
#include <string>
#include <vector>

#include "gateway/engine.h"
#include "net/client.h"

namespace lakeloop::gateway {

struct OpenAiEngineOptions {
  std::string base_url;  // ".../v1"; "/chat/completions" and "/embeddings" are appended
  std::string model;     // the upstream's model id
  // One header that authenticates ("Authorization: Bearer ..."); unsealed by the caller, never logged.
  std::string auth_header, auth_value;
  net::OutboundPolicy policy = net::OutboundPolicy::kPublicOnly;
  int retries = 2;
};

std::shared_ptr<InferenceEngine> make_openai_engine(std::shared_ptr<net::Client> client, OpenAiEngineOptions options);

}  // namespace lakeloop::gateway
