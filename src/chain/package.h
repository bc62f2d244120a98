#pragma once

// A chain as a packaged, versioned artefact: a folder with MLmodel (flavour `lakeloop_rag_chain`) and chain.yaml,
// registered as a version of a Unity Catalog model. What it depends on (index, prompt, endpoints) is recorded as
// lineage.

#include <cstdint>
#include <string>

#include "catalog/catalog.h"
#include "chain/config.h"

namespace lakeloop::chain {

inline constexpr std::string_view kChainFlavor = "lakeloop_rag_chain";

// Makes the model when missing, then a READY version of it.
catalog::ModelVersionInfo register_chain(catalog::Catalog& catalog, const catalog::Principal& who,
                                         const std::string& model_name, const ChainConfig& config,
                                         std::string_view comment = {});

// Reads the artefact of a version; kInvalidArgument when it is no chain.
ChainConfig load_chain(catalog::Catalog& catalog, const catalog::ModelVersionInfo& version);

// A prompt as MLflow's registry keeps it: model with tag mlflow.prompt.is_prompt, text in a tag of the version.
std::int64_t register_prompt(catalog::Catalog& catalog, const catalog::Principal& who, const std::string& name,
                             std::string_view text, std::string_view comment = {});
std::string load_prompt_text(catalog::Catalog& catalog, const catalog::Principal& who, const std::string& name,
                             std::int64_t version);

}  // namespace lakeloop::chain
