#pragma once

// Per-file statistics (PROTOCOL.md, "Per-file Statistics"): numRecords, minValues, maxValues, nullCount of the first
// leaf columns. Others skip files by them, so a bound is either right or absent.

#include <string>
#include <vector>

#include "delta/duck.h"

namespace lakeloop::delta {

struct FileStats {
  std::string json;
  std::int64_t rows = 0;
};

// `source` and `where` (SQL) give the file's rows; `columns` are those stored in the file. Columns that are not
// nullable but hold NULL are kInvalidArgument. `indexed` is delta.dataSkippingNumIndexedCols: leaves that get bounds,
// -1 for all.
FileStats file_stats(Duck& duck, const std::string& source, const std::string& where, const Schema& columns,
                     int indexed);

// Spark's rule for text: at most 32 characters. The upper bound of a longer one ends in a character that sorts above
// it; nullopt when there is none.
std::string lower_bound_text(std::string_view text);
std::optional<std::string> upper_bound_text(std::string_view text);

}  // namespace lakeloop::delta
