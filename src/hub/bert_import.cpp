#include "hub/bert_import.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/error.h"
#include "base/format.h"
#include "hub/gguf_writer.h"
#include "hub/safetensors.h"

namespace lakeloop::hub {
namespace {

// ggml's token types.
constexpr std::int32_t kNormal = 1, kControl = 3, kUnused = 5;
constexpr std::uint32_t kMostlyQ8 = 7, kPoolingMean = 1, kPoolingCls = 2;
constexpr std::size_t kVocabularyLimit = 1'000'000;

void require(bool supported, std::string_view what) {
  if (!supported) throw Error(ErrorCode::kUnimplemented, "this BERT cannot be imported: {}", what);
}

void check_supported(const BertFolder& source) {
  require(source.config.str("model_type") == "bert", "model_type is not bert");
  require(source.config.str("hidden_act") == "gelu", "hidden_act is not gelu");
  require(source.config.str("position_embedding_type", "absolute") == "absolute", "positions are not absolute");
  require(source.tokenizer["model"].str("type") == "WordPiece", "the tokenizer is not WordPiece");
  require(source.tokenizer["normalizer"]["lowercase"].bool_or(true), "the vocabulary is cased");
}

std::uint32_t number(const Json& config, const char* key) {
  const std::int64_t value = config[key].int_or(-1);
  if (value <= 0 || value > INT32_MAX)
    throw Error(ErrorCode::kInvalidArgument, "config.json: {} must be a positive integer", key);
  return static_cast<std::uint32_t>(value);
}

void add_vocabulary(GgufWriter& writer, const Json& tokenizer, std::uint32_t size, std::uint32_t type_count) {
  std::vector<std::string> tokens(size);
  std::vector<std::int32_t> types(size, kUnused);
  std::vector<bool> seen(size, false);
  std::map<std::string, std::uint32_t, std::less<>> special;
  if (tokenizer["added_tokens"].is_array()) {
    for (const Json& token : tokenizer["added_tokens"].items()) {
      if (token["special"].bool_or(false))
        special[token.str("content")] = static_cast<std::uint32_t>(token["id"].int_or(0));
    }
  }
  const Json& vocabulary = tokenizer["model"]["vocab"];
  if (!vocabulary.is_object() || size > kVocabularyLimit) {
    throw Error(ErrorCode::kInvalidArgument, "tokenizer.json: model.vocab is missing or too large");
  }
  for (const auto& [token, id_json] : vocabulary.members()) {
    const std::int64_t id = id_json.int_or(-1);
    if (id < 0 || id >= size || seen[static_cast<std::size_t>(id)]) {
      throw Error(ErrorCode::kInvalidArgument, "tokenizer.json: token ids are not 0 to vocab_size - 1");
    }
    const auto at = static_cast<std::size_t>(id);
    seen[at] = true;
    if (special.contains(token)) {
      tokens[at] = token;
      types[at] = kControl;
    } else if (token.starts_with("##")) {
      tokens[at] = token.substr(2);
      types[at] = kNormal;
    } else if (token.starts_with('[') && token.ends_with(']')) {
      tokens[at] = token;
    } else {
      tokens[at] = "\u2581" + token;
      types[at] = kNormal;
    }
  }
  require(std::ranges::all_of(seen, [](bool b) { return b; }), "the vocabulary has holes");
  writer.add("tokenizer.ggml.model", "bert");
  writer.add("tokenizer.ggml.pre", "default");
  writer.add_strings("tokenizer.ggml.tokens", tokens);
  writer.add_i32s("tokenizer.ggml.token_type", types);
  writer.add_u32("tokenizer.ggml.token_type_count", type_count);
  const auto id_of = [&](const char* token) {
    const auto found = special.find(std::string_view(token));
    if (found == special.end()) throw Error(ErrorCode::kInvalidArgument, "tokenizer.json: no special token {}", token);
    return found->second;
  };
  writer.add_u32("tokenizer.ggml.bos_token_id", id_of("[CLS]"));
  writer.add_u32("tokenizer.ggml.seperator_token_id", id_of("[SEP]"));  // ggml's own spelling
  writer.add_u32("tokenizer.ggml.eos_token_id", id_of("[SEP]"));
  writer.add_u32("tokenizer.ggml.unknown_token_id", id_of("[UNK]"));
  writer.add_u32("tokenizer.ggml.padding_token_id", id_of("[PAD]"));
  writer.add_u32("tokenizer.ggml.mask_token_id", id_of("[MASK]"));
  writer.add_bool("tokenizer.ggml.add_bos_token", true);
  writer.add_bool("tokenizer.ggml.add_eos_token", true);
}

}  // namespace

void import_bert(const BertFolder& source, std::string_view name, std::string_view license,
                 const std::filesystem::path& target) {
  check_supported(source);
  const Json& config = source.config;
  GgufWriter writer("bert");
  writer.add("general.name", name);
  writer.add("general.license", license);
  writer.add_u32("bert.context_length", number(config, "max_position_embeddings"));
  writer.add_u32("bert.embedding_length", number(config, "hidden_size"));
  writer.add_u32("bert.block_count", number(config, "num_hidden_layers"));
  writer.add_u32("bert.feed_forward_length", number(config, "intermediate_size"));
  writer.add_u32("bert.attention.head_count", number(config, "num_attention_heads"));
  writer.add_f32("bert.attention.layer_norm_epsilon", static_cast<float>(config["layer_norm_eps"].double_or(1e-12)));
  writer.add_bool("bert.attention.causal", false);
  writer.add_u32("bert.pooling_type",
                 source.pooling["pooling_mode_mean_tokens"].bool_or(false) ? kPoolingMean : kPoolingCls);
  writer.add_u32("general.file_type", kMostlyQ8);
  add_vocabulary(writer, source.tokenizer, number(config, "vocab_size"), number(config, "type_vocab_size"));

  const Safetensors weights = Safetensors::open(source.weights);
  const auto put = [&](const std::string& to, const std::string& from, bool matrix) {
    const std::string full = weights.tensors().contains(from) ? from : "bert." + from;
    const auto found = weights.tensors().find(full);
    if (found == weights.tensors().end())
      throw Error(ErrorCode::kInvalidArgument, "model.safetensors has no tensor {}", from);
    const bool quantize = matrix && found->second.shape.back() % 32 == 0;
    writer.add_tensor(to, found->second.shape, weights.floats(full),
                      quantize ? GgufWriter::Type::kQ8 : GgufWriter::Type::kF32);
  };
  put("token_embd.weight", "embeddings.word_embeddings.weight", true);
  put("position_embd.weight", "embeddings.position_embeddings.weight", false);
  put("token_types.weight", "embeddings.token_type_embeddings.weight", false);
  put("token_embd_norm.weight", "embeddings.LayerNorm.weight", false);
  put("token_embd_norm.bias", "embeddings.LayerNorm.bias", false);
  struct Layer {
    const char *to, *from;
    bool matrix;
  };
  static constexpr Layer layers[] = {{"attn_q", "attention.self.query", true},
                                     {"attn_k", "attention.self.key", true},
                                     {"attn_v", "attention.self.value", true},
                                     {"attn_output", "attention.output.dense", true},
                                     {"attn_output_norm", "attention.output.LayerNorm", false},
                                     {"ffn_up", "intermediate.dense", true},
                                     {"ffn_down", "output.dense", true},
                                     {"layer_output_norm", "output.LayerNorm", false}};
  for (std::uint32_t i = 0; i < number(config, "num_hidden_layers"); ++i) {
    for (const Layer& layer : layers) {
      put(lakeloop::format("blk.{}.{}.weight", i, layer.to),
          lakeloop::format("encoder.layer.{}.{}.weight", i, layer.from), layer.matrix);
      put(lakeloop::format("blk.{}.{}.bias", i, layer.to), lakeloop::format("encoder.layer.{}.{}.bias", i, layer.from),
          false);
    }
  }
  writer.write(target);
}

}  // namespace lakeloop::hub
