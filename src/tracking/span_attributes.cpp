#include "tracking/span_attributes.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "codec/unicode.h"

namespace lakeloop::tracking {

namespace {

constexpr std::size_t kPreviewCharacters = 1000;

// JSON text inside a string, or the value itself.
Json decoded(const Json& value) {
  if (!value.is_string()) return value;
  if (auto parsed = Json::try_parse(value.as_string())) return std::move(*parsed);
  return value;
}

bool holds_json_text(const Span& span) {
  const Json* id = span.attributes.find("mlflow.traceRequestId");
  return id != nullptr && id->is_string() && id->as_string().starts_with('"');
}

const Json* first_of(const Json& attributes, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (const Json* value = attributes.find(name); value != nullptr && !value->is_null()) return value;
  }
  return nullptr;
}

std::optional<std::int64_t> count_of(const Json& attributes, std::initializer_list<std::string_view> names) {
  const Json* value = first_of(attributes, names);
  if (value == nullptr) return std::nullopt;
  const Json number = decoded(*value);
  if (number.is_int()) return number.as_int();
  if (number.is_double() && number.as_double() >= 0 && number.as_double() < 1e15)
    return static_cast<std::int64_t>(number.as_double());
  if (number.is_string()) return parse_number<std::int64_t>(number.as_string());
  return std::nullopt;
}

using Pair = std::pair<std::string_view, std::string_view>;
constexpr std::array<Pair, 24> kTypes = {{
    // gen_ai.operation.name
    {"chat", "CHAT_MODEL"},
    {"create_agent", "AGENT"},
    {"embeddings", "EMBEDDING"},
    {"execute_tool", "TOOL"},
    {"generate_content", "LLM"},
    {"invoke_agent", "AGENT"},
    {"invoke_workflow", "CHAIN"},
    {"text_completion", "LLM"},
    {"response", "LLM"},
    {"retrieval", "RETRIEVER"},
    // openinference.span.kind, in lower case
    {"chain", "CHAIN"},
    {"llm", "LLM"},
    {"tool", "TOOL"},
    {"retriever", "RETRIEVER"},
    {"embedding", "EMBEDDING"},
    {"agent", "AGENT"},
    {"reranker", "RERANKER"},
    {"evaluator", "EVALUATOR"},
    {"guardrail", "GUARDRAIL"},
    // traceloop.span.kind, langfuse.observation.type
    {"workflow", "CHAIN"},
    {"task", "TASK"},
    {"generation", "LLM"},
    {"call_llm", "LLM"},
    {"span", "CHAIN"},
}};

std::string_view translated_type(const Json& attributes) {
  for (const std::string_view name :
       {"openinference.span.kind", "gen_ai.operation.name", "traceloop.span.kind", "langfuse.observation.type"}) {
    const Json* kind = attributes.find(name);
    if (kind == nullptr) continue;
    const std::string text = ascii_lower(decoded(*kind).string_or(""));
    for (const auto& [from, to] : kTypes) {
      if (text == from) return to;
    }
  }
  return {};
}

std::string text_of(const Json* value) {
  if (value == nullptr) return {};
  const Json inner = decoded(*value);
  return inner.is_string() ? inner.as_string() : inner.dump();
}

bool is_message(const Json& item) {
  return item.is_object() && item.contains("role") && item.contains("content");
}

std::vector<const Json*> messages_of(const Json& value) {
  std::vector<const Json*> messages;
  const auto collect = [&](const Json& list) {
    if (!list.is_array()) return;
    for (const Json& item : list.items()) {
      if (is_message(item)) messages.push_back(&item);
    }
  };
  if (!value.is_object()) return messages;
  collect(value["messages"]);
  if (messages.empty()) collect(value["input"]);
  if (messages.empty() && value["choices"].is_array() && value["choices"].size() > 0) {
    const Json& message = value["choices"].at(0)["message"];
    if (is_message(message)) messages.push_back(&message);
  }
  if (messages.empty()) collect(value["output"]);
  return messages;
}

std::string content_of(const Json& message) {
  const Json& content = message["content"];
  if (content.is_string()) return content.as_string();
  if (!content.is_array()) return {};
  for (const Json& part : content.items()) {
    const std::string type = part.str("type");
    if (type == "text" || type == "input_text" || type == "output_text") return part.str("text");
  }
  return {};
}

}  // namespace

Span with_mlflow_attributes(Span span) {
  if (holds_json_text(span)) {
    for (auto& [name, value] : span.attributes.members()) value = decoded(value);
  }
  Json& a = span.attributes;
  a.set("mlflow.traceRequestId", "tr-" + span.trace_id);
  const std::string type = a["mlflow.spanType"].string_or("");
  if (type.empty() || type == "UNKNOWN") {
    if (const std::string_view known = translated_type(a); !known.empty()) a.set("mlflow.spanType", known);
  }
  const auto fill = [&](std::string_view name, std::initializer_list<std::string_view> sources) {
    if (a.contains(name)) return;
    if (const Json* value = first_of(a, sources)) a.set(name, decoded(*value));
  };
  fill("mlflow.spanInputs",
       {"input.value", "gen_ai.input.messages", "gen_ai.tool.call.arguments", "traceloop.entity.input", "ai.prompt",
        "ai.prompt.messages", "gcp.vertex.agent.llm_request", "gcp.vertex.agent.tool_call_args",
        "langfuse.observation.input", "gen_ai.prompt"});
  fill("mlflow.spanOutputs",
       {"output.value", "gen_ai.output.messages", "gen_ai.tool.call.result", "traceloop.entity.output",
        "ai.response.text", "ai.response.object", "gcp.vertex.agent.llm_response", "gcp.vertex.agent.tool_response",
        "langfuse.observation.output", "gen_ai.completion"});
  fill("mlflow.llm.model", {"gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "ai.model.id"});
  fill("mlflow.llm.provider", {"gen_ai.provider.name", "gen_ai.system", "llm.provider", "ai.model.provider"});
  if (!a.contains("mlflow.chat.tokenUsage")) {
    if (const auto usage = token_usage_of(span)) a.set("mlflow.chat.tokenUsage", usage->json());
  }
  return span;
}

void TokenUsage::add(const TokenUsage& other) {
  input += other.input;
  output += other.output;
  total += other.total;
  if (other.cache_read) cache_read = cache_read.value_or(0) + *other.cache_read;
  if (other.cache_creation) cache_creation = cache_creation.value_or(0) + *other.cache_creation;
}

Json TokenUsage::json() const {
  Json json = Json::object({{"input_tokens", input}, {"output_tokens", output}, {"total_tokens", total}});
  if (cache_read) json.set("cache_read_input_tokens", *cache_read);
  if (cache_creation) json.set("cache_creation_input_tokens", *cache_creation);
  return json;
}

std::optional<TokenUsage> TokenUsage::from_json(const Json& value) {
  const Json json = decoded(value);
  if (!json.is_object()) return std::nullopt;
  const auto input = count_of(json, {"input_tokens", "prompt_tokens"});
  const auto output = count_of(json, {"output_tokens", "completion_tokens"});
  const auto total = count_of(json, {"total_tokens"});
  if (!input && !output && !total) return std::nullopt;
  TokenUsage usage;
  usage.input = input.value_or(0);
  usage.output = output.value_or(0);
  usage.total = total.value_or(usage.input + usage.output);
  usage.cache_read = count_of(json, {"cache_read_input_tokens"});
  usage.cache_creation = count_of(json, {"cache_creation_input_tokens"});
  return usage;
}

std::optional<TokenUsage> token_usage_of(const Span& span) {
  const Json& a = span.attributes;
  if (const Json* own = a.find("mlflow.chat.tokenUsage")) return TokenUsage::from_json(*own);
  const auto input = count_of(a, {"gen_ai.usage.input_tokens", "llm.token_count.prompt", "gen_ai.usage.prompt_tokens",
                                  "llm.usage.prompt_tokens", "ai.usage.promptTokens"});
  const auto output =
      count_of(a, {"gen_ai.usage.output_tokens", "llm.token_count.completion", "gen_ai.usage.completion_tokens",
                   "llm.usage.completion_tokens", "ai.usage.completionTokens"});
  const auto total = count_of(a, {"llm.token_count.total", "llm.usage.total_tokens", "gen_ai.usage.total_tokens"});
  if (!input && !output && !total) return std::nullopt;
  TokenUsage usage;
  usage.input = input.value_or(0);
  usage.output = output.value_or(0);
  usage.total = total.value_or(usage.input + usage.output);
  usage.cache_read = count_of(a, {"gen_ai.usage.cache_read.input_tokens", "llm.token_count.prompt_details.cache_read"});
  usage.cache_creation =
      count_of(a, {"gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens",
                   "llm.token_count.prompt_details.cache_write"});
  return usage;
}

std::string span_type_of(const Span& span) {
  const std::string type = text_of(span.attributes.find("mlflow.spanType"));
  return type.empty() ? "UNKNOWN" : type;
}

std::string session_of(const Span& span) {
  return text_of(first_of(span.attributes, {"mlflow.trace.session", "session.id", "gen_ai.conversation.id"}));
}

std::string user_of(const Span& span) {
  return text_of(first_of(span.attributes, {"mlflow.trace.user", "user.id"}));
}

std::map<std::string, std::string> trace_tags_of(const Span& root) {
  static constexpr std::string_view kPrefix = "mlflow.traceTag.";
  std::map<std::string, std::string> tags;
  for (const auto& [name, value] : root.attributes.members()) {
    if (name.starts_with(kPrefix) && name.size() > kPrefix.size())
      tags.emplace(name.substr(kPrefix.size()), text_of(&value));
  }
  return tags;
}

std::string python_json(const Json& value) {
  if (value.is_array()) {
    std::string text = "[";
    for (const Json& item : value.items()) text += (text.size() > 1 ? ", " : "") + python_json(item);
    return text + "]";
  }
  if (value.is_object()) {
    std::string text = "{";
    for (const auto& [name, item] : value.members())
      text += (text.size() > 1 ? ", " : "") + Json(name).dump() + ": " + python_json(item);
    return text + "}";
  }
  return value.dump();
}

std::string preview_of(const Json& value, std::string_view role) {
  if (value.is_null()) return {};
  const Json inner = decoded(value);
  std::string text;
  const std::vector<const Json*> messages = messages_of(inner);
  if (!messages.empty()) {
    const auto of_role =
        std::ranges::find_if(messages.rbegin(), messages.rend(), [&](const Json* m) { return m->str("role") == role; });
    text = content_of(of_role == messages.rend() ? *messages.back() : **of_role);
  }
  if (text.empty()) text = python_json(value);
  const std::size_t limit = codec::byte_offset(text, kPreviewCharacters);
  if (limit >= text.size()) return text;
  return text.substr(0, codec::byte_offset(text, kPreviewCharacters - 3)) + "...";
}

}  // namespace lakeloop::tracking
