#include "llm/chat_prompt.h"

#include <llama.h>

#include <algorithm>

#include "base/error.h"
#include "base/id.h"

namespace lakeloop::llm {

ChatPrompt::ChatPrompt(const Model& model) : model_(model), template_(model.chat_template()), source_("file") {
  if (template_.empty()) {
    template_ = "chatml";
    source_ = "chatml: the file has no template";
  } else {
    const llama_chat_message probe{"user", "a"};
    if (llama_chat_apply_template(template_.c_str(), &probe, 1, true, nullptr, 0) < 0) {
      template_ = "chatml";
      source_ = "chatml: the file's template is not known to libllama";
    }
  }
  const llama_vocab* vocabulary = model.vocabulary();
  for (Token token = 0; token < llama_vocab_n_tokens(vocabulary); ++token) {
    const auto attributes = llama_vocab_get_attr(vocabulary, token);
    if ((attributes & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN)) == 0) continue;
    const char* text = llama_vocab_get_text(vocabulary, token);
    if (text == nullptr || *text == '\0') continue;
    control_texts_[static_cast<unsigned char>(*text)].emplace_back(text);
  }
  for (auto& texts : control_texts_) std::ranges::sort(texts, std::ranges::greater{}, &std::string::size);
}

std::size_t ChatPrompt::control_token_at(std::string_view text, std::size_t position) const {
  for (const std::string& candidate : control_texts_[static_cast<unsigned char>(text[position])]) {
    if (text.substr(position).starts_with(candidate)) return candidate.size();
  }
  return 0;
}

std::string ChatPrompt::apply(const std::vector<ChatMessage>& messages) const {
  std::vector<llama_chat_message> plain;
  std::size_t size = 256;
  for (const ChatMessage& message : messages) {
    plain.push_back({message.role.c_str(), message.content.c_str()});
    size += message.content.size() + message.role.size() + 64;
  }
  std::string text(size, '\0');
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto written = llama_chat_apply_template(template_.c_str(), plain.data(), plain.size(), true, text.data(),
                                                   static_cast<std::int32_t>(text.size()));
    if (written < 0) throw Error(ErrorCode::kInternal, "the chat template could not be applied");
    const bool fits = static_cast<std::size_t>(written) <= text.size();
    text.resize(static_cast<std::size_t>(written));
    if (fits) break;
  }
  return text;
}

std::vector<Token> ChatPrompt::tokens(const std::vector<ChatMessage>& messages) const {
  // A control token's text inside a message is taken out before templating and put back as plain text afterwards. A
  // prompt without any is tokenized in one piece, exactly as the model was trained.
  std::string mark;
  std::vector<std::string> taken;
  std::vector<ChatMessage> safe = messages;
  for (ChatMessage& message : safe) {
    std::string content;
    std::size_t copied = 0;
    for (std::size_t i = 0; i < message.content.size();) {
      const std::size_t length = control_token_at(message.content, i);
      if (length == 0) {
        ++i;
        continue;
      }
      if (mark.empty()) mark = "\x02" + random_hex(16) + "\x03";
      content.append(message.content, copied, i - copied).append(mark);
      taken.push_back(message.content.substr(i, length));
      copied = i += length;
    }
    if (copied > 0) message.content = content.append(message.content, copied);
  }
  const std::string text = apply(safe);
  if (taken.empty()) return model_.tokenize(text, true, true);

  std::vector<Token> tokens;
  const auto append = [&](std::string_view piece, bool first, bool special) {
    if (piece.empty() && !first) return;
    const auto more = model_.tokenize(piece, first, special);
    tokens.insert(tokens.end(), more.begin(), more.end());
  };
  std::size_t from = 0;
  std::size_t next = 0;
  for (std::size_t at = text.find(mark); at != std::string::npos && next < taken.size(); at = text.find(mark, from)) {
    append(std::string_view(text).substr(from, at - from), from == 0, true);
    append(taken[next++], false, false);
    from = at + mark.size();
  }
  append(std::string_view(text).substr(from), from == 0, true);
  return tokens;
}

}  // namespace lakeloop::llm
