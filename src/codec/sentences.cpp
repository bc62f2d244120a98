#include "codec/sentences.h"

#include <unicode/brkiter.h>
#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/check.h"
#include "base/text.h"

namespace lakeloop::codec {
namespace {

// A paragraph: consecutive lines of one kind, by byte range.
struct Block {
  std::size_t begin = 0, end = 0;
};

bool is_rule(std::string_view line) {
  return line.size() >= 3 && line.find_first_not_of("-=*_ ") == std::string_view::npos;
}

bool is_table_rule(std::string_view line) {
  return line.contains('-') && line.contains('|') && line.find_first_not_of("|-: ") == std::string_view::npos;
}

// Length of a list marker ("- ", "12. ") and the blanks before it; 0 when there is none.
std::size_t list_marker(std::string_view line) {
  const std::size_t indent = std::min(line.find_first_not_of(" \t"), line.size());
  std::string_view rest = line.substr(indent);
  if (rest.size() >= 2 && (rest[0] == '-' || rest[0] == '*' || rest[0] == '+') && rest[1] == ' ') return indent + 2;
  std::size_t digits = 0;
  while (digits < rest.size() && digits < 4 && rest[digits] >= '0' && rest[digits] <= '9') ++digits;
  if (digits > 0 && digits + 1 < rest.size() && (rest[digits] == '.' || rest[digits] == ')') &&
      rest[digits + 1] == ' ') {
    return indent + digits + 2;
  }
  return 0;
}

bool is_link_definition(std::string_view line) {
  return line.starts_with('[') && line.contains("]: ");
}

// Paragraphs, list items and table rows; code, headings and rules left out.
std::vector<Block> find_blocks(std::string_view text) {
  std::vector<Block> blocks;
  Block open;
  bool in_block = false, in_comment = false, last_is_row = false;
  std::string fence;
  const auto close = [&] {
    if (in_block) blocks.push_back(open);
    in_block = false;
  };
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t newline = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, newline - at);
    const std::string_view bare = trim(line);
    const std::size_t next = newline + 1;
    if (!fence.empty()) {
      if (bare.starts_with(fence)) fence.clear();
    } else if (in_comment) {
      in_comment = !bare.contains("-->");
    } else if (bare.starts_with("```") || bare.starts_with("~~~")) {
      close();
      fence = std::string(bare.substr(0, 3));
    } else if (bare.starts_with("<!--")) {
      close();
      in_comment = !bare.contains("-->");
    } else if (is_table_rule(bare) && last_is_row) {
      blocks.pop_back();  // the heads of columns state nothing
      last_is_row = false;
    } else if (bare.empty() || bare.starts_with('#') || is_rule(bare) || is_table_rule(bare) ||
               is_link_definition(bare) || (bare.starts_with('<') && bare.ends_with('>') && !bare.contains(' '))) {
      close();
      last_is_row = false;
    } else if (line.starts_with("    ") && !in_block && list_marker(line) == 0) {
      // indented code
    } else {
      const std::size_t marker = list_marker(line);
      const bool row = bare.starts_with('|');
      if (marker > 0 || row) close();
      if (!in_block) open.begin = at + (marker > 0 ? marker : line.find_first_not_of(" \t>"));
      in_block = true;
      open.end = newline;
      if (row) close();
      last_is_row = row;
    }
    at = next;
  }
  close();
  return blocks;
}

// Removes emphasis, code ticks, link targets and table bars; folds blanks.
std::string plain(std::string_view markdown) {
  std::string out;
  for (std::size_t i = 0; i < markdown.size(); ++i) {
    const char c = markdown[i];
    if (c == '`' || c == '|') {
      if (c == '|' && !out.empty() && out.back() != ' ') out += ' ';
      continue;
    }
    if (c == '*' ||
        (c == '_' && (i == 0 || markdown[i - 1] == ' ' || i + 1 == markdown.size() || markdown[i + 1] == ' '))) {
      continue;
    }
    if (c == '\\' && i + 1 < markdown.size() && std::string_view("*_`[]()#").contains(markdown[i + 1])) continue;
    if (c == '!' && i + 1 < markdown.size() && markdown[i + 1] == '[') continue;
    if (c == '[') continue;
    if (c == ']') {
      if (i + 1 < markdown.size() && (markdown[i + 1] == '(' || markdown[i + 1] == '[')) {
        const char closing = markdown[i + 1] == '(' ? ')' : ']';
        const std::size_t end = markdown.find(closing, i + 2);
        if (end != std::string_view::npos) i = end;
      }
      continue;
    }
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (space && (out.empty() || out.back() == ' ')) continue;
    out += space ? ' ' : c;
  }
  return std::string(trim(out));
}

bool has_letter(std::string_view text) {
  const icu::UnicodeString wide =
      icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int>(text.size())));
  for (int i = 0; i < wide.length(); i = wide.moveIndex32(i, 1)) {
    if (u_isalnum(wide.char32At(i)) != 0) return true;
  }
  return false;
}

std::unique_ptr<icu::BreakIterator> sentence_breaks() {
  UErrorCode status = U_ZERO_ERROR;
  std::unique_ptr<icu::BreakIterator> breaks(
      icu::BreakIterator::createSentenceInstance(icu::Locale::getEnglish(), status));
  LAKELOOP_CHECK(U_SUCCESS(status) != 0);
  return breaks;
}

// "e.g. this" and "Fig. 3" are one sentence: a break after these is taken back.
bool ends_with_abbreviation(std::string_view text) {
  static constexpr std::array<std::string_view, 12> list = {"e.g.", "i.e.", "etc.", "cf.",  "vs.",     "Fig.",
                                                            "No.",  "Dr.",  "Mr.",  "Mrs.", "approx.", "Ch."};
  const std::string_view bare = trim(text);
  return std::ranges::any_of(list, [&](std::string_view end) {
    return bare.ends_with(end) && (bare.size() == end.size() || bare[bare.size() - end.size() - 1] == ' ' ||
                                   bare[bare.size() - end.size() - 1] == '(');
  });
}

}  // namespace

std::vector<Sentence> split_sentences(std::string_view text, std::size_t limit) {
  std::vector<Sentence> sentences;
  const auto breaks = sentence_breaks();
  std::size_t counted_bytes = 0;
  std::int64_t counted_points = 0;
  // Code points before a byte offset; offsets come in rising order.
  const auto points_before = [&](std::size_t byte) {
    for (; counted_bytes < byte; ++counted_bytes) {
      if ((static_cast<unsigned char>(text[counted_bytes]) & 0xC0) != 0x80) ++counted_points;
    }
    return counted_points;
  };
  for (const Block& block : find_blocks(text)) {
    const std::string_view piece = text.substr(block.begin, block.end - block.begin);
    // A line end within a paragraph is a blank, but a hard break for ICU: same length, so offsets hold.
    std::string flat(piece);
    std::ranges::replace(flat, '\n', ' ');
    const icu::UnicodeString wide = icu::UnicodeString::fromUTF8(flat);
    breaks->setText(wide);
    std::size_t byte = 0, begin = 0;
    int from = 0;
    for (int to = breaks->next(); to != icu::BreakIterator::DONE; to = breaks->next()) {
      std::string utf8;
      wide.tempSubStringBetween(from, to).toUTF8String(utf8);
      byte += utf8.size();
      from = to;
      const std::string_view raw = piece.substr(begin, byte - begin);
      if (to < wide.length() && ends_with_abbreviation(raw)) continue;
      const std::string_view bare = trim(raw);
      if (!bare.empty()) {
        std::string shown = plain(bare);
        if (has_letter(shown)) {
          if (sentences.size() == limit) return sentences;
          const auto start_byte = block.begin + begin + static_cast<std::size_t>(bare.data() - raw.data());
          const std::int64_t start = points_before(start_byte);
          const std::int64_t end = points_before(start_byte + bare.size());
          sentences.push_back({std::move(shown), start, end});
        }
      }
      begin = byte;
    }
  }
  return sentences;
}

std::vector<std::string> content_words(std::string_view text) {
  static constexpr std::array<std::string_view, 58> stop = {
      "a",     "about", "all",   "an",    "and",  "any",  "are",   "as",   "at",   "be",  "but",  "by",
      "can",   "do",    "does",  "for",   "from", "get",  "has",   "have", "how",  "i",   "if",   "in",
      "into",  "is",    "it",    "its",   "me",   "my",   "not",   "of",   "on",   "or",  "so",   "that",
      "the",   "their", "there", "these", "this", "to",   "use",   "used", "was",  "we",  "what", "when",
      "where", "which", "who",   "why",   "will", "with", "would", "you",  "your", "were"};
  icu::UnicodeString wide = icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int>(text.size())));
  wide.foldCase();
  std::vector<std::string> words;
  int begin = -1;
  for (int i = 0; i <= wide.length(); i = i < wide.length() ? wide.moveIndex32(i, 1) : i + 1) {
    const bool inside = i < wide.length() && u_isalnum(wide.char32At(i)) != 0;
    if (inside && begin < 0) begin = i;
    if (!inside && begin >= 0) {
      std::string word;
      wide.tempSubStringBetween(begin, i).toUTF8String(word);
      begin = -1;
      if (std::ranges::find(stop, word) == stop.end()) words.push_back(std::move(word));
    }
  }
  return words;
}

}  // namespace lakeloop::codec
