#include "serving/openai_shape.h"

#include <bit>

#include "base/error.h"
#include "codec/encoding.h"

namespace lakeloop::serving {
namespace {

constexpr std::size_t kMaxEmbeddingInputs = 2048;

static_assert(std::endian::native == std::endian::little, "base64 vectors are written as they lie in memory");

Json completion_of(const CompletionHead& head, Json message, const std::string& finish_reason, const Json& usage) {
  return Json::object({{"id", head.id},
                       {"object", "chat.completion"},
                       {"created", head.created},
                       {"model", head.model},
                       {"choices", Json::array({Json::object({{"index", 0},
                                                              {"message", std::move(message)},
                                                              {"logprobs", nullptr},
                                                              {"finish_reason", finish_reason}})})},
                       {"usage", usage}});
}

}  // namespace

Json completion(const CompletionHead& head, const gateway::ChatResult& result) {
  Json message = Json::object({{"role", "assistant"}, {"content", result.content}, {"refusal", nullptr}});
  if (result.tool_calls.is_array()) {
    if (result.content.empty()) message.set("content", nullptr);
    message.set("tool_calls", result.tool_calls);
  }
  return completion_of(head, std::move(message), result.finish_reason, result.usage.to_openai());
}

Json completion(const CompletionHead& head, const chain::Answer& answer) {
  Json annotations = Json::array();
  for (const chain::Citation& citation : answer.citations) {
    annotations.push_back(
        Json::object({{"type", "url_citation"},
                      {"url_citation", Json::object({{"start_index", citation.answer_start},
                                                     {"end_index", citation.answer_end},
                                                     {"title", citation.title},
                                                     {"url", codec::percent_encode(citation.source_path, true)}})}}));
  }
  Json message = Json::object(
      {{"role", "assistant"}, {"content", answer.text}, {"refusal", nullptr}, {"annotations", std::move(annotations)}});
  Json json = completion_of(head, std::move(message), answer.finish_reason, answer.usage.to_openai());
  json.set("custom_outputs", answer.to_custom_outputs());
  return json;
}

Json chunk(const CompletionHead& head, Json delta, Json finish_reason) {
  return Json::object({{"id", head.id},
                       {"object", "chat.completion.chunk"},
                       {"created", head.created},
                       {"model", head.model},
                       {"choices", Json::array({Json::object({{"index", 0},
                                                              {"delta", std::move(delta)},
                                                              {"logprobs", nullptr},
                                                              {"finish_reason", std::move(finish_reason)}})})}});
}

Json usage_chunk(const CompletionHead& head, const Json& usage) {
  return Json::object({{"id", head.id},
                       {"object", "chat.completion.chunk"},
                       {"created", head.created},
                       {"model", head.model},
                       {"choices", Json::array()},
                       {"usage", usage}});
}

std::vector<std::string> embedding_inputs(const Json& body) {
  const Json& input = body["input"];
  if (input.is_string()) return {input.as_string()};
  if (!input.is_array() || input.size() == 0) {
    throw Error(ErrorCode::kInvalidArgument, "input must be a string or a non-empty list of strings")
        .with_param("input");
  }
  if (input.size() > kMaxEmbeddingInputs) {
    throw Error(ErrorCode::kInvalidArgument, "input has {} texts, the limit is {}", input.size(), kMaxEmbeddingInputs)
        .with_param("input");
  }
  std::vector<std::string> texts;
  for (const Json& item : input.items()) {
    if (!item.is_string()) {
      throw Error(ErrorCode::kInvalidArgument, "input must be text; lists of token ids are not taken")
          .with_param("input");
    }
    texts.push_back(item.as_string());
  }
  return texts;
}

Json embedding_list(const gateway::EmbeddingResult& result, const std::string& model, bool base64) {
  Json data = Json::array();
  for (std::size_t i = 0; i < result.vectors.size(); ++i) {
    const std::vector<float>& vector = result.vectors[i];
    Json embedding;
    if (base64) {
      embedding = codec::base64_encode({reinterpret_cast<const char*>(vector.data()), vector.size() * sizeof(float)});
    } else {
      embedding = Json::array();
      for (const float value : vector) embedding.push_back(static_cast<double>(value));
    }
    data.push_back(Json::object({{"object", "embedding"}, {"index", i}, {"embedding", std::move(embedding)}}));
  }
  return Json::object({{"object", "list"},
                       {"data", std::move(data)},
                       {"model", model},
                       {"usage", Json::object({{"prompt_tokens", result.usage.prompt_tokens},
                                               {"total_tokens", result.usage.prompt_tokens}})}});
}

}  // namespace lakeloop::serving
