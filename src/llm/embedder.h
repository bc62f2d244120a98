#pragma once

// Pooled embeddings, unit length. A batch holds one input of each request in turn, so that a short query does not wait
// behind a long list. Inputs longer than the limit are cut; the tokens that must end a text ([SEP]) stay. One thread.

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "llm/model.h"
#include "llm/outbox.h"

struct llama_context;

namespace lakeloop::llm {

struct EmbeddingJob {
  struct Input {
    std::vector<Token> tokens;
    bool truncated = false;
  };
  std::uint64_t id = 0;
  std::vector<Input> inputs;
};

struct EmbedderOptions {
  std::int32_t input_tokens = 256;
  std::int32_t threads = 1;
};

class Embedder {
 public:
  // kInvalidArgument for a model that gives no embeddings.
  Embedder(const Model& model, const EmbedderOptions& options, Outbox& outbox);
  ~Embedder();
  Embedder(const Embedder&) = delete;
  Embedder& operator=(const Embedder&) = delete;

  // May be called on another thread.
  [[nodiscard]] EmbeddingJob::Input tokenize(std::string_view text) const;

  void add(EmbeddingJob job);
  bool cancel(std::uint64_t id);
  bool step();
  [[nodiscard]] std::size_t waiting() const { return running_.size(); }
  [[nodiscard]] std::int64_t input_tokens() const { return input_tokens_; }
  [[nodiscard]] std::int64_t dimension() const;
  [[nodiscard]] std::string pooling() const;

 private:
  struct Running;
  struct Batch;
  void collect(std::int32_t sequence, Running& job, std::size_t input);
  void finish_done();

  const Model& model_;
  Outbox& outbox_;
  std::int32_t input_tokens_;
  std::size_t closing_tokens_ = 0;  // at the end of every text: [SEP]
  llama_context* context_ = nullptr;
  std::unique_ptr<Batch> batch_;
  std::deque<std::unique_ptr<Running>> running_;
};

}  // namespace lakeloop::llm
