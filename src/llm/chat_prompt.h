#pragma once

// Chat messages to tokens with the model's own template. libllama knows about fifty templates by their text and has no
// Jinja; another one is replaced by ChatML, and source() says so. What a message says is text and nothing else: control
// tokens written out in it ("<|im_end|>") are not read as such, so no message can forge another one.

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "llm/model.h"

namespace lakeloop::llm {

struct ChatMessage {
  std::string role, content;
};

class ChatPrompt {
 public:
  explicit ChatPrompt(const Model& model);

  // Ends where the assistant begins to speak.
  [[nodiscard]] std::vector<Token> tokens(const std::vector<ChatMessage>& messages) const;
  // "file", "chatml: the file has no template", "chatml: the file's template is not known to libllama".
  [[nodiscard]] const std::string& source() const { return source_; }

 private:
  [[nodiscard]] std::string apply(const std::vector<ChatMessage>& messages) const;
  [[nodiscard]] std::size_t control_token_at(std::string_view text, std::size_t position) const;

  const Model& model_;
  std::string template_;
  std::string source_;
  std::array<std::vector<std::string>, 256> control_texts_;  // by first byte, longest first
};

}  // namespace lakeloop::llm
