#pragma once

// Runs a RAG chain: retrieve, then answer by the mode. Everything that happened goes into the trace. Thread-safe: one
// runner serves many requests.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chain/citation_check.h"
#include "chain/config.h"
#include "chain/passage.h"
#include "chain/sentence_ranker.h"
#include "gateway/engine.h"
#include "search/vector_search.h"
#include "tracking/trace_builder.h"

namespace lakeloop::chain {

// Where a part of an answer comes from. Offsets are code points: of the answer and of the page.
struct Citation {
  std::int64_t mark = 0;  // the [n] in the text
  std::string chunk_id, source_path, title, section, quote;
  std::int64_t start = 0, end = 0;
  std::int64_t answer_start = 0, answer_end = 0;
  double score = 0;
  std::int64_t page_version = -1;
};

struct Answer {
  std::string text;
  AnswerMode mode = AnswerMode::kCited;
  bool found = true;       // false: nothing in the documents answers
  bool generated = false;  // written by a language model
  std::vector<Citation> citations;
  std::vector<CheckedSentence> unsupported;  // sentences of a written answer without support
  std::string finish_reason = "stop";
  gateway::Usage usage;
  std::int64_t index_version = -1;  // Delta version of the index's source that was searched
  [[nodiscard]] Json citations_json() const;
  [[nodiscard]] Json to_custom_outputs() const;
};

// What a request may change: {"custom_inputs": {"answer_mode": "prose"}}, max_tokens, temperature.
struct RunRequest {
  std::string question;
  Json history;  // earlier messages, or null
  std::optional<AnswerMode> mode;
  std::optional<std::int64_t> max_tokens;
  std::optional<double> temperature;
  Json stop;  // as OpenAI's, for written answers
};
// From an OpenAI chat request. kInvalidArgument names what a chain cannot do.
RunRequest parse_run_request(const Json& body);

class Runner {
 public:
  // `prompt`: messages of parse_prompt(). `owner`: in whose name index and models are used.
  Runner(ChainConfig config, Json prompt, search::VectorSearch& search, gateway::EngineDirectory& engines,
         identity::Principal owner);

  // `on_text` (may be empty) gets the text as it comes; false cancels.
  Answer run(const RunRequest& request, const Deadline& deadline, tracking::TraceBuilder& trace,
             const std::function<bool(std::string_view)>& on_text);
  [[nodiscard]] const ChainConfig& config() const { return config_; }

 private:
  Answer cited(const RunRequest& request, const Retrieval& retrieval, const Deadline& deadline,
               tracking::TraceBuilder& trace);
  Answer prose(const RunRequest& request, const Retrieval& retrieval, const Deadline& deadline,
               tracking::TraceBuilder& trace, const std::function<bool(std::string_view)>& on_text);
  Answer verifiable(const RunRequest& request, const Retrieval& retrieval, const Deadline& deadline,
                    tracking::TraceBuilder& trace);
  std::vector<RankedSentence> rank(const RunRequest& request, const Retrieval& retrieval, const Deadline& deadline,
                                   tracking::TraceBuilder& trace, bool& by_words);
  gateway::ChatResult call_model(const Json& body, std::optional<std::string> grammar, const Deadline& deadline,
                                 tracking::TraceBuilder& trace,
                                 const std::function<bool(const gateway::ChatChunk&)>& on_chunk);

  const ChainConfig config_;
  const Json prompt_;
  search::VectorSearch& search_;
  gateway::EngineDirectory& engines_;
  const identity::Principal owner_;
  SentenceRanker ranker_;
};

inline constexpr std::string_view kNotFoundText = "I cannot find this in the documents.";

}  // namespace lakeloop::chain
