// Changes of rows: append, upsert, delete, update. Files with touched rows are written anew without or with the new
// rows (copy on write); with the change feed on, the old and new rows also go to _change_data.

#include <algorithm>
#include <set>

#include "base/format.h"
#include "base/limits.h"
#include "base/text.h"
#include "delta/features.h"
#include "delta/scan.h"
#include "delta/table_impl.h"

namespace lakeloop::delta {
namespace {

constexpr std::string_view kHit = "__lakeloop_hit";

Schema with_column(Schema schema, std::string_view name, TypeKind kind) {
  Field field;
  field.name = name;
  field.type = kind;
  schema.push_back(std::move(field));
  return schema;
}

std::string column_list(const Schema& schema) {
  std::vector<std::string> names;
  for (const auto& field : schema) names.push_back(quote_identifier(field.name));
  return join(names, ", ");
}

std::vector<Add> adds_of(std::vector<AddFile> files) {
  std::vector<Add> adds;
  for (auto& file : files) adds.push_back({std::move(file), true, {}});
  return adds;
}

std::int64_t count(Duck& duck, const std::string& from) {
  return duck.query("SELECT count(*) FROM " + from).rows.at(0).at(0).as_int();
}

void check_deletes(const Settings& now) {
  if (is_true(now.metadata.configuration, "delta.appendOnly")) {
    throw Error(ErrorCode::kInvalidArgument, "the table only takes new rows: its property delta.appendOnly is true");
  }
}

void set_metrics(Transaction& transaction, const CommitResult& result) {
  std::int64_t bytes = 0;
  for (const auto& add : transaction.adds) bytes += add.file.size;
  const auto text = [](std::int64_t value) { return Json(std::to_string(value)); };
  transaction.metrics =
      Json::object({{"numFiles", text(static_cast<std::int64_t>(transaction.adds.size()))},
                    {"numAddedFiles", text(static_cast<std::int64_t>(transaction.adds.size()))},
                    {"numRemovedFiles", text(static_cast<std::int64_t>(transaction.removes.size()))},
                    {"numAddedChangeFiles", text(static_cast<std::int64_t>(transaction.changes.size()))},
                    {"numOutputRows", text(result.inserted)},
                    {"numOutputBytes", text(bytes)},
                    {"numUpdatedRows", text(result.updated)},
                    {"numDeletedRows", text(result.deleted)}});
}

// The work of a change that rewrites files.
class Rewrite {
 public:
  Rewrite(Duck& duck, const Log& log, const Snapshot& snapshot)
      : duck_(duck),
        log_(log),
        snapshot_(snapshot),
        shape_(scan_shape(log, snapshot)),
        columns_(column_list(snapshot.schema)) {
    shape_.file_column = true;
  }

  [[nodiscard]] const std::string& columns() const { return columns_; }

  // All rows of the given files, each with its location.
  std::string select(const std::vector<const AddFile*>& files) const {
    std::vector<FileRows> rows;
    for (const auto* file : files) rows.push_back(live_rows(log_, *file));
    return "(" + select_files(shape_, rows) + ")";
  }

  const AddFile& file_at(const std::string& location) {
    if (by_location_.empty()) {
      for (const auto& file : snapshot_.files) by_location_[file_location(shape_, file.path)] = &file;
    }
    return *by_location_.at(location);
  }

  // The rows of `files` as the temporary table `name`, with the number that `hit` gives each.
  void load(const std::string& name, const std::vector<const AddFile*>& files, const std::string& hit,
            const std::vector<Json>& parameters) {
    duck_.create_temp_table(name, with_column(snapshot_.schema, kHit, TypeKind::kInteger));
    duck_.execute("INSERT INTO " + name + " SELECT " + columns_ + ", " + hit + " FROM " + select(files), parameters);
  }

  void store(Transaction& transaction, const Settings& now, const std::vector<const AddFile*>& removed,
             const std::string& fresh, const std::string& changes) {
    const auto at = Timestamp::now();
    for (const auto* file : removed) transaction.removes.push_back(remove_of(*file, true, at));
    if (!fresh.empty()) transaction.adds = adds_of(write_files(duck_, log_, now.write_shape(), fresh, false));
    if (changes.empty()) return;
    try {
      for (auto& file : write_files(duck_, log_, now.write_shape(), changes, true)) {
        transaction.changes.push_back({file.path, file.partition_values, file.size});
      }
    } catch (...) {
      for (const auto& add : transaction.adds) log_.store().remove(log_.key(add.file.path));
      throw;
    }
  }

 private:
  Duck& duck_;
  const Log& log_;
  const Snapshot& snapshot_;
  ScanShape shape_;
  std::string columns_;
  std::map<std::string, const AddFile*> by_location_;
};

// Whether the file may hold a key between the bounds, by its statistics.
bool may_hold(const AddFile& file, const Field& key, const Json& low, const Json& high) {
  const bool text = key.type.kind == TypeKind::kString;
  const bool number =
      key.type.kind == TypeKind::kLong || key.type.kind == TypeKind::kInteger || key.type.kind == TypeKind::kShort;
  if (file.stats.empty() || (!text && !number)) return true;
  const auto stats = Json::try_parse(file.stats);
  if (!stats) return true;
  const auto &least = (*stats)["minValues"][key.name], &most = (*stats)["maxValues"][key.name];
  if (text && low.is_string() && high.is_string() && least.is_string() && most.is_string()) {
    return high.as_string() >= least.as_string() && low.as_string() <= most.as_string();
  }
  if (number && low.is_int() && high.is_int() && least.is_int() && most.is_int()) {
    return high.as_int() >= least.as_int() && low.as_int() <= most.as_int();
  }
  return true;
}

}  // namespace

CommitResult Table::Impl::append(const std::vector<Row>& rows, const CommitOptions& options) {
  const auto now = settings(options.app_id);
  check_writable(now.protocol, now.metadata);
  if (already_committed(options, now.app_version) || (rows.empty() && options.app_id.empty()))
    return {now.version, false};
  auto transaction = begin(now, options, "WRITE");
  if (!transaction.options.parameters.contains("mode")) transaction.options.parameters.set("mode", "Append");
  CommitResult result;
  result.inserted = static_cast<std::int64_t>(rows.size());
  if (!rows.empty()) {
    Duck duck;
    duck.create_temp_table("fresh", now.metadata.schema);
    duck.append("fresh", now.metadata.schema, rows);
    transaction.adds = adds_of(write_files(duck, log, now.write_shape(), "fresh", false));
  }
  set_metrics(transaction, result);
  result.version = commit(std::move(transaction));
  return result.version < 0 ? CommitResult{settings().version, false} : result;
}

CommitResult Table::Impl::upsert(const Upsert& change, const CommitOptions& options) {
  const std::lock_guard turn(write_mutex);
  // A keyed change means the same on every version, so after a conflict it is done anew: the last one to commit wins.
  for (int attempt = 1;; ++attempt) {
    try {
      return upsert_once(change, options);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kConflict || attempt == limits::kDeltaUpsertAttempts) throw;
    }
  }
}

CommitResult Table::Impl::upsert_once(const Upsert& change, const CommitOptions& options) {
  const auto now = settings(options.app_id);
  check_writable(now.protocol, now.metadata);
  const auto& schema = now.metadata.schema;
  const auto key_index = find_column(schema, change.key_column);
  if (!key_index)
    throw Error(ErrorCode::kInvalidArgument, "there is no key column '{}' in the table '{}'", change.key_column,
                log.prefix());
  const bool nothing = change.rows.empty() && change.deletes.empty();
  if (already_committed(options, now.app_version) || (nothing && options.app_id.empty())) return {now.version, false};

  const auto snapshot = snapshot_at(now.version);
  const auto& key_field = schema[*key_index];
  const auto key = quote_identifier(key_field.name);
  Duck duck;
  duck.create_temp_table("src", schema);
  duck.append("src", schema, change.rows);
  Schema key_schema = {key_field};
  key_schema[0].nullable = true;
  std::vector<Row> gone;
  for (const auto& value : change.deletes) gone.push_back({value});
  duck.create_temp_table("gone", key_schema);
  duck.append("gone", key_schema, gone);
  const auto twice =
      duck.query("SELECT CAST(" + key + " AS VARCHAR) FROM (SELECT " + key + " FROM src UNION ALL SELECT DISTINCT " +
                 key + " FROM gone) WHERE " + key + " IS NOT NULL GROUP BY " + key + " HAVING count(*) > 1 LIMIT 1");
  if (!twice.rows.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "the key '{}' is given more than once, in rows or deletes",
                twice.rows[0][0].string_or(""));
  }

  // NULL never matches: not a key of a row, not a key to delete.
  const auto in_src = key + " IN (SELECT " + key + " FROM src WHERE " + key + " IS NOT NULL)";
  const auto in_gone = key + " IN (SELECT " + key + " FROM gone WHERE " + key + " IS NOT NULL)";
  const auto bounds = duck.query("SELECT min(k), max(k) FROM (SELECT " + key + " AS k FROM src UNION ALL SELECT " +
                                 key + " FROM gone)");
  Rewrite rewrite(duck, log, *snapshot);
  std::vector<const AddFile*> candidates, touched;
  for (const auto& file : snapshot->files) {
    if (!bounds.rows[0][0].is_null() && may_hold(file, key_field, bounds.rows[0][0], bounds.rows[0][1]))
      candidates.push_back(&file);
  }
  if (!candidates.empty()) {
    const auto files = duck.query("SELECT DISTINCT " + quote_identifier(kFileColumn) + " FROM " +
                                  rewrite.select(candidates) + " WHERE " + in_src + " OR " + in_gone + " ORDER BY 1");
    for (const auto& row : files.rows) touched.push_back(&rewrite.file_at(row[0].as_string()));
  }

  auto transaction = begin(now, options, "MERGE");
  transaction.reads_table = true;
  CommitResult result;
  if (touched.empty()) {
    if (change.rows.empty() && options.app_id.empty()) return {now.version, false};
    result.inserted = static_cast<std::int64_t>(change.rows.size());
    if (!change.rows.empty()) rewrite.store(transaction, now, {}, "src", "");
  } else {
    check_deletes(now);
    rewrite.load("old", touched, "CASE WHEN " + in_src + " THEN 1 WHEN " + in_gone + " THEN 2 ELSE 0 END", {});
    const auto old = "old WHERE " + quote_identifier(kHit) + " = ";
    const auto matched = "SELECT " + key + " FROM " + old + "1";
    result.deleted = count(duck, old + "2");
    result.updated = count(duck, "src WHERE " + key + " IN (" + matched + ")");
    result.inserted = static_cast<std::int64_t>(change.rows.size()) - result.updated;
    const auto& columns = rewrite.columns();
    duck.create_temp_table("fresh", schema);
    duck.execute("INSERT INTO fresh SELECT " + columns + " FROM " + old + "0 UNION ALL SELECT " + columns +
                 " FROM src");
    std::string changes;
    if (now.change_feed()) {
      changes = "changes";
      duck.create_temp_table(changes, with_column(schema, kChangeTypeColumn, TypeKind::kString));
      const auto into = "INSERT INTO changes SELECT " + columns;
      duck.execute(into + ", 'delete' FROM " + old + "2");
      duck.execute(into + ", 'update_preimage' FROM " + old + "1");
      duck.execute(into + ", 'update_postimage' FROM src WHERE " + key + " IN (" + matched + ")");
      duck.execute(into + ", 'insert' FROM src WHERE (" + key + " IN (" + matched + ")) IS NOT TRUE");
    }
    rewrite.store(transaction, now, touched, "fresh", changes);
  }
  set_metrics(transaction, result);
  result.version = commit(std::move(transaction));
  return result.version < 0 ? CommitResult{settings().version, false} : result;
}

CommitResult Table::Impl::delete_where(std::string_view condition, const std::vector<Json>& parameters,
                                       const CommitOptions& options) {
  return change_where({}, condition, parameters, options);
}

CommitResult Table::Impl::update_where(const std::map<std::string, std::string>& assignments,
                                       std::string_view condition, const std::vector<Json>& parameters,
                                       const CommitOptions& options) {
  if (assignments.empty()) throw Error(ErrorCode::kInvalidArgument, "an update needs at least one column to set");
  return change_where(assignments, condition, parameters, options);
}

CommitResult Table::Impl::change_where(const std::map<std::string, std::string>& assignments,
                                       std::string_view condition, const std::vector<Json>& parameters,
                                       const CommitOptions& options) {
  const std::lock_guard turn(write_mutex);
  const bool update = !assignments.empty();
  const auto now = settings(options.app_id);
  check_writable(now.protocol, now.metadata);
  check_deletes(now);
  if (already_committed(options, now.app_version)) return {now.version, false};
  Duck duck;
  const auto where = trim(condition).empty() ? std::string("true") : std::string(condition);
  duck.check_expression(where, "the condition");
  const auto& schema = now.metadata.schema;
  std::map<std::size_t, std::string> values;
  for (const auto& [name, expression] : assignments) {
    const auto index = find_column(schema, name);
    if (!index)
      throw Error(ErrorCode::kInvalidArgument, "there is no column '{}' in the table '{}'", name, log.prefix());
    duck.check_expression(expression, "the value of column '" + name + "'");
    if (!values.emplace(*index, expression).second)
      throw Error(ErrorCode::kInvalidArgument, "the column '{}' is set twice", name);
  }

  const auto snapshot = snapshot_at(now.version);
  Rewrite rewrite(duck, log, *snapshot);
  const auto hit = "((" + where + "\n) IS TRUE)";
  std::vector<const AddFile*> all, touched, partly;
  for (const auto& file : snapshot->files) all.push_back(&file);
  CommitResult result;
  const auto found =
      duck.query("SELECT " + quote_identifier(kFileColumn) + ", count(*), count(*) FILTER (WHERE " + hit + ") FROM " +
                     rewrite.select(all) + " GROUP BY 1 HAVING count(*) FILTER (WHERE " + hit + ") > 0 ORDER BY 1",
                 parameters);
  for (const auto& row : found.rows) {
    const auto* file = &rewrite.file_at(row[0].as_string());
    touched.push_back(file);
    if (row[1] != row[2]) partly.push_back(file);
    (update ? result.updated : result.deleted) += row[2].as_int();
  }
  if (touched.empty() && options.app_id.empty()) return {now.version, false};

  auto transaction = begin(now, options, update ? "UPDATE" : "DELETE");
  if (!transaction.options.parameters.contains("predicate")) transaction.options.parameters.set("predicate", where);
  transaction.reads_table = true;
  const bool feed = now.change_feed();
  if (!update && partly.empty()) {
    // Whole files go: the removals say it all.
    rewrite.store(transaction, now, touched, "", "");
  } else {
    rewrite.load("old", update || feed ? touched : partly, "CASE WHEN " + hit + " THEN 1 ELSE 0 END", parameters);
    const auto& columns = rewrite.columns();
    const auto hit_column = quote_identifier(kHit);
    duck.create_temp_table("fresh", schema);
    if (update) {
      std::vector<std::string> list;
      for (std::size_t i = 0; i < schema.size(); ++i) {
        const auto name = quote_identifier(schema[i].name);
        const auto value = values.find(i);
        list.push_back(value == values.end()
                           ? name
                           : "CAST((" + value->second + "\n) AS " + schema[i].type.duckdb() + ") AS " + name);
      }
      duck.create_temp_table("updated", schema);
      duck.execute("INSERT INTO updated SELECT " + join(list, ", ") + " FROM old WHERE " + hit_column + " = 1",
                   parameters);
      duck.execute("INSERT INTO fresh SELECT " + columns + " FROM updated");
    }
    duck.execute("INSERT INTO fresh SELECT " + columns + " FROM old WHERE " + hit_column + " = 0");
    if (feed) {
      duck.create_temp_table("changes", with_column(schema, kChangeTypeColumn, TypeKind::kString));
      duck.execute("INSERT INTO changes SELECT " + columns + (update ? ", 'update_preimage'" : ", 'delete'") +
                   " FROM old WHERE " + hit_column + " = 1");
      if (update) duck.execute("INSERT INTO changes SELECT " + columns + ", 'update_postimage' FROM updated");
    }
    rewrite.store(transaction, now, touched, "fresh", feed ? "changes" : "");
  }
  set_metrics(transaction, result);
  result.version = commit(std::move(transaction));
  return result.version < 0 ? CommitResult{settings().version, false} : result;
}

}  // namespace lakeloop::delta
