#include "llm/sampler.h"

#include <llama.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace lakeloop::llm {

struct Sampler::Candidates {
  Candidates(const float* logits, std::int32_t count) : data(static_cast<std::size_t>(count)) {
    for (std::int32_t i = 0; i < count; ++i) data[static_cast<std::size_t>(i)] = {i, logits[i], 0.0F};
    array = {data.data(), data.size(), -1, false};
  }
  std::vector<llama_token_data> data;
  llama_token_data_array array{};
};

namespace {

Token largest(const float* logits, std::int32_t count) {
  Token best = 0;
  for (Token i = 1; i < count; ++i) {
    if (logits[i] > logits[best]) best = i;
  }
  return best;
}

}  // namespace

Sampler::Sampler(const Model& model, const SamplingOptions& options, std::int32_t window) : model_(model) {
  if (!options.grammar.empty()) {
    grammar_ = llama_sampler_init_grammar(model.vocabulary(), options.grammar.c_str(), "root");
    if (grammar_ == nullptr) {
      throw Error(ErrorCode::kInvalidArgument, "grammar is not valid GBNF, or it recurses on its left side")
          .with_param("grammar");
    }
  }
  const auto count = llama_vocab_n_tokens(model.vocabulary());
  chain_ = llama_sampler_chain_init(llama_sampler_chain_default_params());
  std::int32_t suppressed_count = 0;
  const llama_token* suppressed = llama_vocab_get_suppress_tokens(model.vocabulary(), &suppressed_count);
  if (suppressed_count > 0) {
    std::vector<llama_logit_bias> biases;
    for (std::int32_t i = 0; i < suppressed_count; ++i) {
      biases.push_back({suppressed[i], -std::numeric_limits<float>::infinity()});
    }
    llama_sampler_chain_add(chain_, llama_sampler_init_logit_bias(count, suppressed_count, biases.data()));
  }
  const bool penalties = options.frequency_penalty != 0 || options.presence_penalty != 0;
  if (penalties) {
    llama_sampler_chain_add(
        chain_, llama_sampler_init_penalties(count, window, 1.0F, static_cast<float>(options.frequency_penalty),
                                             static_cast<float>(options.presence_penalty)));
  }
  if (options.temperature <= 0) {
    plain_greedy_ = !penalties && suppressed_count <= 0;
    llama_sampler_chain_add(chain_, llama_sampler_init_greedy());
    return;
  }
  if (options.top_k > 0) llama_sampler_chain_add(chain_, llama_sampler_init_top_k(options.top_k));
  if (options.top_p < 1)
    llama_sampler_chain_add(chain_, llama_sampler_init_top_p(static_cast<float>(options.top_p), 1));
  if (options.min_p > 0)
    llama_sampler_chain_add(chain_, llama_sampler_init_min_p(static_cast<float>(options.min_p), 1));
  llama_sampler_chain_add(chain_, llama_sampler_init_temp(static_cast<float>(options.temperature)));
  llama_sampler_chain_add(chain_, llama_sampler_init_dist(options.seed));
}

Sampler::~Sampler() {
  llama_sampler_free(chain_);
  if (grammar_ != nullptr) llama_sampler_free(grammar_);
}

bool Sampler::grammar_allows(Token token) const {
  llama_token_data one{token, 1.0F, 0.0F};
  llama_token_data_array array{&one, 1, -1, false};
  llama_sampler_apply(grammar_, &array);
  return !std::isinf(one.logit);
}

Token Sampler::choose(Candidates& candidates) const {
  llama_sampler_apply(chain_, &candidates.array);
  const auto selected = candidates.array.selected;
  if (selected < 0) throw Error(ErrorCode::kInternal, "the sampler chose no token");
  return candidates.array.data[selected].id;  // a sampler may have moved the array
}

Token Sampler::sample(llama_context* context, std::int32_t index) {
  const float* logits = llama_get_logits_ith(context, index);
  if (logits == nullptr) throw Error(ErrorCode::kInternal, "libllama gave no logits for row {}", index);
  const auto count = llama_vocab_n_tokens(model_.vocabulary());
  const Token likeliest = largest(logits, count);
  if (!std::isfinite(logits[likeliest])) {
    throw Error(ErrorCode::kInternal, "the model computed numbers that are not finite: its weights are damaged");
  }
  Token token = likeliest;
  if (!plain_greedy_) {
    Candidates candidates(logits, count);
    token = choose(candidates);
  }
  if (grammar_ != nullptr) {
    if (!grammar_allows(token)) {
      Candidates candidates(logits, count);
      llama_sampler_apply(grammar_, &candidates.array);
      bool any = false;
      for (const llama_token_data& candidate : candidates.data) any = any || !std::isinf(candidate.logit);
      if (!any)
        throw Error(ErrorCode::kInvalidArgument, "the grammar leaves the model no token to go on with")
            .with_param("grammar");
      token = choose(candidates);
    }
    llama_sampler_accept(grammar_, token);
  }
  llama_sampler_accept(chain_, token);
  return token;
}

}  // namespace lakeloop::llm
