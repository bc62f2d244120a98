#pragma once

// A prompt as a chat template: messages with {{variables}}, as MLflow's prompt registry holds them. A text prompt is
// one user message. Unknown variables are refused when the prompt is loaded, so that no answer is made from a broken
// one.

#include <map>
#include <string>
#include <string_view>

#include "codec/json.h"

namespace lakeloop::chain {

// `text`: JSON list of {role, content} or plain text. kInvalidArgument names an unknown variable.
Json parse_prompt(std::string_view text);
// Messages with every {{variable}} replaced; values are not looked into again.
Json render_prompt(const Json& messages, const std::map<std::string, std::string, std::less<>>& values);

// Used where a chain names no prompt. Variables: question, context.
std::string_view built_in_prompt();

}  // namespace lakeloop::chain
