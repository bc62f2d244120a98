#include "chain/prompt.h"

#include <functional>

#include "base/text.h"

namespace lakeloop::chain {
namespace {

constexpr std::string_view kVariables[] = {"question", "context"};

// Calls `on_text` and `on_variable` in order; an unclosed {{ is text.
void scan(std::string_view text, const std::function<void(std::string_view)>& on_text,
          const std::function<void(std::string_view)>& on_variable) {
  for (;;) {
    const std::size_t open = text.find("{{");
    const std::size_t close = open == std::string_view::npos ? open : text.find("}}", open);
    if (close == std::string_view::npos) return on_text(text);
    on_text(text.substr(0, open));
    on_variable(trim(text.substr(open + 2, close - open - 2)));
    text.remove_prefix(close + 2);
  }
}

}  // namespace

std::string_view built_in_prompt() {
  // The plain formulation: rules and examples made small models worse when it was measured.
  return R"([{"role":"system","content":"Answer the question using only the context."},)"
         R"({"role":"user","content":"Context:\n{{context}}\n\nQuestion: {{question}}"}])";
}

Json parse_prompt(std::string_view text) {
  Json messages;
  if (trim(text).starts_with('[')) {
    messages = Json::parse(text);
  } else {
    messages = Json::array({Json::object({{"role", "user"}, {"content", text}})});
  }
  if (messages.size() == 0) throw Error(ErrorCode::kInvalidArgument, "the prompt has no message");
  for (const Json& message : messages.items()) {
    if (!message["role"].is_string() || !message["content"].is_string()) {
      throw Error(ErrorCode::kInvalidArgument, "every message of a prompt needs a role and a content that is text");
    }
    scan(
        message["content"].as_string(), [](std::string_view) {},
        [](std::string_view name) {
          for (const std::string_view known : kVariables) {
            if (known == name) return;
          }
          throw Error(ErrorCode::kInvalidArgument,
                      "the prompt uses the variable {{{{{}}}}}; a RAG chain knows question and context", name);
        });
  }
  return messages;
}

Json render_prompt(const Json& messages, const std::map<std::string, std::string, std::less<>>& values) {
  Json rendered = Json::array();
  for (const Json& message : messages.items()) {
    std::string content;
    scan(
        message["content"].as_string(), [&](std::string_view text) { content += text; },
        [&](std::string_view name) {
          const auto found = values.find(name);
          if (found != values.end()) content += found->second;
        });
    rendered.push_back(Json::object({{"role", message.str("role")}, {"content", std::move(content)}}));
  }
  return rendered;
}

}  // namespace lakeloop::chain
