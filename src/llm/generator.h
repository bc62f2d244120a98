#pragma once

// Continuous batching. Each running answer has a slot = one sequence of the context. A step builds one batch: a token
// of every answer that is being written, then equal shares of the prompts that are being read, never more than the
// batch holds; it is evaluated, and each answer with logits gets its next token. A context has one adapter at a time,
// so a step serves the answers of one adapter; adapters take turns. A free slot keeps its keys and values: the next
// prompt that begins alike, under the same adapter, starts behind the common part. One thread.

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "llm/adapters.h"
#include "llm/outbox.h"
#include "llm/sampler.h"
#include "llm/text_filter.h"

struct llama_context;

namespace lakeloop::llm {

// An answer to be written. `prompt` is shorter than the context.
struct Generation {
  std::uint64_t id = 0;
  std::vector<Token> prompt;
  std::int64_t max_tokens = 0;
  std::unique_ptr<Sampler> sampler;
  TextFilter text{{}};
  std::shared_ptr<const Adapter> adapter;
  bool stream = true;
  std::uint32_t seed = 0;
  Steady::time_point arrived = Steady::now();
};

struct GeneratorOptions {
  std::int32_t context = 2048;  // tokens of one sequence
  std::int32_t parallel = 4;
  std::int32_t threads = 1;
};

class Generator {
 public:
  Generator(const Model& model, const GeneratorOptions& options, Outbox& outbox);
  ~Generator();
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  void add(Generation generation);
  // True when the answer was waiting or running; it then ends with kCancelled.
  bool cancel(std::uint64_t id);
  // Before an adapter is freed: the context must not point to it.
  void forget_adapter();
  // One batch. False when there is nothing to do.
  bool step();
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  [[nodiscard]] std::size_t running() const;

 private:
  struct Slot;
  struct Batch;

  void admit();
  [[nodiscard]] Slot* best_slot(const Generation& generation);
  void start(Slot& slot, Generation generation);
  [[nodiscard]] std::uint64_t choose_adapter() const;
  void fill(Batch& batch, std::uint64_t adapter);
  void after_decode(Slot& slot);
  void finish(Slot& slot, const char* reason);
  void fail(Slot& slot, const Error& error);

  const Model& model_;
  Outbox& outbox_;
  llama_context* context_ = nullptr;
  std::unique_ptr<Batch> batch_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::deque<Generation> waiting_;
  std::uint64_t last_adapter_ = 0;  // number of the adapter that the last step served; 0: none
  std::uint64_t clock_ = 0;         // counts steps
};

}  // namespace lakeloop::llm
