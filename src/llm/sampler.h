#pragma once

// Picks the next token of one answer. Temperature 0 is greedy: always the likeliest token, the lower id of equals.
// A grammar (GBNF) is checked on the chosen token first and only on a refusal applied to the whole vocabulary.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "llm/model.h"

struct llama_context;
struct llama_sampler;

namespace lakeloop::llm {

// Defaults are llama.cpp's, which local models are tuned with.
struct SamplingOptions {
  double temperature = 0.8;
  double top_p = 0.95;
  double min_p = 0.05;
  std::int32_t top_k = 40;  // 0: all
  double frequency_penalty = 0, presence_penalty = 0;
  std::uint32_t seed = 0;
  std::string grammar;  // empty: none
};

class Sampler {
 public:
  // `window`: tokens that the penalties look back at. kInvalidArgument for a grammar that does not parse.
  Sampler(const Model& model, const SamplingOptions& options, std::int32_t window);
  ~Sampler();
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  // Chooses from the logits of row `index` of the last batch and remembers the choice.
  Token sample(llama_context* context, std::int32_t index);

 private:
  struct Candidates;
  [[nodiscard]] bool grammar_allows(Token token) const;
  [[nodiscard]] Token choose(Candidates& candidates) const;

  const Model& model_;
  llama_sampler* chain_ = nullptr;
  llama_sampler* grammar_ = nullptr;
  bool plain_greedy_ = false;  // no chain needed: the largest logit
};

}  // namespace lakeloop::llm
