#pragma once

// Sentences of running text in Markdown or plain form, with their places. Code blocks, headings, rules, front matter,
// HTML comments and link definitions are not sentences; a table row and a list item are at least one each. Breaks
// within a paragraph follow ICU's sentence rules (UAX #29).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lakeloop::codec {

struct Sentence {
  std::string text;  // on one line, inner runs of blanks as one, Markdown emphasis and link targets removed
  std::int64_t start = 0, end = 0;  // code points of the input that it came from
};

// At most `limit` sentences.
std::vector<Sentence> split_sentences(std::string_view text, std::size_t limit = 2000);

// Words that carry meaning, folded: letters and digits, without a small stop list.
std::vector<std::string> content_words(std::string_view text);

}  // namespace lakeloop::codec
