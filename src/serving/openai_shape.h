#pragma once

// Answers in the shapes of OpenAI's chat completions and embeddings APIs.

#include <string>
#include <vector>

#include "chain/runner.h"
#include "codec/json.h"
#include "gateway/engine.h"

namespace lakeloop::serving {

struct CompletionHead {
  std::string id;  // "chatcmpl-..."
  std::int64_t created = 0;
  std::string model;  // the endpoint's name, as the caller knows it
};

Json completion(const CompletionHead& head, const gateway::ChatResult& result);
Json completion(const CompletionHead& head, const chain::Answer& answer);
// A chunk of a stream: `delta` and, on the last one, finish_reason.
Json chunk(const CompletionHead& head, Json delta, Json finish_reason);
Json usage_chunk(const CompletionHead& head, const Json& usage);

// Inputs of an embeddings request: a string or a list of strings. kInvalidArgument names the field.
std::vector<std::string> embedding_inputs(const Json& body);
// `encoding_format` float or base64 (little-endian float32).
Json embedding_list(const gateway::EmbeddingResult& result, const std::string& model, bool base64);

}  // namespace lakeloop::serving
