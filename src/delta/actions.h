#pragma once

// The actions of a Delta log (PROTOCOL.md, "Actions") as values, read from and written as newline-delimited JSON.
// Unknown actions and fields are ignored. Paths are kept decoded; the log holds them percent-encoded.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"
#include "delta/table.h"

namespace lakeloop::delta {

using PartitionValues = std::map<std::string, std::optional<std::string>>;

struct Protocol {
  int min_reader = 1, min_writer = 2;
  std::vector<std::string> reader_features, writer_features;
};

struct Metadata {
  std::string id, name, description;
  Schema schema;
  std::vector<std::string> partition_columns;
  std::map<std::string, std::string> configuration;
  std::int64_t created_time = 0;  // ms
};

struct Add {
  AddFile file;
  bool data_change = true;
  Json tags;
};

struct Remove {
  std::string path;
  bool data_change = true;
  std::int64_t deletion_timestamp = 0;  // ms
  bool extended = false;                // partition values and size are known
  PartitionValues partition_values;
  std::int64_t size = 0;
  Json deletion_vector;
};

struct ChangeFile {  // "cdc"
  std::string path;
  PartitionValues partition_values;
  std::int64_t size = 0;
};

struct Txn {
  std::string app_id;
  std::int64_t version = 0;
  std::int64_t last_updated = 0;  // ms
};

struct Sidecar {
  std::string path;  // below _delta_log/_sidecars
};

// The actions of one commit file or of a checkpoint.
struct Actions {
  std::optional<Protocol> protocol;
  std::optional<Metadata> metadata;
  std::vector<Add> adds;
  std::vector<Remove> removes;
  std::vector<ChangeFile> changes;
  std::vector<Txn> txns;
  std::map<std::string, Json> domains;  // domainMetadata by domain, kept as it was
  std::vector<Sidecar> sidecars;
  Json info;  // commitInfo
};

// Adds one action, an object with one member. kDataLoss when a needed field is missing or of the wrong type.
void read_action(const Json& action, Actions& into);
// A commit file. Errors name `where`.
Actions read_actions(std::string_view ndjson, std::string_view where);

Json to_json(const Protocol& protocol);
Json to_json(const Metadata& metadata);
Json to_json(const Add& add);
Json to_json(const Remove& remove);
Json to_json(const ChangeFile& change);
Json to_json(const Txn& txn);

std::string deletion_vector_id(const Json& deletion_vector);  // "" when there is none
// Identity of a file in the log: path and deletion vector.
std::string file_key(std::string_view path, const Json& deletion_vector);

// Percent-encoded as a URI path; decoding refuses what could leave the table's folder.
std::string encode_path(std::string_view path);
std::string decode_path(std::string_view uri);

}  // namespace lakeloop::delta
