// Tables, vector indexes as their neighbours, and names in SQL.

#include "base/check.h"
#include "base/id.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "catalog/impl.h"

namespace lakeloop::catalog {
namespace {

using db::Transaction;

// details of a table: {"prefix"}; of a vector index: {"index": true}
bool is_index(const ObjectRow& row) {
  return row.details["index"].bool_or(false);
}

std::string prefix_of(const std::string& table_id) {
  return "tables/" + table_id;
}

// The full name of an index's table, where it still stands.
std::string source_of(Transaction& t, const std::string& index_id) {
  const auto row = t.query_one(
      "SELECT c.name, s.name, o.name FROM catalog_indexes i JOIN catalog_objects o ON o.id = i.table_id "
      "JOIN catalog_objects s ON s.id = o.parent JOIN catalog_objects c ON c.id = s.parent WHERE i.index_id = $1",
      {index_id});
  return row ? join_full_name({row->text(0), row->text(1), row->text(2)}) : std::string();
}

TableInfo table_info(const storage::ObjectStore& store, const std::string& catalog, const std::string& schema,
                     const ObjectRow& row) {
  TableInfo info;
  info.id = row.id;
  info.catalog_name = catalog;
  info.schema_name = schema;
  info.name = row.name;
  info.comment = row.comment;
  info.owner = row.owner;
  info.created_by = row.created_by;
  info.updated_by = row.updated_by;
  info.created = row.created;
  info.updated = row.updated;
  info.properties = to_map(row.properties);
  if (is_index(row)) {
    info.table_type = "VECTOR_INDEX";
  } else {
    info.prefix = row.details.str("prefix");
    info.storage_location = store.location(info.prefix);
  }
  return info;
}

void require_table(const Seen& seen) {
  if (is_index(seen.object())) {
    throw Error(ErrorCode::kInvalidArgument, "'{}' is a vector index, not a table: ask vector search for its rows",
                join_full_name(parts_of(seen.path)));
  }
}

ObjectRow new_row(const Seen& schema, const std::string& name, std::string_view comment, const Principal& who) {
  ObjectRow row;
  row.type = SecurableType::kTable;
  row.parent = schema.object().id;
  row.name = name;
  row.comment = checked_comment(comment);
  row.owner = row.created_by = who.name;
  return row;
}

// What a failed creation left behind; nothing refers to it, so failing to clean costs disk space only.
void discard(storage::ObjectStore& store, const std::string& prefix) {
  try {
    for (const auto& object : store.list(prefix + '/')) store.remove(object.key);
  } catch (const Error& error) {
    log_warning("table_files_left_behind", {{"prefix", prefix}, {"cause", error.message()}});
  }
}

class Resolver : public sql::TableResolver {
 public:
  Resolver(Catalog& catalog, Principal who, std::string default_catalog, std::string default_schema)
      : catalog_(catalog),
        who_(std::move(who)),
        default_catalog_(std::move(default_catalog)),
        default_schema_(std::move(default_schema)) {}

  delta::Table resolve(const std::vector<std::string>& name, sql::Access access) override {
    return catalog_.open_table(who_, full(name),
                               access == sql::Access::kRead ? Privilege::kSelect : Privilege::kModify);
  }
  void create(const std::vector<std::string>& name, const delta::CreateOptions& options) override {
    catalog_.create_table(who_, full(name), options, options.description);
  }
  void drop(const std::vector<std::string>& name) override { catalog_.delete_table(who_, full(name)); }

  std::vector<std::string> list(sql::Listed what, const std::vector<std::string>& in) override {
    std::vector<std::string> names;
    Page page;
    const auto collect = [&](auto&& next) {
      do {
        auto listing = next();
        for (auto& item : listing.items) names.push_back(std::move(item.name));
        page.page_token = std::move(listing.next_page_token);
      } while (!page.page_token.empty() && names.size() < limits::kStatementRows);
    };
    const std::string& catalog = what == sql::Listed::kSchemas ? (in.empty() ? default_catalog_ : in.back())
                                                               : (in.size() == 2 ? in.front() : default_catalog_);
    switch (what) {
      case sql::Listed::kCatalogs:
        collect([&] { return catalog_.list_catalogs(who_, page); });
        break;
      case sql::Listed::kSchemas:
        collect([&] { return catalog_.list_schemas(who_, catalog, page); });
        break;
      case sql::Listed::kTables:
        collect([&] { return catalog_.list_tables(who_, catalog, in.empty() ? default_schema_ : in.back(), page); });
        break;
    }
    return names;
  }

 private:
  std::string full(const std::vector<std::string>& name) const {
    if (name.empty() || name.size() > 3) {
      throw Error(ErrorCode::kInvalidArgument, "a table name has one to three parts, not {}", name.size());
    }
    std::vector<std::string> parts = name;
    if (parts.size() < 2) parts.insert(parts.begin(), default_schema_);
    if (parts.size() < 3) parts.insert(parts.begin(), default_catalog_);
    for (const std::string& part : parts) {
      if (part != checked_name(part)) throw Error(ErrorCode::kInvalidArgument, "name '{}' is not in Unicode NFC", part);
    }
    return join_full_name(parts);
  }

  Catalog& catalog_;
  Principal who_;
  std::string default_catalog_, default_schema_;
};

}  // namespace

delta::Table OpenTables::get(const std::string& id, const std::string& prefix) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = tables_.find(id); found != tables_.end()) return found->second;
  }
  delta::Table table = delta::Table::open(store_, prefix);
  const std::lock_guard lock(mutex_);
  if (tables_.size() >= limits::kOpenTables) tables_.clear();
  return tables_.emplace(id, std::move(table)).first->second;
}

void OpenTables::forget(const std::string& id) {
  const std::lock_guard lock(mutex_);
  tables_.erase(id);
}

TableInfo Catalog::create_table(const Principal& who, std::string_view full_name, const delta::CreateOptions& options,
                                std::string_view comment) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  const std::vector<std::string> schema_name{parts[0], parts[1]};
  // Asked before the files are written, so that nobody without the right makes any; asked again when the row is.
  const auto place = [&](Transaction& t) {
    Seen schema = look_up_for(t, speaker, Privilege::kCreateTable, SecurableType::kSchema, schema_name);
    if (child(t, schema.object().id, SecurableType::kTable, parts[2])) {
      throw Error(ErrorCode::kAlreadyExists, "{} exists already", describe(SecurableType::kTable, parts));
    }
    return new_row(schema, parts[2], comment, who);
  };
  impl_->database.read([&](Transaction& t) { place(t); });

  const std::string id = new_uuid(), prefix = prefix_of(id);
  try {
    delta::CreateOptions named = options;
    if (named.name.empty()) named.name = parts[2];
    if (named.description.empty()) named.description = comment;
    delta::Table::create(impl_->store, prefix, named);
    impl_->database.write([&](Transaction& t) {
      ObjectRow row = place(t);
      row.id = id;
      row.details = Json::object({{"prefix", prefix}});
      insert(t, row, parts);
    });
  } catch (...) {
    discard(*impl_->store, prefix);
    throw;
  }
  return get_table(who, full_name);
}

TableInfo Catalog::get_table(const Principal& who, std::string_view full_name) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  TableInfo info = impl_->database.reading([&](Transaction& t) {
    const Seen seen = look_up_visible(t, speaker, SecurableType::kTable, parts);
    TableInfo found = table_info(*impl_->store, seen.path[1].name, seen.path[2].name, seen.object());
    if (is_index(seen.object())) found.source_table = source_of(t, seen.object().id);
    return found;
  });
  if (!info.prefix.empty()) {
    delta::Snapshot snapshot = impl_->tables.get(info.id, info.prefix).snapshot();
    info.columns = std::move(snapshot.schema);
    for (auto& [key, value] : snapshot.properties) info.properties.insert_or_assign(key, value);
  }
  return info;
}

Listing<TableInfo> Catalog::list_tables(const Principal& who, std::string_view catalog, std::string_view schema,
                                        const Page& page) {
  const Speaker speaker(who);
  const std::vector<std::string> parts{checked_name(catalog), checked_name(schema)};
  return impl_->database.reading([&](Transaction& t) {
    const Seen parent = look_up_visible(t, speaker, SecurableType::kSchema, parts);
    return list_children<TableInfo>(
        t, impl_->metastore_id, speaker, parent, SecurableType::kTable, page, [&](const ObjectRow& row) {
          TableInfo info = table_info(*impl_->store, parent.path[1].name, parent.path[2].name, row);
          if (is_index(row)) info.source_table = source_of(t, row.id);
          return info;
        });
  });
}

void Catalog::delete_table(const Principal& who, std::string_view full_name) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  const std::string id = impl_->database.writing([&](Transaction& t) {
    const Seen seen = look_up_for(t, speaker, Privilege::kManage, SecurableType::kTable, parts);
    require_table(seen);
    const auto indexes = t.query_one("SELECT count(*) FROM catalog_indexes WHERE table_id = $1", {seen.object().id});
    if (indexes->integer(0) > 0) {
      throw Error(ErrorCode::kConflict, "{} is the source of {} vector index(es): delete them first",
                  describe(SecurableType::kTable, parts), indexes->integer(0));
    }
    erase(t, seen.object().id);
    return seen.object().id;
  });
  impl_->tables.forget(id);
}

delta::Table Catalog::open_table(const Principal& who, std::string_view full_name, Privilege privilege) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  const ObjectRow row = impl_->database.reading([&](Transaction& t) {
    const Seen seen = look_up_for(t, speaker, privilege, SecurableType::kTable, parts);
    require_table(seen);
    return seen.object();
  });
  return impl_->tables.get(row.id, row.details.str("prefix"));
}

delta::Table Catalog::open_or_create_table(const Principal& who, std::string_view full_name,
                                           const delta::CreateOptions& options) {
  const auto parts = three_parts(full_name);
  const bool exists =
      impl_->database.reading([&](Transaction& t) { return find_path(t, SecurableType::kTable, parts).has_value(); });
  if (!exists) {
    try {
      create_table(who, full_name, options);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kAlreadyExists) throw;
    }
  }
  return open_table(who, full_name, Privilege::kModify);
}

std::unique_ptr<sql::TableResolver> Catalog::resolver(const Principal& who, std::string default_catalog,
                                                      std::string default_schema) {
  return std::make_unique<Resolver>(*this, who, std::move(default_catalog), std::move(default_schema));
}

void Catalog::register_index(const Principal& who, std::string_view full_name, std::string_view source_table) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name), source_parts = three_parts(source_table);
  impl_->database.write([&](Transaction& t) {
    const Seen source = look_up_for(t, speaker, Privilege::kSelect, SecurableType::kTable, source_parts);
    require_table(source);
    const Seen schema = look_up_for(t, speaker, Privilege::kCreateTable, SecurableType::kSchema, {parts[0], parts[1]});
    ObjectRow row = new_row(schema, parts[2], {}, who);
    row.details = Json::object({{"index", true}});
    insert(t, row, parts);
    t.execute("INSERT INTO catalog_indexes (index_id, table_id) VALUES ($1, $2)", {row.id, source.object().id});
  });
}

void Catalog::unregister_index(const Principal& who, std::string_view full_name) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  impl_->database.write([&](Transaction& t) {
    const Seen seen = look_up_for(t, speaker, Privilege::kManage, SecurableType::kTable, parts);
    if (!is_index(seen.object()))
      throw Error(ErrorCode::kInvalidArgument, "'{}' is a table, not a vector index", full_name);
    t.execute("DELETE FROM catalog_indexes WHERE index_id = $1", {seen.object().id});
    erase(t, seen.object().id);
  });
}

}  // namespace lakeloop::catalog
