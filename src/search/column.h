#pragma once

// One stored column of a segment, by type: 64-bit integers (also dates, timestamps, booleans), doubles, text (also
// decimals and binary), or compact JSON for arrays, structs and maps. Read in place from the mapped file.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"
#include "delta/schema.h"
#include "search/section_file.h"

namespace lakeloop::search {

enum class ColumnKind : std::uint8_t { kInteger, kReal, kText, kJson };

ColumnKind column_kind(const delta::DataType& type);

class ColumnBuilder {
 public:
  explicit ColumnBuilder(const delta::DataType& type) : type_(type), kind_(column_kind(type)) {}
  // A cell as delta/schema.h describes it; one whose JSON type does not fit the column's is kept as NULL.
  void add(const Json& cell);
  // Writes sections first_id, first_id + 1, first_id + 2.
  void write(SectionWriter& writer, std::uint32_t first_id);
  [[nodiscard]] std::size_t bytes() const { return text_.size() + integers_.size() * 8 + reals_.size() * 8; }

 private:
  delta::DataType type_;
  ColumnKind kind_;
  std::uint32_t rows_ = 0;
  std::vector<std::uint64_t> nulls_;
  std::vector<std::int64_t> integers_;
  std::vector<double> reals_;
  std::vector<std::uint64_t> ends_;
  std::string text_;
};

class Column {
 public:
  Column(const delta::DataType& type, const SectionFile& file, std::uint32_t first_id, std::uint32_t rows);

  [[nodiscard]] ColumnKind kind() const { return kind_; }
  [[nodiscard]] bool is_null(std::uint32_t row) const { return ((nulls_[row >> 6] >> (row & 63)) & 1) != 0; }
  // Of the matching kind only, and not for NULL.
  [[nodiscard]] std::int64_t integer(std::uint32_t row) const { return integers_[row]; }
  [[nodiscard]] double real(std::uint32_t row) const { return reals_[row]; }
  [[nodiscard]] std::string_view text(std::uint32_t row) const {
    const std::uint64_t begin = row == 0 ? 0 : ends_[row - 1];
    return text_.substr(begin, ends_[row] - begin);
  }
  // The cell as it came.
  [[nodiscard]] Json value(std::uint32_t row) const;

 private:
  bool boolean_;
  ColumnKind kind_;
  std::span<const std::uint64_t> nulls_;
  std::span<const std::int64_t> integers_;
  std::span<const double> reals_;
  std::span<const std::uint64_t> ends_;
  std::string_view text_;
};

}  // namespace lakeloop::search
