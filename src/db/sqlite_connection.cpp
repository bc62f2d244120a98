#include "db/sqlite_connection.h"

#include <sqlite3.h>

#include <cmath>

#include "base/format.h"
#include "base/limits.h"

namespace lakeloop::db {
namespace {

constexpr int kBusyMillis = 10'000;  // another process (a backup) holds the file

ErrorCode code_for(int state) {
  switch (state) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
      return ErrorCode::kAlreadyExists;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
      return ErrorCode::kConflict;
    default:
      break;
  }
  switch (state & 0xFF) {
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
      return ErrorCode::kInvalidArgument;  // NOT NULL, CHECK, type of a STRICT table
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::kUnavailable;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return ErrorCode::kResourceExhausted;
    case SQLITE_TOOBIG:
      return ErrorCode::kTooLarge;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_IOERR:
      return ErrorCode::kDataLoss;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      return ErrorCode::kPermissionDenied;
    default:
      return ErrorCode::kInternal;
  }
}

// SQLite's message names tables and columns, never values: those are bound.
[[noreturn]] void fail(sqlite3* handle) {
  const int state = sqlite3_extended_errcode(handle);
  Error error(code_for(state), "database: {}", sqlite3_errmsg(handle));
  if (error.code() == ErrorCode::kUnavailable) throw std::move(error).with_retry_after(std::chrono::seconds(1));
  throw error;
}

// Leaves a cached statement ready for its next use, whatever happened.
struct ResetAtEnd {
  sqlite3_stmt* statement;
  explicit ResetAtEnd(sqlite3_stmt* s) : statement(s) {}
  ~ResetAtEnd() {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
  ResetAtEnd(const ResetAtEnd&) = delete;
  ResetAtEnd& operator=(const ResetAtEnd&) = delete;
};

Value column_value(sqlite3_stmt* statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return sqlite3_column_int64(statement, column);
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    case SQLITE_NULL:
      return std::monostate();
    default: {
      const void* bytes = sqlite3_column_blob(statement, column);
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
      return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), size);
    }
  }
}

}  // namespace

void SqliteConnection::Close::operator()(sqlite3* handle) const {
  sqlite3_close_v2(handle);
}
void SqliteConnection::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

SqliteConnection::SqliteConnection(const std::filesystem::path& file, Role role) {
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int state = sqlite3_open_v2(file.c_str(), &handle, flags, nullptr);
  handle_.reset(handle);
  if (state != SQLITE_OK) {
    throw Error(code_for(state), "cannot open the database {}: {}", file.string(), sqlite3_errstr(state));
  }
  sqlite3_busy_timeout(handle, kBusyMillis);
  // "text" in double quotes is a column, never silently a string.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  if (role == Role::kWriter) {
    // FULL: in WAL mode NORMAL may lose the last commits at a power cut, and a 2xx was sent for them.
    run_script(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;"
        "PRAGMA journal_size_limit=67108864;");
  } else {
    run_script("PRAGMA query_only=ON; PRAGMA temp_store=MEMORY;");
  }
}

SqliteConnection::~SqliteConnection() = default;

void SqliteConnection::run_script(const std::string& sql) {
  if (sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail(handle_.get());
}

bool SqliteConnection::in_transaction() const {
  return sqlite3_get_autocommit(handle_.get()) == 0;
}

void SqliteConnection::rollback() noexcept {
  // After some errors (a full disk) SQLite has rolled back by itself.
  if (in_transaction()) sqlite3_exec(handle_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
}

sqlite3_stmt* SqliteConnection::prepare(std::string_view sql) {
  if (const auto found = by_sql_.find(sql); found != by_sql_.end()) {
    statements_.splice(statements_.begin(), statements_, found->second);
    return found->second->statement.get();
  }
  sqlite3_stmt* raw = nullptr;
  const char* tail = nullptr;
  const int state = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                       SQLITE_PREPARE_PERSISTENT, &raw, &tail);
  std::unique_ptr<sqlite3_stmt, Finalize> statement(raw);
  if (state != SQLITE_OK) fail(handle_.get());
  const std::string_view rest = sql.substr(static_cast<std::size_t>(tail - sql.data()));
  if (!statement || rest.find_first_not_of(" \t\r\n;") != std::string_view::npos) {
    throw Error(ErrorCode::kInternal, "one SQL statement expected, got {}", statement ? "several" : "none");
  }
  statements_.push_front({std::string(sql), std::move(statement)});
  by_sql_.emplace(statements_.front().sql, statements_.begin());
  if (statements_.size() > limits::kDatabaseStatements) {
    by_sql_.erase(statements_.back().sql);
    statements_.pop_back();
  }
  return raw;
}

void SqliteConnection::bind(sqlite3_stmt* statement, const std::vector<Value>& values) {
  // SQLite numbers "$2" by its first appearance, so each is found by its name.
  int bound = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int index = sqlite3_bind_parameter_index(statement, format("${}", i + 1).c_str());
    if (index == 0)
      throw Error(ErrorCode::kInternal, "the SQL statement has no ${}, but a value for it was given", i + 1);
    ++bound;
    int state = SQLITE_OK;
    if (const auto* integer = std::get_if<std::int64_t>(&values[i])) {
      state = sqlite3_bind_int64(statement, index, *integer);
    } else if (const auto* real = std::get_if<double>(&values[i])) {
      // SQLite would store NULL for it: a missing value and NaN are two things.
      if (std::isnan(*real)) throw Error(ErrorCode::kInvalidArgument, "NaN cannot be stored in a number column");
      state = sqlite3_bind_double(statement, index, *real);
    } else if (const auto* text = std::get_if<std::string>(&values[i])) {
      state = sqlite3_bind_text64(statement, index, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
    } else {
      state = sqlite3_bind_null(statement, index);
    }
    if (state != SQLITE_OK) fail(handle_.get());
  }
  if (bound != sqlite3_bind_parameter_count(statement)) {
    throw Error(ErrorCode::kInternal, "the SQL statement has {} placeholders, {} values were given",
                sqlite3_bind_parameter_count(statement), values.size());
  }
}

bool SqliteConnection::step(sqlite3_stmt* statement) {
  const int state = sqlite3_step(statement);
  if (state == SQLITE_ROW) return true;
  if (state == SQLITE_DONE) return false;
  fail(handle_.get());
}

std::vector<Row> SqliteConnection::query(std::string_view sql, const std::vector<Value>& values) {
  sqlite3_stmt* statement = prepare(sql);
  const ResetAtEnd reset(statement);
  bind(statement, values);
  const int columns = sqlite3_column_count(statement);
  std::vector<Row> rows;
  while (step(statement)) {
    if (rows.size() == limits::kDatabaseRows)
      throw Error(ErrorCode::kTooLarge, "a database query gives more than {} rows", limits::kDatabaseRows);
    std::vector<Value> row;
    row.reserve(static_cast<std::size_t>(columns));
    for (int column = 0; column < columns; ++column) row.push_back(column_value(statement, column));
    rows.emplace_back(std::move(row));
  }
  return rows;
}

std::int64_t SqliteConnection::execute(std::string_view sql, const std::vector<Value>& values) {
  sqlite3_stmt* statement = prepare(sql);
  const ResetAtEnd reset(statement);
  bind(statement, values);
  const std::int64_t before = sqlite3_total_changes64(handle_.get());
  while (step(statement)) {
  }
  // sqlite3_changes keeps the count of an earlier statement when this one (CREATE) changes no rows; the total counts
  // rows that triggers and cascades changed too.
  return sqlite3_total_changes64(handle_.get()) == before ? 0 : sqlite3_changes64(handle_.get());
}

}  // namespace lakeloop::db
