#include "llm/embedder.h"

#include <llama.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/error.h"

namespace lakeloop::llm {

namespace {

constexpr std::int32_t kBatchTokens = 512;
constexpr std::int32_t kSequences = 64;
// A text is cut to so many bytes a token before it is tokenized: what lies behind is far past the limit.
constexpr std::size_t kBytesPerToken = 256;

std::size_t cut_at_code_point(std::string_view text, std::size_t bytes) {
  if (bytes >= text.size()) return text.size();
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U) --bytes;
  return bytes;
}

llama_context* make_context(const Model& model, const EmbedderOptions& options, enum llama_pooling_type pooling) {
  llama_context_params params = llama_context_default_params();
  // A sequence must fit into one physical batch: attention looks both ways.
  const auto tokens = static_cast<std::uint32_t>(std::max(kBatchTokens, options.input_tokens));
  params.n_ctx = params.n_batch = params.n_ubatch = tokens;
  params.n_seq_max = kSequences;
  params.kv_unified = true;
  params.embeddings = true;
  params.pooling_type = pooling;
  params.n_threads = params.n_threads_batch = options.threads;
  params.no_perf = true;
  return llama_init_from_model(model.get(), params);
}

}  // namespace

struct Embedder::Running {
  EmbeddingJob job;
  std::size_t next = 0;        // input to evaluate
  std::size_t finished = 0;    // inputs whose vectors are there
  std::vector<float> vectors;  // of this step, in order
  bool failed = false;
};

struct Embedder::Batch {
  explicit Batch(std::int32_t limit) : data(llama_batch_init(limit, 0, 1)), capacity(limit) {}
  ~Batch() { llama_batch_free(data); }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  struct Entry {
    Running* job;
    std::size_t input;
  };
  llama_batch data;
  std::int32_t capacity;
  std::vector<Entry> entries;  // by sequence
};

Embedder::Embedder(const Model& model, const EmbedderOptions& options, Outbox& outbox)
    : model_(model),
      outbox_(outbox),
      input_tokens_(static_cast<std::int32_t>(std::min<std::int64_t>(options.input_tokens, model.trained_context()))) {
  context_ = make_context(model, options, LLAMA_POOLING_TYPE_UNSPECIFIED);
  if (context_ != nullptr && ::llama_pooling_type(context_) == LLAMA_POOLING_TYPE_NONE) {
    llama_free(context_);  // the file names no pooling: the mean, as sentence encoders have it
    context_ = make_context(model, options, LLAMA_POOLING_TYPE_MEAN);
  }
  if (context_ == nullptr) throw Error(ErrorCode::kResourceExhausted, "no context for embeddings can be made");
  if (::llama_pooling_type(context_) == LLAMA_POOLING_TYPE_RANK) {
    llama_free(context_);
    throw Error(ErrorCode::kInvalidArgument, "the model ranks pairs of texts: it gives no embeddings");
  }
  const std::vector<Token> frame = model.tokenize("", true, false);
  const llama_vocab* vocabulary = model.vocabulary();
  if (!frame.empty() && (frame.back() == llama_vocab_sep(vocabulary) || frame.back() == llama_vocab_eos(vocabulary)) &&
      (frame.size() > 1 || frame.back() != llama_vocab_bos(vocabulary))) {
    closing_tokens_ = 1;
  }
  batch_ = std::make_unique<Batch>(static_cast<std::int32_t>(llama_n_ubatch(context_)));
  LAKELOOP_CHECK(batch_->capacity >= input_tokens_);
}

Embedder::~Embedder() {
  llama_free(context_);
}

std::int64_t Embedder::dimension() const {
  return llama_model_n_embd_out(model_.get());
}

std::string Embedder::pooling() const {
  switch (::llama_pooling_type(context_)) {
    case LLAMA_POOLING_TYPE_CLS:
      return "cls";
    case LLAMA_POOLING_TYPE_LAST:
      return "last";
    default:
      return "mean";
  }
}

EmbeddingJob::Input Embedder::tokenize(std::string_view text) const {
  const auto limit = static_cast<std::size_t>(input_tokens_);
  const std::size_t bytes = cut_at_code_point(text, limit * kBytesPerToken);
  EmbeddingJob::Input input{model_.tokenize(text.substr(0, bytes), true, false), bytes < text.size()};
  if (input.tokens.size() > limit) {
    const auto closing = static_cast<std::ptrdiff_t>(closing_tokens_);
    input.tokens.erase(input.tokens.begin() + static_cast<std::ptrdiff_t>(limit) - closing,
                       input.tokens.end() - closing);
    input.truncated = true;
  }
  if (input.tokens.empty()) {  // an empty text in a vocabulary without framing tokens
    const Token end = llama_vocab_eos(model_.vocabulary());
    input.tokens.push_back(end == LLAMA_TOKEN_NULL ? 0 : end);
  }
  return input;
}

void Embedder::add(EmbeddingJob job) {
  running_.push_back(std::make_unique<Running>());
  running_.back()->job = std::move(job);
}

bool Embedder::cancel(std::uint64_t id) {
  const auto found = std::ranges::find_if(running_, [&](const auto& running) { return running->job.id == id; });
  if (found == running_.end()) return false;
  outbox_.error(id, Error(ErrorCode::kCancelled, "the request was cancelled"));
  running_.erase(found);
  return true;
}

void Embedder::collect(std::int32_t sequence, Running& running, std::size_t input) {
  LAKELOOP_CHECK(input == running.finished);
  const float* vector = llama_get_embeddings_seq(context_, sequence);
  const auto size = static_cast<std::size_t>(dimension());
  double square = 0;
  for (std::size_t i = 0; vector != nullptr && i < size; ++i) square += static_cast<double>(vector[i]) * vector[i];
  if (vector == nullptr || !std::isfinite(square)) {
    running.failed = true;
    return;
  }
  const double scale = square > 0 ? 1.0 / std::sqrt(square) : 0.0;
  for (std::size_t i = 0; i < size; ++i) running.vectors.push_back(static_cast<float>(vector[i] * scale));
  ++running.finished;
}

bool Embedder::step() {
  if (running_.empty()) return false;
  Batch& batch = *batch_;
  batch.data.n_tokens = 0;
  batch.entries.clear();
  for (bool added = true; added && batch.entries.size() < kSequences;) {
    added = false;
    for (const auto& running : running_) {
      if (running->next == running->job.inputs.size() || batch.entries.size() == kSequences) continue;
      const auto& tokens = running->job.inputs[running->next].tokens;
      if (batch.data.n_tokens + static_cast<std::int32_t>(tokens.size()) > batch.capacity) continue;
      const auto sequence = static_cast<llama_seq_id>(batch.entries.size());
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        const std::int32_t row = batch.data.n_tokens++;
        batch.data.token[row] = tokens[i];
        batch.data.pos[row] = static_cast<llama_pos>(i);
        batch.data.n_seq_id[row] = 1;
        batch.data.seq_id[row][0] = sequence;
        batch.data.logits[row] = 1;  // pooling reads every token
      }
      batch.entries.push_back({running.get(), running->next++});
      added = true;
    }
  }
  if (!batch.entries.empty()) {
    llama_memory_t memory = llama_get_memory(context_);
    if (memory != nullptr) llama_memory_clear(memory, false);
    const int status = memory != nullptr ? llama_decode(context_, batch.data) : llama_encode(context_, batch.data);
    for (std::size_t i = 0; i < batch.entries.size(); ++i) {
      Running& running = *batch.entries[i].job;
      if (status != 0) running.failed = true;
      if (!running.failed) collect(static_cast<std::int32_t>(i), running, batch.entries[i].input);
    }
  }
  finish_done();
  return true;
}

void Embedder::finish_done() {
  std::erase_if(running_, [&](const std::unique_ptr<Running>& running) {
    if (running->failed) {
      outbox_.error(running->job.id, Error(ErrorCode::kInternal, "the model could not compute the embeddings"));
      return true;
    }
    if (!running->vectors.empty()) outbox_.vectors(running->job.id, running->vectors);
    running->vectors.clear();
    if (running->finished < running->job.inputs.size()) return false;
    std::int64_t tokens = 0;
    Json truncated = Json::array();
    for (const EmbeddingJob::Input& input : running->job.inputs) {
      tokens += static_cast<std::int64_t>(input.tokens.size());
      truncated.push_back(input.truncated);
    }
    outbox_.done(
        running->job.id,
        Json::object({{"prompt_tokens", tokens}, {"truncated", std::move(truncated)}, {"dimension", dimension()}}));
    return true;
  });
  // The request that was first is last in the next step.
  if (running_.size() > 1) std::rotate(running_.begin(), running_.begin() + 1, running_.end());
}

}  // namespace lakeloop::llm
