#pragma once

// The one guard for paths that a user can set. Refuses with kInvalidArgument: absolute and drive paths, "..", ".",
// empty segments, back-slashes, NUL and control characters, '#' and '?', percent-escapes that hide any of them (decoded
// until nothing changes), segments over 255 bytes, paths over 1024.

#include <filesystem>
#include <string>
#include <string_view>

namespace lakeloop::storage {

// The same path when it is safe.
std::string checked_relative_path(std::string_view user_path);
// root / path, after following symbolic links of what exists: kInvalidArgument when that leaves root.
std::filesystem::path resolve_inside(const std::filesystem::path& root, std::string_view user_path);

}  // namespace lakeloop::storage
