#include "search/vector_part.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "base/error.h"

namespace lakeloop::search {

namespace {

enum SectionId : std::uint32_t { kShape = 1, kRows = 2, kValues = 3, kRefused = 4 };

struct Shape {
  std::uint32_t segment_rows, dimension;
  std::uint64_t vectors;
};

}  // namespace

void VectorPartBuilder::add(std::uint32_t row, std::span<const float> unit_vector) {
  LAKELOOP_CHECK(unit_vector.size() == dimension_ && row < refused_.rows());
  rows_.push_back(row);
  values_.insert(values_.end(), unit_vector.begin(), unit_vector.end());
}

void VectorPartBuilder::write(const std::filesystem::path& path) const {
  std::vector<std::size_t> order(rows_.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](std::size_t i) { return rows_[i]; });
  std::vector<std::uint32_t> rows;
  std::string values;
  rows.reserve(rows_.size());
  values.reserve(values_.size() * sizeof(float));
  for (const std::size_t i : order) {
    LAKELOOP_CHECK(rows.empty() || rows_[i] > rows.back());
    rows.push_back(rows_[i]);
    values.append(reinterpret_cast<const char*>(values_.data() + i * dimension_), dimension_ * sizeof(float));
  }
  SectionWriter writer(FileKind::kVectors);
  const Shape shape{refused_.rows(), static_cast<std::uint32_t>(dimension_), rows.size()};
  writer.add_array<Shape>(kShape, std::span(&shape, 1));
  writer.add_array<std::uint32_t>(kRows, rows);
  writer.add(kValues, std::move(values));
  writer.add(kRefused, refused_.serialize());
  writer.write(path);
}

std::shared_ptr<const VectorPart> VectorPart::open(const std::filesystem::path& path, std::uint32_t segment_rows) {
  std::shared_ptr<VectorPart> part(new VectorPart);
  part->file_ = SectionFile::open(path, FileKind::kVectors);
  const SectionFile& file = part->file_;
  const Shape shape = file.array<Shape>(kShape, 1)[0];
  if (shape.segment_rows != segment_rows) file.damaged("it belongs to a segment of another size");
  if (shape.vectors > segment_rows) file.damaged("it has more vectors than the segment has rows");
  part->dimension_ = shape.dimension;
  part->rows_ = file.array<std::uint32_t>(kRows, shape.vectors);
  part->values_ = file.array<float>(kValues, shape.vectors * shape.dimension);
  part->present_ = RowSet(segment_rows);
  for (std::size_t i = 0; i < part->rows_.size(); ++i) {
    if (part->rows_[i] >= segment_rows || (i > 0 && part->rows_[i] <= part->rows_[i - 1]))
      file.damaged("its rows are out of order");
    part->present_.add(part->rows_[i]);
  }
  part->refused_ = RowSet::parse(file.section(kRefused), segment_rows);
  return part;
}

const float* VectorPart::find(std::uint32_t row) const {
  if (!present_.contains(row)) return nullptr;
  return at(static_cast<std::size_t>(std::ranges::lower_bound(rows_, row) - rows_.begin()));
}

}  // namespace lakeloop::search
