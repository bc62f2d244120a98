#include "catalog/objects.h"

#include <algorithm>

#include "base/check.h"
#include "base/format.h"
#include "base/id.h"
#include "base/limits.h"
#include "codec/unicode.h"

namespace lakeloop::catalog {
namespace {

using db::Transaction;
using db::Value;

constexpr std::string_view kColumns =
    "id, type, parent, name, comment, owner, created_by, updated_by, created, updated, properties, details";

// Bound values of one IN list; all databases behind db::Database take many more.
constexpr std::size_t kValuesPerQuery = 500;

std::string select_where(std::string_view rest) {
  std::string sql = "SELECT ";
  sql.append(kColumns).append(" FROM catalog_objects WHERE ").append(rest);
  return sql;
}

ObjectRow row_from(const db::Row& row) {
  ObjectRow object;
  object.id = row.text(0);
  object.type = static_cast<SecurableType>(row.integer(1));
  object.parent = row.text(2);
  object.name = row.text(3);
  object.comment = row.text(4);
  object.owner = row.text(5);
  object.created_by = row.text(6);
  object.updated_by = row.text(7);
  object.created = {row.integer(8)};
  object.updated = {row.integer(9)};
  object.properties = Json::parse(row.text(10));
  object.details = Json::parse(row.text(11));
  return object;
}

Value number(SecurableType type) {
  return static_cast<std::int64_t>(type);
}

// Appends "$n, $n+1, ..." for `texts` and binds them.
std::string in_list(std::vector<Value>& values, std::span<const std::string> texts) {
  std::string list;
  for (const std::string& text : texts) {
    values.emplace_back(text);
    if (!list.empty()) list += ',';
    list += '$' + std::to_string(values.size());
  }
  return list;
}

std::vector<SecurableType> steps_to(SecurableType type) {
  using enum SecurableType;
  switch (type) {
    case kMetastore:
      return {};
    case kCatalog:
      return {kCatalog};
    case kSchema:
      return {kCatalog, kSchema};
    case kEndpoint:
    case kExperiment:
      return {type};
    default:
      return {kCatalog, kSchema, type};
  }
}

}  // namespace

std::string describe(SecurableType type, const std::vector<std::string>& parts) {
  std::string_view word = to_string(type);
  if (type == SecurableType::kModel) word = "registered model";
  if (type == SecurableType::kEndpoint) word = "serving endpoint";
  if (type == SecurableType::kMetastore) return "the metastore";
  return format("{} '{}'", word, join_full_name(parts));
}

std::vector<std::string> parts_of(const Path& path) {
  std::vector<std::string> parts;
  for (std::size_t i = 1; i < path.size(); ++i) parts.push_back(path[i].name);
  return parts;
}

ObjectRow metastore_row(Transaction& t) {
  const auto row = t.query_one(select_where("parent = '' AND type = $1"), {number(SecurableType::kMetastore)});
  LAKELOOP_CHECK(row.has_value());
  return row_from(*row);
}

std::optional<ObjectRow> child(Transaction& t, const std::string& parent, SecurableType type, std::string_view name) {
  return child_by_key(t, parent, type, name_key(name));
}

std::optional<ObjectRow> child_by_key(Transaction& t, const std::string& parent, SecurableType type,
                                      const std::string& key) {
  const auto row =
      t.query_one(select_where("parent = $1 AND type = $2 AND name_key = $3"), {parent, number(type), key});
  if (!row) return std::nullopt;
  return row_from(*row);
}

std::optional<Path> find_path(Transaction& t, SecurableType type, const std::vector<std::string>& parts) {
  // Grants on models are addressed as `function` by Databricks' bundles; there are no functions of our own.
  if (type == SecurableType::kFunction) type = SecurableType::kModel;
  const auto steps = steps_to(type);
  LAKELOOP_CHECK(steps.size() == parts.size());
  Path path{metastore_row(t)};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    auto next = child(t, path.back().id, steps[i], parts[i]);
    if (!next) return std::nullopt;
    path.push_back(std::move(*next));
  }
  return path;
}

std::vector<ObjectRow> children(Transaction& t, const std::string& parent, SecurableType type, std::string_view after,
                                std::size_t limit) {
  const auto rows = t.query(select_where("parent = $1 AND type = $2 AND name_key > $3 ORDER BY name_key LIMIT $4"),
                            {parent, number(type), std::string(after), static_cast<std::int64_t>(limit)});
  std::vector<ObjectRow> objects;
  objects.reserve(rows.size());
  for (const auto& row : rows) objects.push_back(row_from(row));
  return objects;
}

bool has_children(Transaction& t, const std::string& parent) {
  return t.query_one("SELECT 1 FROM catalog_objects WHERE parent = $1 LIMIT 1", {parent}).has_value();
}

void insert(Transaction& t, ObjectRow& row, const std::vector<std::string>& full_name) {
  if (child(t, row.parent, row.type, row.name)) {
    throw Error(ErrorCode::kAlreadyExists, "{} exists already", describe(row.type, full_name));
  }
  if (row.id.empty()) row.id = new_uuid();
  row.created = row.updated = Timestamp::now();
  if (row.updated_by.empty()) row.updated_by = row.created_by;
  t.execute(
      "INSERT INTO catalog_objects (id, type, parent, name, name_key, comment, owner, created_by, updated_by, created, "
      "updated, "
      "properties, details) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
      {row.id, number(row.type), row.parent, row.name, name_key(row.name), row.comment, row.owner, row.created_by,
       row.updated_by, row.created.micros, row.updated.micros, row.properties.dump(), row.details.dump()});
}

void update(Transaction& t, const ObjectRow& row) {
  t.execute(
      "UPDATE catalog_objects SET comment = $2, owner = $3, updated_by = $4, updated = $5, properties = $6 WHERE id = "
      "$1",
      {row.id, row.comment, row.owner, row.updated_by, row.updated.micros, row.properties.dump()});
}

void erase(Transaction& t, const std::string& id) {
  const std::string below =
      "(WITH RECURSIVE below(id) AS (SELECT id FROM catalog_objects WHERE id = $1 "
      "UNION SELECT o.id FROM catalog_objects o JOIN below b ON o.parent = b.id) SELECT id FROM below)";
  for (const std::string_view table :
       {"catalog_grants WHERE object_id", "catalog_tags WHERE object_id", "catalog_aliases WHERE model_id",
        "catalog_versions WHERE model_id", "catalog_counters WHERE model_id", "catalog_objects WHERE id"}) {
    std::string sql = "DELETE FROM ";
    sql.append(table).append(" IN ").append(below);
    t.execute(sql, {id});
  }
}

Speaker::Speaker(const identity::Principal& principal) : name(principal.name), admin(principal.admin) {
  keys.push_back(name_key(principal.name));
  for (const std::string& group : principal.groups) keys.push_back(name_key(group));
  keys.emplace_back(identity::kEveryone);
}

bool Speaker::is(std::string_view owner) const {
  return std::ranges::find(keys, name_key(owner)) != keys.end();
}

Granted granted(Transaction& t, const Speaker& who, const std::vector<std::string>& ids) {
  Granted result;
  for (std::size_t i = 0; i < ids.size(); i += kValuesPerQuery) {
    for (std::size_t k = 0; k < who.keys.size(); k += kValuesPerQuery) {
      std::vector<Value> values;
      std::string sql = "SELECT object_id, privilege FROM catalog_grants WHERE object_id IN (";
      sql += in_list(values, std::span(ids).subspan(i, std::min(kValuesPerQuery, ids.size() - i)));
      sql += ") AND principal_key IN (";
      sql += in_list(values, std::span(who.keys).subspan(k, std::min(kValuesPerQuery, who.keys.size() - k)));
      sql += ')';
      for (const auto& row : t.query(sql, values)) {
        if (const auto privilege = parse_privilege(row.text(1))) result[row.text(0)].add(*privilege);
      }
    }
  }
  return result;
}

Rights rights_on(Transaction& t, const Speaker& who, const Path& path) {
  std::vector<std::string> ids;
  for (const ObjectRow& row : path) ids.push_back(row.id);
  Granted grants = who.admin ? Granted() : granted(t, who, ids);
  std::vector<Rights::Level> levels;
  for (const ObjectRow& row : path)
    levels.push_back({.type = row.type, .owned = who.is(row.owner), .granted = grants[row.id]});
  return {who.admin, std::move(levels)};
}

bool is_clean_text(std::string_view text) {
  return codec::is_valid_utf8(text) &&
         std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

std::string checked_comment(std::string_view comment) {
  if (comment.size() > limits::kCommentBytes) {
    throw Error(ErrorCode::kInvalidArgument, "comment has more than {} bytes", limits::kCommentBytes);
  }
  if (!codec::is_valid_utf8(comment) || comment.contains('\0')) {
    throw Error(ErrorCode::kInvalidArgument, "comment is not UTF-8 text without NUL");
  }
  return std::string(comment);
}

Json checked_properties(const std::map<std::string, std::string>& properties) {
  if (properties.size() > limits::kTagsPerObject) {
    throw Error(ErrorCode::kInvalidArgument, "properties has more than {} entries", limits::kTagsPerObject);
  }
  Json object = Json::object();
  for (const auto& [key, value] : properties) {
    if (key.empty() || key.size() > limits::kTagKeyBytes || value.size() > limits::kCommentBytes ||
        !codec::is_valid_utf8(key) || !codec::is_valid_utf8(value)) {
      throw Error(
          ErrorCode::kInvalidArgument, "property '{}' is not UTF-8 text of 1-{} bytes with a value of at most {} bytes",
          codec::is_valid_utf8(key) ? codec::truncate_utf8(key, 80) : "?", limits::kTagKeyBytes, limits::kCommentBytes);
    }
    object.set(key, value);
  }
  return object;
}

std::map<std::string, std::string> to_map(const Json& object) {
  std::map<std::string, std::string> map;
  for (const auto& [key, value] : object.members()) map.emplace(key, value.string_or(""));
  return map;
}

}  // namespace lakeloop::catalog
