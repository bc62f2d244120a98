#include "search/column.h"

#include "base/check.h"

namespace lakeloop::search {

ColumnKind column_kind(const delta::DataType& type) {
  using enum delta::TypeKind;
  switch (type.kind) {
    case kLong:
    case kInteger:
    case kShort:
    case kByte:
    case kBoolean:
    case kDate:
    case kTimestamp:
    case kTimestampNtz:
      return ColumnKind::kInteger;
    case kFloat:
    case kDouble:
      return ColumnKind::kReal;
    case kString:
    case kDecimal:
    case kBinary:
    case kVoid:
      return ColumnKind::kText;
    case kStruct:
    case kArray:
    case kMap:
      return ColumnKind::kJson;
  }
  LAKELOOP_UNREACHABLE();
}

void ColumnBuilder::add(const Json& cell) {
  if (rows_ % 64 == 0) nulls_.push_back(0);
  bool null = true;
  std::int64_t integer = 0;
  double real = 0;
  switch (kind_) {
    case ColumnKind::kInteger:
      if (cell.is_int() || cell.is_bool()) {
        integer = cell.is_int() ? cell.as_int() : static_cast<std::int64_t>(cell.as_bool());
        null = false;
      }
      integers_.push_back(integer);
      break;
    case ColumnKind::kReal:
      if (cell.is_number()) {
        real = cell.as_double();
        null = false;
      }
      reals_.push_back(real);
      break;
    case ColumnKind::kText:
      if (cell.is_string()) {
        text_ += cell.as_string();
        null = false;
      }
      ends_.push_back(text_.size());
      break;
    case ColumnKind::kJson:
      if (!cell.is_null()) {
        text_ += cell.dump();
        null = false;
      }
      ends_.push_back(text_.size());
      break;
  }
  if (null) nulls_.back() |= std::uint64_t{1} << (rows_ % 64);
  ++rows_;
}

void ColumnBuilder::write(SectionWriter& writer, std::uint32_t first_id) {
  writer.add_array<std::uint64_t>(first_id, nulls_);
  switch (kind_) {
    case ColumnKind::kInteger:
      return writer.add_array<std::int64_t>(first_id + 1, integers_);
    case ColumnKind::kReal:
      return writer.add_array<double>(first_id + 1, reals_);
    case ColumnKind::kText:
    case ColumnKind::kJson:
      writer.add_array<std::uint64_t>(first_id + 1, ends_);
      writer.add(first_id + 2, std::move(text_));
      return;
  }
}

Column::Column(const delta::DataType& type, const SectionFile& file, std::uint32_t first_id, std::uint32_t rows)
    : boolean_(type.kind == delta::TypeKind::kBoolean), kind_(column_kind(type)) {
  nulls_ = file.array<std::uint64_t>(first_id, (std::size_t{rows} + 63) / 64);
  switch (kind_) {
    case ColumnKind::kInteger:
      integers_ = file.array<std::int64_t>(first_id + 1, rows);
      return;
    case ColumnKind::kReal:
      reals_ = file.array<double>(first_id + 1, rows);
      return;
    case ColumnKind::kText:
    case ColumnKind::kJson:
      ends_ = file.array<std::uint64_t>(first_id + 1, rows);
      text_ = file.section(first_id + 2);
      std::uint64_t last = 0;
      for (const std::uint64_t end : ends_) {
        if (end < last || end > text_.size()) file.damaged("the ends of a text column are out of order");
        last = end;
      }
      return;
  }
}

Json Column::value(std::uint32_t row) const {
  if (is_null(row)) return {};
  switch (kind_) {
    case ColumnKind::kInteger:
      return boolean_ ? Json(integers_[row] != 0) : Json(integers_[row]);
    case ColumnKind::kReal:
      return reals_[row];
    case ColumnKind::kText:
      return text(row);
    case ColumnKind::kJson:
      return Json::parse(text(row));
  }
  LAKELOOP_UNREACHABLE();
}

}  // namespace lakeloop::search
