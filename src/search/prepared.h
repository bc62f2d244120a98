#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "search/index.h"

namespace lakeloop::search {

// Removes the files of a change that was not published: a full disk must not leave half of a change behind.
class Index::Prepared {
 public:
  explicit Prepared(std::filesystem::path folder) : folder_(std::move(folder)) {}
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;
  ~Prepared() {
    for (const std::string& file : files_) drop(file);
  }
  void add(std::string file) { files_.push_back(std::move(file)); }
  void published() { files_.clear(); }
  void drop(const std::string& file) const {
    std::error_code ignored;  // what stays is removed when the index is opened
    std::filesystem::remove(folder_ / file, ignored);
    if (file.ends_with(".graph")) std::filesystem::remove(folder_ / (file + ".crc32c"), ignored);
  }

 private:
  std::filesystem::path folder_;
  std::vector<std::string> files_;
};

}  // namespace lakeloop::search
