#pragma once

// The engine behind a GGUF file: one supervised worker process `lakeloop-llm` per model. The file is checked first in a
// throw-away worker, so that one that aborts libllama is refused with a message and harms nobody. A dead worker is
// restarted with backoff; requests in flight get kUnavailable at once, with Retry-After. Memory is admitted before
// load.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "gateway/engine.h"

namespace lakeloop::serving {

struct LlmEngineOptions {
  std::filesystem::path worker;      // the program lakeloop-llm
  std::filesystem::path model_file;  // GGUF
  std::string model_name;
  std::string sha256;
  bool embeddings = false;  // an embedding model: pooled vectors, no chat
  std::int64_t context_tokens = 2048;
  std::int64_t embedding_tokens = 256;  // longer inputs are cut and say so
  int threads = 1;
  int parallel = 4;                                       // sequences decoded together
  std::map<std::string, std::filesystem::path> adapters;  // name -> LoRA GGUF
  std::filesystem::path log_file;
  std::uint64_t memory_limit_bytes = 0;  // 0: file size * 2 + context
  std::size_t queue_limit = 64;          // requests waiting; more are kResourceExhausted
};

// Starts the worker; returns while the model loads (info().state tells). Calls wait for readiness up to their deadline.
// kInvalidArgument for numbers out of range (context 16 to 2^20, embedding 8 to 8192 tokens, parallel 1 to 64).
std::shared_ptr<gateway::InferenceEngine> make_llm_engine(LlmEngineOptions options);

struct ModelCheck {
  bool ok = false;
  std::string message;  // why not
  Json about;  // architecture, parameters, context length, embedding dimension, vocabulary, chat template present
};
// Loads the file in a throw-away worker with limits.
ModelCheck check_model(const std::filesystem::path& worker, const std::filesystem::path& model_file);

}  // namespace lakeloop::serving
