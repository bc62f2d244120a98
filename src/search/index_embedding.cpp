// The embedding side of an index: vectors for its rows, and for queries.

#include <map>

#include "base/format.h"
#include "base/limits.h"
#include "search/distance.h"
#include "search/index_sync.h"

namespace lakeloop::search {

namespace {

constexpr std::size_t kRoundTexts = 512;
// Vectors are published at least this often while many are being made.
constexpr auto kRoundTime = std::chrono::seconds(2);

bool is_fault_of_text(ErrorCode code) {
  return code == ErrorCode::kInvalidArgument || code == ErrorCode::kMalformedRequest || code == ErrorCode::kTooLarge;
}

EmbeddingModel model_of(gateway::InferenceEngine& engine) {
  const gateway::EngineInfo info = engine.info();
  if (!info.state.empty() && info.state != "ready")
    throw Error(ErrorCode::kUnavailable, "the embedding model is not ready: {}", info.state);
  return {info.model, info.sha256, info.dimension};
}

// Embeds texts together; when the model refuses the batch for its content, one by one, so that one bad text costs only
// itself.
void embed(gateway::InferenceEngine& engine, std::vector<VectorResult*>& batch, const std::stop_token& stop) {
  std::vector<std::string> texts;
  for (const VectorResult* result : batch) texts.push_back(result->of.text);
  try {
    gateway::EmbeddingResult answer = engine.embed(texts, Deadline::after(limits::kEmbeddingTimeout, stop));
    if (answer.vectors.size() != texts.size()) {
      throw Error(ErrorCode::kUpstream, "the embedding model answered {} texts with {} vectors", texts.size(),
                  answer.vectors.size());
    }
    for (std::size_t i = 0; i < batch.size(); ++i) batch[i]->vector = std::move(answer.vectors[i]);
  } catch (const Error& error) {
    if (!is_fault_of_text(error.code())) throw;
    if (batch.size() == 1) {
      batch[0]->refusal = "the embedding model refused its text: " + error.message();
      return;
    }
    for (VectorResult* result : batch) {
      std::vector<VectorResult*> one{result};
      embed(engine, one, stop);
    }
  }
}

}  // namespace

bool IndexSync::fill_vectors(const std::stop_token& stop) {
  // Merges do not wait for a model that is slow or away.
  bool worked = index_.merge_segments() || index_.join_vectors();
  try {
    if (has_model()) worked = embed_pending(stop) || worked;
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex_);
    state_.vector_error = error.what();
    throw;
  }
  const std::lock_guard lock(mutex_);
  state_.vector_error.clear();
  return worked;
}

bool IndexSync::embed_pending(const std::stop_token& stop) {
  const auto engine = engines_.engine(record_.creator, record_.spec.embedding_endpoint);
  const EmbeddingModel model = model_of(*engine);
  std::vector<PendingText> pending = index_.pending(model, kRoundTexts);
  const std::shared_ptr<const View> view = index_.view();
  if (pending.empty()) {
    const bool takes_over = view->manifest.model && (view->manifest.model->id() != model.id() || view->manifest.next);
    if (takes_over) index_.attach(model, {});
    return takes_over;
  }

  const auto until = Steady::now() + kRoundTime;
  std::vector<VectorResult> results;
  std::map<ContentHash, std::vector<float>> made;  // in this round
  std::size_t at = 0;
  while (at < pending.size() && Steady::now() < until && !stop.stop_requested()) {
    std::vector<VectorResult> round;
    std::map<ContentHash, VectorResult> asked;
    std::vector<PendingText> waiting;
    for (; at < pending.size() && asked.size() < limits::kEmbeddingBatch; ++at) {
      PendingText& text = pending[at];
      if (const float* known = view->vector_of_content(text.hash, model.id())) {
        // Known vectors have the length that was found for this model.
        const EmbeddingModel& owner = view->manifest.model && view->manifest.model->id() == model.id()
                                          ? *view->manifest.model
                                          : *view->manifest.next;
        round.push_back({std::move(text), {known, known + owner.dimension}, {}});
      } else {
        if (!made.contains(text.hash)) asked.try_emplace(text.hash, VectorResult{text, {}, {}});
        waiting.push_back(std::move(text));
      }
    }
    std::vector<VectorResult*> batch;
    for (auto& [hash, result] : asked) batch.push_back(&result);
    if (!batch.empty()) embed(*engine, batch, stop);
    for (const auto& [hash, result] : asked) {
      if (result.refusal.empty()) made[hash] = result.vector;
    }
    for (PendingText& text : waiting) {
      const auto found = made.find(text.hash);
      std::string refusal = found == made.end() ? asked.at(text.hash).refusal : std::string();
      std::vector<float> vector = found == made.end() ? std::vector<float>() : found->second;
      round.push_back({std::move(text), std::move(vector), std::move(refusal)});
    }
    for (VectorResult& result : round) results.push_back(std::move(result));
  }
  index_.attach(model, std::move(results));
  return true;
}

std::vector<float> IndexSync::embed_query(const View& view, const std::string& text, const Deadline& deadline) {
  const auto engine = engines_.engine(record_.creator, record_.spec.embedding_endpoint);
  const EmbeddingModel model = model_of(*engine);
  if (view.manifest.model && view.manifest.model->id() != model.id()) {
    throw Error(ErrorCode::kUnavailable,
                "the index holds vectors of {}, its endpoint now serves {}: it is being embedded again",
                view.manifest.model->model, model.model);
  }
  gateway::EmbeddingResult answer = engine->embed({text}, deadline);
  if (answer.vectors.size() != 1) throw Error(ErrorCode::kUpstream, "the embedding model gave no vector for the query");
  std::vector<float> vector = std::move(answer.vectors[0]);
  if (!normalize(vector))
    throw Error(ErrorCode::kUpstream, "the embedding model gave a vector without direction for the query");
  if (view.manifest.model && static_cast<std::int64_t>(vector.size()) != view.manifest.model->dimension) {
    throw Error(ErrorCode::kUpstream, "the embedding model gave {} numbers, the index holds vectors of {}",
                vector.size(), view.manifest.model->dimension);
  }
  return vector;
}

}  // namespace lakeloop::search
