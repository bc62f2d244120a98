#pragma once

// A document as a parser reads it. Offsets are code points of `text`, ends are exclusive. Sections and blocks are in
// order and do not overlap; a block never crosses the start of a section.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lakeloop::ingest {

// From a heading (or the anchors right before it) to the next heading of any level. Text before the first heading lies
// in no section.
struct Section {
  std::vector<std::string> path;  // headings from the top
  std::int64_t start = 0, end = 0;
  bool operator==(const Section&) const = default;
};

// How a piece of text may be cut: paragraphs and quotes at sentences, lists at items, code and tables at lines.
enum class BlockKind : std::uint8_t { kParagraph, kHeading, kCode, kList, kTable, kQuote };
std::string_view to_string(BlockKind kind);  // "paragraph"
std::optional<BlockKind> parse_block_kind(std::string_view text);

struct Block {
  BlockKind kind = BlockKind::kParagraph;
  std::int64_t start = 0, end = 0;
  bool operator==(const Block&) const = default;
};

struct ParsedPage {
  std::string title;
  std::string text;  // UTF-8 without NUL
  std::vector<Section> sections;
  std::vector<Block> blocks;
};

}  // namespace lakeloop::ingest
