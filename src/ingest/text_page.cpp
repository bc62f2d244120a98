#include "ingest/text_page.h"

#include <algorithm>

#include "ingest/code_points.h"
#include "ingest/text_units.h"

namespace lakeloop::ingest {

std::vector<std::pair<std::size_t, std::size_t>> paragraph_ranges(std::string_view text, std::size_t begin,
                                                                  std::size_t end) {
  std::vector<std::pair<std::size_t, std::size_t>> ranges;
  bool open = false;
  for (auto line = begin; line < end;) {
    const auto newline = text.find('\n', line);
    const auto next = std::min(newline == std::string_view::npos ? end : newline + 1, end);
    const auto [first, last] = trim_blank(text, line, next);
    if (first == last) {
      open = false;
    } else if (open) {
      ranges.back().second = last;
    } else {
      ranges.emplace_back(first, last);
      open = true;
    }
    line = next;
  }
  return ranges;
}

ParsedPage text_page(std::string text) {
  ParsedPage page;
  page.text = std::move(text);
  const CodePoints points(page.text);
  for (const auto& [begin, end] : paragraph_ranges(page.text, 0, page.text.size())) {
    page.blocks.push_back({BlockKind::kParagraph, points.from_byte(begin), points.from_byte(end)});
  }
  return page;
}

}  // namespace lakeloop::ingest
