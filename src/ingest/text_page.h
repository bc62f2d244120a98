#pragma once

// Plain text: paragraphs between blank lines, nothing else.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ingest/page.h"

namespace lakeloop::ingest {

// Byte ranges of the paragraphs within [begin, end), without blanks at their ends.
std::vector<std::pair<std::size_t, std::size_t>> paragraph_ranges(std::string_view text, std::size_t begin,
                                                                  std::size_t end);

// Without a title: nothing in plain text is one for sure.
ParsedPage text_page(std::string text);

}  // namespace lakeloop::ingest
