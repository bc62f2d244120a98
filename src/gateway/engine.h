#pragma once

// A language model that answers, wherever it runs: in a worker of ours or behind an OpenAI-compatible URL. Chat
// requests and answers keep OpenAI's shape as JSON; what a local engine cannot do is refused with the field's name,
// never ignored silently. Thread-safe; calls wait on the caller's thread and end when the deadline is over or
// cancelled.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "codec/json.h"
#include "identity/identity.h"

namespace lakeloop::gateway {

struct Usage {
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::int64_t cached_tokens = 0;  // of the prompt
  bool estimated = false;          // the upstream did not say
  Json raw;                        // the upstream's usage object, as it came
  [[nodiscard]] Json to_openai() const;
};

struct ChatRequest {
  Json body;                           // OpenAI chat completion request; `model` and `stream` are not looked at
  std::optional<std::string> grammar;  // GBNF that the answer must match (local engines only)
  std::string adapter;                 // name of a LoRA adapter that the engine holds; empty: none
};

// One piece of an answer as it comes.
struct ChatChunk {
  std::string content;
  Json tool_calls;            // OpenAI's delta.tool_calls, or null
  std::string finish_reason;  // set on the last piece with content
};

struct ChatResult {
  std::string content;
  Json tool_calls;            // complete calls, or null
  std::string finish_reason;  // "stop", "length", "tool_calls", "content_filter"
  Usage usage;
  double time_to_first_token_ms = 0;  // from the call to the first piece
  std::string model;                  // what the engine calls itself
};

struct EmbeddingResult {
  std::vector<std::vector<float>> vectors;  // in the order of the inputs; unit length for local engines
  Usage usage;
  std::vector<bool> truncated;  // input was longer than the model takes and was cut
  std::string model;
};

struct EngineInfo {
  std::string model;   // name
  std::string sha256;  // of the model file; empty for remote ones
  bool chat = false, embeddings = false, grammar = false;
  std::int64_t context_tokens = 0;
  std::int64_t dimension = 0;  // of an embedding
  std::string state;           // "ready", "loading", "failed: ..."
};

class InferenceEngine {
 public:
  virtual ~InferenceEngine() = default;
  [[nodiscard]] virtual EngineInfo info() = 0;

  // `on_chunk` (may be null) gets each piece; returning false cancels the rest (finish_reason stays empty).
  // A failure before the first piece is safe to retry elsewhere; after it, it is kUpstream.
  virtual ChatResult chat(const ChatRequest& request, const Deadline& deadline,
                          const std::function<bool(const ChatChunk&)>& on_chunk) = 0;
  virtual EmbeddingResult embed(const std::vector<std::string>& inputs, const Deadline& deadline) = 0;
  // Tokens of each text in the model's own tokenizer; nullopt where the engine cannot tell (remote ones).
  virtual std::optional<std::vector<std::int64_t>> count_tokens(const std::vector<std::string>& texts,
                                                                const Deadline& deadline) = 0;
};

// Finds the engine behind an endpoint's name, for those who may call it. Implemented by `serving`, which knows
// endpoints; used by `search` and `chain`, which must not know it.
class EngineDirectory {
 public:
  virtual ~EngineDirectory() = default;
  // kNotFound for an unknown endpoint, kPermissionDenied without EXECUTE, kUnavailable while it is not ready.
  virtual std::shared_ptr<InferenceEngine> engine(const identity::Principal& who, std::string_view endpoint) = 0;
};

}  // namespace lakeloop::gateway
