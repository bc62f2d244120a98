#pragma once

// A Delta table in an object store (delta-io PROTOCOL.md): log replay, snapshots, time travel, optimistic commits by
// put-if-absent with the conflict matrix, change data feed, checkpoints. New tables are (minReader 1, minWriter 7) with
// the writer features appendOnly, invariants, changeDataFeed, so that delta-rs, DuckDB and Spark read and write them.
// A table feature that is not known refuses with kUnsupportedFeature and its name; nothing is guessed.
// A Table is a handle: cheap to copy, thread-safe. Data is written and read as Parquet by DuckDB.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/deadline.h"
#include "delta/schema.h"
#include "storage/object_store.h"

namespace lakeloop::delta {

struct CreateOptions {
  Schema schema{};
  std::vector<std::string> partition_columns{};
  std::map<std::string, std::string> properties{};  // delta.enableChangeDataFeed is "true" unless said otherwise
  std::string name{}, description{};
};

struct AddFile {
  std::string path;  // decoded, relative to the table
  std::map<std::string, std::optional<std::string>> partition_values;
  std::int64_t size = 0;
  std::int64_t modification_time = 0;  // ms
  std::string stats;                   // JSON text, may be empty
  Json deletion_vector;                // null when none
};

// One version of a table. A value; stays valid while files are not vacuumed.
struct Snapshot {
  std::int64_t version = -1;
  Timestamp timestamp;  // of the commit
  std::string table_id;
  std::string name, description;
  Schema schema;
  std::vector<std::string> partition_columns;
  std::map<std::string, std::string> properties;
  int min_reader = 1, min_writer = 7;
  std::vector<std::string> reader_features, writer_features;
  std::vector<AddFile> files;
  std::map<std::string, std::int64_t> transactions;  // txn appId -> version
  [[nodiscard]] bool change_feed_enabled() const;
};

// Who and what a commit is; goes into commitInfo. `app_id` + `app_version` make the commit idempotent: when the table
// already holds that version (or a later one) of the application, nothing is written and the current version is
// returned.
struct CommitOptions {
  std::string operation = "WRITE";
  Json parameters = Json::object();
  std::string user{};
  std::string app_id{};
  std::int64_t app_version = -1;
};

struct CommitResult {
  std::int64_t version = -1;
  bool written = true;  // false: idempotent repeat, or nothing to do
  std::int64_t inserted = 0, updated = 0, deleted = 0;
};

// What a keyed change does: rows whose key exists are replaced, others inserted; keys in `deletes` vanish.
struct Upsert {
  std::string key_column{};
  std::vector<Row> rows{};  // in the order of the table's schema
  std::vector<Json> deletes{};
};

struct ScanOptions {
  std::vector<std::string> columns{};  // empty: all
  std::string where{};  // a DuckDB SQL condition over column names; values come from `parameters` as $1, $2
  std::vector<Json> parameters{};
  std::string order_by{};  // SQL
  std::int64_t limit = -1;
};

enum class ChangeType : std::uint8_t { kInsert, kUpdatePreimage, kUpdatePostimage, kDelete };

struct Change {
  ChangeType type = ChangeType::kInsert;
  std::int64_t version = 0;
  Timestamp timestamp;
  Row row;  // in the order of the snapshot's schema at `to`
};

struct HistoryEntry {
  std::int64_t version = 0;
  Timestamp timestamp;
  std::string operation;
  Json parameters, metrics;
  std::string user;
};

class Table {
 public:
  // kAlreadyExists when the location holds a table.
  static Table create(std::shared_ptr<storage::ObjectStore> store, std::string prefix, const CreateOptions& options);
  // kNotFound "not a Delta table"; reads the log. A gap in it is kDataLoss naming the missing version.
  static Table open(std::shared_ptr<storage::ObjectStore> store, std::string prefix);

  [[nodiscard]] Snapshot snapshot() const;  // newest; cached and advanced incrementally
  [[nodiscard]] Snapshot snapshot_at(std::int64_t version) const;
  [[nodiscard]] Snapshot snapshot_at(Timestamp at) const;                    // the last version committed at or before
  [[nodiscard]] std::vector<HistoryEntry> history(std::size_t limit) const;  // newest first
  [[nodiscard]] const std::string& prefix() const;
  [[nodiscard]] std::string location() const;  // file path or URL

  // Writers. Each retries on a conflict that the matrix allows, else throws kConflict with the winner's version and
  // why.
  CommitResult append(const std::vector<Row>& rows, const CommitOptions& options = {});
  CommitResult upsert(const Upsert& change, const CommitOptions& options = {});
  CommitResult delete_where(std::string_view condition, const std::vector<Json>& parameters,
                            const CommitOptions& options = {});
  // `assignments`: column -> SQL expression over the old row and $n.
  CommitResult update_where(const std::map<std::string, std::string>& assignments, std::string_view condition,
                            const std::vector<Json>& parameters, const CommitOptions& options = {});
  CommitResult set_properties(const std::map<std::string, std::string>& properties, const CommitOptions& options = {});
  void checkpoint();  // of the newest version; also done by itself every 10 commits

  [[nodiscard]] Rows scan(const Snapshot& snapshot, const ScanOptions& options = {}) const;
  // A SELECT statement for DuckDB that yields exactly the snapshot's rows and columns, and the files it reads.
  struct Relation {
    std::string sql;
    std::vector<std::string> files;
  };
  [[nodiscard]] Relation relation(const Snapshot& snapshot) const;

  // Changes of versions from..to, both included, in version order, handed over in batches of at most `batch` rows.
  // kInvalidArgument when the feed was off in the range, kNotFound when versions are gone.
  void changes(std::int64_t from, std::int64_t to, std::size_t batch,
               const std::function<void(std::vector<Change>)>& on_batch) const;

 private:
  struct Impl;
  explicit Table(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

}  // namespace lakeloop::delta
