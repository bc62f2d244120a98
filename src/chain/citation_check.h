#pragma once

// Holds a written answer against the retrieved text: each of its sentences is supported by a sentence of a passage, or
// marked. A sentence is supported when most of its words, and all of its numbers, stand in one retrieved sentence or in
// the passage that it names by a mark like [2]. This is a check of words, not of meaning; docs/chains.md says so.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "chain/passage.h"

namespace lakeloop::chain {

struct CheckedSentence {
  std::int64_t answer_start = 0, answer_end = 0;  // code points of the answer
  std::string text;
  bool supported = false;
  double support = 0;               // share of its words found, 0..1
  std::size_t passage = 0;          // of the supporting text, when supported
  std::int64_t start = 0, end = 0;  // code points of the page
  std::string quote;                // the supporting sentence
};

std::vector<CheckedSentence> check_answer(std::string_view answer, const std::vector<Passage>& passages);

}  // namespace lakeloop::chain
