#include "delta/checkpoint.h"

#include "base/format.h"
#include "base/id.h"
#include "delta/data_writer.h"
#include "delta/duck.h"
#include "delta/features.h"

namespace lakeloop::delta {
namespace {

constexpr std::int64_t kWeek = 7LL * 24 * 3600 * 1000;

Field field(std::string name, DataType type) {
  Field result;
  result.name = std::move(name);
  result.type = std::move(type);
  return result;
}

const Schema& checkpoint_schema() {
  static const Schema kSchema = [] {
    const auto string = DataType(TypeKind::kString), number = DataType(TypeKind::kLong),
               flag = DataType(TypeKind::kBoolean);
    const auto small = DataType(TypeKind::kInteger);
    const auto texts = DataType::array(string), map = DataType::map(string, string);
    const auto vector =
        DataType::structure({field("storageType", string), field("pathOrInlineDv", string), field("offset", small),
                             field("sizeInBytes", small), field("cardinality", number)});
    return Schema{
        field("txn",
              DataType::structure({field("appId", string), field("version", number), field("lastUpdated", number)})),
        field("add",
              DataType::structure({field("path", string), field("partitionValues", map), field("size", number),
                                   field("modificationTime", number), field("dataChange", flag), field("stats", string),
                                   field("tags", map), field("deletionVector", vector)})),
        field("remove",
              DataType::structure({field("path", string), field("deletionTimestamp", number), field("dataChange", flag),
                                   field("extendedFileMetadata", flag), field("partitionValues", map),
                                   field("size", number), field("deletionVector", vector)})),
        field("metaData", DataType::structure(
                              {field("id", string), field("name", string), field("description", string),
                               field("format", DataType::structure({field("provider", string), field("options", map)})),
                               field("schemaString", string), field("partitionColumns", texts),
                               field("configuration", map), field("createdTime", number)})),
        field("protocol", DataType::structure({field("minReaderVersion", small), field("minWriterVersion", small),
                                               field("readerFeatures", texts), field("writerFeatures", texts)})),
        field("domainMetadata",
              DataType::structure({field("domain", string), field("configuration", string), field("removed", flag)}))};
  }();
  return kSchema;
}

// {"add": {...}} as a row of the checkpoint. Members that its schema lacks (unknown fields of others) are left out.
Row row_of(const Json& action) {
  Row row;
  for (const auto& column : checkpoint_schema()) {
    const auto* body = action.find(column.name);
    if (!body) {
      row.emplace_back();
      continue;
    }
    auto object = Json::object();
    for (const auto& member : column.type.fields) object.set(member.name, (*body)[member.name]);
    row.push_back(std::move(object));
  }
  return row;
}

}  // namespace

void write_checkpoint(const Log& log, const TableState& state) {
  std::vector<Row> rows;
  rows.reserve(state.files.size() + 16);
  rows.push_back(row_of(to_json(state.protocol)));
  rows.push_back(row_of(to_json(state.metadata)));
  for (const auto& [app, txn] : state.txns) rows.push_back(row_of(to_json(txn)));
  for (const auto& [domain, body] : state.domains) rows.push_back(row_of(Json::object({{"domainMetadata", body}})));
  const auto retention = interval_millis(state.metadata.configuration, "delta.deletedFileRetentionDuration", kWeek);
  const auto oldest = Timestamp::now().millis() - retention;
  for (const auto& [key, remove] : state.tombstones) {
    if (remove.deletion_timestamp < oldest) continue;
    auto tombstone = remove;
    tombstone.data_change = false;
    rows.push_back(row_of(to_json(tombstone)));
  }
  for (const auto& [key, add] : state.files) {
    auto live = add;
    live.data_change = false;
    rows.push_back(row_of(to_json(live)));
  }
  Duck duck;
  duck.create_temp_table("checkpoint", checkpoint_schema());
  duck.append("checkpoint", checkpoint_schema(), rows);
  const auto size = write_parquet(duck, log, "SELECT * FROM checkpoint",
                                  log.log_key(version_text(state.version) + ".checkpoint.parquet"), "snappy");
  const auto hint = Json::object({{"version", state.version},
                                  {"size", rows.size()},
                                  {"sizeInBytes", size},
                                  {"numOfAddFiles", state.files.size()}});
  log.store().put(log.log_key("_last_checkpoint"), hint.dump());
}

}  // namespace lakeloop::delta
