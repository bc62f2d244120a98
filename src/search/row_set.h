#pragma once

// A set of row numbers of one segment: a plain bitmap in memory (one bit test per look-up), a Roaring bitmap on disk
// (RoaringFormatSpec, portable). A value; reading it from several threads is safe.

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lakeloop::search {

class RowSet {
 public:
  RowSet() = default;
  explicit RowSet(std::uint32_t rows, bool full = false);

  [[nodiscard]] std::uint32_t rows() const { return rows_; }
  [[nodiscard]] bool contains(std::uint32_t row) const { return ((words_[row >> 6] >> (row & 63)) & 1) != 0; }
  void add(std::uint32_t row) { words_[row >> 6] |= std::uint64_t{1} << (row & 63); }
  void remove(std::uint32_t row) { words_[row >> 6] &= ~(std::uint64_t{1} << (row & 63)); }
  [[nodiscard]] std::uint32_t count() const;
  void subtract(const RowSet& other);
  void intersect(const RowSet& other);
  void unite(const RowSet& other);

  // In ascending order.
  template <typename F>
  void for_each(F&& visit) const {
    for (std::size_t word = 0; word < words_.size(); ++word) {
      for (std::uint64_t bits = words_[word]; bits != 0; bits &= bits - 1) {
        visit(static_cast<std::uint32_t>(word * 64 + static_cast<std::size_t>(std::countr_zero(bits))));
      }
    }
  }

  [[nodiscard]] std::string serialize() const;
  // kDataLoss when the bytes are no bitmap or hold a row beyond `rows`.
  static RowSet parse(std::string_view bytes, std::uint32_t rows);

  bool operator==(const RowSet&) const = default;

 private:
  std::uint32_t rows_ = 0;
  std::vector<std::uint64_t> words_;
};

}  // namespace lakeloop::search
