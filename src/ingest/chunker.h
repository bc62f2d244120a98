#pragma once

// Cuts a page into chunks by its structure: headings open sections; paragraphs, code blocks, lists and tables stay
// whole where they fit; what does not fit is cut at sentences, items or lines, then words, then grapheme clusters, then
// code points. Sizes are tokens of the embedding model. For every chunk, page[start:end] in code points is exactly
// `text`; starts never fall; the union covers all text that is not blank. An unchanged chunk keeps its id, wherever it
// moved: id = hash of source path, breadcrumbs, text and occurrence. The same input gives the same chunks. Thread-safe
// as far as the counter is.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/page.h"

namespace lakeloop::ingest {

struct ChunkOptions {
  std::int64_t max_tokens = 220;     // below the model's cut of 256, with room for the breadcrumb
  std::int64_t overlap_tokens = 30;  // repeated from the chunk before, whole sentences only, never across sections
  std::string tokenizer =
      "approximate";  // what counts: the name of the embedding model. Another one cuts every page anew
};

struct Chunk {
  std::string id;
  std::string text;
  std::string section;              // "Guide > Install > Linux"
  std::int64_t start = 0, end = 0;  // code points of the page
  std::int64_t tokens = 0;
  std::int64_t index = 0;  // order within the page
};

// Tokens of each text, as the embedding model counts them. Called with batches of up to 8192 texts, about twice a page.
using TokenCounter = std::function<std::vector<std::int64_t>(const std::vector<std::string>&)>;
// About 4 characters a token, one for an ideograph: where no embedding model is there.
TokenCounter approximate_token_counter();

// kInvalidArgument naming both numbers unless 0 < max_tokens and 0 <= overlap < max_tokens.
void check_chunk_options(const ChunkOptions& options);

// The page's title is not used. Text outside its blocks counts as paragraphs, so blocks may be empty. No chunk is over
// max_tokens unless one code point alone is, and none is longer than 16 characters a token. kInvalidArgument as above,
// before any work, and where the counter's tokens of an empty text (a model's marks) leave no room.
std::vector<Chunk> chunk_page(std::string_view source_path, const ParsedPage& page, const ChunkOptions& options,
                              const TokenCounter& count);

}  // namespace lakeloop::ingest
