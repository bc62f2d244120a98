#include "chain/config.h"

#include <cmath>

#include "codec/yaml.h"

namespace lakeloop::chain {
namespace {

constexpr std::int64_t kFormat = 1;

[[noreturn]] void wrong(std::string_view field, std::string_view rule) {
  throw Error(ErrorCode::kInvalidArgument, "chain: {} {}", field, rule).with_param(std::string(field));
}

// One section of the file: known keys only, so that a misspelt one is not silently without effect.
class Section {
 public:
  Section(const Json& parent, std::string name) : name_(std::move(name)), json_(parent[name_]) {
    if (!json_.is_null() && !json_.is_object()) wrong(name_, "must be a mapping");
  }
  ~Section() = default;
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;

  void read(std::string_view key, std::string& value) {
    known_.push_back(key);
    if (const Json* found = json_.find(key)) {
      if (!found->is_string()) wrong(field(key), "must be a string");
      value = found->as_string();
    }
  }
  void read(std::string_view key, std::int64_t& value, std::int64_t low, std::int64_t high) {
    known_.push_back(key);
    if (const Json* found = json_.find(key)) {
      if (!found->is_int() || found->as_int() < low || found->as_int() > high) {
        wrong(field(key), format_range(low, high));
      }
      value = found->as_int();
    }
  }
  void read(std::string_view key, double& value, double low, double high) {
    known_.push_back(key);
    if (const Json* found = json_.find(key)) {
      if (!found->is_number() || !(found->as_double() >= low && found->as_double() <= high)) {
        wrong(field(key), format_range(low, high));
      }
      value = found->as_double();
    }
  }
  void refuse_unknown() const {
    if (!json_.is_object()) return;
    for (const auto& [key, value] : json_.members()) {
      bool known = false;
      for (const std::string_view name : known_) known = known || name == key;
      if (!known) wrong(field(key), "is not a known setting");
    }
  }

 private:
  [[nodiscard]] std::string field(std::string_view key) const { return name_ + "." + std::string(key); }
  template <typename Number>
  static std::string format_range(Number low, Number high) {
    return "must be a number from " + Json(low).dump() + " to " + Json(high).dump();
  }

  std::string name_;
  const Json& json_;
  std::vector<std::string_view> known_;
};

}  // namespace

std::string_view to_string(AnswerMode mode) {
  switch (mode) {
    case AnswerMode::kCited:
      return "cited";
    case AnswerMode::kProse:
      return "prose";
    case AnswerMode::kVerifiable:
      return "verifiable";
  }
  return "";
}

AnswerMode parse_answer_mode(std::string_view text) {
  for (const AnswerMode mode : {AnswerMode::kCited, AnswerMode::kProse, AnswerMode::kVerifiable}) {
    if (to_string(mode) == text) return mode;
  }
  throw Error(ErrorCode::kInvalidArgument, "answer mode \"{}\" is not one of cited, prose, verifiable", text)
      .with_param("answer_mode");
}

ChainConfig ChainConfig::from_yaml(std::string_view text) {
  return from_json(codec::yaml_parse(text));
}

ChainConfig ChainConfig::from_json(const Json& json) {
  if (!json.is_object()) wrong("the file", "must be a mapping");
  if (json["rag_chain"].int_or(0) != kFormat) wrong("rag_chain", "must be 1, the version of the format");
  for (const auto& [key, value] : json.members()) {
    if (key != "rag_chain" && key != "retriever" && key != "models" && key != "answer" && key != "prompt") {
      wrong(key, "is not a known section");
    }
  }
  ChainConfig config;
  Section retriever(json, "retriever");
  retriever.read("index", config.index);
  retriever.read("query_type", config.query_type);
  retriever.read("num_results", config.num_results, 1, 50);
  retriever.refuse_unknown();
  if (config.index.empty()) wrong("retriever.index", "is required");
  if (config.query_type != "HYBRID" && config.query_type != "ANN" && config.query_type != "FULL_TEXT") {
    wrong("retriever.query_type", "must be HYBRID, ANN or FULL_TEXT");
  }
  Section models(json, "models");
  models.read("chat", config.chat_endpoint);
  models.read("embedding", config.embedding_endpoint);
  models.refuse_unknown();
  Section answer(json, "answer");
  std::string mode = "cited";
  answer.read("mode", mode);
  answer.read("floor", config.floor, -1.0, 1.0);
  answer.read("within", config.within, 0.0, 1.0);
  answer.read("max_sentences", config.max_sentences, 1, 20);
  answer.read("passages", config.passages, 1, 50);
  answer.read("max_tokens", config.max_tokens, 1, 32'768);
  answer.read("temperature", config.temperature, 0.0, 2.0);
  answer.refuse_unknown();
  config.mode = parse_answer_mode(mode);
  if (config.mode != AnswerMode::kCited && config.chat_endpoint.empty()) {
    wrong("models.chat", "is required by the answer modes prose and verifiable");
  }
  Section prompt(json, "prompt");
  prompt.read("name", config.prompt_name);
  prompt.read("version", config.prompt_version, 1, INT64_MAX);
  prompt.refuse_unknown();
  if (!config.prompt_name.empty() && config.prompt_version == 0)
    wrong("prompt.version", "is required with prompt.name");
  return config;
}

Json ChainConfig::to_json() const {
  Json json = Json::object({{"rag_chain", kFormat}});
  json.set("retriever", Json::object({{"index", index}, {"query_type", query_type}, {"num_results", num_results}}));
  Json models = Json::object();
  if (!chat_endpoint.empty()) models.set("chat", chat_endpoint);
  if (!embedding_endpoint.empty()) models.set("embedding", embedding_endpoint);
  json.set("models", std::move(models));
  json.set("answer", Json::object({{"mode", to_string(mode)},
                                   {"floor", floor},
                                   {"within", within},
                                   {"max_sentences", max_sentences},
                                   {"passages", passages},
                                   {"max_tokens", max_tokens},
                                   {"temperature", temperature}}));
  if (!prompt_name.empty()) json.set("prompt", Json::object({{"name", prompt_name}, {"version", prompt_version}}));
  return json;
}

}  // namespace lakeloop::chain
