#include "catalog/catalog.h"

namespace lakeloop::catalog {

std::vector<db::Migration> migrations() {
  return {{.module = "catalog", .number = 1, .sql = R"sql(
CREATE TABLE catalog_objects (
  id TEXT PRIMARY KEY,
  type INTEGER NOT NULL,
  parent TEXT NOT NULL,
  name TEXT NOT NULL,
  name_key TEXT NOT NULL,
  comment TEXT NOT NULL,
  owner TEXT NOT NULL,
  created_by TEXT NOT NULL,
  updated_by TEXT NOT NULL,
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  properties TEXT NOT NULL,
  details TEXT NOT NULL,
  UNIQUE (parent, type, name_key)
) STRICT;
CREATE TABLE catalog_grants (
  object_id TEXT NOT NULL,
  principal TEXT NOT NULL,
  principal_key TEXT NOT NULL,
  privilege TEXT NOT NULL,
  PRIMARY KEY (object_id, principal_key, privilege)
) STRICT;
CREATE TABLE catalog_indexes (
  index_id TEXT PRIMARY KEY,
  table_id TEXT NOT NULL
) STRICT;
CREATE INDEX catalog_indexes_by_table ON catalog_indexes (table_id);
CREATE TABLE catalog_versions (
  model_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  id TEXT NOT NULL,
  status TEXT NOT NULL,
  source TEXT NOT NULL,
  run_id TEXT NOT NULL,
  comment TEXT NOT NULL,
  created_by TEXT NOT NULL,
  updated_by TEXT NOT NULL,
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  PRIMARY KEY (model_id, version)
) STRICT;
CREATE TABLE catalog_counters (
  model_id TEXT PRIMARY KEY,
  last_version INTEGER NOT NULL
) STRICT;
CREATE TABLE catalog_aliases (
  model_id TEXT NOT NULL,
  alias TEXT NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (model_id, alias)
) STRICT;
CREATE TABLE catalog_tags (
  object_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (object_id, version, key)
) STRICT;
CREATE TABLE catalog_lineage (
  digest TEXT PRIMARY KEY,
  source_kind TEXT NOT NULL,
  source TEXT NOT NULL,
  target_kind TEXT NOT NULL,
  target TEXT NOT NULL,
  details TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT;
CREATE INDEX catalog_lineage_by_target ON catalog_lineage (target_kind, target, at);
CREATE INDEX catalog_lineage_by_source ON catalog_lineage (source_kind, source, at);
)sql"}};
}

}  // namespace lakeloop::catalog
