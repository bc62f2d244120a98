#pragma once

// SQL that reads data files as rows of a table: column mapping, partition values, deletion vectors, columns that a file
// lacks (NULL) or stores in a narrower type.

#include <string>
#include <vector>

#include "delta/features.h"
#include "delta/log.h"

namespace lakeloop::delta {

// A file to read and which of its rows. Without deletion vector all.
struct FileRows {
  std::string path;
  PartitionValues partition_values;
  std::vector<std::uint64_t> rows;  // ascending positions
  bool only_these = false;          // true: just `rows`; false: all but `rows`
};

struct ScanShape {
  Schema schema;
  std::vector<std::string> partition_columns;
  ColumnMapping mapping = ColumnMapping::kNone;
  std::string folder;  // where DuckDB finds the table
  // Further columns. `file_column`: the path as given to DuckDB; `change_type`: of a change data file.
  bool file_column = false, change_type = false;
};

inline constexpr std::string_view kFileColumn = "__lakeloop_file";
inline constexpr std::string_view kChangeTypeColumn = "_change_type";

ScanShape scan_shape(const Log& log, const Snapshot& snapshot);
std::string table_folder(const Log& log);
std::string file_location(const ScanShape& shape, std::string_view path);
// A SELECT statement. No files: no rows.
std::string select_files(const ScanShape& shape, const std::vector<FileRows>& files);
// The live rows of a file: its deletion vector is read.
FileRows live_rows(const Log& log, const AddFile& file);

// The name that a column has in files, partition values and statistics.
std::string physical_name(const Field& field, ColumnMapping mapping);

}  // namespace lakeloop::delta
