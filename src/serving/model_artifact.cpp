#include "serving/model_artifact.h"

#include "chain/package.h"
#include "codec/yaml.h"

namespace lakeloop::serving {

Artifact read_artifact(catalog::Catalog& catalog, const catalog::ModelVersionInfo& version) {
  const std::string name = version.catalog_name + "." + version.schema_name + "." + version.model_name;
  if (version.status != "READY") {
    throw Error(ErrorCode::kInvalidArgument, "{} version {} is not ready to be served: {}", name, version.version,
                version.status);
  }
  Json mlmodel;
  try {
    mlmodel = codec::yaml_parse(catalog.store().get(version.storage_location + "MLmodel"));
  } catch (const Error& error) {
    throw Error(ErrorCode::kInvalidArgument,
                "{} version {} cannot be served: its artefact has no readable MLmodel ({})", name, version.version,
                error.message());
  }
  const Json& flavors = mlmodel["flavors"];
  Artifact artifact;
  if (flavors[chain::kChainFlavor].is_object()) {
    artifact.is_chain = true;
    return artifact;
  }
  const Json& gguf = flavors[kGgufFlavor];
  if (!gguf.is_object()) {
    std::string found;
    if (flavors.is_object()) {
      for (const auto& [flavor, about] : flavors.members()) found += (found.empty() ? "" : ", ") + flavor;
    }
    throw Error(ErrorCode::kUnimplemented, "{} version {} has the flavours {}; Lakeloop serves {} and {}", name,
                version.version, found.empty() ? "none" : found, chain::kChainFlavor, kGgufFlavor);
  }
  artifact.gguf = {.file = gguf.str("file"),
                   .sha256 = gguf.str("sha256"),
                   .task = gguf.str("task"),
                   .context_length = gguf["context_length"].int_or(0),
                   .embedding_dimension = gguf["embedding_dimension"].int_or(0),
                   .max_input_tokens = gguf["max_input_tokens"].int_or(0)};
  if (artifact.gguf.file.empty() || artifact.gguf.file.contains('/')) {
    throw Error(ErrorCode::kInvalidArgument, "{} version {}: flavors.gguf.file must name a file of the artefact", name,
                version.version);
  }
  return artifact;
}

}  // namespace lakeloop::serving
