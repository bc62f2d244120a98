#pragma once

// Requests of the worker protocol, read from JSON and checked: what is unknown or out of range is refused by name.

#include <cstdint>
#include <string>
#include <vector>

#include "codec/json.h"
#include "llm/chat_prompt.h"
#include "llm/sampler.h"

namespace lakeloop::llm {

// Ops "chat" (messages) and "complete" (prompt).
struct GenerateOptions {
  std::vector<ChatMessage> messages;
  std::string prompt;
  bool raw = false;             // the prompt is given as it is, control tokens and all
  std::int64_t max_tokens = 0;  // 0: what the context leaves
  std::vector<std::string> stops;
  std::string adapter;
  bool stream = true;  // false: the whole text comes with the last frame
  SamplingOptions sampling;
};

// kInvalidArgument with the field as param().
GenerateOptions parse_generate(const Json& request);
// The strings under `key`; kInvalidArgument otherwise.
std::vector<std::string> parse_texts(const Json& request, std::string_view key);

}  // namespace lakeloop::llm
