#include "ingest/chunker.h"

#include <unicode/utf8.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "codec/hash.h"
#include "codec/unicode.h"
#include "ingest/chunk_plan.h"
#include "ingest/code_points.h"
#include "ingest/text_page.h"
#include "ingest/text_units.h"

namespace lakeloop::ingest {
namespace {

// A model may count a long run of anything as one unknown token, and blanks as none: tokens alone would not bound a
// chunk.
constexpr std::int64_t kPointsPerToken = 16;
constexpr std::size_t kBatchTexts = 8192;
constexpr std::size_t kBatchBytes = 1024 * 1024;
constexpr int kReplans = 3;
constexpr std::size_t kIdDigits = 32;

// The counter in batches, checked.
class Counter {
 public:
  explicit Counter(const TokenCounter& count) : count_(count) {}

  std::vector<std::int64_t> operator()(const std::vector<std::string>& texts) const {
    std::vector<std::int64_t> tokens;
    tokens.reserve(texts.size());
    std::vector<std::string> batch;
    std::size_t bytes = 0;
    const auto flush = [&] {
      if (batch.empty()) return;
      const auto counted = count_(batch);
      if (counted.size() != batch.size()) {
        throw Error(ErrorCode::kInternal, "the token counter answered {} numbers for {} texts", counted.size(),
                    batch.size());
      }
      tokens.insert(tokens.end(), counted.begin(), counted.end());
      batch.clear();
      bytes = 0;
    };
    for (const auto& text : texts) {
      if (batch.size() >= kBatchTexts || bytes + text.size() > kBatchBytes) flush();
      bytes += text.size();
      batch.push_back(text);
    }
    flush();
    return tokens;
  }

 private:
  const TokenCounter& count_;
};

struct Range {
  BlockKind kind = BlockKind::kParagraph;
  std::size_t begin = 0, end = 0;  // bytes
  std::ptrdiff_t section = -1;
};

// Blocks of one section (and of headings alone before it), to be cut together.
struct Group {
  std::vector<Unit> units;
  std::ptrdiff_t section = -1;
};

struct Piece {
  std::size_t begin = 0, fresh = 0, end = 0;  // bytes
  std::size_t group = 0;
  std::int64_t tokens = 0;
};

class PageChunker {
 public:
  PageChunker(const ParsedPage& page, const ChunkOptions& options, const TokenCounter& count)
      : page_(page), text_(page.text), map_(text_), units_(text_), count_(count) {
    limits_ = {options.max_tokens, options.overlap_tokens,
               options.max_tokens > std::numeric_limits<std::int64_t>::max() / kPointsPerToken
                   ? std::numeric_limits<std::int64_t>::max()
                   : options.max_tokens * kPointsPerToken};
  }

  std::vector<Piece> run() {
    find_ranges();
    if (ranges_.empty()) return {};
    make_groups();
    measure();
    plan();
    settle();
    return std::move(pieces_);
  }

  [[nodiscard]] const CodePoints& map() const { return map_; }
  [[nodiscard]] std::vector<std::string> breadcrumbs(const Piece& piece) const {
    const auto section = groups_[piece.group].section;
    return section < 0 ? std::vector<std::string>() : page_.sections[static_cast<std::size_t>(section)].path;
  }

 private:
  // Blocks in bytes, cut at the beginnings of sections, with paragraphs for all text in none of them.
  void find_ranges() {
    std::vector<std::pair<std::size_t, std::ptrdiff_t>> starts;  // of sections
    for (std::size_t i = 0; i < page_.sections.size(); ++i) {
      starts.emplace_back(map_.to_byte(page_.sections[i].start), static_cast<std::ptrdiff_t>(i));
    }
    std::ranges::stable_sort(starts, {}, &std::pair<std::size_t, std::ptrdiff_t>::first);
    auto blocks = page_.blocks;
    std::ranges::stable_sort(blocks, {}, &Block::start);

    std::size_t next_start = 0;
    std::ptrdiff_t section = -1;
    const auto add = [&](BlockKind kind, std::size_t begin, std::size_t end) {
      while (begin < end) {
        while (next_start < starts.size() && starts[next_start].first <= begin) section = starts[next_start++].second;
        const auto stop = next_start < starts.size() ? std::min(end, starts[next_start].first) : end;
        auto [first, last] = trim_blank(text_, begin, stop);
        if (kind == BlockKind::kCode) first = indentation(begin, first);
        if (first < last) ranges_.push_back({kind, first, last, section});
        begin = stop;
      }
    };
    std::size_t covered = 0;
    const auto fill_to = [&](std::size_t end) {
      for (const auto& [first, last] : paragraph_ranges(text_, covered, end)) add(BlockKind::kParagraph, first, last);
    };
    for (const auto& block : blocks) {
      const auto begin = std::max(covered, map_.to_byte(block.start));
      const auto end = map_.to_byte(block.end);
      if (end <= begin) continue;
      fill_to(begin);
      add(block.kind, begin, end);
      covered = end;
    }
    fill_to(text_.size());
  }

  // The first line of code keeps its indentation.
  [[nodiscard]] std::size_t indentation(std::size_t begin, std::size_t first) const {
    auto at = first;
    while (at > begin && (text_[at - 1] == ' ' || text_[at - 1] == '\t')) --at;
    return at == begin || text_[at - 1] == '\n' ? at : first;
  }

  void make_groups() {
    headings_.reserve(ranges_.size());
    for (const auto& range : ranges_) headings_.push_back(range.kind == BlockKind::kHeading);
    bool headings_only = true;
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
      const auto& range = ranges_[i];
      if (groups_.empty() || (groups_.back().section != range.section && !headings_only)) {
        groups_.emplace_back();
        headings_only = true;
      }
      groups_.back().section = range.section;
      headings_only = headings_only && headings_[i];
      units_.append(range.kind, range.begin, range.end, i, groups_.back().units);
    }
  }

  [[nodiscard]] std::string text_of(std::size_t begin, std::size_t end) const {
    return std::string(text_.substr(begin, end - begin));
  }

  // Counts all units of the page; those over a limit are cut finer and counted again.
  void measure() {
    const auto overhead = count_({std::string()}).at(0);
    if (overhead < 0 || overhead >= limits_.tokens) {
      throw Error(
          ErrorCode::kInvalidArgument,
          "max_tokens is {}, but the model counts {} tokens for an empty text: no chunk has room; raise max_tokens",
          limits_.tokens, overhead);
    }
    overhead_ = overhead;
    for (bool pending = true; pending;) {
      pending = false;
      std::vector<Unit*> fresh;
      std::vector<std::string> texts;
      for (auto& group : groups_) {
        std::vector<Unit> units;
        units.reserve(group.units.size());
        for (const auto& unit : group.units) refine(unit, units);
        group.units = std::move(units);
      }
      for (auto& group : groups_) {
        for (auto& unit : group.units) {
          if (unit.tokens != 0) continue;
          fresh.push_back(&unit);
          texts.push_back(text_of(unit.begin, unit.end));
        }
      }
      const auto counted = count_(texts);
      for (std::size_t i = 0; i < fresh.size(); ++i) {
        // At least one: what a model leaves out would otherwise be free.
        fresh[i]->tokens = std::max<std::int64_t>(1, counted[i] - overhead_);
        pending = pending || (fresh[i]->tokens > room() && fresh[i]->points > 1);
      }
    }
  }

  // A unit within the limits as it is, another in pieces that still are to be counted (tokens 0).
  void refine(const Unit& unit, std::vector<Unit>& out) {
    const auto by_tokens = unit.tokens > room() ? unit.points * room() / (2 * unit.tokens) : unit.points;
    if (unit.points <= 1 || (by_tokens == unit.points && unit.points <= limits_.points)) {
      out.push_back(unit);
      return;
    }
    std::vector<Unit> pieces;
    units_.append_finer(unit, std::min(by_tokens, limits_.points / 4), pieces);
    for (auto& piece : pieces) {
      piece.tokens = 0;
      refine(piece, out);  // a word can be longer than asked for
    }
  }

  [[nodiscard]] std::int64_t room() const { return limits_.tokens - overhead_; }

  // Plans every group, then counts the chunks as they are; a group whose parts count more together than alone is
  // planned again.
  void plan() {
    std::vector<std::vector<Piece>> planned(groups_.size());
    std::vector<std::int64_t> room_of(groups_.size(), room());
    std::vector<std::size_t> open(groups_.size());
    for (std::size_t i = 0; i < open.size(); ++i) open[i] = i;
    for (int round = 0; round < kReplans && !open.empty(); ++round) {
      std::vector<std::string> texts;
      for (const auto g : open) {
        const ChunkLimits limits{room_of[g], std::min(limits_.overlap, room_of[g] - 1), limits_.points};
        planned[g].clear();
        const auto& units = groups_[g].units;
        for (const auto& chunk : plan_chunks(units, headings_, limits)) {
          Piece piece{units[chunk.begin].begin, units[chunk.fresh].begin, units[chunk.end - 1].end, g, 0};
          if (!trim(piece)) continue;
          planned[g].push_back(piece);
          texts.push_back(text_of(piece.begin, piece.end));
        }
      }
      const auto counted = count_(texts);
      std::size_t at = 0;
      std::vector<std::size_t> still_open;
      for (const auto g : open) {
        std::int64_t worst = 0;
        for (auto& piece : planned[g]) {
          piece.tokens = counted[at++];
          if (piece.begin < piece.fresh || !is_one_unit(piece)) worst = std::max(worst, piece.tokens - overhead_);
        }
        if (worst <= room()) continue;
        room_of[g] = std::max<std::int64_t>(1, room_of[g] * room() / worst);
        still_open.push_back(g);
      }
      open = std::move(still_open);
    }
    for (auto& pieces : planned) pieces_.insert(pieces_.end(), pieces.begin(), pieces.end());
  }

  [[nodiscard]] bool is_one_unit(const Piece& piece) const {
    const auto& units = groups_[piece.group].units;
    const auto unit = std::ranges::upper_bound(units, piece.begin, {}, &Unit::begin) - 1;
    return piece.end <= unit->end;
  }

  // What still counts too much loses its overlap, then is halved until nothing is left to halve. Without overlap,
  // pieces are disjoint and in order.
  void settle() {
    for (;;) {
      std::vector<Piece> settled;
      std::vector<std::size_t> changed;
      std::vector<std::string> texts;
      for (auto piece : pieces_) {
        const auto points = map_.from_byte(piece.end) - map_.from_byte(piece.begin);
        // Halving the chunk before may have moved its beginning past this one's.
        const bool falls = !settled.empty() && piece.begin <= settled.back().begin;
        if (!falls && (piece.tokens <= limits_.tokens || (points <= 1 && piece.begin == piece.fresh))) {
          settled.push_back(piece);
          continue;
        }
        std::vector<Unit> parts;
        if (piece.begin < piece.fresh) {
          parts.push_back({piece.fresh, piece.end, Cut::kBlock, 0, 0, 0});
        } else {
          // a little over one half, so that no crumb is left over
          units_.append_finer({piece.begin, piece.end, Cut::kBlock, 0, points, 0}, points * 11 / 20 + 1, parts);
        }
        for (const auto& part : parts) {
          Piece half{part.begin, part.begin, part.end, piece.group, 0};
          if (!trim(half)) continue;
          changed.push_back(settled.size());
          settled.push_back(half);
          texts.push_back(text_of(half.begin, half.end));
        }
      }
      pieces_ = std::move(settled);
      if (changed.empty()) return;
      const auto counted = count_(texts);
      for (std::size_t i = 0; i < changed.size(); ++i) pieces_[changed[i]].tokens = counted[i];
    }
  }

  // False when nothing but blanks is in it.
  bool trim(Piece& piece) const {
    auto [begin, end] = trim_blank(text_, piece.begin, piece.end);
    if (begin == end) return false;
    const auto range = std::ranges::upper_bound(ranges_, begin, {}, &Range::begin);
    if (range != ranges_.begin() && (range - 1)->kind == BlockKind::kCode) begin = indentation(piece.begin, begin);
    piece.begin = begin;
    piece.end = end;
    piece.fresh = std::max(piece.fresh, begin);
    return true;
  }

  const ParsedPage& page_;
  std::string_view text_;
  CodePoints map_;
  TextUnits units_;
  Counter count_;
  ChunkLimits limits_;
  std::int64_t overhead_ = 0;
  std::vector<Range> ranges_;
  std::vector<bool> headings_;  // by range
  std::vector<Group> groups_;
  std::vector<Piece> pieces_;
};

}  // namespace

TokenCounter approximate_token_counter() {
  return [](const std::vector<std::string>& texts) {
    std::vector<std::int64_t> counts;
    counts.reserve(texts.size());
    for (const auto& text : texts) {
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
      const auto size = static_cast<std::int64_t>(text.size());
      std::int64_t quarters = 0;
      bool blank = false;  // a run of blanks counts as one
      for (std::int64_t at = 0; at < size;) {
        UChar32 c = 0;
        U8_NEXT(bytes, at, size, c);
        const bool was_blank = std::exchange(blank, c == ' ' || c == '\t' || c == '\n' || c == '\r');
        if (!blank || !was_blank) quarters += c < 0x250 ? 1 : c < 0x2E80 ? 2 : 4;
      }
      counts.push_back((quarters + 3) / 4);
    }
    return counts;
  };
}

void check_chunk_options(const ChunkOptions& options) {
  if (options.max_tokens <= 0 || options.overlap_tokens < 0 || options.overlap_tokens >= options.max_tokens) {
    throw Error(ErrorCode::kInvalidArgument,
                "max_tokens is {} and overlap_tokens is {}: max_tokens must be over 0, overlap_tokens from 0 to below "
                "max_tokens",
                options.max_tokens, options.overlap_tokens);
  }
}

std::vector<Chunk> chunk_page(std::string_view source_path, const ParsedPage& page, const ChunkOptions& options,
                              const TokenCounter& count) {
  check_chunk_options(options);
  PageChunker chunker(page, options, count);
  const auto pieces = chunker.run();
  std::vector<Chunk> chunks;
  chunks.reserve(pieces.size());
  std::map<std::string, std::int64_t> occurrences;
  for (const auto& piece : pieces) {
    Chunk chunk;
    const auto path = chunker.breadcrumbs(piece);
    chunk.text = page.text.substr(piece.begin, piece.end - piece.begin);
    chunk.section = join(path, " > ");
    chunk.start = chunker.map().from_byte(piece.begin);
    chunk.end = chunker.map().from_byte(piece.end);
    chunk.tokens = piece.tokens;
    chunk.index = static_cast<std::int64_t>(chunks.size());
    // Text holds no NUL, so the parts cannot run into each other.
    std::string identity(source_path);
    for (const auto& heading : path) identity.append(1, '\0').append(heading);
    identity.append(2, '\0').append(chunk.text);
    identity = codec::sha256_hex(identity);
    const auto occurrence = occurrences[identity]++;
    chunk.id = codec::sha256_hex(identity + '/' + std::to_string(occurrence)).substr(0, kIdDigits);
    chunks.push_back(std::move(chunk));
  }
  return chunks;
}

}  // namespace lakeloop::ingest
