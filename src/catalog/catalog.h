#pragma once

// Unity Catalog: catalogs, schemas, tables, volumes, registered models with versions and aliases, and the grants on
// them. The one place where "may they" is answered, for every face. Reading an object that the caller may not see says
// kNotFound only where its parent is hidden too; else kPermissionDenied with the missing privilege. Lists hold what the
// caller may see, filtered before paging. Names compare without case and keep their spelling. Thread-safe.
//
// The catalog `system` with its schema `ai` (the models in the box) exists from the first start: administrators fill
// it, everybody may use its models.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "catalog/securable.h"
#include "codec/json.h"
#include "db/database.h"
#include "delta/table.h"
#include "identity/identity.h"
#include "sql/statement.h"
#include "storage/object_store.h"

namespace lakeloop::catalog {

using identity::Principal;

struct CatalogInfo {
  std::string id, name, comment, owner, created_by, updated_by;
  Timestamp created, updated;
  std::map<std::string, std::string> properties;
};

struct SchemaInfo {
  std::string id, catalog_name, name, comment, owner, created_by, updated_by;
  Timestamp created, updated;
  std::map<std::string, std::string> properties;
};

struct TableInfo {
  std::string id, catalog_name, schema_name, name, comment, owner, created_by, updated_by;
  Timestamp created, updated;
  std::string table_type = "MANAGED";  // of a vector index VECTOR_INDEX (the faces show MANAGED)
  std::string data_source_format = "DELTA";
  std::string prefix;        // below the object store, of a Delta table; empty for a vector index
  std::string source_table;  // of a vector index: the full name of what it is made from
  std::string storage_location;
  delta::Schema columns;  // filled by get_table
  std::map<std::string, std::string> properties;
};

struct ModelInfo {  // a registered model
  std::string id, catalog_name, schema_name, name, comment, owner, created_by, updated_by;
  Timestamp created, updated;
  std::map<std::string, std::int64_t> aliases;
  std::map<std::string, std::string> tags;
};

struct ModelVersionInfo {
  std::string id, catalog_name, schema_name, model_name;
  std::int64_t version = 0;
  std::string status = "READY";  // PENDING_REGISTRATION, READY, FAILED_REGISTRATION
  std::string source, run_id, comment, created_by, updated_by;
  Timestamp created, updated;
  std::string storage_location;  // object store prefix of the artefact's folder
  std::vector<std::string> aliases;
  std::map<std::string, std::string> tags;
};

// One arrow of lineage: `source` was read to make or serve `target`. Kinds: "table", "model_version", "index", "file",
// "endpoint", "trace", "prompt".
struct LineageEdge {
  std::string source_kind, source, target_kind, target;
  Json details = Json::object();
  Timestamp at;
};

struct Page {
  std::size_t max_results = 0;  // 0: the server's choice
  std::string page_token;       // of the previous answer; a foreign one is kInvalidArgument
};

template <typename T>
struct Listing {
  std::vector<T> items;
  std::string next_page_token;  // empty on the last page
};

std::vector<db::Migration> migrations();

class Catalog {
 public:
  Catalog(db::Database& database, std::shared_ptr<storage::ObjectStore> store);
  ~Catalog();

  // --- who may do what
  // Throws kPermissionDenied unless `who` holds `privilege` on the object or an ancestor, owns it or an ancestor, or is
  // an administrator; and USE CATALOG and USE SCHEMA on the way. kNotFound when the object does not exist.
  void authorize(const Principal& who, Privilege privilege, const Securable& object);
  [[nodiscard]] bool allowed(const Principal& who, Privilege privilege, const Securable& object);
  struct Assignment {
    std::string principal;
    std::vector<Privilege> privileges;
  };
  // What was granted on the object itself. Whoever does not manage it sees the grants to themselves and their groups
  // only.
  std::vector<Assignment> grants(const Principal& who, const Securable& object, std::string_view principal = {});
  struct Effective {
    std::string principal;
    Privilege privilege;
    Securable granted_on;  // the object itself or an ancestor
  };
  std::vector<Effective> effective_grants(const Principal& who, const Securable& object,
                                          std::string_view principal = {});
  struct GrantChange {
    std::string principal;
    std::vector<Privilege> add, remove;
  };
  // For whoever manages the object. All changes or none; answers the object's grants to the principals named.
  std::vector<Assignment> change_grants(const Principal& who, const Securable& object,
                                        const std::vector<GrantChange>& changes);
  // Comment, owner or properties (replaced as a whole) of a catalog, schema, table or model: for its owner and
  // managers.
  struct Update {
    std::optional<std::string> comment, owner;
    std::optional<std::map<std::string, std::string>> properties;
  };
  void update(const Principal& who, const Securable& object, const Update& change);

  // --- objects of other modules that are not under a schema (endpoints, experiments): only owner and grants live here.
  // Their module decides who may make one. kAlreadyExists; unregistering what is not there changes nothing.
  void register_securable(SecurableType type, std::string_view name, std::string_view owner);
  void unregister_securable(SecurableType type, std::string_view name);

  // --- catalogs and schemas
  CatalogInfo create_catalog(const Principal& who, std::string_view name, std::string_view comment = {},
                             const std::map<std::string, std::string>& properties = {});
  CatalogInfo get_catalog(const Principal& who, std::string_view name);
  Listing<CatalogInfo> list_catalogs(const Principal& who, const Page& page);
  // Deleting what holds something needs `force` (else kConflict); vector indexes are deleted one by one beforehand.
  void delete_catalog(const Principal& who, std::string_view name, bool force);
  SchemaInfo create_schema(const Principal& who, std::string_view catalog, std::string_view name,
                           std::string_view comment = {}, const std::map<std::string, std::string>& properties = {});
  SchemaInfo get_schema(const Principal& who, std::string_view full_name);
  Listing<SchemaInfo> list_schemas(const Principal& who, std::string_view catalog, const Page& page);
  void delete_schema(const Principal& who, std::string_view full_name, bool force);
  // Makes catalog and schema when missing (administrators, and tools that set up a workspace).
  void ensure_schema(const Principal& who, std::string_view catalog, std::string_view schema);

  // --- tables
  TableInfo create_table(const Principal& who, std::string_view full_name, const delta::CreateOptions& options,
                         std::string_view comment = {});
  TableInfo get_table(const Principal& who, std::string_view full_name);
  Listing<TableInfo> list_tables(const Principal& who, std::string_view catalog, std::string_view schema,
                                 const Page& page);
  // The data stays in the object store. kConflict while a vector index is made from the table.
  void delete_table(const Principal& who, std::string_view full_name);
  // The table itself, for `privilege` kSelect or kModify.
  delta::Table open_table(const Principal& who, std::string_view full_name, Privilege privilege);
  delta::Table open_or_create_table(const Principal& who, std::string_view full_name,
                                    const delta::CreateOptions& options);
  // Names in SQL, seen with the eyes of `who`; one- and two-part names are completed by the defaults. Must not outlive
  // this.
  std::unique_ptr<sql::TableResolver> resolver(const Principal& who, std::string default_catalog,
                                               std::string default_schema);

  // --- objects of other modules that live under a schema and take grants as tables do (vector indexes)
  void register_index(const Principal& who, std::string_view full_name, std::string_view source_table);
  void unregister_index(const Principal& who, std::string_view full_name);

  // --- models
  ModelInfo create_model(const Principal& who, std::string_view full_name, std::string_view comment = {},
                         const std::map<std::string, std::string>& tags = {});
  ModelInfo get_model(const Principal& who, std::string_view full_name);
  // Without catalog and schema: all models that the caller may see.
  Listing<ModelInfo> list_models(const Principal& who, std::string_view catalog, std::string_view schema,
                                 const Page& page);
  void update_model(const Principal& who, std::string_view full_name, std::optional<std::string> comment);
  void delete_model(const Principal& who, std::string_view full_name);
  void set_model_tag(const Principal& who, std::string_view full_name, std::string_view key, std::string_view value);
  void delete_model_tag(const Principal& who, std::string_view full_name, std::string_view key);
  // A version is made in state PENDING_REGISTRATION with its storage_location; finalize makes it READY.
  ModelVersionInfo create_model_version(const Principal& who, std::string_view full_name, std::string_view source,
                                        std::string_view run_id = {}, std::string_view comment = {},
                                        const std::map<std::string, std::string>& tags = {});
  ModelVersionInfo finalize_model_version(const Principal& who, std::string_view full_name, std::int64_t version);
  ModelVersionInfo get_model_version(const Principal& who, std::string_view full_name, std::int64_t version);
  // kNotFound names the alias.
  ModelVersionInfo get_model_version_by_alias(const Principal& who, std::string_view full_name, std::string_view alias);
  // Newest first.
  Listing<ModelVersionInfo> list_model_versions(const Principal& who, std::string_view full_name, const Page& page);
  void update_model_version(const Principal& who, std::string_view full_name, std::int64_t version,
                            std::string_view comment);
  void delete_model_version(const Principal& who, std::string_view full_name, std::int64_t version);
  void set_model_version_tag(const Principal& who, std::string_view full_name, std::int64_t version,
                             std::string_view key, std::string_view value);
  void delete_model_version_tag(const Principal& who, std::string_view full_name, std::int64_t version,
                                std::string_view key);
  void set_alias(const Principal& who, std::string_view full_name, std::string_view alias, std::int64_t version);
  void delete_alias(const Principal& who, std::string_view full_name, std::string_view alias);

  // --- lineage: append-only, an arrow is kept once. Whoever calls has decided what the reader may see.
  void record_lineage(const std::vector<LineageEdge>& edges);
  std::vector<LineageEdge> lineage_of(std::string_view target_kind, std::string_view target);    // upstream arrows
  std::vector<LineageEdge> lineage_from(std::string_view source_kind, std::string_view source);  // downstream arrows

  [[nodiscard]] storage::ObjectStore& store();
  [[nodiscard]] std::string metastore_id();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::catalog
