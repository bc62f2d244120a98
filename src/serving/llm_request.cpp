#include "serving/llm_request.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/format.h"
#include "gateway/json_schema_grammar.h"

namespace lakeloop::serving {

namespace {

// Handed on as they are; the worker checks their ranges.
constexpr std::array<std::string_view, 8> kPassed = {
    "temperature", "top_p", "top_k", "min_p", "seed", "stop", "frequency_penalty", "presence_penalty"};
// Read here, or without influence on the answer.
constexpr std::array<std::string_view, 16> kTaken = {"model",
                                                     "messages",
                                                     "stream",
                                                     "stream_options",
                                                     "max_tokens",
                                                     "max_completion_tokens",
                                                     "response_format",
                                                     "user",
                                                     "metadata",
                                                     "store",
                                                     "safety_identifier",
                                                     "prompt_cache_key",
                                                     "prompt_cache_retention",
                                                     "service_tier",
                                                     "n",
                                                     "parallel_tool_calls"};

Error refuse(std::string_view field, std::string_view rule) {
  return Error(ErrorCode::kInvalidArgument, "{} {}", field, rule).with_param(std::string(field));
}

// null, false, 0, "", [], {} and the words that stand for them ask for nothing.
bool asks_for_nothing(std::string_view field, const Json& value) {
  if (value.is_null() || value == Json(false) || value == Json("")) return true;
  if (field == "top_logprobs" && value == Json(0)) return true;
  if (field == "tool_choice" || field == "function_call") return value == Json("none") || value == Json("auto");
  if (field == "modalities") return value == Json::array({"text"});
  return (value.is_array() || value.is_object()) && value.size() == 0;
}

std::string content_of(const Json& content, const std::string& place) {
  if (content.is_string()) return content.as_string();
  if (content.is_null()) return {};
  if (!content.is_array()) throw refuse(place, "must be a string or a list of parts");
  std::string text;
  for (std::size_t i = 0; i < content.size(); ++i) {
    const Json& part = content.at(i);
    const std::string type = part.str("type");
    if (type != "text" || !part["text"].is_string()) {
      throw refuse(lakeloop::format("{}[{}]", place, i),
                   lakeloop::format("is of type \"{}\": this model reads parts of type text only", type));
    }
    if (i > 0) text += '\n';
    text += part["text"].as_string();
  }
  return text;
}

Json messages_of(const Json& list) {
  if (!list.is_array() || list.size() == 0) throw refuse("messages", "must be a list of at least one message");
  Json messages = Json::array();
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Json& message = list.at(i);
    const std::string place = lakeloop::format("messages[{}]", i);
    if (!message.is_object()) throw refuse(place, "must be an object with role and content");
    std::string role = message.str("role");
    if (role == "developer") role = "system";  // its newer name
    if (role != "system" && role != "user" && role != "assistant") {
      throw refuse(place + ".role",
                   lakeloop::format("is \"{}\": this model knows system, developer, user and assistant", role));
    }
    for (const auto& [key, value] : message.members()) {
      if (key != "role" && key != "content" && !asks_for_nothing(key, value)) {
        throw refuse(place + "." + key, "is not supported by this model");
      }
    }
    messages.push_back(Json::object({{"role", role}, {"content", content_of(message["content"], place + ".content")}}));
  }
  return messages;
}

std::optional<std::string> grammar_of(const Json& format) {
  if (format.is_null()) return std::nullopt;
  const std::string type = format.str("type");
  if (type == "text") return std::nullopt;
  if (type == "json_object") return gateway::grammar_of_any_json();
  if (type != "json_schema") throw refuse("response_format", "must have the type text, json_object or json_schema");
  const Json* schema = format["json_schema"].find("schema");
  if (schema == nullptr) throw refuse("response_format", "of type json_schema needs json_schema.schema");
  return gateway::grammar_of_schema(*schema);
}

}  // namespace

Json worker_request_of(const gateway::ChatRequest& request, bool stream) {
  const Json& body = request.body;
  if (!body.is_object()) throw Error(ErrorCode::kInvalidArgument, "the request is not a JSON object");
  Json out = Json::object({{"op", "chat"}, {"messages", messages_of(body["messages"])}, {"stream", stream}});
  for (const auto& [key, value] : body.members()) {
    if (std::ranges::find(kPassed, key) != kPassed.end()) {
      out.set_if(key, value);
    } else if (std::ranges::find(kTaken, key) == kTaken.end() && !asks_for_nothing(key, value)) {
      throw refuse(key, "is not supported by this model");
    }
  }
  if (const Json& n = body["n"]; !n.is_null() && n != Json(1))
    throw refuse("n", "must be 1: this model gives one answer");
  const std::string_view limit = body["max_completion_tokens"].is_null() ? "max_tokens" : "max_completion_tokens";
  out.set_if("max_tokens", body[limit]);
  std::optional<std::string> grammar = grammar_of(body["response_format"]);
  if (grammar && request.grammar) throw refuse("response_format", "cannot be combined with a grammar");
  if (request.grammar) grammar = request.grammar;
  if (grammar) out.set("grammar", *grammar);
  if (!request.adapter.empty()) out.set("adapter", request.adapter);
  return out;
}

}  // namespace lakeloop::serving
