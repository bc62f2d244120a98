#pragma once

// Runs and metrics out of rows, for runs.cpp, run_search.cpp and logged_models.cpp.

#include <optional>
#include <string>
#include <string_view>

#include "db/database.h"
#include "tracking/run.h"

namespace lakeloop::tracking {

std::optional<Run> read_run(db::Transaction& t, std::string_view run_id);
// Columns: value, is_nan, timestamp_ms, step, model_id, dataset_name, dataset_digest, from `first` on.
Metric metric_of_row(const db::Row& row, std::string key, std::string run_id, std::size_t first = 0);

}  // namespace lakeloop::tracking
