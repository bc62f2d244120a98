#pragma once

// The catalog's registered models as MLflow's model registry shows them, prompts among them (models tagged
// mlflow.prompt.is_prompt). A three-part name is the catalog's; a name without dots is a model of main.default and
// shown by that short name. Rights are the catalog's. Thread-safe.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/catalog.h"
#include "tracking/tracking.h"

namespace lakeloop::tracking {

inline constexpr std::string_view kIsPrompt = "mlflow.prompt.is_prompt";

struct NewModelVersion {
  std::string name, source, run_id, model_id, description;
  std::map<std::string, std::string> tags;
};

class Registry {
 public:
  Registry(Tracking& tracking, catalog::Catalog& catalog) : tracking_(tracking), catalog_(catalog) {}

  // "qa" -> "main.default.qa"; kInvalidArgument for a name that is neither short nor of three parts.
  static std::string full_name(std::string_view name);
  static std::string shown_name(std::string_view catalog, std::string_view schema, std::string_view name);

  catalog::ModelInfo create_model(const Principal& who, std::string_view name, std::string_view description,
                                  const std::map<std::string, std::string>& tags);
  // READY when it returns. A local path, and a source that climbs with "..", are refused.
  catalog::ModelVersionInfo create_version(const Principal& who, const NewModelVersion& version);
  // The version that an alias names; "latest" is the newest. kInvalidArgument for a missing alias: MLflow's client
  // tells it from a missing model by that.
  catalog::ModelVersionInfo version_by_alias(const Principal& who, std::string_view name, std::string_view alias);
  // Where a client finds the version's files: what `models:/` sources stand for.
  std::string download_uri(const Principal& who, std::string_view name, std::int64_t version);
  // Newest version, or none.
  std::vector<catalog::ModelVersionInfo> latest_versions(const Principal& who, std::string_view name);

  // MLflow's grammar over name and tags; prompts are left out unless the filter asks for them.
  Found<catalog::ModelInfo> search_models(const Principal& who, const Search& search);
  Found<catalog::ModelVersionInfo> search_versions(const Principal& who, const Search& search);

 private:
  std::vector<catalog::ModelInfo> all_models(const Principal& who);
  std::vector<catalog::ModelVersionInfo> all_versions(const Principal& who, std::string_view full_name);

  Tracking& tracking_;
  catalog::Catalog& catalog_;
};

}  // namespace lakeloop::tracking
