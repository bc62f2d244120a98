#include "db/migrations.h"

#include <map>

#include "base/check.h"
#include "base/clock.h"
#include "base/format.h"
#include "base/log.h"

namespace lakeloop::db {
namespace {

// FNV-1a, 64 bits: notices an edited migration; nobody forges one against himself.
std::string checksum_of(std::string_view sql) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : sql) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  return format("{:016x}", hash);
}

using Applied = std::map<std::pair<std::string, std::int64_t>, std::string>;  // (module, number) -> checksum

Applied read_applied(SqliteConnection& connection) {
  Applied applied;
  for (const Row& row : connection.query("SELECT module, number, checksum FROM schema_migrations", {})) {
    applied.emplace(std::pair(row.text(0), row.integer(1)), row.text(2));
  }
  return applied;
}

void check_known(const Applied& applied, const std::vector<Migration>& migrations) {
  Applied known;
  std::map<std::string, int> last;
  for (const Migration& one : migrations) {
    LAKELOOP_CHECK(one.number == ++last[one.module]);
    known.emplace(std::pair(one.module, one.number), checksum_of(one.sql));
  }
  for (const auto& [id, checksum] : applied) {
    const auto found = known.find(id);
    if (found == known.end()) {
      throw Error(ErrorCode::kConflict,
                  "the database was written by a newer version (it has migration {} of {}): start that version",
                  id.second, id.first);
    }
    if (found->second != checksum) {
      throw Error(
          ErrorCode::kConflict,
          "migration {} of {} in the database differs from the one of this version: start the version that made it",
          id.second, id.first);
    }
  }
}

void apply_one(SqliteConnection& connection, const Migration& one) {
  connection.run_script("BEGIN IMMEDIATE");
  try {
    const std::vector<Value> id = {one.module, std::int64_t{one.number}};
    // Another process may have been first.
    if (!connection.query("SELECT 1 FROM schema_migrations WHERE module = $1 AND number = $2", id).empty()) {
      connection.rollback();
      return;
    }
    connection.run_script(one.sql);
    LAKELOOP_CHECK(connection.in_transaction());  // a migration must not commit by itself
    const std::vector<Row> broken = connection.query("PRAGMA foreign_key_check", {});
    if (!broken.empty()) {
      throw Error(ErrorCode::kConflict, "it leaves a row of {} without its parent in {}", broken[0].text(0),
                  broken[0].text(2));
    }
    connection.execute("INSERT INTO schema_migrations (module, number, checksum, applied_at) VALUES ($1, $2, $3, $4)",
                       {one.module, std::int64_t{one.number}, checksum_of(one.sql), Timestamp::now().micros});
    connection.run_script("COMMIT");
  } catch (const Error& error) {
    connection.rollback();
    throw Error(error.code(), "migration {} of {} failed: {}", one.number, one.module, error.message());
  }
}

}  // namespace

void apply_migrations(SqliteConnection& connection, const std::vector<Migration>& migrations) {
  connection.run_script(
      "CREATE TABLE IF NOT EXISTS schema_migrations (module TEXT NOT NULL, number INTEGER NOT NULL, checksum TEXT NOT "
      "NULL,"
      " applied_at INTEGER NOT NULL, PRIMARY KEY (module, number)) STRICT");
  const Applied applied = read_applied(connection);
  check_known(applied, migrations);
  // A migration may rebuild a table, and dropping the old one must not cascade: references are checked at its end
  // (https://www.sqlite.org/lang_altertable.html, section 7). The switch works only outside a transaction.
  connection.run_script("PRAGMA foreign_keys=OFF");
  std::size_t count = 0;
  for (const Migration& one : migrations) {
    if (applied.contains({one.module, one.number})) continue;
    apply_one(connection, one);
    ++count;
  }
  connection.run_script("PRAGMA foreign_keys=ON");
  // A new file is no event.
  if (count > 0 && !applied.empty()) log_info("db.migrated", {{"migrations", count}});
}

}  // namespace lakeloop::db
