#include "catalog/model_rows.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "codec/unicode.h"

namespace lakeloop::catalog {
namespace {

using db::Transaction;

constexpr std::string_view kVersionColumns =
    "id, version, status, source, run_id, comment, created_by, updated_by, created, updated";

ModelVersionInfo version_from(Transaction& t, const Path& model, const db::Row& row) {
  const std::string& model_id = model.back().id;
  ModelVersionInfo info;
  info.id = row.text(0);
  info.catalog_name = model[1].name;
  info.schema_name = model[2].name;
  info.model_name = model[3].name;
  info.version = row.integer(1);
  info.status = row.text(2);
  info.source = row.text(3);
  info.run_id = row.text(4);
  info.comment = row.text(5);
  info.created_by = row.text(6);
  info.updated_by = row.text(7);
  info.created = {row.integer(8)};
  info.updated = {row.integer(9)};
  info.storage_location = "models/" + model_id + '/' + std::to_string(info.version) + '/';
  info.tags = tags_of(t, model_id, info.version);
  for (const auto& alias :
       t.query("SELECT alias FROM catalog_aliases WHERE model_id = $1 AND version = $2 ORDER BY alias",
               {model_id, info.version})) {
    info.aliases.push_back(alias.text(0));
  }
  return info;
}

bool is_word(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

bool is_version_text(std::string_view text) {
  return text.size() > 1 && (text[0] == 'v' || text[0] == 'V') &&
         std::ranges::all_of(text.substr(1), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::string checked_alias(std::string_view alias) {
  if (alias.empty() || alias.size() > limits::kNameCharacters || !is_word(alias)) {
    throw Error(ErrorCode::kInvalidArgument, "alias '{}' is not 1-{} letters, digits, '_' or '-'",
                codec::is_valid_utf8(alias) ? codec::truncate_utf8(alias, 80) : "?", limits::kNameCharacters);
  }
  if (iequals(alias, "latest") || is_version_text(alias)) {
    throw Error(ErrorCode::kInvalidArgument, "alias '{}' is reserved: it would look like a version; choose another",
                alias);
  }
  return std::string(alias);
}

std::map<std::string, std::string> tags_of(Transaction& t, const std::string& model_id, std::int64_t version) {
  std::map<std::string, std::string> tags;
  for (const auto& row :
       t.query("SELECT key, value FROM catalog_tags WHERE object_id = $1 AND version = $2", {model_id, version})) {
    tags.emplace(row.text(0), row.text(1));
  }
  return tags;
}

void set_tag(Transaction& t, const std::string& model_id, std::int64_t version, std::string_view key,
             std::string_view value) {
  if (key.empty() || key.size() > limits::kTagKeyBytes || !is_clean_text(key)) {
    throw Error(ErrorCode::kInvalidArgument, "a tag's key is UTF-8 text of 1-{} bytes without control characters",
                limits::kTagKeyBytes);
  }
  if (value.size() > limits::kTagValueBytes || !codec::is_valid_utf8(value)) {
    throw Error(ErrorCode::kInvalidArgument, "the value of tag '{}' is not UTF-8 text of at most {} bytes", key,
                limits::kTagValueBytes);
  }
  const auto count =
      t.query_one("SELECT count(*) FROM catalog_tags WHERE object_id = $1 AND version = $2 AND key <> $3",
                  {model_id, version, std::string(key)});
  if (count->integer(0) >= static_cast<std::int64_t>(limits::kTagsPerObject)) {
    throw Error(ErrorCode::kResourceExhausted, "there are {} tags already: delete one first", limits::kTagsPerObject);
  }
  t.execute(
      "INSERT INTO catalog_tags (object_id, version, key, value) VALUES ($1, $2, $3, $4) "
      "ON CONFLICT (object_id, version, key) DO UPDATE SET value = excluded.value",
      {model_id, version, std::string(key), std::string(value)});
}

void delete_tag(Transaction& t, const std::string& model_id, std::int64_t version, std::string_view key) {
  const auto deleted = t.execute("DELETE FROM catalog_tags WHERE object_id = $1 AND version = $2 AND key = $3",
                                 {model_id, version, std::string(key)});
  if (deleted == 0) {
    throw Error(ErrorCode::kNotFound, "tag '{}' does not exist",
                codec::is_valid_utf8(key) ? codec::truncate_utf8(key, 250) : "?");
  }
}

ModelInfo model_info(Transaction& t, const std::string& catalog, const std::string& schema, const ObjectRow& row) {
  ModelInfo info;
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
  info.tags = tags_of(t, row.id, kModelItself);
  for (const auto& alias : t.query("SELECT alias, version FROM catalog_aliases WHERE model_id = $1", {row.id})) {
    info.aliases.emplace(alias.text(0), alias.integer(1));
  }
  return info;
}

ModelVersionInfo version_info(Transaction& t, const Path& model, std::int64_t version) {
  std::string sql = "SELECT ";
  sql.append(kVersionColumns).append(" FROM catalog_versions WHERE model_id = $1 AND version = $2");
  const auto row = t.query_one(sql, {model.back().id, version});
  if (!row) {
    throw Error(ErrorCode::kNotFound, "{} has no version {}", describe(SecurableType::kModel, parts_of(model)),
                version);
  }
  return version_from(t, model, *row);
}

std::vector<ModelVersionInfo> versions_below(Transaction& t, const Path& model, std::int64_t version,
                                             std::size_t limit) {
  std::string sql = "SELECT ";
  sql.append(kVersionColumns)
      .append(" FROM catalog_versions WHERE model_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3");
  std::vector<ModelVersionInfo> versions;
  for (const auto& row : t.query(sql, {model.back().id, version, static_cast<std::int64_t>(limit)})) {
    versions.push_back(version_from(t, model, row));
  }
  return versions;
}

void touch_model(Transaction& t, const std::string& model_id, const Principal& who) {
  t.execute("UPDATE catalog_objects SET updated = $2, updated_by = $3 WHERE id = $1",
            {model_id, Timestamp::now().micros, who.name});
}

void touch_version(Transaction& t, const std::string& model_id, std::int64_t version, const Principal& who) {
  t.execute("UPDATE catalog_versions SET updated = $3, updated_by = $4 WHERE model_id = $1 AND version = $2",
            {model_id, version, Timestamp::now().micros, who.name});
}

}  // namespace lakeloop::catalog
