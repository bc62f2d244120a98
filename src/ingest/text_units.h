#pragma once

// The pieces that chunks are made of, smallest first asked for: sentences, list items, lines; on demand words, grapheme
// clusters, code points (ICU, UAX 29 and UAX 14). Ranges are bytes. Not thread-safe: ICU's iterators have state.

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "ingest/page.h"

namespace lakeloop::ingest {

// What stands at the beginning of a unit, best place to cut first.
enum class Cut : std::uint8_t { kBlock, kItem, kLine, kSentence, kWord, kCluster, kCodePoint };

struct Unit {
  std::size_t begin = 0, end = 0;
  Cut cut = Cut::kBlock;
  std::size_t block = 0;
  std::int64_t points = 0;  // code points
  std::int64_t tokens = 0;
};

// Bytes without White_Space at both ends; empty when there is nothing else.
std::pair<std::size_t, std::size_t> trim_blank(std::string_view text, std::size_t begin, std::size_t end);

class TextUnits {
 public:
  explicit TextUnits(std::string_view text);  // must outlive this object
  ~TextUnits();

  // Appends the units of [begin, end), which tile it. The range is not blank.
  void append(BlockKind kind, std::size_t begin, std::size_t end, std::size_t block, std::vector<Unit>& out);
  // Appends `unit` in pieces of at most `points` code points where its words allow it, else its clusters, else code
  // points: at least two pieces unless it is a single code point.
  void append_finer(const Unit& unit, std::int64_t points, std::vector<Unit>& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::ingest
