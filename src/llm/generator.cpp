#include "llm/generator.h"

#include <llama.h>

#include <algorithm>

#include "base/check.h"
#include "base/error.h"

namespace lakeloop::llm {

namespace {

constexpr std::int32_t kBatchTokens = 512;
// While answers are being written, prompts get so many tokens a step: this bounds the pause between two tokens.
constexpr std::int32_t kPromptTokensBesideAnswers = 128;

double milliseconds(Steady::time_point from, Steady::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

std::size_t common_prefix(const std::vector<Token>& a, const std::vector<Token>& b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

}  // namespace

struct Generator::Slot {
  llama_seq_id sequence = 0;
  // Tokens whose keys and values the context holds for this sequence, and the adapter under which they were computed.
  std::vector<Token> evaluated;
  std::uint64_t evaluated_under = 0;
  std::uint64_t last_used = 0;

  std::unique_ptr<Generation> work;  // null: free
  std::size_t prompt_at = 0;         // tokens of the prompt that are evaluated
  std::int64_t cached = 0;
  Token next = 0;            // to be evaluated, once the prompt is
  std::int64_t written = 0;  // tokens sampled
  std::int32_t row = -1;     // of the batch, where this slot's logits are; -1: none
  std::string whole_text;    // when not streamed
  Steady::time_point started, first_token;

  [[nodiscard]] std::uint64_t adapter() const { return work->adapter ? work->adapter->number() : 0; }
  [[nodiscard]] bool reading() const { return prompt_at < work->prompt.size(); }
};

struct Generator::Batch {
  explicit Batch(std::int32_t limit) : data(llama_batch_init(limit, 0, 1)), capacity(limit) {}
  ~Batch() { llama_batch_free(data); }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  [[nodiscard]] std::int32_t room() const { return capacity - data.n_tokens; }
  std::int32_t add(Token token, std::size_t position, llama_seq_id sequence, bool logits) {
    LAKELOOP_CHECK(room() > 0);  // libllama aborts on a batch that is too long
    const std::int32_t row = data.n_tokens++;
    data.token[row] = token;
    data.pos[row] = static_cast<llama_pos>(position);
    data.n_seq_id[row] = 1;
    data.seq_id[row][0] = sequence;
    data.logits[row] = logits ? 1 : 0;
    return row;
  }
  llama_batch data;
  std::int32_t capacity;
  std::vector<Slot*> slots;  // those with tokens in it
};

Generator::Generator(const Model& model, const GeneratorOptions& options, Outbox& outbox)
    : model_(model), outbox_(outbox) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>(options.context * options.parallel);
  params.n_batch = params.n_ubatch = kBatchTokens;
  params.n_seq_max = static_cast<std::uint32_t>(options.parallel);
  // Logits are asked for one token of a sequence: without this the compute buffer would hold a vocabulary a token.
  params.n_outputs_max = static_cast<std::uint32_t>(options.parallel);
  params.n_threads = params.n_threads_batch = options.threads;
  params.kv_unified = false;  // each sequence has its whole context, and attention does not read the others' cells
  params.no_perf = true;
  context_ = llama_init_from_model(model.get(), params);
  if (context_ == nullptr) {
    throw Error(ErrorCode::kResourceExhausted, "no context of {} times {} tokens can be made", options.parallel,
                options.context);
  }
  if (llama_get_memory(context_) == nullptr) {
    llama_free(context_);
    throw Error(ErrorCode::kInvalidArgument, "the model keeps no keys and values: it gives embeddings only");
  }
  batch_ = std::make_unique<Batch>(
      static_cast<std::int32_t>(llama_n_batch(context_)));  // less than asked in a small context
  for (std::int32_t i = 0; i < options.parallel; ++i) {
    slots_.push_back(std::make_unique<Slot>());
    slots_.back()->sequence = i;
  }
}

Generator::~Generator() {
  slots_.clear();
  llama_free(context_);
}

std::size_t Generator::running() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(slots_, [](const auto& slot) { return slot->work != nullptr; }));
}

void Generator::add(Generation generation) {
  waiting_.push_back(std::move(generation));
}

bool Generator::cancel(std::uint64_t id) {
  const Error cancelled(ErrorCode::kCancelled, "the request was cancelled");
  for (auto& slot : slots_) {
    if (slot->work && slot->work->id == id) {
      fail(*slot, cancelled);
      return true;
    }
  }
  const auto found = std::ranges::find(waiting_, id, &Generation::id);
  if (found == waiting_.end()) return false;
  waiting_.erase(found);
  outbox_.error(id, cancelled);
  return true;
}

void Generator::forget_adapter() {
  llama_set_adapters_lora(context_, nullptr, 0, nullptr);
}

Generator::Slot* Generator::best_slot(const Generation& generation) {
  const std::uint64_t adapter = generation.adapter ? generation.adapter->number() : 0;
  Slot* best = nullptr;
  std::size_t best_prefix = 0;
  for (const auto& slot : slots_) {
    if (slot->work) continue;
    const std::size_t prefix = slot->evaluated_under == adapter ? common_prefix(slot->evaluated, generation.prompt) : 0;
    // The longest common beginning; among equals the slot that was not used for the longest time.
    if (best == nullptr || prefix > best_prefix || (prefix == best_prefix && slot->last_used < best->last_used)) {
      best = slot.get();
      best_prefix = prefix;
    }
  }
  return best;
}

void Generator::admit() {
  while (!waiting_.empty()) {
    Slot* slot = best_slot(waiting_.front());
    if (slot == nullptr) return;
    Generation generation = std::move(waiting_.front());
    waiting_.pop_front();
    start(*slot, std::move(generation));
  }
}

void Generator::start(Slot& slot, Generation generation) {
  llama_memory_t memory = llama_get_memory(context_);
  const std::uint64_t adapter = generation.adapter ? generation.adapter->number() : 0;
  std::size_t keep = slot.evaluated_under == adapter ? common_prefix(slot.evaluated, generation.prompt) : 0;
  keep = std::min(keep, generation.prompt.size() - 1);  // the last token must be evaluated: its logits are needed
  // Some memories (recurrent ones) cannot drop a part of a sequence: then all of it goes.
  if (keep == 0 || !llama_memory_seq_rm(memory, slot.sequence, static_cast<llama_pos>(keep), -1)) {
    llama_memory_seq_rm(memory, slot.sequence, -1, -1);
    keep = 0;
  }
  slot.evaluated.resize(keep);
  slot.evaluated_under = adapter;
  slot.prompt_at = keep;
  slot.cached = static_cast<std::int64_t>(keep);
  slot.written = 0;
  slot.row = -1;
  slot.whole_text.clear();
  slot.started = Steady::now();
  slot.work = std::make_unique<Generation>(std::move(generation));
}

std::uint64_t Generator::choose_adapter() const {
  // Turns: the next larger number that has work, else the smallest.
  bool any = false;
  std::uint64_t smallest = 0, next = 0;
  bool has_next = false;
  for (const auto& slot : slots_) {
    if (!slot->work) continue;
    const std::uint64_t number = slot->adapter();
    if (!any || number < smallest) smallest = number;
    any = true;
    if (number > last_adapter_ && (!has_next || number < next)) {
      next = number;
      has_next = true;
    }
  }
  return has_next ? next : smallest;
}

void Generator::fill(Batch& batch, std::uint64_t adapter) {
  batch.data.n_tokens = 0;
  batch.slots.clear();
  std::vector<Slot*> readers;
  for (const auto& slot : slots_) {
    if (!slot->work || slot->adapter() != adapter) continue;
    slot->row = -1;
    if (slot->reading()) {
      readers.push_back(slot.get());
      continue;
    }
    slot->row = batch.add(slot->next, slot->evaluated.size(), slot->sequence, true);
    slot->evaluated.push_back(slot->next);
    batch.slots.push_back(slot.get());
  }
  std::int32_t room = batch.slots.empty() ? batch.room() : std::min(batch.room(), kPromptTokensBesideAnswers);
  // Those with the least left first: what they do not need of their share goes to the others.
  std::ranges::stable_sort(readers, {}, [](const Slot* slot) { return slot->work->prompt.size() - slot->prompt_at; });
  for (std::size_t i = 0; i < readers.size() && room > 0; ++i) {
    Slot& slot = *readers[i];
    const auto sharers = static_cast<std::int32_t>(readers.size() - i);
    const auto left = static_cast<std::int32_t>(slot.work->prompt.size() - slot.prompt_at);
    const std::int32_t take = std::min(left, std::max(1, room / sharers));
    for (std::int32_t n = 0; n < take; ++n) {
      const Token token = slot.work->prompt[slot.prompt_at++];
      const bool last = !slot.reading();
      const std::int32_t row = batch.add(token, slot.evaluated.size(), slot.sequence, last);
      slot.evaluated.push_back(token);
      if (last) slot.row = row;
    }
    room -= take;
    batch.slots.push_back(&slot);
  }
}

bool Generator::step() {
  admit();
  if (running() == 0) return false;
  ++clock_;
  const std::uint64_t adapter = choose_adapter();
  last_adapter_ = adapter;
  fill(*batch_, adapter);
  llama_adapter_lora* handle = adapter == 0 ? nullptr : batch_->slots.front()->work->adapter->get();
  float scale = 1.0F;
  llama_set_adapters_lora(context_, handle == nullptr ? nullptr : &handle, handle == nullptr ? 0 : 1, &scale);
  const int status = llama_decode(context_, batch_->data);
  for (Slot* slot : batch_->slots) {
    slot->last_used = clock_;
    if (status != 0) {
      llama_memory_seq_rm(llama_get_memory(context_), slot->sequence, -1, -1);
      slot->evaluated.clear();
      fail(*slot, Error(ErrorCode::kInternal, "libllama could not evaluate the batch (status {})", status));
    } else if (slot->row >= 0) {
      after_decode(*slot);
    }
  }
  return true;
}

void Generator::after_decode(Slot& slot) {
  Generation& work = *slot.work;
  try {
    slot.next = work.sampler->sample(context_, slot.row);
  } catch (const Error& error) {
    fail(slot, error);
    return;
  } catch (const std::exception& error) {  // libllama throws when a token does not fit a grammar's state
    fail(slot, Error(ErrorCode::kInternal, "sampling failed: {}", std::string_view(error.what())));
    return;
  }
  if (slot.written++ == 0) slot.first_token = Steady::now();
  if (model_.ends_generation(slot.next)) {
    finish(slot, "stop");
    return;
  }
  const std::string text = work.text.feed(model_.bytes_of(slot.next));
  if (work.stream) {
    if (!text.empty()) outbox_.event(work.id, Json::object({{"text", text}}));
  } else {
    slot.whole_text += text;
  }
  if (work.text.stopped()) {
    finish(slot, "stop");
  } else if (slot.written >= work.max_tokens) {
    finish(slot, "length");
  }
}

void Generator::finish(Slot& slot, const char* reason) {
  Generation& work = *slot.work;
  const std::string rest = work.text.finish();
  if (work.text.stopped()) reason = "stop";  // the bytes held back to the end completed a stop string
  const auto now = Steady::now();
  Json result = Json::object({
      {"finish_reason", reason},
      {"usage", Json::object({{"prompt_tokens", work.prompt.size()},
                              {"completion_tokens", slot.written},
                              {"cached_tokens", slot.cached}})},
      {"seed", work.seed},
      {"timings", Json::object({{"queue_ms", milliseconds(work.arrived, slot.started)},
                                {"first_token_ms", milliseconds(work.arrived, slot.first_token)},
                                {"total_ms", milliseconds(work.arrived, now)}})},
  });
  if (work.stream) {
    if (!rest.empty()) outbox_.event(work.id, Json::object({{"text", rest}}));
  } else {
    result.set("text", slot.whole_text + rest);
  }
  outbox_.done(work.id, result);
  slot.work.reset();
}

void Generator::fail(Slot& slot, const Error& error) {
  outbox_.error(slot.work->id, error);
  slot.work.reset();
}

}  // namespace lakeloop::llm
