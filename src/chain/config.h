#pragma once

// What a RAG chain is, as data: the file chain.yaml of its artefact. Loading checks every field and names the wrong
// one.

#include <cstdint>
#include <string>
#include <string_view>

#include "codec/json.h"

namespace lakeloop::chain {

// How an answer is made from what was retrieved.
enum class AnswerMode : std::uint8_t {
  kCited,       // the retrieved sentences nearest to the question, word for word; no language model
  kProse,       // a chat model writes; its sentences are checked against the retrieved text
  kVerifiable,  // a chat model chooses among numbered sentences by a grammar; the program copies them
};
std::string_view to_string(AnswerMode mode);
AnswerMode parse_answer_mode(std::string_view text);  // kInvalidArgument lists the three

struct ChainConfig {
  std::string index;  // full name of a vector search index over a chunks table
  std::string query_type = "HYBRID";
  std::int64_t num_results = 6;    // chunks
  std::string chat_endpoint;       // modes prose and verifiable; may be empty in cited
  std::string embedding_endpoint;  // ranks sentences; empty: by words
  AnswerMode mode = AnswerMode::kCited;
  double floor = 0.40;   // cosine of the best sentence below which nothing was found
  double within = 0.05;  // further sentences this near to the best are shown
  std::int64_t max_sentences = 3;
  std::int64_t passages = 1;      // chunks that a chat model sees
  std::int64_t max_tokens = 256;  // of a written answer
  double temperature = 0;
  std::string prompt_name;  // registered prompt; empty: the built-in one
  std::int64_t prompt_version = 0;

  static ChainConfig from_yaml(std::string_view text);
  static ChainConfig from_json(const Json& json);
  [[nodiscard]] Json to_json() const;
};

}  // namespace lakeloop::chain
