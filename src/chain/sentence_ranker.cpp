#include "chain/sentence_ranker.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "codec/sentences.h"

namespace lakeloop::chain {
namespace {

bool same_word(std::string_view a, std::string_view b) {
  if (a == b) return true;
  constexpr std::size_t kStem = 5;  // "configure", "configured", "configuration"
  const std::size_t shorter = std::min(a.size(), b.size());
  const std::size_t common = static_cast<std::size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(shorter), b.begin()).first - a.begin());
  if (common >= kStem && common + 5 >= std::max(a.size(), b.size())) return true;
  // Plurals of short words: "key" and "keys".
  return shorter >= 3 && common == shorter && std::max(a.size(), b.size()) == shorter + 1 &&
         (a.size() > b.size() ? a : b).back() == 's';
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return 0;
  const double dot = std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  const double norm = std::sqrt(std::inner_product(a.begin(), a.end(), a.begin(), 0.0) *
                                std::inner_product(b.begin(), b.end(), b.begin(), 0.0));
  return norm > 0 && std::isfinite(dot) ? dot / norm : 0;
}

std::vector<RankedSentence> sentences_of(const std::vector<Passage>& passages) {
  std::vector<RankedSentence> all;
  for (std::size_t i = 0; i < passages.size(); ++i) {
    for (codec::Sentence& sentence : codec::split_sentences(passages[i].text)) {
      // Chunks overlap: the same place of a page is one sentence.
      const std::int64_t start = passages[i].start + sentence.start;
      const bool seen = std::ranges::any_of(all, [&](const RankedSentence& other) {
        return passages[other.passage].source_path == passages[i].source_path && other.start == start;
      });
      if (!seen) all.push_back({std::move(sentence.text), i, start, passages[i].start + sentence.end, 0});
    }
  }
  return all;
}

void sort_best_first(std::vector<RankedSentence>& sentences) {
  std::ranges::stable_sort(sentences,
                           [](const RankedSentence& a, const RankedSentence& b) { return a.score > b.score; });
}

}  // namespace

double word_share(const std::vector<std::string>& wanted, std::string_view text) {
  if (wanted.empty()) return 0;
  const std::vector<std::string> there = codec::content_words(text);
  const auto found = std::ranges::count_if(wanted, [&](const std::string& word) {
    return std::ranges::any_of(there, [&](const std::string& other) { return same_word(word, other); });
  });
  return static_cast<double>(found) / static_cast<double>(wanted.size());
}

std::vector<RankedSentence> SentenceRanker::rank(std::string_view question, const std::vector<Passage>& passages,
                                                 gateway::InferenceEngine* engine, const Deadline& deadline) {
  std::vector<RankedSentence> sentences = sentences_of(passages);
  const std::vector<std::string> wanted = codec::content_words(question);
  for (RankedSentence& sentence : sentences) {
    // A better chunk breaks ties; it never outweighs a word.
    sentence.score = word_share(wanted, sentence.text) +
                     0.01 * (1.0 - static_cast<double>(sentence.passage) / static_cast<double>(passages.size()));
  }
  sort_best_first(sentences);
  if (engine == nullptr) return sentences;

  if (sentences.size() > kCandidates) sentences.resize(kCandidates);
  std::vector<std::string> texts = {std::string(question)};
  for (const RankedSentence& sentence : sentences) texts.push_back(sentence.text);
  const std::vector<Vector> vectors = embed(texts, *engine, deadline);
  for (std::size_t i = 0; i < sentences.size(); ++i) sentences[i].score = cosine(*vectors[0], *vectors[i + 1]);
  sort_best_first(sentences);
  return sentences;
}

std::vector<SentenceRanker::Vector> SentenceRanker::embed(const std::vector<std::string>& texts,
                                                          gateway::InferenceEngine& engine, const Deadline& deadline) {
  const std::string model = engine.info().sha256 + engine.info().model + '\n';
  std::vector<Vector> vectors(texts.size());
  std::vector<std::string> missing;
  std::vector<std::size_t> places;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const auto found = cache_.find(model + texts[i]);
      if (found != cache_.end()) {
        order_.splice(order_.begin(), order_, found->second.place);
        vectors[i] = found->second.vector;
      } else {
        missing.push_back(texts[i]);
        places.push_back(i);
      }
    }
  }
  if (missing.empty()) return vectors;
  gateway::EmbeddingResult result = engine.embed(missing, deadline);
  if (result.vectors.size() != missing.size()) {
    throw Error(ErrorCode::kUpstream, "the embedding model answered {} vectors for {} texts", result.vectors.size(),
                missing.size());
  }
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < missing.size(); ++i) {
    const std::string key = model + missing[i];
    vectors[places[i]] = std::make_shared<const std::vector<float>>(std::move(result.vectors[i]));
    if (cache_.contains(key)) continue;
    order_.push_front(key);
    cache_[key] = {vectors[places[i]], order_.begin()};
    if (cache_.size() > kCachedVectors) {
      cache_.erase(order_.back());
      order_.pop_back();
    }
  }
  return vectors;
}

}  // namespace lakeloop::chain
