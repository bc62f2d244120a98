// Catalogs and schemas.

#include "base/check.h"
#include "base/id.h"
#include "catalog/impl.h"

namespace lakeloop::catalog {
namespace {

using db::Transaction;

constexpr std::string_view kAiSchema = "ai";

template <typename Info>
void fill(Info& info, const ObjectRow& row) {
  info.id = row.id;
  info.name = row.name;
  info.comment = row.comment;
  info.owner = row.owner;
  info.created_by = row.created_by;
  info.updated_by = row.updated_by;
  info.created = row.created;
  info.updated = row.updated;
  info.properties = to_map(row.properties);
}

CatalogInfo catalog_info(const ObjectRow& row) {
  CatalogInfo info;
  fill(info, row);
  return info;
}

SchemaInfo schema_info(const std::string& catalog, const ObjectRow& row) {
  SchemaInfo info;
  fill(info, row);
  info.catalog_name = catalog;
  return info;
}

std::vector<std::string> schema_parts(std::string_view full_name) {
  FullName name = parse_schema_name(full_name);
  return {std::move(name.catalog), std::move(name.schema)};
}

// Indexes are more than rows (search keeps their segments in step), so they never vanish as a by-catch.
void refuse_indexes_below(Transaction& t, const std::string& id, std::string_view what) {
  const auto row = t.query_one(
      "WITH RECURSIVE below(id) AS (SELECT id FROM catalog_objects WHERE id = $1 "
      "UNION SELECT o.id FROM catalog_objects o JOIN below b ON o.parent = b.id) "
      "SELECT count(*) FROM catalog_indexes WHERE index_id IN (SELECT id FROM below) OR table_id IN (SELECT id FROM "
      "below)",
      {id});
  if (row->integer(0) > 0) {
    throw Error(ErrorCode::kConflict,
                "{} holds vector indexes or tables that they are made from ({} in all): delete the indexes first", what,
                row->integer(0));
  }
}

void erase_container(Transaction& t, const Seen& seen, bool force) {
  const std::string what = describe(seen.object().type, parts_of(seen.path));
  if (!force && has_children(t, seen.object().id)) {
    throw Error(ErrorCode::kConflict, "{} is not empty: delete what it holds, or set force", what);
  }
  refuse_indexes_below(t, seen.object().id, what);
  erase(t, seen.object().id);
}

void grant_everybody(Transaction& t, const std::string& object_id, Privilege privilege) {
  t.execute("INSERT INTO catalog_grants (object_id, principal, principal_key, privilege) VALUES ($1, $2, $2, $3)",
            {object_id, std::string(identity::kEveryone), std::string(to_string(privilege))});
}

// The first start: the metastore and the catalog of the models in the box.
std::string ensure_metastore(Transaction& t) {
  if (t.query_one("SELECT 1 FROM catalog_objects WHERE parent = '' LIMIT 1")) return metastore_row(t).id;
  ObjectRow metastore;
  metastore.type = SecurableType::kMetastore;
  metastore.name = "metastore";
  metastore.owner = metastore.created_by = identity::kAdminsGroup;
  insert(t, metastore, {});
  ObjectRow system;
  system.type = SecurableType::kCatalog;
  system.parent = metastore.id;
  system.name = kSystemCatalog;
  system.comment = "What the workspace brings along";
  system.owner = system.created_by = identity::kAdminsGroup;
  insert(t, system, {system.name});
  ObjectRow ai;
  ai.type = SecurableType::kSchema;
  ai.parent = system.id;
  ai.name = kAiSchema;
  ai.comment = "The models in the box";
  ai.owner = ai.created_by = identity::kAdminsGroup;
  insert(t, ai, {system.name, ai.name});
  grant_everybody(t, system.id, Privilege::kUseCatalog);
  grant_everybody(t, ai.id, Privilege::kUseSchema);
  grant_everybody(t, ai.id, Privilege::kExecute);
  return metastore.id;
}

}  // namespace

Catalog::Catalog(db::Database& database, std::shared_ptr<storage::ObjectStore> store)
    : impl_(new Impl{.database = database, .store = store, .metastore_id = {}, .tables = OpenTables(store)}) {
  impl_->metastore_id = database.writing([](Transaction& t) { return ensure_metastore(t); });
}

Catalog::~Catalog() = default;

storage::ObjectStore& Catalog::store() {
  return *impl_->store;
}

std::string Catalog::metastore_id() {
  return impl_->metastore_id;
}

CatalogInfo Catalog::create_catalog(const Principal& who, std::string_view name, std::string_view comment,
                                    const std::map<std::string, std::string>& properties) {
  const Speaker speaker(who);
  ObjectRow row;
  row.type = SecurableType::kCatalog;
  row.name = checked_name(name);
  row.comment = checked_comment(comment);
  row.properties = checked_properties(properties);
  row.owner = row.created_by = who.name;
  return impl_->database.writing([&](Transaction& t) {
    row.parent = look_up_for(t, speaker, Privilege::kCreateCatalog, SecurableType::kMetastore, {}).object().id;
    insert(t, row, {row.name});
    return catalog_info(row);
  });
}

CatalogInfo Catalog::get_catalog(const Principal& who, std::string_view name) {
  const Speaker speaker(who);
  const std::string checked = checked_name(name);
  return impl_->database.reading([&](Transaction& t) {
    return catalog_info(look_up_visible(t, speaker, SecurableType::kCatalog, {checked}).object());
  });
}

Listing<CatalogInfo> Catalog::list_catalogs(const Principal& who, const Page& page) {
  const Speaker speaker(who);
  return impl_->database.reading([&](Transaction& t) {
    const Seen metastore = look_up_visible(t, speaker, SecurableType::kMetastore, {});
    return list_children<CatalogInfo>(t, impl_->metastore_id, speaker, metastore, SecurableType::kCatalog, page,
                                      catalog_info);
  });
}

void Catalog::delete_catalog(const Principal& who, std::string_view name, bool force) {
  const Speaker speaker(who);
  const std::string checked = checked_name(name);
  if (name_key(checked) == kSystemCatalog) {
    throw Error(ErrorCode::kInvalidArgument, "the catalog 'system' belongs to the workspace and cannot be deleted");
  }
  impl_->database.write([&](Transaction& t) {
    erase_container(t, look_up_for(t, speaker, Privilege::kManage, SecurableType::kCatalog, {checked}), force);
  });
}

SchemaInfo Catalog::create_schema(const Principal& who, std::string_view catalog, std::string_view name,
                                  std::string_view comment, const std::map<std::string, std::string>& properties) {
  const Speaker speaker(who);
  const std::string in_catalog = checked_name(catalog);
  ObjectRow row;
  row.type = SecurableType::kSchema;
  row.name = checked_name(name);
  row.comment = checked_comment(comment);
  row.properties = checked_properties(properties);
  row.owner = row.created_by = who.name;
  if (name_key(row.name) == "information_schema") {
    throw Error(ErrorCode::kInvalidArgument, "the schema name 'information_schema' is reserved: choose another");
  }
  return impl_->database.writing([&](Transaction& t) {
    const Seen parent = look_up_for(t, speaker, Privilege::kCreateSchema, SecurableType::kCatalog, {in_catalog});
    row.parent = parent.object().id;
    insert(t, row, {parent.object().name, row.name});
    return schema_info(parent.object().name, row);
  });
}

SchemaInfo Catalog::get_schema(const Principal& who, std::string_view full_name) {
  const Speaker speaker(who);
  const auto parts = schema_parts(full_name);
  return impl_->database.reading([&](Transaction& t) {
    const Seen seen = look_up_visible(t, speaker, SecurableType::kSchema, parts);
    return schema_info(seen.path[1].name, seen.object());
  });
}

Listing<SchemaInfo> Catalog::list_schemas(const Principal& who, std::string_view catalog, const Page& page) {
  const Speaker speaker(who);
  const std::string checked = checked_name(catalog);
  return impl_->database.reading([&](Transaction& t) {
    const Seen parent = look_up_visible(t, speaker, SecurableType::kCatalog, {checked});
    return list_children<SchemaInfo>(t, impl_->metastore_id, speaker, parent, SecurableType::kSchema, page,
                                     [&](const ObjectRow& row) { return schema_info(parent.object().name, row); });
  });
}

void Catalog::delete_schema(const Principal& who, std::string_view full_name, bool force) {
  const Speaker speaker(who);
  const auto parts = schema_parts(full_name);
  if (name_key(parts[0]) == kSystemCatalog && name_key(parts[1]) == kAiSchema) {
    throw Error(ErrorCode::kInvalidArgument, "the schema 'system.ai' belongs to the workspace and cannot be deleted");
  }
  impl_->database.write([&](Transaction& t) {
    erase_container(t, look_up_for(t, speaker, Privilege::kManage, SecurableType::kSchema, parts), force);
  });
}

void Catalog::ensure_schema(const Principal& who, std::string_view catalog, std::string_view schema) {
  const std::vector<std::string> parts{checked_name(catalog), checked_name(schema)};
  const auto exists = [&](SecurableType type, const std::vector<std::string>& name) {
    return impl_->database.reading([&](Transaction& t) { return find_path(t, type, name).has_value(); });
  };
  // Somebody else may make them between the look and the act; that is as good.
  const auto make = [](auto&& create) {
    try {
      create();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kAlreadyExists) throw;
    }
  };
  if (!exists(SecurableType::kCatalog, {parts[0]})) make([&] { create_catalog(who, parts[0]); });
  if (!exists(SecurableType::kSchema, parts)) make([&] { create_schema(who, parts[0], parts[1]); });
}

}  // namespace lakeloop::catalog
