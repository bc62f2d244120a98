#include "tracking/artifacts.h"

#include "base/text.h"
#include "storage/path_guard.h"
#include "tracking/impl.h"

namespace lakeloop::tracking {

namespace {

constexpr std::string_view kRoot = "artifacts/";
constexpr std::string_view kScheme = "mlflow-artifacts:/";

}  // namespace

std::string Artifacts::key_for(const Principal& who, catalog::Privilege privilege, std::string_view path) {
  const std::string safe = storage::checked_relative_path(path);
  const std::string experiment(split(safe, '/').front());
  if (!parse_number<std::int64_t>(experiment)) {
    throw Error(ErrorCode::kInvalidArgument, "Invalid path '{}': it must begin with an experiment id", safe);
  }
  tracking_.impl().experiment_for(who, privilege, experiment);
  return std::string(kRoot) + safe;
}

std::unique_ptr<storage::Upload> Artifacts::upload(const Principal& who, std::string_view path) {
  return store_->upload(key_for(who, Privilege::kModify, path));
}

ArtifactFile Artifacts::find(const Principal& who, std::string_view path) {
  const std::string key = key_for(who, Privilege::kSelect, path);
  const auto info = store_->head(key);
  if (!info) throw Error(ErrorCode::kNotFound, "there is no artifact '{}'", path);
  return {.key = key, .size = info->size};
}

std::string Artifacts::read(const ArtifactFile& file, std::uint64_t offset, std::uint64_t size) {
  return store_->get_range(file.key, offset, size);
}

std::vector<ArtifactEntry> Artifacts::list(const Principal& who, std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return {};  // the root would name all experiments
  const std::string prefix = key_for(who, Privilege::kSelect, path) + "/";
  std::vector<ArtifactEntry> entries;
  for (const storage::ObjectInfo& object : store_->list(prefix)) {
    const std::string_view rest = std::string_view(object.key).substr(prefix.size());
    const std::size_t slash = rest.find('/');
    const std::string_view name = rest.substr(0, slash);
    if (slash == std::string_view::npos) {
      entries.push_back({.path = std::string(name), .is_dir = false, .size = object.size});
    } else if (entries.empty() || entries.back().path != name || !entries.back().is_dir) {
      entries.push_back({.path = std::string(name), .is_dir = true, .size = 0});
    }
  }
  return entries;
}

void Artifacts::remove(const Principal& who, std::string_view path) {
  const std::string key = key_for(who, Privilege::kModify, path);
  store_->remove(key);
  for (const storage::ObjectInfo& object : store_->list(key + "/")) store_->remove(object.key);
}

std::string Artifacts::path_of_uri(std::string_view uri, std::string_view relative) {
  if (!uri.starts_with(kScheme)) {
    throw Error(ErrorCode::kUnimplemented, "the artifacts lie at {}, which this server does not read; ask that store",
                uri);
  }
  std::string_view path = uri.substr(kScheme.size());
  if (path.starts_with('/')) {  // mlflow-artifacts://host/1/...
    const std::size_t slash = path.find('/', 1);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  std::string whole(path);
  if (!relative.empty()) whole += "/" + storage::checked_relative_path(relative);
  return whole;
}

std::vector<ArtifactEntry> Artifacts::list_below(const Principal& who, std::string_view uri,
                                                 std::string_view relative) {
  while (relative.ends_with('/')) relative.remove_suffix(1);
  std::vector<ArtifactEntry> entries = list(who, path_of_uri(uri, relative));
  if (!relative.empty()) {
    for (ArtifactEntry& entry : entries) entry.path = lakeloop::format("{}/{}", relative, entry.path);
  }
  return entries;
}

}  // namespace lakeloop::tracking
