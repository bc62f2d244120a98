#include "delta/log.h"

#include <algorithm>
#include <array>

#include "base/format.h"
#include "base/limits.h"
#include "base/text.h"
#include "delta/duck.h"

namespace lakeloop::delta {
namespace {

bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// "00000000000000000010.checkpoint.0000000001.0000000003.parquet" and its relatives.
struct CheckpointName {
  std::int64_t version = -1;
  std::int64_t part = 1, parts = 1;
};

std::optional<CheckpointName> checkpoint_name(std::string_view name) {
  const auto pieces = split(name, '.');
  if (pieces.size() < 3 || pieces[0].size() != 20 || !all_digits(pieces[0]) || pieces[1] != "checkpoint")
    return std::nullopt;
  CheckpointName result;
  result.version = parse_number<std::int64_t>(pieces[0]).value_or(-1);
  if (result.version < 0) return std::nullopt;
  const auto ending = pieces.back();
  if (pieces.size() == 3) return ending == "parquet" ? std::optional(result) : std::nullopt;
  if (pieces.size() == 4) return ending == "parquet" || ending == "json" ? std::optional(result) : std::nullopt;
  if (pieces.size() != 5 || ending != "parquet") return std::nullopt;
  const auto part = parse_number<std::int64_t>(pieces[2]), parts = parse_number<std::int64_t>(pieces[3]);
  if (!part || !parts || *part < 1 || *part > *parts) return std::nullopt;
  result.part = *part;
  result.parts = *parts;
  return result;
}

// Columns and their members that a checkpoint is read for; others (stats_parsed, ...) are not decoded.
struct Wanted {
  std::string_view column;
  std::vector<std::string_view> members;
};
const std::vector<Wanted>& wanted() {
  static const std::vector<Wanted> kWanted = {
      {"protocol", {"minReaderVersion", "minWriterVersion", "readerFeatures", "writerFeatures"}},
      {"metaData",
       {"id", "name", "description", "format", "schemaString", "partitionColumns", "configuration", "createdTime"}},
      {"add", {"path", "partitionValues", "size", "modificationTime", "dataChange", "stats", "tags", "deletionVector"}},
      {"remove",
       {"path", "deletionTimestamp", "dataChange", "extendedFileMetadata", "partitionValues", "size",
        "deletionVector"}},
      {"txn", {"appId", "version", "lastUpdated"}},
      {"domainMetadata", {"domain", "configuration", "removed"}},
      {"sidecar", {"path", "sizeInBytes", "modificationTime"}}};
  return kWanted;
}

std::string checkpoint_select(Duck& duck, const std::string& source) {
  const auto schema = duck.describe("SELECT * FROM " + source);
  std::vector<std::string> columns;
  for (const auto& want : wanted()) {
    const auto index = find_column(schema, want.column);
    if (!index || schema[*index].type.kind != TypeKind::kStruct) continue;
    const auto name = quote_identifier(want.column);
    std::vector<std::string> members;
    for (const auto& member : want.members) {
      const auto quoted = quote_identifier(member);
      if (find_column(schema[*index].type.fields, member)) members.push_back(quoted + " := " + name + "." + quoted);
    }
    if (members.empty()) continue;
    columns.push_back(
        format("CASE WHEN {} IS NULL THEN NULL ELSE struct_pack({}) END AS {}", name, join(members, ", "), name));
  }
  if (columns.empty()) throw Error(ErrorCode::kDataLoss, "the checkpoint holds no actions");
  return "SELECT " + join(columns, ", ") + " FROM " + source;
}

}  // namespace

std::string version_text(std::int64_t version) {
  return format("{:020}", version);
}

Log::Log(std::shared_ptr<storage::ObjectStore> store, std::string prefix)
    : store_(std::move(store)), prefix_(std::move(prefix)) {
  while (prefix_.ends_with('/')) prefix_.pop_back();
}

std::string Log::key(std::string_view path) const {
  return prefix_.empty() ? std::string(path) : prefix_ + "/" + std::string(path);
}
std::string Log::log_key(std::string_view name) const {
  return key("_delta_log/" + std::string(name));
}
std::string Log::commit_key(std::int64_t version) const {
  return log_key(version_text(version) + ".json");
}

LogListing Log::list(std::int64_t from) const {
  LogListing listing;
  const auto folder = log_key("");
  // '.' sorts after every digit's end: names of version `from` come after its bare number.
  const auto objects = store_->list(folder, from > 0 ? folder + version_text(from) : std::string());
  struct Parts {
    std::int64_t wanted = 0;
    std::vector<storage::ObjectInfo> files;
  };
  std::map<std::pair<std::int64_t, std::int64_t>, Parts> multi;
  for (const auto& object : objects) {
    const auto name = std::string_view(object.key).substr(folder.size());
    if (name.size() == 25 && name.ends_with(".json") && all_digits(name.substr(0, 20))) {
      if (const auto version = parse_number<std::int64_t>(name.substr(0, 20))) listing.commits[*version] = object;
    } else if (const auto checkpoint = checkpoint_name(name)) {
      if (checkpoint->parts == 1) {
        listing.checkpoints.push_back({checkpoint->version, {object}});
      } else {
        auto& parts = multi[{checkpoint->version, checkpoint->parts}];
        parts.wanted = checkpoint->parts;
        parts.files.push_back(object);
      }
    }
  }
  for (auto& [id, parts] : multi) {
    if (std::cmp_equal(parts.files.size(), parts.wanted))
      listing.checkpoints.push_back({id.first, std::move(parts.files)});
  }
  std::ranges::stable_sort(listing.checkpoints, {}, &Checkpoint::version);
  return listing;
}

std::optional<std::int64_t> Log::checkpoint_hint() const {
  try {
    const auto json = Json::try_parse(store_->get(log_key("_last_checkpoint")));
    if (!json || !(*json)["version"].is_int() || (*json)["version"].as_int() < 0) return std::nullopt;
    return (*json)["version"].as_int();
  } catch (const Error&) {
    return std::nullopt;
  }
}

Actions Log::read_commit(std::int64_t version) const {
  const auto key = commit_key(version);
  if (const auto info = store_->head(key); info && info->size > limits::kDeltaCommitBytes) {
    throw Error(ErrorCode::kTooLarge, "the commit of version {} has {} bytes, at most {} are read", version, info->size,
                limits::kDeltaCommitBytes);
  }
  return read_actions(store_->get(key), format("version {} of the Delta log", version));
}

void Log::read_checkpoint_file(const std::string& key, Actions& into) const {
  if (key.ends_with(".json")) {
    auto actions = read_actions(store_->get(key), key);
    const auto move_all = [](auto& from, auto& to) { to.insert(to.end(), from.begin(), from.end()); };
    if (actions.protocol) into.protocol = actions.protocol;
    if (actions.metadata) into.metadata = actions.metadata;
    move_all(actions.adds, into.adds);
    move_all(actions.removes, into.removes);
    move_all(actions.txns, into.txns);
    move_all(actions.sidecars, into.sidecars);
    into.domains.insert(actions.domains.begin(), actions.domains.end());
    return;
  }
  Duck duck;
  const auto source = "read_parquet([" + quote_literal(store_->location(key)) + "], hive_partitioning=false)";
  duck.stream(checkpoint_select(duck, source), {}, {}, [&](Rows batch) {
    for (auto& row : batch.rows) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        if (!row[i].is_null()) read_action(Json::object({{batch.schema[i].name, std::move(row[i])}}), into);
      }
    }
    return true;
  });
}

Actions Log::read_checkpoint(const Checkpoint& checkpoint) const {
  Actions actions;
  try {
    for (const auto& part : checkpoint.parts) read_checkpoint_file(part.key, actions);
    const auto sidecars = std::move(actions.sidecars);
    actions.sidecars.clear();
    for (const auto& sidecar : sidecars) read_checkpoint_file(log_key("_sidecars/" + sidecar.path), actions);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kUnsupportedFeature) throw;
    throw Error(ErrorCode::kDataLoss, "the checkpoint of version {} cannot be read: {}", checkpoint.version,
                error.message());
  }
  if (!actions.protocol || !actions.metadata) {
    throw Error(ErrorCode::kDataLoss, "the checkpoint of version {} has no {}", checkpoint.version,
                actions.protocol ? "metaData" : "protocol");
  }
  return actions;
}

}  // namespace lakeloop::delta
