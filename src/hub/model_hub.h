#pragma once

// Models in the catalog: files are checked, converted where needed, tried in a throw-away worker, and registered as
// versions with card, licence and hash. The models in the box are pinned by SHA-256 and come out of package-registry
// wheels that the installation fetched with the host's own client.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/catalog.h"

namespace lakeloop::hub {

// A model in the box.
struct KnownModel {
  std::string_view id;                // "smollm2-135m-instruct"
  std::string_view registered_name;   // "system.ai.smollm2_135m_instruct"
  std::string_view task;              // llm/v1/chat or llm/v1/embeddings
  std::string_view package, version;  // of the registry; empty: the file comes with Lakeloop
  std::string_view wheel_sha256;
  std::string_view member, member_sha256;
  bool is_bert = false;      // the member is model.safetensors of a BERT folder
  std::string_view license;  // SPDX
  std::int64_t context_length = 0, embedding_dimension = 0, max_input_tokens = 0;
  std::string_view card;  // Markdown
};
const std::vector<KnownModel>& known_models();
const KnownModel& known_model(std::string_view id);  // kNotFound lists the ids

struct ImportOptions {
  std::filesystem::path file;     // wheel, or GGUF file for models that come with Lakeloop
  std::filesystem::path worker;   // lakeloop-llm
  std::filesystem::path scratch;  // folder for files in the making
};

struct ImportResult {
  std::string name;
  std::int64_t version = 0;
  std::string sha256;    // of the GGUF file
  bool imported = true;  // false: this very file was registered already
};

// `report` gets what it is at. kDataLoss for a wrong hash, kInvalidArgument with the worker's word for a file that does
// not load.
ImportResult import_model(catalog::Catalog& catalog, const catalog::Principal& who, const KnownModel& model,
                          const ImportOptions& options, const std::function<void(std::string_view)>& report);

}  // namespace lakeloop::hub
