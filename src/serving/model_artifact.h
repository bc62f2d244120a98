#pragma once

// A GGUF model as a registered version: a folder with MLmodel (flavour `gguf`) and the file. Written by `hub`, read
// here.

#include <cstdint>
#include <string>

#include "catalog/catalog.h"

namespace lakeloop::serving {

inline constexpr std::string_view kGgufFlavor = "gguf";

struct GgufModel {
  std::string file;  // within the artefact's folder
  std::string sha256;
  std::string task;                 // llm/v1/chat or llm/v1/embeddings
  std::int64_t context_length = 0;  // tokens
  std::int64_t embedding_dimension = 0;
  std::int64_t max_input_tokens = 0;  // of an embedding; longer texts are cut there
};

// What kind of artefact the version is; the flavour's fields where it is a GGUF model.
struct Artifact {
  bool is_chain = false;
  GgufModel gguf;
};
// kInvalidArgument when the MLmodel has no flavour that Lakeloop serves.
Artifact read_artifact(catalog::Catalog& catalog, const catalog::ModelVersionInfo& version);

}  // namespace lakeloop::serving
