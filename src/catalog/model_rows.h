#pragma once

// Rows of registered models' versions, aliases and tags.

#include "catalog/impl.h"

namespace lakeloop::catalog {

// Tags of the model itself stand beside those of its versions.
inline constexpr std::int64_t kModelItself = 0;

std::string checked_alias(std::string_view alias);
std::map<std::string, std::string> tags_of(db::Transaction& t, const std::string& model_id, std::int64_t version);
void set_tag(db::Transaction& t, const std::string& model_id, std::int64_t version, std::string_view key,
             std::string_view value);
void delete_tag(db::Transaction& t, const std::string& model_id, std::int64_t version, std::string_view key);

ModelInfo model_info(db::Transaction& t, const std::string& catalog, const std::string& schema, const ObjectRow& row);
// kNotFound names the version.
ModelVersionInfo version_info(db::Transaction& t, const Path& model, std::int64_t version);
std::vector<ModelVersionInfo> versions_below(db::Transaction& t, const Path& model, std::int64_t version,
                                             std::size_t limit);

// Notes that the model, or one of its versions, was changed.
void touch_model(db::Transaction& t, const std::string& model_id, const Principal& who);
void touch_version(db::Transaction& t, const std::string& model_id, std::int64_t version, const Principal& who);

}  // namespace lakeloop::catalog
