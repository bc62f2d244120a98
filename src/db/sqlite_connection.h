#pragma once

// One SQLite connection with its cache of prepared statements. Belongs to one thread at a time.

#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "db/database.h"

struct sqlite3;
struct sqlite3_stmt;

namespace lakeloop::db {

class SqliteConnection {
 public:
  enum class Role : std::uint8_t { kWriter, kReader };

  // A writer creates the file; a reader finds it there and refuses to change it.
  SqliteConnection(const std::filesystem::path& file, Role role);
  ~SqliteConnection();
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  std::vector<Row> query(std::string_view sql, const std::vector<Value>& values);
  std::int64_t execute(std::string_view sql, const std::vector<Value>& values);
  // Several statements separated by ';', without values and results: pragmas, BEGIN, migrations.
  void run_script(const std::string& sql);
  [[nodiscard]] bool in_transaction() const;
  void rollback() noexcept;

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  struct Cached {
    std::string sql;
    std::unique_ptr<sqlite3_stmt, Finalize> statement;
  };

  sqlite3_stmt* prepare(std::string_view sql);
  void bind(sqlite3_stmt* statement, const std::vector<Value>& values);
  bool step(sqlite3_stmt* statement);  // true: a row is there

  std::unique_ptr<sqlite3, Close> handle_;
  std::list<Cached> statements_;  // the one used last stands first
  std::unordered_map<std::string_view, std::list<Cached>::iterator> by_sql_;
};

}  // namespace lakeloop::db
