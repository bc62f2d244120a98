#include "llm/request.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "base/error.h"
#include "base/limits.h"

namespace lakeloop::llm {

namespace {

Error refuse(std::string_view field, std::string_view rule) {
  return Error(ErrorCode::kInvalidArgument, "{} {}", field, rule).with_param(std::string(field));
}

Error too_many(std::string_view field, std::size_t size, std::size_t limit) {
  return Error(ErrorCode::kInvalidArgument, "{} is too large: {}, the limit is {}", field, size, limit)
      .with_param(std::string(field));
}

double number(const Json& request, std::string_view field, double fallback, double lowest, double highest) {
  const Json& value = request[field];
  if (value.is_null()) return fallback;
  if (!value.is_number() || !std::isfinite(value.as_double()) || value.as_double() < lowest ||
      value.as_double() > highest) {
    throw Error(ErrorCode::kInvalidArgument, "{} must be a number from {} to {}", field, lowest, highest)
        .with_param(std::string(field));
  }
  return value.as_double();
}

std::int64_t whole(const Json& request, std::string_view field, std::int64_t fallback, std::int64_t lowest,
                   std::int64_t highest) {
  const Json& value = request[field];
  if (value.is_null()) return fallback;
  if (!value.is_int() || value.as_int() < lowest || value.as_int() > highest) {
    throw Error(ErrorCode::kInvalidArgument, "{} must be a whole number from {} to {}", field, lowest, highest)
        .with_param(std::string(field));
  }
  return value.as_int();
}

std::string text(const Json& request, std::string_view field) {
  const Json& value = request[field];
  if (value.is_null()) return {};
  if (!value.is_string()) throw refuse(field, "must be a string");
  return value.as_string();
}

std::vector<ChatMessage> messages_of(const Json& request) {
  const Json& list = request["messages"];
  if (!list.is_array() || list.size() == 0) throw refuse("messages", "must be a list of at least one message");
  if (list.size() > limits::kModelMessages) throw too_many("messages", list.size(), limits::kModelMessages);
  std::vector<ChatMessage> messages;
  for (const Json& item : list.items()) {
    const std::string role = item.str("role");
    if (role != "system" && role != "user" && role != "assistant") {
      throw refuse("messages", "may have the roles system, user and assistant");
    }
    const Json& content = item["content"];
    if (!content.is_string()) throw refuse("messages", "must have a string as content");
    messages.push_back({role, content.as_string()});
    std::erase(messages.back().content, '\0');  // libllama takes C strings
  }
  return messages;
}

std::vector<std::string> stops_of(const Json& request) {
  const Json& value = request["stop"];
  std::vector<std::string> stops;
  if (value.is_null()) return stops;
  if (value.is_string()) {
    stops.push_back(value.as_string());
  } else {
    stops = parse_texts(request, "stop");
  }
  if (stops.size() > limits::kModelStops) throw too_many("stop", stops.size(), limits::kModelStops);
  for (const std::string& stop : stops) {
    if (stop.empty()) throw refuse("stop", "must not contain an empty string");
    if (stop.size() > limits::kModelStopBytes) throw too_many("stop", stop.size(), limits::kModelStopBytes);
  }
  return stops;
}

}  // namespace

std::vector<std::string> parse_texts(const Json& request, std::string_view key) {
  const Json& list = request[key];
  if (!list.is_array()) throw refuse(key, "must be a list of strings");
  std::vector<std::string> texts;
  texts.reserve(list.size());
  for (const Json& item : list.items()) {
    if (!item.is_string()) throw refuse(key, "must be a list of strings");
    texts.push_back(item.as_string());
  }
  return texts;
}

GenerateOptions parse_generate(const Json& request) {
  static constexpr std::array<std::string_view, 17> kKnown = {
      "op",   "messages",          "prompt",           "max_tokens", "temperature", "top_p",   "top_k",  "min_p",
      "seed", "frequency_penalty", "presence_penalty", "stop",       "grammar",     "adapter", "stream", "logprobs",
      "n"};
  for (const auto& [key, value] : request.members()) {
    if (std::ranges::find(kKnown, key) == kKnown.end()) throw refuse(key, "is not a field of this request");
  }
  if (request["logprobs"].bool_or(!request["logprobs"].is_null()))
    throw refuse("logprobs", "is not supported by this engine");
  if (request["n"].int_or(1) != 1) throw refuse("n", "must be 1 for this engine");

  GenerateOptions options;
  options.raw = request.str("op") == "complete";
  if (options.raw) {
    if (!request["prompt"].is_string()) throw refuse("prompt", "must be a string");
    options.prompt = request["prompt"].as_string();
  } else {
    options.messages = messages_of(request);
  }
  options.max_tokens = whole(request, "max_tokens", 0, 1, std::int64_t{1} << 31);
  options.stops = stops_of(request);
  options.adapter = text(request, "adapter");
  options.stream = request["stream"].bool_or(true);

  SamplingOptions& sampling = options.sampling;
  sampling.temperature = number(request, "temperature", sampling.temperature, 0, 5);
  sampling.top_p = number(request, "top_p", sampling.top_p, 0, 1);
  sampling.min_p = number(request, "min_p", sampling.min_p, 0, 1);
  sampling.top_k = static_cast<std::int32_t>(whole(request, "top_k", sampling.top_k, 0, 1 << 20));
  sampling.frequency_penalty = number(request, "frequency_penalty", 0, -2, 2);
  sampling.presence_penalty = number(request, "presence_penalty", 0, -2, 2);
  const Json& seed = request["seed"];
  if (!seed.is_null() && !seed.is_int()) throw refuse("seed", "must be a whole number");
  sampling.seed = seed.is_null() ? std::random_device{}() : static_cast<std::uint32_t>(seed.as_int());
  sampling.grammar = text(request, "grammar");
  if (sampling.grammar.size() > limits::kGrammarBytes)
    throw too_many("grammar", sampling.grammar.size(), limits::kGrammarBytes);
  return options;
}

}  // namespace lakeloop::llm
