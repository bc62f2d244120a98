#pragma once

// The one folder that holds a workspace. Locked while a server runs on it, so that a second one refuses; marked with
// the version of its layout, so that an older Lakeloop refuses a newer folder.

#include <filesystem>
#include <string>

#include "base/file.h"

namespace lakeloop::app {

class DataFolder {
 public:
  // Makes the folder when missing. kConflict when another server holds it, or when it is of a newer version.
  explicit DataFolder(const std::filesystem::path& root);

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  [[nodiscard]] std::filesystem::path operator/(std::string_view part) const { return root_ / part; }

 private:
  std::filesystem::path root_;
  FileHandle lock_;
};

// Written by a running server: {"url", "pid"}. Where the command line finds it.
inline constexpr std::string_view kServerFile = "server.json";
inline constexpr std::string_view kTokenFile = "admin.token";

}  // namespace lakeloop::app
