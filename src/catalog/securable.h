#pragma once

// What can be granted on what (Unity Catalog). Wire names use blanks in the open-source API ("USE CATALOG") and
// underscores on Databricks ("USE_CATALOG"); both are accepted, the face chooses what to print.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lakeloop::catalog {

enum class SecurableType : std::uint8_t {
  kMetastore,
  kCatalog,
  kSchema,
  kTable,
  kVolume,
  kFunction,
  kModel,
  kEndpoint,
  kExperiment
};

enum class Privilege : std::uint8_t {
  kUseCatalog,
  kUseSchema,
  kSelect,
  kModify,
  kExecute,
  kCreateCatalog,
  kCreateSchema,
  kCreateTable,
  kCreateModel,
  kCreateVolume,
  kCreateFunction,
  kReadVolume,
  kWriteVolume,
  kBrowse,
  kManage,
  kAllPrivileges
};

// A model is `registered_model` on the wire (also `function` on Databricks' grants API). Endpoints and experiments are
// not three-level names: `name` is their own (an experiment's id).
struct Securable {
  SecurableType type = SecurableType::kMetastore;
  std::string name;  // full name: "main", "main.docs", "main.docs.pages"; empty for the metastore
};

std::string_view to_string(SecurableType type);  // "catalog"
std::optional<SecurableType> parse_securable_type(std::string_view text);
std::string_view to_string(Privilege privilege);                  // "USE CATALOG"
std::optional<Privilege> parse_privilege(std::string_view text);  // either spelling, any case

// "main.docs.pages" -> parts; kInvalidArgument unless it has exactly three (two) parts of 1-255 characters without '/',
// '\\', back-quotes, blanks, control characters and marks of text direction. Back-quoted parts may hold dots.
struct FullName {
  std::string catalog, schema, name;
};
FullName parse_full_name(std::string_view text);    // three parts
FullName parse_schema_name(std::string_view text);  // two parts, `name` empty

std::string checked_name(std::string_view name);  // one part; in NFC
std::string name_key(std::string_view name);      // equal for names that differ in case only
std::vector<std::string> split_full_name(std::string_view text);
std::string join_full_name(const std::vector<std::string>& parts);  // back-quotes where a part holds a dot

}  // namespace lakeloop::catalog
