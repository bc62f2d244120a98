#pragma once

// Vectors of some rows of one segment, made by one embedding model: unit vectors of float32, row after row, in one
// immutable file. Rows whose vector was refused are noted, so that they are not asked for again. A segment may have
// several parts; their rows are disjoint.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "search/row_set.h"
#include "search/section_file.h"

namespace lakeloop::search {

class VectorPart {
 public:
  // kDataLoss when damaged, or made for a segment of other size.
  static std::shared_ptr<const VectorPart> open(const std::filesystem::path& path, std::uint32_t segment_rows);

  [[nodiscard]] std::size_t dimension() const { return dimension_; }
  [[nodiscard]] std::size_t size() const { return rows_.size(); }
  [[nodiscard]] std::uint32_t row(std::size_t rank) const { return rows_[rank]; }
  [[nodiscard]] const float* at(std::size_t rank) const { return values_.data() + rank * dimension_; }
  [[nodiscard]] const float* find(std::uint32_t row) const;  // nullptr when the row has no vector here
  [[nodiscard]] const RowSet& present() const { return present_; }
  [[nodiscard]] const RowSet& refused() const { return refused_; }

 private:
  VectorPart() = default;
  SectionFile file_;
  std::size_t dimension_ = 0;
  std::span<const std::uint32_t> rows_;  // ascending
  std::span<const float> values_;
  RowSet present_, refused_;
};

// Collects unit vectors in any order of rows.
class VectorPartBuilder {
 public:
  VectorPartBuilder(std::uint32_t segment_rows, std::size_t dimension)
      : dimension_(dimension), refused_(segment_rows) {}
  void add(std::uint32_t row, std::span<const float> unit_vector);  // checked: right dimension, each row once
  void refuse(std::uint32_t row) { refused_.add(row); }
  [[nodiscard]] bool empty() const { return rows_.empty() && refused_.count() == 0; }
  void write(const std::filesystem::path& path) const;

 private:
  std::size_t dimension_;
  RowSet refused_;
  std::vector<std::uint32_t> rows_;
  std::vector<float> values_;
};

}  // namespace lakeloop::search
