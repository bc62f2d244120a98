#pragma once

// Between DuckDB's vectors and Json cells. Internal to delta; the DuckDB handles are declared, not included.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "delta/schema.h"

struct _duckdb_vector;
struct _duckdb_logical_type;
struct _duckdb_value;

namespace lakeloop::delta {

// How to read a column: DuckDB's physical layout and the Delta type that the cells get.
struct CellReader {
  int duck_type = 0;
  int physical = 0;  // of decimals and enums
  DataType type;
  std::vector<std::string> names;  // struct members, enum values
  std::vector<CellReader> children;
  std::uint64_t array_size = 0;

  static CellReader of(_duckdb_logical_type* type);
  [[nodiscard]] Json read(_duckdb_vector* vector, std::uint64_t row) const;
};

// Owns a logical type; made from a Delta type.
struct LogicalTypeDeleter {
  void operator()(_duckdb_logical_type* type) const;
};
using LogicalType = std::unique_ptr<_duckdb_logical_type, LogicalTypeDeleter>;
LogicalType logical_type(const DataType& type);

// Writes one cell. `where` names the column in errors (kInvalidArgument).
void write_cell(_duckdb_vector* vector, std::uint64_t row, const DataType& type, const Json& cell,
                const std::string& where);

struct DuckValueDeleter {
  void operator()(_duckdb_value* value) const;
};
using DuckValue = std::unique_ptr<_duckdb_value, DuckValueDeleter>;
// A parameter; `duck_type` is the type the statement expects, 0 when unknown.
DuckValue parameter_value(const Json& json, int duck_type);

// Decimal text of an unscaled 128-bit integer, and back: nullopt when it has more digits than (precision, scale) hold.
std::string decimal_text(__int128 unscaled, int scale);
std::optional<__int128> parse_decimal(std::string_view text, int precision, int scale);

}  // namespace lakeloop::delta
