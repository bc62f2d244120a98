#include "ingest/html_text.h"

#include <lexbor/dom/dom.h>
#include <lexbor/html/html.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "codec/unicode.h"
#include "ingest/code_points.h"
#include "ingest/text_units.h"

namespace lakeloop::ingest {
namespace {

constexpr std::size_t kHeadingBytes = 400;  // of a heading in the breadcrumbs

std::string_view attribute(lxb_dom_node_t* node, std::string_view name, bool* present = nullptr) {
  std::size_t size = 0;
  auto* element = lxb_dom_interface_element(node);
  const auto* key = reinterpret_cast<const lxb_char_t*>(name.data());
  if (present != nullptr) *present = lxb_dom_element_has_attribute(element, key, name.size());
  const auto* value = lxb_dom_element_get_attribute(element, key, name.size(), &size);
  return value == nullptr ? std::string_view() : std::string_view(reinterpret_cast<const char*>(value), size);
}

bool is_dropped(lxb_dom_node_t* node) {
  switch (node->local_name) {
    case LXB_TAG_SCRIPT:
    case LXB_TAG_STYLE:
    case LXB_TAG_TEMPLATE:
    case LXB_TAG_NOSCRIPT:
    case LXB_TAG_HEAD:
    case LXB_TAG_NAV:
    case LXB_TAG_IFRAME:
    case LXB_TAG_OBJECT:
    case LXB_TAG_EMBED:
    case LXB_TAG_SVG:
    case LXB_TAG_CANVAS:
    case LXB_TAG_AUDIO:
    case LXB_TAG_VIDEO:
    case LXB_TAG_SELECT:
    case LXB_TAG_DATALIST:
    case LXB_TAG_BUTTON:
    case LXB_TAG_TEXTAREA:
    case LXB_TAG_DIALOG:
    case LXB_TAG_NOFRAMES:
    case LXB_TAG_NOEMBED:
      return true;
    default:
      break;
  }
  if (lxb_dom_element_first_attribute(lxb_dom_interface_element(node)) == nullptr) return false;
  bool hidden = false;
  attribute(node, "hidden", &hidden);
  if (hidden || iequals(attribute(node, "aria-hidden"), "true") || iequals(attribute(node, "role"), "navigation"))
    return true;
  const auto style = replace_all(ascii_lower(attribute(node, "style")), " ", "");
  if (style.contains("display:none") || style.contains("visibility:hidden")) return true;
  // The mark beside a heading that links to it (Sphinx and others).
  return node->local_name == LXB_TAG_A && attribute(node, "class").contains("headerlink");
}

unsigned heading_level(lxb_dom_node_t* node) {
  switch (node->local_name) {
    case LXB_TAG_H1:
      return 1;
    case LXB_TAG_H2:
      return 2;
    case LXB_TAG_H3:
      return 3;
    case LXB_TAG_H4:
      return 4;
    case LXB_TAG_H5:
      return 5;
    case LXB_TAG_H6:
      return 6;
    default:
      return 0;
  }
}

// Elements that begin and end a line of their own.
bool is_line(lxb_dom_node_t* node) {
  switch (node->local_name) {
    case LXB_TAG_P:
    case LXB_TAG_DIV:
    case LXB_TAG_SECTION:
    case LXB_TAG_ARTICLE:
    case LXB_TAG_ASIDE:
    case LXB_TAG_HEADER:
    case LXB_TAG_FOOTER:
    case LXB_TAG_MAIN:
    case LXB_TAG_ADDRESS:
    case LXB_TAG_FIGURE:
    case LXB_TAG_FIGCAPTION:
    case LXB_TAG_DL:
    case LXB_TAG_DT:
    case LXB_TAG_DD:
    case LXB_TAG_DETAILS:
    case LXB_TAG_SUMMARY:
    case LXB_TAG_FIELDSET:
    case LXB_TAG_LEGEND:
    case LXB_TAG_FORM:
    case LXB_TAG_HGROUP:
    case LXB_TAG_HR:
    case LXB_TAG_CENTER:
    case LXB_TAG_BODY:
    case LXB_TAG_HTML:
    case LXB_TAG_UL:
    case LXB_TAG_OL:
    case LXB_TAG_MENU:
    case LXB_TAG_LI:
    case LXB_TAG_TABLE:
    case LXB_TAG_CAPTION:
    case LXB_TAG_TR:
    case LXB_TAG_BLOCKQUOTE:
    case LXB_TAG_PRE:
    case LXB_TAG_SEARCH:
      return true;
    default:
      return heading_level(node) > 0;
  }
}

bool is_list(lxb_dom_node_t* node) {
  return node->local_name == LXB_TAG_UL || node->local_name == LXB_TAG_OL || node->local_name == LXB_TAG_MENU;
}

bool is_cell(lxb_dom_node_t* node) {
  return node->local_name == LXB_TAG_TD || node->local_name == LXB_TAG_TH;
}

// Next in document order below `root`, without what is below `node` when `skip` is set.
lxb_dom_node_t* following(lxb_dom_node_t* node, lxb_dom_node_t* root, bool skip) {
  if (!skip && node->first_child != nullptr) return node->first_child;
  while (node != root && node->next == nullptr) node = node->parent;
  return node == root ? nullptr : node->next;
}

// A table that arranges a page instead of holding values is no table to a reader.
bool is_layout_table(lxb_dom_node_t* table) {
  for (auto* node = following(table, table, false); node != nullptr; node = following(node, table, false)) {
    if (node->type != LXB_DOM_NODE_TYPE_ELEMENT) continue;
    if (node->local_name == LXB_TAG_TABLE || node->local_name == LXB_TAG_PRE || heading_level(node) > 0) return true;
  }
  return false;
}

class Renderer {
 public:
  ParsedPage render(lxb_html_document_t* document) {
    auto* root = lxb_dom_interface_node(document);
    for (auto* node = root; node != nullptr;) {
      const bool descend = enter(node);
      if (descend && node->first_child != nullptr) {
        node = node->first_child;
        continue;
      }
      if (descend) leave(node);
      while (node != root && node->next == nullptr) {
        node = node->parent;
        leave(node);
      }
      node = node == root ? nullptr : node->next;
    }
    flush();
    std::size_t size = 0;
    if (const auto* title = lxb_html_document_title(document, &size)) {
      page_.title = trim(std::string_view(reinterpret_cast<const char*>(title), size));
    }
    return finish();
  }

 private:
  struct Mark {
    BlockKind kind;
    std::size_t begin, end;
    unsigned level;
  };
  struct List {
    bool ordered = false;
    std::int64_t number = 1;
  };

  bool enter(lxb_dom_node_t* node) {
    if (node->type == LXB_DOM_NODE_TYPE_TEXT) {
      const auto& data = lxb_dom_interface_character_data(node)->data;
      add_text({reinterpret_cast<const char*>(data.data), data.length});
      return false;
    }
    if (node->type == LXB_DOM_NODE_TYPE_DOCUMENT) return true;
    if (node->type != LXB_DOM_NODE_TYPE_ELEMENT || is_dropped(node)) return false;
    if (is_line(node)) end_line();
    if (is_list(node)) {
      lists_.push_back({node->local_name == LXB_TAG_OL, 1});
      if (const auto start = parse_number<std::int32_t>(attribute(node, "start"))) lists_.back().number = *start;
    }
    if (block_owner_ == nullptr) open_block(node);
    if (node->local_name == LXB_TAG_LI) begin_item();
    if (node->local_name == LXB_TAG_BR) in_cell() ? add_text(" ") : line_feed();
    if (is_cell(node) && kind_ == BlockKind::kTable && block_owner_ != nullptr) begin_cell();
    return true;
  }

  void leave(lxb_dom_node_t* node) {
    if (node->type != LXB_DOM_NODE_TYPE_ELEMENT) return;
    if (node == block_owner_) {
      flush();
      block_owner_ = nullptr;
      kind_ = BlockKind::kParagraph;
      level_ = 0;
    }
    if (is_list(node) && !lists_.empty()) lists_.pop_back();
    if (node->local_name == LXB_TAG_TR) row_open_ = false;
    if (is_line(node)) end_line();
  }

  // Elements whose whole content is one block.
  void open_block(lxb_dom_node_t* node) {
    const auto level = heading_level(node);
    auto kind = BlockKind::kParagraph;
    if (level > 0) {
      kind = BlockKind::kHeading;
    } else if (node->local_name == LXB_TAG_PRE) {
      kind = BlockKind::kCode;
    } else if (is_list(node)) {
      kind = BlockKind::kList;
    } else if (node->local_name == LXB_TAG_BLOCKQUOTE) {
      kind = BlockKind::kQuote;
    } else if (node->local_name != LXB_TAG_TABLE || is_layout_table(node)) {
      return;
    } else {
      kind = BlockKind::kTable;
      row_open_ = false;
    }
    flush();
    block_owner_ = node;
    kind_ = kind;
    level_ = level;
  }

  void begin_item() {
    const auto depth = lists_.empty() ? 0 : lists_.size() - 1;
    pending_ = std::string(2 * std::min<std::size_t>(depth, 16), ' ');
    pending_ += !lists_.empty() && lists_.back().ordered ? std::to_string(lists_.back().number++) + ". " : "- ";
    if (block_owner_ == nullptr || kind_ == BlockKind::kTable) pending_.clear();  // without a list, or within a cell
  }

  [[nodiscard]] bool in_cell() const { return kind_ == BlockKind::kTable && row_open_; }

  void begin_cell() {
    if (row_open_) {
      trim_line();
      buffer_ += " | ";
      blank_ = false;
    }
    row_open_ = true;
  }

  void add_text(std::string_view text) {
    for (const char c : text) {
      const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
      if (kind_ == BlockKind::kCode) {
        if (c != '\r') buffer_ += c;
      } else if (blank) {
        blank_ = true;
      } else {
        if (!pending_.empty())
          buffer_ += std::exchange(pending_, {});
        else if (blank_ && !buffer_.empty() && buffer_.back() != '\n' && buffer_.back() != ' ')
          buffer_ += ' ';
        blank_ = false;
        buffer_ += c;
      }
    }
  }

  void trim_line() {
    while (!buffer_.empty() && buffer_.back() == ' ') buffer_.pop_back();
  }

  void line_feed() {
    if (kind_ != BlockKind::kCode) trim_line();
    if (!buffer_.empty()) buffer_ += '\n';
    blank_ = false;
  }

  // Between blocks: a paragraph of its own outside of a list, quote or table, a new line inside, a blank within a cell.
  void end_line() {
    if (block_owner_ == nullptr) return flush();
    if (kind_ == BlockKind::kCode || kind_ == BlockKind::kHeading || in_cell()) {
      blank_ = true;
      return;
    }
    if (!buffer_.empty() && buffer_.back() != '\n') line_feed();
  }

  void flush() {
    pending_.clear();
    blank_ = false;
    const auto [first, last] = trim_blank(buffer_, 0, buffer_.size());
    if (first < last) {
      auto begin = first;
      if (kind_ == BlockKind::kCode) {  // the first line's indentation
        while (begin > 0 && (buffer_[begin - 1] == ' ' || buffer_[begin - 1] == '\t')) --begin;
      }
      if (!page_.text.empty()) page_.text += "\n\n";
      marks_.push_back({kind_, page_.text.size(), page_.text.size() + last - begin, level_});
      page_.text.append(buffer_, begin, last - begin);
    }
    buffer_.clear();
  }

  ParsedPage finish() {
    const CodePoints points(page_.text);
    std::vector<std::pair<unsigned, std::string>> open;
    for (const auto& mark : marks_) {
      const auto start = points.from_byte(mark.begin);
      page_.blocks.push_back({mark.kind, start, points.from_byte(mark.end)});
      if (mark.kind != BlockKind::kHeading) continue;
      const auto whole = std::string_view(page_.text).substr(mark.begin, mark.end - mark.begin);
      auto label = replace_all(std::string(codec::truncate_utf8(whole, kHeadingBytes)), "\n", " ");
      if (mark.level == 1 && page_.title.empty()) page_.title = label;
      while (!open.empty() && open.back().first >= mark.level) open.pop_back();
      open.emplace_back(mark.level, std::move(label));
      if (!page_.sections.empty()) page_.sections.back().end = start;
      Section section{{}, start, points.count()};
      for (const auto& [level, text] : open) section.path.push_back(text);
      page_.sections.push_back(std::move(section));
    }
    return std::move(page_);
  }

  ParsedPage page_;
  std::vector<Mark> marks_;
  std::string buffer_;     // of the block being read
  std::string pending_;    // a list item's mark, written with its first text
  bool blank_ = false;     // blanks were seen since the last character
  bool row_open_ = false;  // a cell of the row was begun
  std::vector<List> lists_;
  lxb_dom_node_t* block_owner_ = nullptr;  // the element whose content is one block
  BlockKind kind_ = BlockKind::kParagraph;
  unsigned level_ = 0;
};

}  // namespace

ParsedPage html_text(lxb_html_document* document) {
  return Renderer().render(document);
}

}  // namespace lakeloop::ingest
