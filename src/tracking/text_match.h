#pragma once

// MLflow's text comparisons on values in memory, for objects that do not live in this module's tables.

#include <initializer_list>
#include <optional>
#include <string>

#include "tracking/filter.h"

namespace lakeloop::tracking {

// A missing value fits IS NULL alone. kInvalidArgument for a comparator that `allowed` does not hold, or an unquoted
// literal.
bool matches_text(const Comparison& c, const std::optional<std::string>& value,
                  std::initializer_list<Comparator> allowed);
bool matches_number(const Comparison& c, double value);

}  // namespace lakeloop::tracking
