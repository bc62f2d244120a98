#include "ingest/code_points.h"

#include <algorithm>

namespace lakeloop::ingest {
namespace {

constexpr std::size_t kStep = 128;

bool starts_code_point(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
}

}  // namespace

CodePoints::CodePoints(std::string_view utf8) : text_(utf8) {
  before_.reserve(utf8.size() / kStep + 1);
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    if (i % kStep == 0) before_.push_back(count_);
    count_ += starts_code_point(utf8[i]) ? 1 : 0;
  }
}

std::int64_t CodePoints::from_byte(std::size_t byte) const {
  if (byte >= text_.size()) return count_;
  std::int64_t result = before_[byte / kStep];
  for (std::size_t i = byte / kStep * kStep; i < byte; ++i) result += starts_code_point(text_[i]) ? 1 : 0;
  return result;
}

std::size_t CodePoints::to_byte(std::int64_t index) const {
  if (index <= 0) return 0;
  if (index >= count_) return text_.size();
  // The last step that has at most `index` code points before it.
  const auto step = std::ranges::upper_bound(before_, index) - before_.begin() - 1;
  std::int64_t seen = before_[static_cast<std::size_t>(step)];
  for (std::size_t i = static_cast<std::size_t>(step) * kStep; i < text_.size(); ++i) {
    if (!starts_code_point(text_[i])) continue;
    if (seen == index) return i;
    ++seen;
  }
  return text_.size();
}

}  // namespace lakeloop::ingest
