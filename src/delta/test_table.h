#pragma once

// What the tests of this module share: a temporary folder with a store, short schemas, rows as sorted text.

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/id.h"
#include "delta/table.h"

namespace lakeloop::delta {

class TestFolder {
 public:
  TestFolder() : path_(std::filesystem::temp_directory_path() / ("lakeloop-delta-test-" + random_hex(8))) {
    std::filesystem::create_directories(path_);
  }
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::shared_ptr<storage::ObjectStore> store() const { return storage::open_local_store(path_); }

 private:
  std::filesystem::path path_;
};

inline Schema schema_of(const std::vector<std::pair<std::string, std::string>>& columns) {
  Schema schema;
  for (const auto& [name, type] : columns) {
    Field field;
    field.name = name;
    field.type = type_from_text(type);
    schema.push_back(std::move(field));
  }
  return schema;
}

inline std::string text_of(const Row& row) {
  return Json(Json::Array(row.begin(), row.end())).dump();
}

// One line a row, in sorted order: tables have none.
inline std::vector<std::string> sorted_text(const std::vector<Row>& rows) {
  std::vector<std::string> lines;
  for (const auto& row : rows) lines.push_back(text_of(row));
  std::ranges::sort(lines);
  return lines;
}

inline std::vector<std::string> rows_of(const Table& table) {
  return sorted_text(table.scan(table.snapshot()).rows);
}

inline std::string change_name(ChangeType type) {
  switch (type) {
    case ChangeType::kInsert:
      return "insert";
    case ChangeType::kUpdatePreimage:
      return "pre";
    case ChangeType::kUpdatePostimage:
      return "post";
    case ChangeType::kDelete:
      return "delete";
  }
  return "?";
}

// "version type row", sorted.
inline std::vector<std::string> changes_of(const Table& table, std::int64_t from, std::int64_t to) {
  std::vector<std::string> lines;
  table.changes(from, to, 1000, [&](std::vector<Change> batch) {
    for (const auto& change : batch) {
      lines.push_back(std::to_string(change.version) + " " + change_name(change.type) + " " + text_of(change.row));
    }
  });
  std::ranges::sort(lines);
  return lines;
}

}  // namespace lakeloop::delta
