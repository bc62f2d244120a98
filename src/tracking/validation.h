#pragma once

// MLflow's rules for names and sizes (mlflow/utils/validation.py), with its words. All throw kInvalidArgument.

#include <cstddef>
#include <string_view>

namespace lakeloop::tracking {

// Keys of metrics, params and tags: 1..250 characters of [/\w.- :], and as a path already normal. `path`:
// "metrics[0].name".
void check_key(std::string_view path, std::string_view key);
void check_length(std::string_view path, std::string_view value, std::size_t limit);  // in characters
void check_experiment_name(std::string_view name);
// Where a user names a location: no fragment, no "..", no query.
void check_artifact_location(std::string_view uri);

inline constexpr std::size_t kKeyLength = 250;
inline constexpr std::size_t kParamLength = 6000;
inline constexpr std::size_t kRunTagLength = 8000;
inline constexpr std::size_t kTraceTagLength = 8000;
inline constexpr std::size_t kExperimentTagLength = 5000;

}  // namespace lakeloop::tracking
