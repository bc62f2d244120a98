#pragma once

// A sentence-transformers BERT (config.json, tokenizer.json, 1_Pooling/config.json, model.safetensors) as a GGUF file
// for libllama. What the format wants: architecture "bert", causal attention off, the pooling type; WordPiece in
// llama.cpp's spelling ("##ing" becomes "ing", "word" becomes U+2581 "word", special tokens stay); matrices in Q8_0,
// vectors and position rows in F32; the pooler left out. The caller normalises vectors.

#include <filesystem>
#include <string>

#include "codec/json.h"

namespace lakeloop::hub {

struct BertFolder {
  Json config, tokenizer, pooling;  // the three JSON files
  std::filesystem::path weights;    // model.safetensors
};

// kUnimplemented names what is not supported (other activations, cased vocabularies, other tokenizers).
void import_bert(const BertFolder& source, std::string_view name, std::string_view license,
                 const std::filesystem::path& target);

}  // namespace lakeloop::hub
