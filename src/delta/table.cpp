#include "delta/table.h"

#include <set>

#include "base/format.h"
#include "base/id.h"
#include "base/text.h"
#include "delta/features.h"
#include "delta/partition.h"
#include "delta/scan.h"
#include "delta/table_impl.h"

namespace lakeloop::delta {
namespace {

void check_names(const Schema& fields, const std::string& where) {
  std::set<std::string> seen;
  for (const auto& field : fields) {
    // What Parquet and Spark do not take without column mapping.
    if (field.name.empty() || field.name.find_first_of(" ,;{}()\n\t=") != std::string::npos ||
        field.name.contains('\0')) {
      throw Error(ErrorCode::kInvalidArgument,
                  "the column name '{}{}' is empty or holds one of ' ,;{{}}()=', a tab or a line break", where,
                  field.name);
    }
    if (!seen.insert(ascii_lower(field.name)).second) {
      throw Error(ErrorCode::kInvalidArgument, "the column '{}{}' occurs twice (names differ in more than case)", where,
                  field.name);
    }
    const auto* type = &field.type;
    while (type->kind == TypeKind::kArray || type->kind == TypeKind::kMap) type = type->element.get();
    check_names(type->fields, where + field.name + ".");
  }
}

bool has_kind(const DataType& type, TypeKind kind) {
  if (type.kind == kind) return true;
  for (const auto& field : type.fields) {
    if (has_kind(field.type, kind)) return true;
  }
  return (type.key && has_kind(*type.key, kind)) || (type.element && has_kind(*type.element, kind));
}

void check_partition_columns(const CreateOptions& options) {
  std::set<std::size_t> seen;
  for (const auto& name : options.partition_columns) {
    const auto index = find_column(options.schema, name);
    if (!index) throw Error(ErrorCode::kInvalidArgument, "the partition column '{}' is not in the schema", name);
    if (!seen.insert(*index).second)
      throw Error(ErrorCode::kInvalidArgument, "the partition column '{}' is named twice", name);
    if (!can_partition(options.schema[*index].type)) {
      throw Error(ErrorCode::kInvalidArgument, "the column '{}' of type {} cannot partition a table", name,
                  options.schema[*index].type.text());
    }
  }
  if (!options.schema.empty() && seen.size() == options.schema.size()) {
    throw Error(ErrorCode::kInvalidArgument, "a table needs a column besides its partition columns");
  }
}

}  // namespace

Table Table::create(std::shared_ptr<storage::ObjectStore> store, std::string prefix, const CreateOptions& options) {
  if (options.schema.empty()) throw Error(ErrorCode::kInvalidArgument, "a table needs at least one column");
  check_names(options.schema, "");
  check_partition_columns(options);
  for (const auto& [name, value] : options.properties) check_property(name, value);
  Log log(std::move(store), std::move(prefix));
  const auto exists = [&] {
    return Error(ErrorCode::kAlreadyExists, "there is a Delta table at '{}' already", log.prefix());
  };
  if (!log.list().empty()) throw exists();

  Transaction transaction;
  Metadata metadata;
  metadata.id = new_uuid();
  metadata.name = options.name;
  metadata.description = options.description;
  metadata.schema = options.schema;
  for (const auto& name : options.partition_columns) {
    metadata.partition_columns.push_back(options.schema[*find_column(options.schema, name)].name);
  }
  metadata.configuration = options.properties;
  metadata.configuration.try_emplace("delta.enableChangeDataFeed", "true");
  metadata.created_time = Timestamp::now().millis();
  Protocol protocol;
  protocol.min_writer = 7;
  protocol.writer_features = {"appendOnly", "changeDataFeed", "invariants"};
  if (has_kind(DataType::structure(options.schema), TypeKind::kTimestampNtz)) {
    protocol.min_reader = 3;
    protocol.reader_features = {"timestampNtz"};
    protocol.writer_features.emplace_back("timestampNtz");
  }
  check_writable(protocol, metadata);
  transaction.operation = "CREATE TABLE";
  transaction.options.parameters = Json::object({{"partitionBy", Json::strings(metadata.partition_columns).dump()}});
  transaction.protocol = std::move(protocol);
  transaction.metadata = std::move(metadata);
  transaction.serializable = true;
  const auto txn_id = new_uuid();
  bool won = false;
  try {
    won = log.store().put_if_absent(log.commit_key(0), commit_text(transaction, txn_id, Timestamp::now()));
  } catch (const Error&) {
    if (!log.store().head(log.commit_key(0))) throw;  // else the reply was lost: the log tells whose commit it is
  }
  if (!won && log.read_commit(0).info.str("txnId") != txn_id) throw exists();
  return Table(std::make_shared<Impl>(std::move(log)));
}

Table Table::open(std::shared_ptr<storage::ObjectStore> store, std::string prefix) {
  auto impl = std::make_shared<Impl>(Log(std::move(store), std::move(prefix)));
  impl->settings();
  return Table(std::move(impl));
}

Snapshot Table::snapshot() const {
  return *impl_->snapshot();
}
Snapshot Table::snapshot_at(std::int64_t version) const {
  return load_state(impl_->log, version).snapshot();
}

Snapshot Table::snapshot_at(Timestamp at) const {
  std::optional<std::int64_t> found, first;
  const auto newest = impl_->snapshot();
  if (newest->timestamp <= at) return *newest;
  const auto in_commit = is_true(newest->properties, "delta.enableInCommitTimestamps");
  for (const auto& [version, time] : commit_times(impl_->log.list())) {
    if (!first) first = version;
    auto instant = time;
    if (in_commit) {
      const auto info = impl_->log.read_commit(version).info;
      if (const auto& own = info["inCommitTimestamp"]; own.is_int()) instant = Timestamp::from_millis(own.as_int());
    }
    if (instant <= at) found = version;
  }
  if (!found) {
    throw Error(ErrorCode::kNotFound, "the table '{}' has no version as old as {}", impl_->log.prefix(),
                format_rfc3339(at));
  }
  return snapshot_at(*found);
}

std::vector<HistoryEntry> Table::history(std::size_t limit) const {
  return impl_->history(limit);
}
const std::string& Table::prefix() const {
  return impl_->log.prefix();
}
std::string Table::location() const {
  return table_folder(impl_->log);
}

CommitResult Table::append(const std::vector<Row>& rows, const CommitOptions& options) {
  return impl_->append(rows, options);
}
CommitResult Table::upsert(const Upsert& change, const CommitOptions& options) {
  return impl_->upsert(change, options);
}
CommitResult Table::delete_where(std::string_view condition, const std::vector<Json>& parameters,
                                 const CommitOptions& options) {
  return impl_->delete_where(condition, parameters, options);
}
CommitResult Table::update_where(const std::map<std::string, std::string>& assignments, std::string_view condition,
                                 const std::vector<Json>& parameters, const CommitOptions& options) {
  return impl_->update_where(assignments, condition, parameters, options);
}
CommitResult Table::set_properties(const std::map<std::string, std::string>& properties, const CommitOptions& options) {
  const std::lock_guard turn(impl_->write_mutex);
  return impl_->set_properties(properties, options);
}
void Table::checkpoint() {
  impl_->checkpoint();
}

Table::Relation Table::relation(const Snapshot& snapshot) const {
  const auto shape = scan_shape(impl_->log, snapshot);
  Relation relation;
  std::vector<FileRows> files;
  for (const auto& file : snapshot.files) {
    files.push_back(live_rows(impl_->log, file));
    relation.files.push_back(file_location(shape, file.path));
  }
  relation.sql = select_files(shape, files);
  return relation;
}

Rows Table::scan(const Snapshot& snapshot, const ScanOptions& options) const {
  Duck duck;
  std::vector<std::string> columns;
  for (const auto& name : options.columns) {
    const auto index = find_column(snapshot.schema, name);
    if (!index) throw Error(ErrorCode::kInvalidArgument, "there is no column '{}' in the table '{}'", name, prefix());
    columns.push_back(quote_identifier(snapshot.schema[*index].name));
  }
  if (!options.where.empty()) duck.check_expression(options.where, "the condition");
  auto sql = "SELECT " + (columns.empty() ? "*" : join(columns, ", ")) + " FROM (" + relation(snapshot).sql + ")";
  if (!options.where.empty()) sql += " WHERE (" + options.where + "\n)";
  if (!options.order_by.empty()) {
    duck.check_order(options.order_by, "the order");
    sql += " ORDER BY " + options.order_by + "\n";
  }
  if (options.limit >= 0) sql += format(" LIMIT {}", options.limit);
  auto rows = duck.query(sql, options.parameters);
  for (auto& field : rows.schema) {
    // The types as the table states them: DuckDB knows fewer (void, nullability).
    if (const auto index = find_column(snapshot.schema, field.name)) field = snapshot.schema[*index];
  }
  return rows;
}

void Table::changes(std::int64_t from, std::int64_t to, std::size_t batch,
                    const std::function<void(std::vector<Change>)>& on_batch) const {
  impl_->changes(from, to, batch, on_batch);
}

}  // namespace lakeloop::delta
