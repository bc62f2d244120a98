#include "search/index_sync.h"

#include <algorithm>
#include <unordered_set>

#include "base/format.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

namespace lakeloop::search {

namespace {

// Rights are looked at again after this time; a table whose grants were taken away is then no longer followed.
constexpr auto kRightsLifetime = std::chrono::seconds(10);
constexpr std::size_t kChangeBatch = 4096;
// Staged changes are written at the next version when there are more than this.
constexpr std::size_t kStagedRows = 65'536;

Layout layout_of(const IndexSpec& spec) {
  return {spec.primary_key, spec.text_columns, spec.embedding_source_column,
          spec.embedding_source_column.empty() ? "" : spec.context_column};
}

bool names(const std::vector<std::string>& list, std::string_view name) {
  return std::ranges::any_of(list, [&](const std::string& item) { return iequals(item, name); });
}

// Where each column of `wanted` is in `given`.
std::vector<std::size_t> places(const delta::Schema& wanted, const delta::Schema& given) {
  std::vector<std::size_t> result;
  for (const delta::Field& field : wanted) {
    const auto place = delta::find_column(given, field.name);
    if (!place) throw Error(ErrorCode::kInternal, "the table's rows lack column {}", field.name);
    result.push_back(*place);
  }
  return result;
}

}  // namespace

IndexSync::IndexSync(IndexRecord record, catalog::Catalog& catalog, gateway::EngineDirectory& engines,
                     const std::filesystem::path& folder, IndexOptions options)
    : record_(std::move(record)),
      catalog_(catalog),
      engines_(engines),
      folder_(folder),
      index_(folder, layout_of(record_.spec), options) {
  state_.note = index_.problem();
}

IndexSync::State IndexSync::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

delta::Schema IndexSync::stored_schema(const delta::Schema& table) const {
  const IndexSpec& spec = record_.spec;
  delta::Schema result;
  for (const delta::Field& field : table) {
    const bool wanted = spec.columns_to_sync.empty() || names(spec.columns_to_sync, field.name) ||
                        iequals(field.name, spec.primary_key) || iequals(field.name, spec.embedding_source_column) ||
                        iequals(field.name, spec.context_column) || names(spec.text_columns, field.name);
    if (wanted) result.push_back(field);
  }
  return result;
}

delta::Schema IndexSync::returned_schema(const View& view) const {
  const IndexSpec& spec = record_.spec;
  if (spec.columns_to_sync.empty()) return view.manifest.schema;
  delta::Schema result;
  for (const delta::Field& field : view.manifest.schema) {
    if (names(spec.columns_to_sync, field.name) || iequals(field.name, spec.primary_key) ||
        iequals(field.name, spec.embedding_source_column)) {
      result.push_back(field);
    }
  }
  return result;
}

delta::Table IndexSync::open_table() {
  const auto now = Steady::now();
  if (!table_ || now - table_checked_ > kRightsLifetime) {
    table_.emplace(catalog_.open_table(record_.creator, record_.spec.source_table, catalog::Privilege::kSelect));
    table_checked_ = now;
  }
  return *table_;
}

bool IndexSync::sync_rows(const std::stop_token& stop) {
  try {
    const delta::Table table = open_table();
    const delta::Snapshot snapshot = table.snapshot();
    {
      const std::lock_guard lock(mutex_);
      state_.seen_version = snapshot.version;
    }
    const std::shared_ptr<const View> view = index_.view();
    const Manifest& manifest = view->manifest;
    std::string reason = index_.problem();
    if (reason.empty() && manifest.number > 0) {
      if (manifest.table_id != snapshot.table_id) {
        reason = "the source table was replaced by another of its name";
      } else if (snapshot.version < manifest.source_version) {
        reason = lakeloop::format("the source table went back from version {} to {}", manifest.source_version,
                                  snapshot.version);
      }
    }
    bool worked = true;
    if (manifest.number == 0 || !reason.empty()) {
      rebuild(table, snapshot, reason);
    } else if (snapshot.version == manifest.source_version) {
      worked = false;
    } else {
      follow(table, snapshot, manifest.source_version + 1, stop);
    }
    const std::lock_guard lock(mutex_);
    state_.row_error.clear();
    return worked;
  } catch (const std::exception& error) {
    table_.reset();
    const std::lock_guard lock(mutex_);
    state_.row_error = error.what();
    throw;
  }
}

bool IndexSync::add_row(RowChanges& changes, const std::vector<std::size_t>& columns, std::size_t key_place,
                        delta::Row& row) const {
  const auto key = key_bytes(row[key_place]);
  if (!key) {
    changes.refuse("NULL", "the primary key is NULL");
    return false;
  }
  std::size_t bytes = 0;
  delta::Row kept;
  kept.reserve(columns.size());
  for (const std::size_t column : columns) {
    if (row[column].is_string()) bytes += row[column].as_string().size();
    kept.push_back(std::move(row[column]));
  }
  if (bytes > limits::kSearchRowBytes) {
    changes.refuse(*key,
                   lakeloop::format("the row has {} bytes of text; {} is the limit", bytes, limits::kSearchRowBytes));
    changes.put(*key, std::nullopt);  // an older, shorter row of this key is not what the table holds
    return false;
  }
  changes.put(*key, std::move(kept));
  return true;
}

void IndexSync::rebuild(const delta::Table& table, const delta::Snapshot& snapshot, const std::string& reason) {
  if (!reason.empty()) {
    log_warning("search_index_rebuild", {{"index", record_.spec.name}, {"reason", reason}});
    const std::lock_guard lock(mutex_);
    state_.note = "being rebuilt from the table: " + reason;
  }
  RowChanges rows;
  rows.schema = stored_schema(snapshot.schema);
  delta::ScanOptions scan;
  for (const delta::Field& field : rows.schema) scan.columns.push_back(field.name);
  delta::Rows found = table.scan(snapshot, scan);
  const std::vector<std::size_t> columns = places(rows.schema, found.schema);
  const auto key = delta::find_column(found.schema, record_.spec.primary_key);
  if (!key) throw Error(ErrorCode::kConflict, "the source table has no column {} any more", record_.spec.primary_key);
  for (delta::Row& row : found.rows) {
    if (const auto bytes = key_bytes(row[*key]); bytes && rows.by_key.contains(*bytes)) {
      rows.refuse(*bytes, "the key occurs in more than one row; the last one counts");
    }
    add_row(rows, columns, *key, row);
  }
  found.rows.clear();
  index_.replace(rows, {snapshot.table_id, snapshot.version});
  if (!reason.empty()) {
    const std::lock_guard lock(mutex_);
    state_.note = lakeloop::format("rebuilt from the table at version {}: {}", snapshot.version, reason);
  }
}

void IndexSync::follow(const delta::Table& table, const delta::Snapshot& snapshot, std::int64_t from,
                       const std::stop_token& stop) {
  const delta::Schema stored = stored_schema(snapshot.schema);
  const std::vector<std::size_t> columns = places(stored, snapshot.schema);
  const auto key = delta::find_column(snapshot.schema, record_.spec.primary_key);
  if (!key) throw Error(ErrorCode::kConflict, "the source table has no column {} any more", record_.spec.primary_key);

  RowChanges staged;
  staged.schema = stored;
  // The feed has no order within a version: what was written in it wins over what was deleted in it.
  std::unordered_set<std::string> written;
  std::int64_t version = from - 1;
  try {
    table.changes(from, snapshot.version, kChangeBatch, [&](std::vector<delta::Change> batch) {
      if (stop.stop_requested()) throw Error(ErrorCode::kCancelled, "the server is stopping");
      for (delta::Change& change : batch) {
        if (change.version != version) {
          written.clear();
          if (staged.order.size() > kStagedRows) {
            index_.apply(staged, {snapshot.table_id, change.version - 1});
            staged = RowChanges{};
            staged.schema = stored;
          }
          version = change.version;
        }
        const bool write =
            change.type == delta::ChangeType::kInsert || change.type == delta::ChangeType::kUpdatePostimage;
        const auto bytes = key_bytes(change.row.at(*key));
        if (write) {
          if (add_row(staged, columns, *key, change.row)) written.insert(*bytes);
        } else if (bytes && !written.contains(*bytes)) {
          staged.put(*bytes, std::nullopt);
        }
      }
    });
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound && error.code() != ErrorCode::kInvalidArgument) throw;
    return rebuild(table, snapshot,
                   lakeloop::format("its change feed cannot be read from version {} on ({})", from, error.message()));
  }
  index_.apply(staged, {snapshot.table_id, snapshot.version});
}

}  // namespace lakeloop::search
