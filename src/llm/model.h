#pragma once

// A GGUF file held by libllama: its weights, its tokenizer, what it says about itself. The tokenizer calls may run on
// several threads at once. A file that libllama dislikes may abort the process: that is why this is a worker.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"

struct llama_model;
struct llama_vocab;

namespace lakeloop::llm {

using Token = std::int32_t;

// Loads libggml's processor backends (plugins) and routes libllama's log to standard error; once, before any model.
void start_backend();

class Model {
 public:
  // kInvalidArgument with libllama's own words when the file cannot be loaded. Offsets and sizes are always checked;
  // the weights themselves, for numbers that are none, when asked: that reads all of the file.
  explicit Model(const std::filesystem::path& file, bool look_at_weights = false);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  [[nodiscard]] llama_model* get() const { return model_; }
  [[nodiscard]] const llama_vocab* vocabulary() const { return vocabulary_; }

  // `add_special` puts the tokens around the text that the model was trained with (BOS, [CLS] ... [SEP]);
  // `parse_special` reads control tokens written out in the text ("<|im_end|>") as such.
  [[nodiscard]] std::vector<Token> tokenize(std::string_view text, bool add_special, bool parse_special) const;
  // The bytes of a token; none for control tokens.
  [[nodiscard]] std::string bytes_of(Token token) const;
  [[nodiscard]] bool ends_generation(Token token) const;
  // At most so many bytes make one token.
  [[nodiscard]] std::size_t longest_token_bytes() const { return longest_token_bytes_; }
  [[nodiscard]] std::int64_t trained_context() const;
  // False for encoders: they give embeddings only.
  [[nodiscard]] bool generates_text() const;
  // The file's template, or empty.
  [[nodiscard]] std::string chat_template() const;

  [[nodiscard]] Json about() const;

 private:
  [[nodiscard]] std::string metadata(const char* key) const;
  [[nodiscard]] std::int64_t cache_bytes_per_token() const;  // keys and values of one token, all layers

  llama_model* model_ = nullptr;
  const llama_vocab* vocabulary_ = nullptr;
  std::size_t longest_token_bytes_ = 1;
};

// Evaluates one token in a small context: some files load and then abort on first use.
void try_model(const Model& model);

}  // namespace lakeloop::llm
