#include "search/postings.h"

#include <algorithm>
#include <optional>

#include "base/check.h"

namespace lakeloop::search {

namespace {

void put_varint(std::string& bytes, std::uint32_t value) {
  while (value >= 0x80) {
    bytes += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  bytes += static_cast<char>(value);
}

// Nullopt at the end of the bytes or beyond 32 bits.
std::optional<std::uint32_t> take_varint(const char*& at, const char* end) {
  std::uint32_t value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    if (at == end) return std::nullopt;
    const auto byte = static_cast<std::uint8_t>(*at++);
    value |= static_cast<std::uint32_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

}  // namespace

void PostingsBuilder::add(std::string_view term, std::uint32_t row, std::uint32_t count) {
  auto found = lists_.find(term);
  if (found == lists_.end()) {
    found = lists_.emplace(std::string(term), List{}).first;
    bytes_ += term.size() + 64;
  }
  List& list = found->second;
  LAKELOOP_CHECK(list.size == 0 || row > list.last_row);
  const std::size_t before = list.bytes.size();
  put_varint(list.bytes, list.size == 0 ? row : row - list.last_row);
  put_varint(list.bytes, count);
  bytes_ += list.bytes.size() - before;
  list.last_row = row;
  ++list.size;
}

void PostingsBuilder::write(SectionWriter& writer, std::uint32_t first_id) {
  std::vector<std::pair<std::string_view, const List*>> sorted;
  sorted.reserve(lists_.size());
  for (const auto& [term, list] : lists_) sorted.emplace_back(term, &list);
  std::ranges::sort(sorted);
  std::vector<std::uint64_t> term_ends, list_ends;
  std::string term_text, lists;
  for (const auto& [term, list] : sorted) {
    term_text += term;
    lists += list->bytes;
    term_ends.push_back(term_text.size());
    list_ends.push_back(lists.size());
  }
  writer.add_array<std::uint64_t>(first_id, term_ends);
  writer.add(first_id + 1, std::move(term_text));
  writer.add_array<std::uint64_t>(first_id + 2, list_ends);
  writer.add(first_id + 3, std::move(lists));
}

Postings::Postings(const SectionFile& file, std::uint32_t first_id, std::uint32_t rows) : file_(&file), rows_(rows) {
  const std::size_t count = file.section(first_id).size() / sizeof(std::uint64_t);
  term_ends_ = file.array<std::uint64_t>(first_id, count);
  term_text_ = file.section(first_id + 1);
  list_ends_ = file.array<std::uint64_t>(first_id + 2, count);
  lists_ = file.section(first_id + 3);
  if (!std::ranges::is_sorted(term_ends_) || !std::ranges::is_sorted(list_ends_) ||
      (count > 0 && (term_ends_.back() != term_text_.size() || list_ends_.back() != lists_.size()))) {
    file.damaged("its dictionary is out of order");
  }
}

std::string_view Postings::term(std::size_t index) const {
  const std::uint64_t begin = index == 0 ? 0 : term_ends_[index - 1];
  return term_text_.substr(begin, term_ends_[index] - begin);
}

void Postings::read(std::string_view wanted, std::vector<Posting>& into) const {
  into.clear();
  std::size_t low = 0, high = terms();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    const std::string_view here = term(middle);
    if (here == wanted) return read(middle, into);
    if (here < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
}

void Postings::read(std::size_t index, std::vector<Posting>& into) const {
  into.clear();
  const std::uint64_t begin = index == 0 ? 0 : list_ends_[index - 1];
  const char* at = lists_.data() + begin;
  const char* const end = lists_.data() + list_ends_[index];
  std::uint64_t row = 0;
  while (at != end) {
    const auto step = take_varint(at, end);
    const auto count = take_varint(at, end);
    if (!step || !count) file_->damaged("a list of postings cannot be read");
    row += *step;
    if (row >= rows_) file_->damaged("a posting lies beyond the rows");
    into.push_back({static_cast<std::uint32_t>(row), *count});
  }
}

}  // namespace lakeloop::search
