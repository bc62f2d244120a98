#include "search/row_set.h"

#include <roaring/roaring.hh>

#include "base/check.h"
#include "base/error.h"

namespace lakeloop::search {

RowSet::RowSet(std::uint32_t rows, bool full)
    : rows_(rows), words_((std::size_t{rows} + 63) / 64, full ? ~std::uint64_t{0} : 0) {
  if (full && rows % 64 != 0) words_.back() = (std::uint64_t{1} << (rows % 64)) - 1;
}

std::uint32_t RowSet::count() const {
  std::uint32_t total = 0;
  for (const std::uint64_t word : words_) total += static_cast<std::uint32_t>(std::popcount(word));
  return total;
}

void RowSet::subtract(const RowSet& other) {
  LAKELOOP_CHECK(other.rows_ == rows_);
  for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= ~other.words_[i];
}

void RowSet::intersect(const RowSet& other) {
  LAKELOOP_CHECK(other.rows_ == rows_);
  for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= other.words_[i];
}

void RowSet::unite(const RowSet& other) {
  LAKELOOP_CHECK(other.rows_ == rows_);
  for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
}

std::string RowSet::serialize() const {
  roaring::Roaring bitmap;
  for_each([&](std::uint32_t row) { bitmap.add(row); });
  bitmap.runOptimize();
  std::string bytes(bitmap.getSizeInBytes(), '\0');
  bitmap.write(bytes.data());
  return bytes;
}

RowSet RowSet::parse(std::string_view bytes, std::uint32_t rows) {
  RowSet set(rows);
  try {
    const roaring::Roaring bitmap = roaring::Roaring::readSafe(bytes.data(), bytes.size());
    if (!bitmap.isEmpty() && bitmap.maximum() >= rows) {
      throw Error(ErrorCode::kDataLoss, "a bitmap holds row {} of a segment of {} rows", bitmap.maximum(), rows);
    }
    for (const std::uint32_t row : bitmap) set.add(row);
  } catch (const std::runtime_error&) {
    throw Error(ErrorCode::kDataLoss, "a bitmap of rows cannot be read");
  }
  return set;
}

}  // namespace lakeloop::search
