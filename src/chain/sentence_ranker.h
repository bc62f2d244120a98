#pragma once

// Ranks the sentences of retrieved chunks by nearness to a question: cosine of sentence embeddings, or, where there is
// no embedding model, the share of the question's words that a sentence holds. Vectors of sentences seen before are
// kept (bounded). Thread-safe.

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "chain/passage.h"
#include "gateway/engine.h"

namespace lakeloop::chain {

struct RankedSentence {
  std::string text;
  std::size_t passage = 0;          // index into the passages
  std::int64_t start = 0, end = 0;  // code points of the page
  double score = 0;
};

// Share (0..1) of `wanted` found in `text`: equal words, or a common beginning of five letters and more.
double word_share(const std::vector<std::string>& wanted, std::string_view text);

class SentenceRanker {
 public:
  // Best first. `engine` may be null: by words. At most `kCandidates` sentences are embedded a question.
  std::vector<RankedSentence> rank(std::string_view question, const std::vector<Passage>& passages,
                                   gateway::InferenceEngine* engine, const Deadline& deadline);
  static constexpr std::size_t kCandidates = 24;

 private:
  using Vector = std::shared_ptr<const std::vector<float>>;
  std::vector<Vector> embed(const std::vector<std::string>& texts, gateway::InferenceEngine& engine,
                            const Deadline& deadline);

  static constexpr std::size_t kCachedVectors = 20'000;
  std::mutex mutex_;
  std::list<std::string> order_;  // newest first
  struct Entry {
    Vector vector;
    std::list<std::string>::iterator place;
  };
  std::unordered_map<std::string, Entry> cache_;
};

}  // namespace lakeloop::chain
