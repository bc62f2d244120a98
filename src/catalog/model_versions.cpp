// Versions of registered models, and the aliases that point at them.

#include <limits>

#include "base/id.h"
#include "base/limits.h"
#include "base/text.h"
#include "catalog/model_rows.h"
#include "codec/unicode.h"

namespace lakeloop::catalog {
namespace {

using db::Transaction;

constexpr std::string_view kPending = "PENDING_REGISTRATION";
constexpr std::string_view kReady = "READY";
constexpr std::size_t kSourceBytes = 4096;

std::string checked_line(std::string_view field, std::string_view text) {
  if (text.size() > kSourceBytes || !is_clean_text(text)) {
    throw Error(ErrorCode::kInvalidArgument, "{} is not UTF-8 text of at most {} bytes without control characters",
                field, kSourceBytes);
  }
  return std::string(text);
}

// Numbers are never used again, even when the newest version is deleted: what an old number meant stays true.
std::int64_t next_version(Transaction& t, const std::string& model_id) {
  t.execute(
      "INSERT INTO catalog_counters (model_id, last_version) VALUES ($1, 1) "
      "ON CONFLICT (model_id) DO UPDATE SET last_version = last_version + 1",
      {model_id});
  return t.query_one("SELECT last_version FROM catalog_counters WHERE model_id = $1", {model_id})->integer(0);
}

}  // namespace

ModelVersionInfo Catalog::create_model_version(const Principal& who, std::string_view full_name,
                                               std::string_view source, std::string_view run_id,
                                               std::string_view comment,
                                               const std::map<std::string, std::string>& tags) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  const std::string from = checked_line("source", source), run = checked_line("run_id", run_id),
                    text = checked_comment(comment);
  return impl_->database.writing([&](Transaction& t) {
    const Seen seen = look_up_for(t, speaker, Privilege::kModify, SecurableType::kModel, parts);
    const std::string& model_id = seen.object().id;
    const std::int64_t version = next_version(t, model_id);
    t.execute(
        "INSERT INTO catalog_versions (model_id, version, id, status, source, run_id, comment, created_by, updated_by, "
        "created, updated) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $9)",
        {model_id, version, new_uuid(), std::string(kPending), from, run, text, who.name, Timestamp::now().micros});
    for (const auto& [key, value] : tags) set_tag(t, model_id, version, key, value);
    touch_model(t, model_id, who);
    return version_info(t, seen.path, version);
  });
}

ModelVersionInfo Catalog::finalize_model_version(const Principal& who, std::string_view full_name,
                                                 std::int64_t version) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  return impl_->database.writing([&](Transaction& t) {
    const Seen seen = look_up_for(t, speaker, Privilege::kModify, SecurableType::kModel, parts);
    const ModelVersionInfo before = version_info(t, seen.path, version);
    if (before.status == kReady) return before;  // a repeat after a lost answer
    t.execute("UPDATE catalog_versions SET status = $3 WHERE model_id = $1 AND version = $2",
              {seen.object().id, version, std::string(kReady)});
    touch_version(t, seen.object().id, version, who);
    return version_info(t, seen.path, version);
  });
}

ModelVersionInfo Catalog::get_model_version(const Principal& who, std::string_view full_name, std::int64_t version) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  return impl_->database.reading([&](Transaction& t) {
    return version_info(t, look_up_visible(t, speaker, SecurableType::kModel, parts).path, version);
  });
}

ModelVersionInfo Catalog::get_model_version_by_alias(const Principal& who, std::string_view full_name,
                                                     std::string_view alias) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  const std::string checked = checked_alias(alias);
  return impl_->database.reading([&](Transaction& t) {
    const Seen seen = look_up_visible(t, speaker, SecurableType::kModel, parts);
    const auto row = t.query_one("SELECT version FROM catalog_aliases WHERE model_id = $1 AND alias = $2",
                                 {seen.object().id, checked});
    if (!row) {
      throw Error(ErrorCode::kNotFound, "{} has no alias '{}'", describe(SecurableType::kModel, parts_of(seen.path)),
                  checked);
    }
    return version_info(t, seen.path, row->integer(0));
  });
}

Listing<ModelVersionInfo> Catalog::list_model_versions(const Principal& who, std::string_view full_name,
                                                       const Page& page) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  return impl_->database.reading([&](Transaction& t) {
    const Seen seen = look_up_visible(t, speaker, SecurableType::kModel, parts);
    const std::string scope = "versions of " + seen.object().id;
    const std::string key = read_page_token(impl_->metastore_id, scope, page.page_token);
    const std::int64_t below =
        key.empty() ? std::numeric_limits<std::int64_t>::max() : parse_number<std::int64_t>(key).value_or(0);
    const std::size_t size = page_size(page);
    Listing<ModelVersionInfo> listing{.items = versions_below(t, seen.path, below, size + 1), .next_page_token = {}};
    if (listing.items.size() > size) {
      listing.items.pop_back();
      listing.next_page_token =
          make_page_token(impl_->metastore_id, scope, std::to_string(listing.items.back().version));
    }
    return listing;
  });
}

void Catalog::update_model_version(const Principal& who, std::string_view full_name, std::int64_t version,
                                   std::string_view comment) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  const std::string text = checked_comment(comment);
  impl_->database.write([&](Transaction& t) {
    const Seen seen = look_up_for(t, speaker, Privilege::kModify, SecurableType::kModel, parts);
    version_info(t, seen.path, version);
    t.execute("UPDATE catalog_versions SET comment = $3 WHERE model_id = $1 AND version = $2",
              {seen.object().id, version, text});
    touch_version(t, seen.object().id, version, who);
  });
}

void Catalog::delete_model_version(const Principal& who, std::string_view full_name, std::int64_t version) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  impl_->database.write([&](Transaction& t) {
    const Seen seen = look_up_for(t, speaker, Privilege::kManage, SecurableType::kModel, parts);
    const std::string& model_id = seen.object().id;
    version_info(t, seen.path, version);
    t.execute("DELETE FROM catalog_aliases WHERE model_id = $1 AND version = $2", {model_id, version});
    t.execute("DELETE FROM catalog_tags WHERE object_id = $1 AND version = $2", {model_id, version});
    t.execute("DELETE FROM catalog_versions WHERE model_id = $1 AND version = $2", {model_id, version});
    touch_model(t, model_id, who);
  });
}

void Catalog::set_model_version_tag(const Principal& who, std::string_view full_name, std::int64_t version,
                                    std::string_view key, std::string_view value) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  impl_->database.write([&](Transaction& t) {
    const Seen seen = look_up_for(t, speaker, Privilege::kModify, SecurableType::kModel, parts);
    version_info(t, seen.path, version);
    set_tag(t, seen.object().id, version, key, value);
    touch_version(t, seen.object().id, version, who);
  });
}

void Catalog::delete_model_version_tag(const Principal& who, std::string_view full_name, std::int64_t version,
                                       std::string_view key) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  impl_->database.write([&](Transaction& t) {
    const Seen seen = look_up_for(t, speaker, Privilege::kModify, SecurableType::kModel, parts);
    version_info(t, seen.path, version);
    delete_tag(t, seen.object().id, version, key);
    touch_version(t, seen.object().id, version, who);
  });
}

void Catalog::set_alias(const Principal& who, std::string_view full_name, std::string_view alias,
                        std::int64_t version) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  const std::string checked = checked_alias(alias);
  impl_->database.write([&](Transaction& t) {
    const Seen seen = look_up_for(t, speaker, Privilege::kModify, SecurableType::kModel, parts);
    version_info(t, seen.path, version);
    const auto others = t.query_one("SELECT count(*) FROM catalog_aliases WHERE model_id = $1 AND alias <> $2",
                                    {seen.object().id, checked});
    if (others->integer(0) >= static_cast<std::int64_t>(limits::kAliasesPerModel)) {
      throw Error(ErrorCode::kResourceExhausted, "the model has {} aliases already: delete one first",
                  limits::kAliasesPerModel);
    }
    t.execute(
        "INSERT INTO catalog_aliases (model_id, alias, version) VALUES ($1, $2, $3) "
        "ON CONFLICT (model_id, alias) DO UPDATE SET version = excluded.version",
        {seen.object().id, checked, version});
    touch_model(t, seen.object().id, who);
  });
}

void Catalog::delete_alias(const Principal& who, std::string_view full_name, std::string_view alias) {
  const Speaker speaker(who);
  const auto parts = three_parts(full_name);
  const std::string checked = checked_alias(alias);
  impl_->database.write([&](Transaction& t) {
    const Seen seen = look_up_for(t, speaker, Privilege::kModify, SecurableType::kModel, parts);
    const auto deleted =
        t.execute("DELETE FROM catalog_aliases WHERE model_id = $1 AND alias = $2", {seen.object().id, checked});
    if (deleted > 0) touch_model(t, seen.object().id, who);
  });
}

}  // namespace lakeloop::catalog
