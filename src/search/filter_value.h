#pragma once

// What both grammars share: columns by name, literals by the column's type, and the limits on a filter.

#include <cstddef>
#include <string>
#include <string_view>

#include "codec/json.h"
#include "delta/schema.h"
#include "search/filter.h"

namespace lakeloop::search {

inline constexpr std::size_t kFilterValues = 1024;      // in one clause
inline constexpr std::size_t kFilterConditions = 1024;  // in all
inline constexpr std::size_t kFilterDepth = 64;
inline constexpr std::size_t kFilterTextBytes = 64 * 1024;
inline constexpr std::size_t kPatternBytes = 1024;

// A literal for comparison with `column` (with its elements, if it is an array). Dates and timestamps are given as
// text.
FilterValue filter_value(const delta::Field& column, const Json& value, std::string_view where);
// kPattern or kWords need a text column (or an array of text).
std::string filter_pattern(const delta::Field& column, const Json& value, bool limit, std::string_view where);
void require_order(const delta::Field& column, std::string_view where);

}  // namespace lakeloop::search
