#pragma once

// The files below one folder, read without ever leaving it: every path component is opened relative to a descriptor of
// the folder and without following links. Links are resolved when the folder is listed: one that leads outside is
// skipped by name, one that stays inside adds nothing (its target is taken under its own name), unless only the link's
// name tells what the file is. Hidden names and node_modules are left out. Not thread-safe.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/deadline.h"
#include "base/file.h"
#include "ingest/ingest.h"

namespace lakeloop::ingest {

struct FoundFile {
  std::string path;  // UTF-8, relative, '/'-separated: what the page is called
  std::string real;  // what is opened; another path where `path` is a link
};

struct Listing {
  std::vector<FoundFile> files;      // in byte order of `path`
  std::vector<SkippedFile> skipped;  // what is no readable file; names that are not UTF-8 are escaped
  std::vector<std::string> unread;   // "docs/secret/": folders whose content is unknown
};

struct SourceFile {
  std::string bytes;
  Timestamp modified;
};

class SourceFolder {
 public:
  // A folder, or one file, which is then the only one found. kInvalidArgument when there is neither or it cannot be
  // read.
  explicit SourceFolder(const std::filesystem::path& path);

  // kTooLarge beyond limits::kIngestFiles names.
  [[nodiscard]] Listing list(const Deadline& deadline) const;
  // Reads again, three times in all, a file whose size or time changed meanwhile. Throws with the reason to skip it.
  [[nodiscard]] SourceFile read(const FoundFile& file) const;

  [[nodiscard]] bool is_one_file() const { return !only_.empty(); }
  [[nodiscard]] const std::filesystem::path& root() const { return root_; }  // canonical

 private:
  [[nodiscard]] FileHandle open_below(const std::string& path, int flags) const;

  std::filesystem::path root_;
  std::string only_;
  FileHandle folder_;
};

}  // namespace lakeloop::ingest
