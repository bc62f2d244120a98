#include "ingest/markdown_page.h"

#include <md4c.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "codec/unicode.h"
#include "ingest/code_points.h"
#include "ingest/text_page.h"
#include "ingest/text_units.h"

namespace lakeloop::ingest {
namespace {

constexpr std::size_t kHeadingBytes = 400;  // of a heading in the breadcrumbs

struct Span {
  std::size_t begin = 0, end = 0;  // bytes
};

// A block of the top level.
struct TopBlock {
  BlockKind kind = BlockKind::kParagraph;
  char fence = 0;      // of fenced code
  bool shows = false;  // any text besides raw HTML
  unsigned level = 0;  // of a heading
  std::string heading;
  bool seen = false;  // whether any text told where the block is
  std::size_t begin = 0, end = 0;
};

std::string decode_entity(std::string_view entity) {
  struct Named {
    std::string_view name, text;
  };
  static constexpr Named kNamed[] = {{"&amp;", "&"},  {"&lt;", "<"},   {"&gt;", ">"},         {"&quot;", "\""},
                                     {"&apos;", "'"}, {"&nbsp;", " "}, {"&ndash;", "\u2013"}, {"&mdash;", "\u2014"}};
  for (const auto& [name, text] : kNamed) {
    if (name == entity) return std::string(text);
  }
  return std::string(entity);
}

// Collects md4c's events. Its text pointers lie in the source, but for line ends and replacements, which are its own
// constants.
class Events {
 public:
  explicit Events(std::string_view source) : source_(source) {}

  void parse() {
    MD_PARSER parser{};
    parser.flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_TASKLISTS;
    parser.enter_block = [](MD_BLOCKTYPE type, void* detail, void* self) {
      return static_cast<Events*>(self)->enter(type, detail);
    };
    parser.leave_block = [](MD_BLOCKTYPE type, void*, void* self) { return static_cast<Events*>(self)->leave(type); };
    parser.enter_span = [](MD_SPANTYPE, void*, void*) { return 0; };
    parser.leave_span = [](MD_SPANTYPE, void*, void*) { return 0; };
    parser.text = [](MD_TEXTTYPE type, const MD_CHAR* text, MD_SIZE size, void* self) {
      return static_cast<Events*>(self)->text(type, {text, size});
    };
    if (md_parse(source_.data(), static_cast<MD_SIZE>(source_.size()), &parser, this) != 0) {
      throw Error(ErrorCode::kInvalidArgument, "the Markdown parser gave up on this text");
    }
  }

  std::vector<TopBlock> blocks;
  std::vector<Span> comments;

 private:
  int enter(MD_BLOCKTYPE type, void* detail) {
    if (type == MD_BLOCK_DOC) return 0;
    in_comment_ = false;
    if (depth_++ > 0) return 0;
    TopBlock block;
    switch (type) {
      case MD_BLOCK_QUOTE:
        block.kind = BlockKind::kQuote;
        break;
      case MD_BLOCK_UL:
      case MD_BLOCK_OL:
        block.kind = BlockKind::kList;
        break;
      case MD_BLOCK_TABLE:
        block.kind = BlockKind::kTable;
        break;
      case MD_BLOCK_H:
        block.kind = BlockKind::kHeading;
        block.level = static_cast<const MD_BLOCK_H_DETAIL*>(detail)->level;
        break;
      case MD_BLOCK_CODE:
        block.kind = BlockKind::kCode;
        block.fence = static_cast<const MD_BLOCK_CODE_DETAIL*>(detail)->fence_char;
        break;
      default:
        break;
    }
    blocks.push_back(std::move(block));
    return 0;
  }

  int leave(MD_BLOCKTYPE type) {
    if (type == MD_BLOCK_DOC) return 0;
    in_comment_ = false;
    --depth_;
    return 0;
  }

  int text(MD_TEXTTYPE type, std::string_view piece) {
    if (blocks.empty()) return 0;
    auto& block = blocks.back();
    if (block.kind == BlockKind::kHeading) add_to_heading(block, type, piece);
    const std::less<const char*> before;
    const bool inside = !before(piece.data(), source_.data()) && before(piece.data(), source_.data() + source_.size());
    if (!inside || piece.empty()) return 0;
    const auto begin = static_cast<std::size_t>(piece.data() - source_.data());
    if (!block.seen) {
      block.begin = begin;
      block.end = begin;
      block.seen = true;
    }
    block.begin = std::min(block.begin, begin);
    block.end = std::max(block.end, begin + piece.size());
    if (type == MD_TEXT_HTML) {
      find_comments(begin, piece);
    } else if (type != MD_TEXT_BR && type != MD_TEXT_SOFTBR) {
      block.shows = true;
    }
    return 0;
  }

  static void add_to_heading(TopBlock& block, MD_TEXTTYPE type, std::string_view piece) {
    switch (type) {
      case MD_TEXT_NORMAL:
      case MD_TEXT_CODE:
      case MD_TEXT_LATEXMATH:
        block.heading += piece;
        break;
      case MD_TEXT_ENTITY:
        block.heading += decode_entity(piece);
        break;
      case MD_TEXT_BR:
      case MD_TEXT_SOFTBR:
        block.heading += ' ';
        break;
      case MD_TEXT_NULLCHAR:
      case MD_TEXT_HTML:
        break;
    }
  }

  // Raw HTML comes line by line; a comment may go on from the line before.
  void find_comments(std::size_t offset, std::string_view piece) {
    std::size_t at = 0;
    while (at < piece.size()) {
      auto begin = at;
      auto search = at;
      if (!in_comment_) {
        begin = piece.find("<!--", at);
        if (begin == std::string_view::npos) return;
        search = begin + 2;  // "<!-->" is a whole comment
      }
      const auto close = piece.find("-->", search);
      in_comment_ = close == std::string_view::npos;
      at = in_comment_ ? piece.size() : close + 3;
      comments.push_back({offset + begin, offset + at});
    }
  }

  std::string_view source_;
  int depth_ = 0;
  bool in_comment_ = false;
};

// Makes whole lines of what the events saw, and gives fences, underlines and the like to the block they belong to.
class Lines {
 public:
  explicit Lines(std::string_view source) : source_(source) {}

  void extend(std::vector<TopBlock>& blocks) const {
    std::erase_if(blocks, [](const TopBlock& block) { return !block.seen; });
    for (auto& block : blocks) {
      block.begin = line_begin(block.begin);
      block.end = line_end(block.end > block.begin ? block.end - 1 : block.end);
    }
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      auto& block = blocks[i];
      const auto floor = i > 0 ? blocks[i - 1].end : 0;
      const auto ceiling = i + 1 < blocks.size() ? blocks[i + 1].begin : source_.size();
      if (block.kind == BlockKind::kCode && block.fence != 0) extend_code(block, floor, ceiling);
      if (block.kind == BlockKind::kHeading) extend_heading(block, ceiling);
      if (block.kind == BlockKind::kTable) extend_table(block, floor, ceiling);
      if (block.kind == BlockKind::kList || block.kind == BlockKind::kQuote) extend_container(block, floor, ceiling);
    }
  }

 private:
  [[nodiscard]] std::size_t line_begin(std::size_t at) const {
    if (at == 0) return 0;
    const auto newline = source_.rfind('\n', at - 1);
    return newline == std::string_view::npos ? 0 : newline + 1;
  }
  [[nodiscard]] std::size_t line_end(std::size_t at) const {  // before the line feed
    const auto newline = source_.find('\n', at);
    return newline == std::string_view::npos ? source_.size() : newline;
  }
  [[nodiscard]] std::string_view trimmed(std::size_t begin, std::size_t end) const {
    return trim(source_.substr(begin, end - begin));
  }

  // Lines after `end` (a line's end) and before `ceiling`; on_line(begin, end) returns false to stop.
  template <typename OnLine>
  void each_below(std::size_t end, std::size_t ceiling, OnLine on_line) const {
    while (end < ceiling && end + 1 < ceiling) {
      const auto begin = end + 1;
      end = std::min(line_end(begin), ceiling);
      if (!on_line(begin, end)) return;
    }
  }
  template <typename OnLine>
  void each_above(std::size_t begin, std::size_t floor, OnLine on_line) const {
    while (begin > floor && begin > 0) {
      const auto end = begin - 1;
      begin = line_begin(end);
      if (begin < floor || !on_line(begin, end)) return;
    }
  }

  static bool is_fence(std::string_view line, char mark) {
    return line.size() >= 3 && line[0] == mark && line[1] == mark && line[2] == mark;
  }

  // Content starts and ends with blank lines at most; the nearest line that is not blank is the fence.
  void extend_code(TopBlock& block, std::size_t floor, std::size_t ceiling) const {
    each_above(block.begin, floor, [&](std::size_t begin, std::size_t end) {
      const auto line = trimmed(begin, end);
      if (is_fence(line, block.fence)) block.begin = begin;
      return line.empty();
    });
    each_below(block.end, ceiling, [&](std::size_t begin, std::size_t end) {
      const auto line = trimmed(begin, end);
      if (is_fence(line, block.fence)) block.end = end;
      return line.empty();
    });
  }

  void extend_heading(TopBlock& block, std::size_t ceiling) const {
    if (trimmed(block.begin, block.end).starts_with('#') && line_end(block.begin) == block.end) return;
    each_below(block.end, ceiling, [&](std::size_t begin, std::size_t end) {
      const auto line = trimmed(begin, end);
      if (!line.empty() && line.find_first_not_of(line[0]) == std::string_view::npos &&
          (line[0] == '=' || line[0] == '-')) {
        block.end = end;
      }
      return false;
    });
  }

  void extend_table(TopBlock& block, std::size_t floor, std::size_t ceiling) const {
    const auto is_row = [&](std::size_t begin, std::size_t end) {
      const auto line = trimmed(begin, end);
      return line.find('|') != std::string_view::npos ||
             (!line.empty() && line.find_first_not_of("-:") == std::string_view::npos);
    };
    each_above(block.begin, floor, [&](std::size_t begin, std::size_t end) {
      if (!is_row(begin, end)) return false;
      block.begin = begin;
      return true;
    });
    each_below(block.end, ceiling, [&](std::size_t begin, std::size_t end) {
      if (!is_row(begin, end)) return false;
      block.end = end;
      return true;
    });
  }

  // Empty items, fences and empty quote lines that touch the block or are indented below it.
  void extend_container(TopBlock& block, std::size_t floor, std::size_t ceiling) const {
    each_above(block.begin, floor, [&](std::size_t begin, std::size_t end) {
      if (trimmed(begin, end).empty()) return false;
      block.begin = begin;
      return true;
    });
    bool adjacent = true;
    each_below(block.end, ceiling, [&](std::size_t begin, std::size_t end) {
      const auto line = trimmed(begin, end);
      if (line.empty()) {
        adjacent = false;
        return true;
      }
      const bool indented = source_[begin] == ' ' || source_[begin] == '\t';
      if (!adjacent && !indented) return false;
      block.end = end;
      return true;
    });
  }

  std::string_view source_;
};

// Whether a block of raw HTML is nothing but anchors, as they stand before headings.
bool is_anchor(std::string_view html) {
  if (!html.starts_with("<a ")) return false;
  bool tag = false;
  for (const char c : html) {
    if (c == '<')
      tag = true;
    else if (c == '>')
      tag = false;
    else if (!tag && c != ' ' && c != '\t' && c != '\n' && c != '\r')
      return false;
  }
  return true;
}

// `spans` (in order) of `text` with a blank for each code point; line ends stay.
std::string blank_out(std::string_view text, const std::vector<Span>& spans) {
  std::string out;
  out.reserve(text.size());
  std::size_t at = 0;
  for (const auto& span : spans) {
    const auto begin = std::max(at, span.begin);
    const auto end = std::max(begin, span.end);
    out += text.substr(at, begin - at);
    for (const char byte : text.substr(begin, end - begin)) {
      if (byte == '\n' || byte == '\r') {
        out += byte;
      } else if ((static_cast<unsigned char>(byte) & 0xC0) != 0x80) {
        out += ' ';
      }
    }
    at = end;
  }
  out += text.substr(at);
  return out;
}

std::string heading_label(std::string_view heading) {
  std::string label;
  for (const char c : trim(heading)) {
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!blank) label += c;
    if (blank && !label.ends_with(' ')) label += ' ';
  }
  return std::string(trim(codec::truncate_utf8(label, kHeadingBytes)));
}

}  // namespace

ParsedPage markdown_page(std::string source) {
  ParsedPage page;
  auto front = read_front_matter(source);
  page.title = std::move(front.title);
  if (front.size > 0) source = blank_out(source, {{0, front.size}});

  Events events(source);
  events.parse();
  Lines(source).extend(events.blocks);
  page.text = blank_out(source, events.comments);
  const CodePoints before(source), after(page.text);

  std::vector<std::pair<unsigned, std::string>> open;  // headings from the top: level, label
  std::string first_h1, opening;
  std::optional<std::int64_t> anchors;  // where raw HTML without text began that stands right before the next block
  bool readable = false;                // anything but such HTML was seen
  std::size_t covered = 0;
  const auto fill_to = [&](std::size_t end) {
    for (const auto& [begin, stop] : paragraph_ranges(page.text, covered, end)) {
      const auto line = std::string_view(page.text).substr(begin, stop - begin);
      const auto kind = line.starts_with("```") || line.starts_with("~~~") ? BlockKind::kCode : BlockKind::kParagraph;
      page.blocks.push_back({kind, after.from_byte(begin), after.from_byte(stop)});
      anchors.reset();
      readable = true;
    }
  };
  for (const auto& block : events.blocks) {
    const auto begin = std::max(covered, after.to_byte(before.from_byte(block.begin)));
    const auto end = after.to_byte(before.from_byte(block.end));
    fill_to(std::max(begin, covered));
    if (end <= begin) continue;
    covered = end;
    auto [first, last] = trim_blank(page.text, begin, end);
    if (first == last) continue;  // nothing but a comment
    if (block.kind == BlockKind::kCode) first = begin;
    const auto start = after.from_byte(first);
    const bool anchor = block.kind == BlockKind::kParagraph && !block.shows &&
                        is_anchor(std::string_view(page.text).substr(first, last - first));
    if (anchor && !anchors) anchors = start;
    if (block.kind == BlockKind::kHeading) {
      const auto section_start = anchors.value_or(start);
      for (auto at = page.blocks.rbegin(); at != page.blocks.rend() && at->start >= section_start; ++at)
        at->kind = BlockKind::kHeading;
      auto label = heading_label(block.heading);
      if (block.level == 1 && first_h1.empty()) first_h1 = label;
      if (!readable) opening = label;
      while (!open.empty() && open.back().first >= block.level) open.pop_back();
      open.emplace_back(block.level, std::move(label));
      if (!page.sections.empty()) page.sections.back().end = section_start;
      Section section{{}, section_start, after.count()};
      for (const auto& [level, text] : open) section.path.push_back(text);
      page.sections.push_back(std::move(section));
    }
    if (!anchor) {
      anchors.reset();
      readable = true;
    }
    page.blocks.push_back({block.kind, start, after.from_byte(last)});
  }
  fill_to(page.text.size());
  if (page.title.empty()) page.title = !first_h1.empty() ? first_h1 : opening;
  return page;
}

}  // namespace lakeloop::ingest
