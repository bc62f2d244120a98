#pragma once

// What can be granted on what (Unity Catalog). Wire names use blanks in the open-source API ("USE CATALOG") and underscores on
// Databricks ("USE_CATALOG"); both are accepted, the face chooses what to print.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lakeloop::catalog {

enum class SecurableType : std::uint8_t {
  kMetastore, kCatalog, kSchema, kTable, kVolume, kFunction, kModel, kEndpoint, kExperiment
};

enum class Privilege : std::uint8_t {
  kUseCatalog, kUseSchema, kSelect, kModify, kExecute, kCreateCatalog, kCreateSchema, kCreateTable, kCreateModel,
  kCreateVolume, kCreateFunction, kReadVolume, kWriteVolume, kBrowse, kManage, kAllPrivileges
};

// A model is `registered_model` on the wire (also `function` on Databricks' grants API). Endpoints and experiments are not
// three-level names: `name` is their own.
struct Securable {
  SecurableType type = SecurableType::kMetastore;
  std::string name;  // full name: "main", "main.docs", "main.docs.pages"; empty for the metastore
};

std::string_view to_string(SecurableType type);                    // "catalog"
std::optional<SecurableType> parse_securable_type(std::string_view text);
std::string_view to_string(Privilege privilege);                   // "USE CATALOG"
std::optional<Privilege> parse_privilege(std::string_view text);   // either spelling, any case

// "main.docs.pages" -> parts; kInvalidArgument unless it has exactly `parts` parts of 1-255 characters without '/', blanks or
// control characters. Back-quoted parts may hold dots.
struct FullName {
  std::string catalog, schema, name;
};
FullName parse_full_name(std::string_view text);       // three parts
FullName parse_schema_name(std::string_view text);     // two parts, `name` empty

}  // namespace lakeloop::catalog
