#include "delta/actions.h"

#include "base/text.h"
#include "codec/encoding.h"

namespace lakeloop::delta {
namespace {

const Json& need(const Json& object, std::string_view field, bool (Json::*is)() const, std::string_view action) {
  const auto& value = object[field];
  if (!(value.*is)()) {
    throw Error(ErrorCode::kDataLoss, "the action '{}' has no valid field '{}'", action, field);
  }
  return value;
}
std::string need_text(const Json& object, std::string_view field, std::string_view action) {
  return need(object, field, &Json::is_string, action).as_string();
}
std::int64_t need_int(const Json& object, std::string_view field, std::string_view action) {
  return need(object, field, &Json::is_int, action).as_int();
}

std::vector<std::string> texts(const Json& list) {
  std::vector<std::string> result;
  if (!list.is_array()) return result;
  for (const auto& item : list.items()) result.push_back(item.string_or(""));
  return result;
}

// '' and null are the same for a partition column of any type.
PartitionValues partition_values(const Json& object) {
  PartitionValues values;
  if (!object.is_object()) return values;
  for (const auto& [name, value] : object.members()) {
    const bool null = !value.is_string() || value.as_string().empty();
    values[name] = null ? std::nullopt : std::optional(value.as_string());
  }
  return values;
}

Json to_json(const PartitionValues& values) {
  auto object = Json::object();
  for (const auto& [name, value] : values) object.set(name, Json(value));
  return object;
}

Protocol read_protocol(const Json& json) {
  Protocol protocol;
  protocol.min_reader = static_cast<int>(need_int(json, "minReaderVersion", "protocol"));
  protocol.min_writer = static_cast<int>(need_int(json, "minWriterVersion", "protocol"));
  protocol.reader_features = texts(json["readerFeatures"]);
  protocol.writer_features = texts(json["writerFeatures"]);
  return protocol;
}

Metadata read_metadata(const Json& json) {
  Metadata metadata;
  metadata.id = json.str("id");
  metadata.name = json.str("name");
  metadata.description = json.str("description");
  if (const auto provider = json["format"].str("provider", "parquet"); provider != "parquet") {
    throw Error(ErrorCode::kUnsupportedFeature, "the table's files have the format '{}', only parquet is read",
                provider);
  }
  const auto schema = Json::try_parse(need_text(json, "schemaString", "metaData"));
  if (!schema) throw Error(ErrorCode::kDataLoss, "the schema of the table is no valid JSON");
  metadata.schema = schema_from_json(*schema);
  metadata.partition_columns = texts(json["partitionColumns"]);
  if (json["configuration"].is_object()) {
    for (const auto& [key, value] : json["configuration"].members()) metadata.configuration[key] = value.string_or("");
  }
  metadata.created_time = json["createdTime"].int_or(0);
  return metadata;
}

Add read_add(const Json& json) {
  Add add;
  add.file.path = decode_path(need_text(json, "path", "add"));
  add.file.partition_values = partition_values(json["partitionValues"]);
  add.file.size = json["size"].int_or(0);
  add.file.modification_time = json["modificationTime"].int_or(0);
  add.file.stats = json.str("stats");
  add.file.deletion_vector = json["deletionVector"];
  add.data_change = json["dataChange"].bool_or(true);
  add.tags = json["tags"];
  return add;
}

Remove read_remove(const Json& json) {
  Remove remove;
  remove.path = decode_path(need_text(json, "path", "remove"));
  remove.data_change = json["dataChange"].bool_or(true);
  remove.deletion_timestamp = json["deletionTimestamp"].int_or(0);
  remove.extended = json["extendedFileMetadata"].bool_or(json["partitionValues"].is_object());
  remove.partition_values = partition_values(json["partitionValues"]);
  remove.size = json["size"].int_or(0);
  remove.deletion_vector = json["deletionVector"];
  return remove;
}

}  // namespace

void read_action(const Json& action, Actions& into) {
  if (!action.is_object()) throw Error(ErrorCode::kDataLoss, "a line of the log is no JSON object");
  for (const auto& [kind, body] : action.members()) {
    if (!body.is_object()) continue;
    if (kind == "add") {
      into.adds.push_back(read_add(body));
    } else if (kind == "remove") {
      into.removes.push_back(read_remove(body));
    } else if (kind == "cdc") {
      into.changes.push_back({decode_path(need_text(body, "path", "cdc")), partition_values(body["partitionValues"]),
                              body["size"].int_or(0)});
    } else if (kind == "protocol") {
      into.protocol = read_protocol(body);
    } else if (kind == "metaData") {
      into.metadata = read_metadata(body);
    } else if (kind == "txn") {
      into.txns.push_back(
          {need_text(body, "appId", "txn"), need_int(body, "version", "txn"), body["lastUpdated"].int_or(0)});
    } else if (kind == "domainMetadata") {
      into.domains[need_text(body, "domain", "domainMetadata")] = body;
    } else if (kind == "sidecar") {
      into.sidecars.push_back({decode_path(need_text(body, "path", "sidecar"))});
    } else if (kind == "commitInfo") {
      into.info = body;
    }
  }
}

Actions read_actions(std::string_view ndjson, std::string_view where) {
  Actions actions;
  for (const auto raw : split(ndjson, '\n')) {
    const auto line = trim(raw);
    if (line.empty()) continue;
    const auto json = Json::try_parse(line);
    if (!json) throw Error(ErrorCode::kDataLoss, "{} has a line that is no valid JSON", where);
    try {
      read_action(*json, actions);
    } catch (const Error& error) {
      throw Error(error.code(), "{}: {}", where, error.message());
    }
  }
  return actions;
}

Json to_json(const Protocol& protocol) {
  auto body = Json::object({{"minReaderVersion", protocol.min_reader}, {"minWriterVersion", protocol.min_writer}});
  if (protocol.min_reader >= 3) body.set("readerFeatures", Json::strings(protocol.reader_features));
  if (protocol.min_writer >= 7) body.set("writerFeatures", Json::strings(protocol.writer_features));
  return Json::object({{"protocol", body}});
}

Json to_json(const Metadata& metadata) {
  auto configuration = Json::object();
  for (const auto& [key, value] : metadata.configuration) configuration.set(key, value);
  auto body = Json::object({{"id", metadata.id}});
  if (!metadata.name.empty()) body.set("name", metadata.name);
  if (!metadata.description.empty()) body.set("description", metadata.description);
  body.set("format", Json::object({{"provider", "parquet"}, {"options", Json::object()}}));
  body.set("schemaString", schema_to_json(metadata.schema).dump());
  body.set("partitionColumns", Json::strings(metadata.partition_columns));
  body.set("configuration", std::move(configuration));
  body.set("createdTime", metadata.created_time);
  return Json::object({{"metaData", body}});
}

Json to_json(const Add& add) {
  auto body = Json::object({{"path", encode_path(add.file.path)},
                            {"partitionValues", to_json(add.file.partition_values)},
                            {"size", add.file.size},
                            {"modificationTime", add.file.modification_time},
                            {"dataChange", add.data_change}});
  if (!add.file.stats.empty()) body.set("stats", add.file.stats);
  body.set_if("tags", add.tags);
  body.set_if("deletionVector", add.file.deletion_vector);
  return Json::object({{"add", body}});
}

Json to_json(const Remove& remove) {
  auto body = Json::object({{"path", encode_path(remove.path)},
                            {"deletionTimestamp", remove.deletion_timestamp},
                            {"dataChange", remove.data_change},
                            {"extendedFileMetadata", remove.extended}});
  if (remove.extended) {
    body.set("partitionValues", to_json(remove.partition_values));
    body.set("size", remove.size);
  }
  body.set_if("deletionVector", remove.deletion_vector);
  return Json::object({{"remove", body}});
}

Json to_json(const ChangeFile& change) {
  return Json::object({{"cdc", Json::object({{"path", encode_path(change.path)},
                                             {"partitionValues", to_json(change.partition_values)},
                                             {"size", change.size},
                                             {"dataChange", false}})}});
}

Json to_json(const Txn& txn) {
  return Json::object(
      {{"txn", Json::object({{"appId", txn.app_id}, {"version", txn.version}, {"lastUpdated", txn.last_updated}})}});
}

std::string deletion_vector_id(const Json& vector) {
  if (!vector.is_object()) return {};
  auto id = vector.str("storageType") + vector.str("pathOrInlineDv");
  if (vector["offset"].is_int()) id += "@" + std::to_string(vector["offset"].as_int());
  return id;
}

std::string file_key(std::string_view path, const Json& deletion_vector) {
  std::string key(path);
  if (const auto id = deletion_vector_id(deletion_vector); !id.empty()) {
    key += '\0';
    key += id;
  }
  return key;
}

std::string encode_path(std::string_view path) {
  return codec::percent_encode(path, true);
}

std::string decode_path(std::string_view uri) {
  const auto path = codec::percent_decode(uri);
  if (!path || path->empty() || path->contains('\0')) {
    throw Error(ErrorCode::kDataLoss, "the path '{}' in the log is no valid URI path", uri);
  }
  const auto slash = path->find('/'), colon = path->find(':');
  const bool scheme = colon != std::string::npos && slash == colon + 1 && path->substr(slash).starts_with("//");
  if (path->starts_with('/') || scheme) {
    throw Error(ErrorCode::kUnsupportedFeature,
                "the log refers to '{}' outside the table (a shallow clone): not supported", uri);
  }
  for (const auto segment : split(*path, '/')) {
    if (segment == ".." || segment == "." || segment.empty()) {
      throw Error(ErrorCode::kDataLoss, "the path '{}' in the log leaves the table's folder", uri);
    }
  }
  return *path;
}

}  // namespace lakeloop::delta
