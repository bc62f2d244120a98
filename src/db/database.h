#pragma once

// The metadata store: SQL with $1, $2 placeholders over SQLite (WAL; PostgreSQL joins behind this header). One writer
// at a time, readers beside it. Values are bound, never pasted. Thread-safe; a Transaction belongs to one thread.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"

namespace lakeloop::db {

using Value =
    std::variant<std::monostate, std::int64_t, double, std::string>;  // monostate = NULL; booleans are 0 and 1

// One row of a result, read by position. NULL reads as nullopt, or as the fallback.
class Row {
 public:
  explicit Row(std::vector<Value> values) : values_(std::move(values)) {}
  [[nodiscard]] bool is_null(std::size_t column) const;
  [[nodiscard]] std::int64_t integer(std::size_t column, std::int64_t fallback = 0) const;
  [[nodiscard]] double real(std::size_t column, double fallback = 0) const;
  [[nodiscard]] std::string text(std::size_t column) const;  // "" for NULL
  [[nodiscard]] std::optional<std::string> maybe_text(std::size_t column) const;
  [[nodiscard]] std::optional<std::int64_t> maybe_integer(std::size_t column) const;
  [[nodiscard]] const Value& value(std::size_t column) const { return values_.at(column); }
  [[nodiscard]] std::size_t size() const { return values_.size(); }

 private:
  std::vector<Value> values_;
};

// A unit of SQL work: all statements see one state. Write transactions are serialised (BEGIN IMMEDIATE) and durable
// when Database::write returns.
class Transaction {
 public:
  virtual ~Transaction() = default;
  virtual std::vector<Row> query(std::string_view sql, const std::vector<Value>& values = {}) = 0;
  // Rows changed. A broken unique constraint throws kAlreadyExists, a foreign key kConflict.
  virtual std::int64_t execute(std::string_view sql, const std::vector<Value>& values = {}) = 0;
  std::optional<Row> query_one(std::string_view sql, const std::vector<Value>& values = {});
};

// Schema changes, applied once and in order; each in its own transaction, with its checksum kept. A module registers
// its own and touches no other module's tables.
struct Migration {
  std::string module;  // "catalog"
  int number = 0;      // 1, 2, ... without gaps within the module
  std::string sql;     // statements separated by ';'
};

class Database {
 public:
  // Creates the file when missing. A file of a newer Lakeloop (unknown migrations) is refused with kConflict.
  static std::unique_ptr<Database> open(const std::filesystem::path& file, const std::vector<Migration>& migrations);
  virtual ~Database() = default;

  // Runs `work` in a read transaction on a connection of its own.
  virtual void read(const std::function<void(Transaction&)>& work) = 0;
  // Runs `work` in the write transaction; rolled back when it throws. Must not be nested.
  virtual void write(const std::function<void(Transaction&)>& work) = 0;

  template <typename F>
  auto reading(F&& work) -> decltype(work(std::declval<Transaction&>())) {
    std::optional<decltype(work(std::declval<Transaction&>()))> result;
    read([&](Transaction& t) { result.emplace(work(t)); });
    return std::move(*result);
  }
  template <typename F>
  auto writing(F&& work) -> decltype(work(std::declval<Transaction&>())) {
    std::optional<decltype(work(std::declval<Transaction&>()))> result;
    write([&](Transaction& t) { result.emplace(work(t)); });
    return std::move(*result);
  }
};

}  // namespace lakeloop::db
