#include "ingest/text_units.h"

#include <unicode/ubrk.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "codec/unicode.h"

namespace lakeloop::ingest {
namespace {

struct CloseIterator {
  void operator()(UBreakIterator* iterator) const { ubrk_close(iterator); }
};
using Iterator = std::unique_ptr<UBreakIterator, CloseIterator>;

Iterator open_iterator(UBreakIteratorType type) {
  UErrorCode status = U_ZERO_ERROR;
  Iterator iterator(ubrk_open(type, "", nullptr, 0, &status));
  if (U_FAILURE(status)) throw Error(ErrorCode::kInternal, "ICU has no break rules: {}", u_errorName(status));
  return iterator;
}

// Calls on_boundary(offset) for each boundary after the first, the end included.
template <typename OnBoundary>
void each_boundary(UBreakIterator* iterator, std::string_view text, OnBoundary on_boundary) {
  UErrorCode status = U_ZERO_ERROR;
  UText utext = UTEXT_INITIALIZER;
  utext_openUTF8(&utext, text.data(), static_cast<std::int64_t>(text.size()), &status);
  ubrk_setUText(iterator, &utext, &status);
  if (U_FAILURE(status)) {
    utext_close(&utext);
    throw Error(ErrorCode::kInternal, "ICU cannot read the text: {}", u_errorName(status));
  }
  ubrk_first(iterator);
  for (auto at = ubrk_next(iterator); at != UBRK_DONE; at = ubrk_next(iterator))
    on_boundary(static_cast<std::size_t>(at));
  utext_close(&utext);
}

bool is_blank(std::string_view text) {
  return trim_blank(text, 0, text.size()).first == text.size();
}

// "- ", "12. ", "3) " after any indentation.
bool starts_item(std::string_view line) {
  std::size_t at = 0;
  while (at < line.size() && (line[at] == ' ' || line[at] == '\t')) ++at;
  const auto blank_at = [&](std::size_t i) {
    return i >= line.size() || line[i] == ' ' || line[i] == '\t' || line[i] == '\n';
  };
  if (at >= line.size()) return false;
  if (line[at] == '-' || line[at] == '*' || line[at] == '+') return blank_at(at + 1);
  const auto digits = at;
  while (at < line.size() && line[at] >= '0' && line[at] <= '9') ++at;
  return at > digits && at - digits <= 9 && at < line.size() && (line[at] == '.' || line[at] == ')') &&
         blank_at(at + 1);
}

}  // namespace

std::pair<std::size_t, std::size_t> trim_blank(std::string_view text, std::size_t begin, std::size_t end) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  while (begin < end) {
    auto next = begin;
    UChar32 c = 0;
    U8_NEXT(bytes, next, end, c);
    if (c < 0 || !u_isUWhiteSpace(c)) break;
    begin = next;
  }
  while (begin < end) {
    // A code point has at most four bytes; ICU's macro counts in 32 bits.
    const auto window = end - std::min<std::size_t>(end - begin, 4);
    auto previous = static_cast<std::int32_t>(end - window);
    UChar32 c = 0;
    U8_PREV(bytes + window, 0, previous, c);
    if (c < 0 || !u_isUWhiteSpace(c)) break;
    end = window + static_cast<std::size_t>(previous);
  }
  return {begin, end};
}

struct TextUnits::Impl {
  std::string_view text;
  Iterator sentences = open_iterator(UBRK_SENTENCE);
  Iterator words = open_iterator(UBRK_LINE);  // where a line may wrap: right for scripts without blanks too
  Iterator clusters = open_iterator(UBRK_CHARACTER);

  void push(std::size_t begin, std::size_t end, Cut cut, std::size_t block, std::size_t first,
            std::vector<Unit>& out) const {
    if (begin == end) return;
    const auto piece = text.substr(begin, end - begin);
    const auto points = static_cast<std::int64_t>(codec::count_code_points(piece));
    const bool fresh = out.size() == first;
    // What is blank belongs to the unit before it, or to the one after where it comes first.
    if (!fresh && (is_blank(piece) || is_blank(text.substr(out.back().begin, out.back().end - out.back().begin)))) {
      out.back().end = end;
      out.back().points += points;
      return;
    }
    out.push_back({begin, end, fresh ? Cut::kBlock : cut, block, points, 0});
  }

  void append_lines(std::size_t begin, std::size_t end, std::size_t block, std::vector<Unit>& out) const {
    const auto first = out.size();
    auto cut = Cut::kLine;
    while (begin < end) {
      const auto newline = text.find('\n', begin);
      const auto next = std::min(newline == std::string_view::npos ? end : newline + 1, end);
      push(begin, next, cut, block, first, out);
      cut = is_blank(text.substr(begin, next - begin)) ? Cut::kItem : Cut::kLine;
      begin = next;
    }
  }

  void append_sentences(std::size_t begin, std::size_t end, Cut opening, std::size_t block, std::size_t first,
                        std::vector<Unit>& out) {
    // A wrapped line is not the end of a sentence; to ICU a line feed is.
    std::string flat(text.substr(begin, end - begin));
    std::ranges::replace(flat, '\n', ' ');
    std::ranges::replace(flat, '\r', ' ');
    std::size_t last = 0;
    each_boundary(sentences.get(), flat, [&](std::size_t at) {
      push(begin + last, begin + at, last == 0 ? opening : Cut::kSentence, block, first, out);
      last = at;
    });
  }

  void append_items(std::size_t begin, std::size_t end, std::size_t block, std::vector<Unit>& out) {
    const auto first = out.size();
    auto item = begin;
    for (auto line = begin; line < end;) {
      const auto newline = text.find('\n', line);
      const auto next = std::min(newline == std::string_view::npos ? end : newline + 1, end);
      if (line > item && starts_item(text.substr(line, next - line))) {
        append_sentences(item, line, Cut::kItem, block, first, out);
        item = line;
      }
      line = next;
    }
    append_sentences(item, end, Cut::kItem, block, first, out);
  }
};

TextUnits::TextUnits(std::string_view text) : impl_(std::make_unique<Impl>()) {
  impl_->text = text;
}
TextUnits::~TextUnits() = default;

void TextUnits::append(BlockKind kind, std::size_t begin, std::size_t end, std::size_t block, std::vector<Unit>& out) {
  switch (kind) {
    case BlockKind::kCode:
    case BlockKind::kTable:
      return impl_->append_lines(begin, end, block, out);
    case BlockKind::kList:
      return impl_->append_items(begin, end, block, out);
    case BlockKind::kHeading:
      return impl_->push(begin, end, Cut::kBlock, block, out.size(), out);
    case BlockKind::kParagraph:
    case BlockKind::kQuote:
      return impl_->append_sentences(begin, end, Cut::kBlock, block, out.size(), out);
  }
}

void TextUnits::append_finer(const Unit& unit, std::int64_t points, std::vector<Unit>& out) {
  if (unit.points <= 1) {
    out.push_back(unit);
    return;
  }
  points = std::clamp<std::int64_t>(points, 1, unit.points - 1);
  const auto text = impl_->text.substr(unit.begin, unit.end - unit.begin);
  const auto first = out.size();
  std::size_t start = 0, last = 0;  // of the piece being filled: its beginning, and the last boundary that fits
  std::int64_t start_points = 0, last_points = 0;
  const auto emit = [&](Cut cut) {
    out.push_back({unit.begin + start, unit.begin + last, start == 0 ? unit.cut : cut, unit.block,
                   last_points - start_points, 0});
    start = last;
    start_points = last_points;
  };
  const auto pack = [&](UBreakIterator* iterator, Cut cut) {
    start = last = 0;
    start_points = last_points = 0;
    each_boundary(iterator, text, [&](std::size_t at) {
      const auto grown =
          last_points + static_cast<std::int64_t>(codec::count_code_points(text.substr(last, at - last)));
      if (last > start && grown - start_points > points) emit(cut);
      last = at;
      last_points = grown;
    });
    emit(cut);
    if (out.size() - first >= 2) return true;
    out.resize(first);
    return false;
  };
  if (pack(impl_->words.get(), Cut::kWord) || pack(impl_->clusters.get(), Cut::kCluster)) return;
  start = last = 0;
  start_points = last_points = 0;
  while (last < text.size()) {
    last +=
        codec::byte_offset(text.substr(last, 4 * static_cast<std::size_t>(points)), static_cast<std::size_t>(points));
    last_points += std::min(points, unit.points - last_points);
    emit(Cut::kCodePoint);
  }
}

}  // namespace lakeloop::ingest
