// Registered models: the container of versions, aliases and tags.

#include "base/limits.h"
#include "base/text.h"
#include "catalog/model_rows.h"

namespace lakeloop::catalog {
namespace {

using db::Transaction;

// Where a listing over all schemas stands: keys of catalog, schema and model, the last one shown.
struct Cursor {
  std::string catalog, schema, model;
};

// Keys hold no control characters, so a line feed separates them.
Cursor cursor_from(const std::string& key) {
  if (key.empty()) return {};
  const auto parts = split(key, '\n');
  if (parts.size() != 3) throw Error(ErrorCode::kInvalidArgument, "page_token is not one of this listing");
  return {.catalog = std::string(parts[0]), .schema = std::string(parts[1]), .model = std::string(parts[2])};
}

// All children of `parent` that the caller sees and whose key is not before `from`, handed over in order until `take`
// has enough.
template <typename Take>
bool each_from(Transaction& t, const Speaker& who, const Seen& parent, SecurableType type, const std::string& from,
               Take&& take) {
  std::string after;
  if (!from.empty()) {
    // `from` itself is in, should it still be there: its own children may not all have been shown.
    if (auto first = child_by_key(t, parent.object().id, type, from)) {
      const Granted grants = granted(t, who, {first->id});
      const auto grant = grants.find(first->id);
      const Rights rights = parent.rights.at_child({.type = type,
                                                    .owned = who.is(first->owner),
                                                    .granted = grant == grants.end() ? PrivilegeSet() : grant->second});
      if (rights.sees() && !take(*first)) return false;
    }
    after = from;
  }
  while (true) {
    const auto rows = visible_children(t, who, parent, type, after, limits::kPageSize);
    for (const ObjectRow& row : rows) {
      if (!take(row)) return false;
    }
    if (rows.size() < limits::kPageSize) return true;
    after = name_key(rows.back().name);
  }
}

Seen step(Transaction& t, const Speaker& who, const Seen& parent, const ObjectRow& row) {
  Seen seen = parent;
  seen.path.push_back(row);
  Granted grants = granted(t, who, {row.id});
  seen.rights = parent.rights.at_child({.type = row.type, .owned = who.is(row.owner), .granted = grants[row.id]});
  return seen;
}

Listing<ModelInfo> list_all_models(Transaction& t, const std::string& secret, const Speaker& who, const Page& page) {
  constexpr std::string_view kScope = "models of all schemas";
  const Cursor start = cursor_from(read_page_token(secret, kScope, page.page_token));
  const std::size_t size = page_size(page);
  Listing<ModelInfo> listing;
  std::string last_key;
  const Seen metastore = look_up_visible(t, who, SecurableType::kMetastore, {});
  each_from(t, who, metastore, SecurableType::kCatalog, start.catalog, [&](const ObjectRow& catalog_row) {
    const Seen catalog = step(t, who, metastore, catalog_row);
    const std::string catalog_key = name_key(catalog_row.name);
    const std::string from_schema = catalog_key == start.catalog ? start.schema : std::string();
    return each_from(t, who, catalog, SecurableType::kSchema, from_schema, [&](const ObjectRow& schema_row) {
      const Seen schema = step(t, who, catalog, schema_row);
      const std::string schema_key = name_key(schema_row.name);
      const bool at_start = catalog_key == start.catalog && schema_key == start.schema;
      const auto rows = visible_children(t, who, schema, SecurableType::kModel, at_start ? start.model : std::string(),
                                         size - listing.items.size() + 1);
      for (const ObjectRow& row : rows) {
        if (listing.items.size() == size) {
          listing.next_page_token = make_page_token(secret, kScope, last_key);
          return false;
        }
        listing.items.push_back(model_info(t, catalog_row.name, schema_row.name, row));
        last_key = catalog_key + '\n' + schema_key + '\n' + name_key(row.name);
      }
      return true;
    });
  });
  return listing;
}

}  // namespace

ModelInfo Catalog::create_model(const Principal& who, std::string_view full_name, std::string_view comment,
                                const std::map<std::string, std::string>& tags) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  ObjectRow row;
  row.type = SecurableType::kModel;
  row.name = parts[2];
  row.comment = checked_comment(comment);
  row.owner = row.created_by = who.name;
  return impl_->database.writing([&](Transaction& t) {
    const Seen schema = look_up_for(t, speaker, Privilege::kCreateModel, SecurableType::kSchema, {parts[0], parts[1]});
    row.parent = schema.object().id;
    insert(t, row, parts);
    for (const auto& [key, value] : tags) set_tag(t, row.id, kModelItself, key, value);
    return model_info(t, schema.path[1].name, schema.path[2].name, row);
  });
}

ModelInfo Catalog::get_model(const Principal& who, std::string_view full_name) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  return impl_->database.reading([&](Transaction& t) {
    const Seen seen = look_up_visible(t, speaker, SecurableType::kModel, parts);
    return model_info(t, seen.path[1].name, seen.path[2].name, seen.object());
  });
}

Listing<ModelInfo> Catalog::list_models(const Principal& who, std::string_view catalog, std::string_view schema,
                                        const Page& page) {
  const Speaker speaker(who);
  if (catalog.empty() && schema.empty()) {
    return impl_->database.reading(
        [&](Transaction& t) { return list_all_models(t, impl_->metastore_id, speaker, page); });
  }
  if (catalog.empty() || schema.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "catalog_name and schema_name go together: give both, or neither for all models");
  }
  const std::vector<std::string> parts{checked_name(catalog), checked_name(schema)};
  return impl_->database.reading([&](Transaction& t) {
    const Seen parent = look_up_visible(t, speaker, SecurableType::kSchema, parts);
    return list_children<ModelInfo>(
        t, impl_->metastore_id, speaker, parent, SecurableType::kModel, page,
        [&](const ObjectRow& row) { return model_info(t, parent.path[1].name, parent.path[2].name, row); });
  });
}

void Catalog::update_model(const Principal& who, std::string_view full_name, std::optional<std::string> comment) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  impl_->database.write([&](Transaction& t) {
    Seen seen = look_up_for(t, speaker, Privilege::kModify, SecurableType::kModel, parts);
    ObjectRow& row = seen.path.back();
    if (comment) row.comment = checked_comment(*comment);
    row.updated_by = who.name;
    row.updated = Timestamp::now();
    catalog::update(t, row);
  });
}

void Catalog::delete_model(const Principal& who, std::string_view full_name) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  impl_->database.write([&](Transaction& t) {
    erase(t, look_up_for(t, speaker, Privilege::kManage, SecurableType::kModel, parts).object().id);
  });
}

void Catalog::set_model_tag(const Principal& who, std::string_view full_name, std::string_view key,
                            std::string_view value) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  impl_->database.write([&](Transaction& t) {
    const Seen seen = look_up_for(t, speaker, Privilege::kModify, SecurableType::kModel, parts);
    set_tag(t, seen.object().id, kModelItself, key, value);
    touch_model(t, seen.object().id, who);
  });
}

void Catalog::delete_model_tag(const Principal& who, std::string_view full_name, std::string_view key) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  impl_->database.write([&](Transaction& t) {
    const Seen seen = look_up_for(t, speaker, Privilege::kModify, SecurableType::kModel, parts);
    delete_tag(t, seen.object().id, kModelItself, key);
    touch_model(t, seen.object().id, who);
  });
}

}  // namespace lakeloop::catalog
