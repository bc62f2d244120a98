#include "llm/model.h"

#include <llama.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "base/error.h"
#include "base/text.h"

namespace lakeloop::llm {

namespace {

// libllama returns null and logs why; the last complaints become the error's text.
class Complaints {
 public:
  void add(std::string_view text) {
    const std::lock_guard lock(mutex_);
    text_ += text;
    if (text_.size() > kLimit) text_.erase(0, text_.size() - kLimit);
  }
  std::string take() {
    const std::lock_guard lock(mutex_);
    std::string text = replace_all(std::string(trim(text_)), "\n", "; ");
    text_.clear();
    return text.empty() ? "libllama gave no reason" : text;
  }

 private:
  static constexpr std::size_t kLimit = 2048;
  std::mutex mutex_;
  std::string text_;
};

Complaints& complaints() {
  static Complaints instance;
  return instance;
}

void on_log(ggml_log_level level, const char* text, void*) {
  static thread_local ggml_log_level last = GGML_LOG_LEVEL_NONE;
  if (level != GGML_LOG_LEVEL_CONT) last = level;
  if (last < GGML_LOG_LEVEL_WARN) return;
  std::fputs(text, stderr);
  if (last >= GGML_LOG_LEVEL_ERROR) complaints().add(text);
}

}  // namespace

void start_backend() {
  llama_log_set(on_log, nullptr);
  const char* folder = std::getenv("LAKELOOP_GGML_FOLDER");
  if (folder != nullptr && *folder != '\0') {
    ggml_backend_load_all_from_path(folder);
  } else {
    ggml_backend_load_all();
  }
  if (ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) == nullptr) {
    throw Error(
        ErrorCode::kInternal,
        "no processor backend of libggml was found: set LAKELOOP_GGML_FOLDER to the folder of libggml-cpu-*.so");
  }
  llama_backend_init();
}

Model::Model(const std::filesystem::path& file, bool look_at_weights) {
  llama_model_params params = llama_model_default_params();
  params.check_tensors = look_at_weights;
  model_ = llama_model_load_from_file(file.c_str(), params);
  if (model_ == nullptr) {
    throw Error(ErrorCode::kInvalidArgument, "the model file cannot be loaded: {}", complaints().take());
  }
  vocabulary_ = llama_model_get_vocab(model_);
  for (Token token = 0; token < llama_vocab_n_tokens(vocabulary_); ++token) {
    const char* text = llama_vocab_get_text(vocabulary_, token);
    if (text != nullptr) longest_token_bytes_ = std::max(longest_token_bytes_, std::string_view(text).size());
  }
}

Model::~Model() {
  llama_model_free(model_);
}

std::vector<Token> Model::tokenize(std::string_view text, bool add_special, bool parse_special) const {
  std::vector<Token> tokens(text.size() + 4);
  const auto length = static_cast<std::int32_t>(text.size());
  auto count = llama_tokenize(vocabulary_, text.data(), length, tokens.data(), static_cast<std::int32_t>(tokens.size()),
                              add_special, parse_special);
  if (count < 0) {  // more tokens than bytes: byte fallbacks of some vocabularies
    tokens.resize(static_cast<std::size_t>(-static_cast<std::int64_t>(count)));
    count = llama_tokenize(vocabulary_, text.data(), length, tokens.data(), static_cast<std::int32_t>(tokens.size()),
                           add_special, parse_special);
  }
  if (count < 0) throw Error(ErrorCode::kInternal, "the tokenizer failed on a text of {} bytes", text.size());
  tokens.resize(static_cast<std::size_t>(count));
  return tokens;
}

std::string Model::bytes_of(Token token) const {
  std::array<char, 256> buffer{};
  auto size = llama_token_to_piece(vocabulary_, token, buffer.data(), buffer.size(), 0, false);
  if (size >= 0) return {buffer.data(), static_cast<std::size_t>(size)};
  std::string longer(static_cast<std::size_t>(-size), '\0');
  size = llama_token_to_piece(vocabulary_, token, longer.data(), static_cast<std::int32_t>(longer.size()), 0, false);
  longer.resize(static_cast<std::size_t>(std::max(size, 0)));
  return longer;
}

bool Model::ends_generation(Token token) const {
  return llama_vocab_is_eog(vocabulary_, token);
}

std::int64_t Model::trained_context() const {
  return llama_model_n_ctx_train(model_);
}

std::string Model::chat_template() const {
  const char* text = llama_model_chat_template(model_, nullptr);
  return text == nullptr ? std::string() : std::string(text);
}

std::string Model::metadata(const char* key) const {
  std::array<char, 512> buffer{};
  const auto size = llama_model_meta_val_str(model_, key, buffer.data(), buffer.size());
  return size < 0 ? std::string() : std::string(buffer.data());
}

std::int64_t Model::cache_bytes_per_token() const {
  const std::string prefix = metadata("general.architecture") + ".attention.";
  const std::int64_t heads = std::max(llama_model_n_head(model_), 1);
  const std::int64_t width = llama_model_n_embd(model_) / heads;
  const auto key = parse_number<std::int64_t>(metadata((prefix + "key_length").c_str())).value_or(width);
  const auto value = parse_number<std::int64_t>(metadata((prefix + "value_length").c_str())).value_or(width);
  constexpr std::int64_t kHalf = 2;  // bytes of an F16
  return std::int64_t{llama_model_n_layer(model_)} * llama_model_n_head_kv(model_) * (key + value) * kHalf;
}

bool Model::generates_text() const {
  // Encoders (BERT) count as decoders for libllama; their attention looks both ways, which the file says.
  return llama_model_has_decoder(model_) && !llama_model_has_encoder(model_) &&
         metadata((metadata("general.architecture") + ".attention.causal").c_str()) != "false";
}

Json Model::about() const {
  std::array<char, 256> description{};
  llama_model_desc(model_, description.data(), description.size());
  Json about = Json::object({
      {"architecture", metadata("general.architecture")},
      {"name", metadata("general.name")},
      {"description", std::string(description.data())},
      {"license", metadata("general.license")},
      {"quantization", std::string(llama_ftype_name(llama_model_ftype(model_)))},
      {"parameters", static_cast<std::int64_t>(llama_model_n_params(model_))},
      {"weight_bytes", static_cast<std::int64_t>(llama_model_size(model_))},
      {"trained_context", trained_context()},
      {"layers", llama_model_n_layer(model_)},
      {"heads", llama_model_n_head(model_)},
      {"key_value_heads", llama_model_n_head_kv(model_)},
      {"embedding_dimension", llama_model_n_embd_out(model_)},
      {"cache_bytes_per_token", cache_bytes_per_token()},
      {"vocabulary", llama_vocab_n_tokens(vocabulary_)},
      {"text_generation", generates_text()},
      {"chat_template_present", !chat_template().empty()},
      {"llama_version", std::string(llama_version())},
  });
  return about;
}

void try_model(const Model& model) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = 64;
  params.n_batch = params.n_ubatch = 32;
  params.n_threads = params.n_threads_batch = 1;
  llama_context* context = llama_init_from_model(model.get(), params);
  if (context == nullptr) {
    throw Error(ErrorCode::kInvalidArgument, "no context can be made for the model: {}", complaints().take());
  }
  std::vector<Token> tokens = model.tokenize("a", true, false);
  if (tokens.empty()) tokens.push_back(0);
  tokens.resize(std::min<std::size_t>(tokens.size(), 8));
  const llama_batch batch = llama_batch_get_one(tokens.data(), static_cast<std::int32_t>(tokens.size()));
  const bool encoder_only = llama_get_memory(context) == nullptr;
  const int status = encoder_only ? llama_encode(context, batch) : llama_decode(context, batch);
  llama_free(context);
  if (status != 0) throw Error(ErrorCode::kInvalidArgument, "the model cannot evaluate a text (status {})", status);
}

}  // namespace lakeloop::llm
