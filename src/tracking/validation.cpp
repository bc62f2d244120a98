#include "tracking/validation.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "codec/unicode.h"

namespace lakeloop::tracking {

namespace {

bool key_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
         std::string_view("/_.- :").contains(c);
}

bool normal_path(std::string_view key) {
  if (key.starts_with('/')) return false;
  return std::ranges::none_of(split(key, '/'),
                              [](std::string_view part) { return part.empty() || part == "." || part == ".."; });
}

}  // namespace

void check_length(std::string_view path, std::string_view value, std::size_t limit) {
  if (codec::count_code_points(value) > limit) {
    throw Error(ErrorCode::kInvalidArgument, "'{}' exceeds the maximum length of {} characters", path, limit);
  }
}

void check_key(std::string_view path, std::string_view key) {
  if (key.empty()) {
    throw Error(
        ErrorCode::kInvalidArgument,
        "Missing value for required parameter '{}'. See the API docs for more information about request parameters.",
        path);
  }
  check_length(path, key, kKeyLength);
  if (!std::ranges::all_of(key, key_character)) {
    throw Error(ErrorCode::kInvalidArgument,
                "Invalid value \"{}\" for parameter '{}' supplied: Names may only contain alphanumerics, underscores "
                "(_), dashes (-), "
                "periods (.), spaces ( ), colons(:) and slashes (/).",
                key, path);
  }
  if (!normal_path(key)) {
    throw Error(ErrorCode::kInvalidArgument,
                "Invalid value \"{}\" for parameter '{}' supplied: Names may be treated as files in certain cases, and "
                "must not resolve "
                "to other names when treated as such.",
                key, path);
  }
}

void check_experiment_name(std::string_view name) {
  if (trim(name).empty()) {
    throw Error(ErrorCode::kInvalidArgument, "Invalid experiment name '{}': it must be a non-empty string", name);
  }
  check_length("name", name, 500);
}

void check_artifact_location(std::string_view uri) {
  check_length("artifact_location", uri, 2000);
  std::string lower = ascii_lower(uri);
  for (int i = 0; i < 3; ++i) {
    lower = replace_all(replace_all(std::move(lower), "%2e", "."), "%2f", "/");
    lower = replace_all(replace_all(std::move(lower), "%23", "#"), "%25", "%");
  }
  if (lower.contains('#') || lower.contains('?') || lower.contains("..") || lower.contains('\\')) {
    throw Error(ErrorCode::kInvalidArgument,
                "Invalid artifact location '{}': it must not hold '#', '?', '..' or back-slashes", uri);
  }
}

}  // namespace lakeloop::tracking
