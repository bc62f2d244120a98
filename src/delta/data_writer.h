#pragma once

// Writes rows of a DuckDB temporary table as Parquet files of a table: one file for each partition and million rows,
// with statistics, durable in the object store before they are named in a commit.

#include <string>
#include <vector>

#include "delta/duck.h"
#include "delta/log.h"

namespace lakeloop::delta {

struct WriteShape {
  Schema schema;
  std::vector<std::string> partition_columns;
  std::map<std::string, std::string> properties;
};

// The temporary table `source` has the columns of the shape, and _change_type when `change_data`; then the files go to
// _change_data/ and have no statistics. Refuses NULL in columns that are not nullable with kInvalidArgument.
std::vector<AddFile> write_files(Duck& duck, const Log& log, const WriteShape& shape, const std::string& source,
                                 bool change_data);

// Copies a SELECT to a Parquet object; returns its size.
std::int64_t write_parquet(Duck& duck, const Log& log, const std::string& select, const std::string& key,
                           std::string_view codec);

}  // namespace lakeloop::delta
