#pragma once

// Cuts a page into chunks by its structure: headings open sections; paragraphs, code blocks, lists and tables stay whole where
// they fit; what does not fit is cut at sentences, then words, then code points. Sizes are tokens of the embedding model.
// For every chunk, page[start:end] in code points is exactly `text`; starts never fall; the union covers all text that is
// not blank. An unchanged chunk keeps its id, wherever it moved: id = hash of source path, breadcrumbs, text and occurrence.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "delta/schema.h"

namespace lakeloop::ingest {

struct ChunkOptions {
  std::int64_t max_tokens = 220;     // below the model's cut of 256, with room for the breadcrumb
  std::int64_t overlap_tokens = 30;  // repeated from the chunk before, whole sentences only
};

struct Section {
  std::vector<std::string> path;  // headings from the top
  std::int64_t start = 0, end = 0;
};

struct Chunk {
  std::string id;
  std::string text;
  std::string section;             // "Guide > Install > Linux"
  std::int64_t start = 0, end = 0; // code points of the page
  std::int64_t tokens = 0;
  std::int64_t index = 0;          // order within the page
};

// Tokens of each text, as the embedding model counts them.
using TokenCounter = std::function<std::vector<std::int64_t>(const std::vector<std::string>&)>;
// About 4 characters a token: where no embedding model is there.
TokenCounter approximate_token_counter();

// kInvalidArgument naming both numbers unless 0 < max_tokens and 0 <= overlap < max_tokens.
std::vector<Chunk> chunk_page(std::string_view source_path, std::string_view text, const std::vector<Section>& sections,
                              const ChunkOptions& options, const TokenCounter& count);

}  // namespace lakeloop::ingest
