#include "gateway/chat_stream.h"

#include "base/error.h"
#include "base/limits.h"
#include "codec/unicode.h"
#include "gateway/upstream_error.h"

namespace lakeloop::gateway {

namespace {

// A string, or Mistral's list of parts.
std::string text_of(const Json& content) {
  if (!content.is_array()) return content.string_or("");
  std::string text;
  for (const Json& part : content.items()) text += part.str("text");
  return text;
}

std::int64_t estimate(std::string_view text) {
  return static_cast<std::int64_t>((codec::count_code_points(text) + 3) / 4);
}

}  // namespace

bool ChatStream::give(ChatChunk chunk) {
  started_ = true;
  content_ += chunk.content;
  if (content_.size() > limits::kAnswerBytes)
    throw Error(ErrorCode::kUpstream, "the provider sent more than {} bytes of text", limits::kAnswerBytes);
  if (on_chunk_ && !on_chunk_(chunk)) stopped_ = true;
  return !stopped_;
}

void ChatStream::take_usage(const Json& chunk) {
  if (chunk["usage"].is_object()) {
    usage_ = chunk["usage"];
  } else if (chunk["x_groq"]["usage"].is_object()) {
    usage_ = chunk["x_groq"]["usage"];
  }
  if (model_.empty()) model_ = chunk.str("model");
}

bool ChatStream::event(std::string_view data) {
  if (stopped_) return false;
  if (data == "[DONE]") return true;
  const auto chunk = Json::try_parse(data);
  if (!chunk || !chunk->is_object())
    throw Error(ErrorCode::kUpstream, "the provider sent an event that is no JSON object");
  if (const Json& error = (*chunk)["error"]; !error.is_null()) throw error_in_stream(error);
  take_usage(*chunk);
  const Json& choices = (*chunk)["choices"];
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const Json& choice = choices.at(i);
    if (choice["index"].int_or(0) != 0) continue;
    const Json& delta = choice["delta"];
    ChatChunk piece;
    piece.content = text_of(delta["content"]) + delta.str("refusal");
    piece.tool_calls = calls_.feed(delta["tool_calls"]);
    std::string reason = choice.str("finish_reason");
    const bool ends = !reason.empty() && finish_reason_.empty();
    if (ends) {
      if (reason == "stop" && calls_.any()) reason = "tool_calls";  // some servers say stop for both
      finish_reason_ = piece.finish_reason = reason;
      if (const Json late = calls_.finish(); !late.is_null()) {
        for (const Json& item : late.items()) piece.tool_calls.push_back(item);
      }
    }
    if (piece.content.empty() && piece.tool_calls.is_null() && !ends) continue;
    if (!give(std::move(piece))) return false;
  }
  return true;
}

bool ChatStream::completion(const Json& body) {
  if (const Json& error = body["error"]; !error.is_null()) throw error_in_stream(error);
  take_usage(body);
  if (body["choices"].size() == 0) throw Error(ErrorCode::kUpstream, "the provider sent an answer without choices");
  const Json& choice = body["choices"].at(0);
  const Json& message = choice["message"];
  ChatChunk piece;
  piece.content = text_of(message["content"]) + message.str("refusal");
  piece.tool_calls = calls_.feed(message["tool_calls"]);
  if (const Json late = calls_.finish(); !late.is_null()) {
    for (const Json& item : late.items()) piece.tool_calls.push_back(item);
  }
  finish_reason_ = choice.str("finish_reason");
  if (finish_reason_ == "stop" && calls_.any()) finish_reason_ = "tool_calls";
  piece.finish_reason = finish_reason_;
  return give(std::move(piece));
}

ChatResult ChatStream::result() const {
  ChatResult result;
  result.content = content_;
  result.tool_calls = calls_.calls();
  result.finish_reason = stopped_ ? std::string() : finish_reason_;
  result.model = model_;
  if (usage_.is_object()) result.usage = usage_of(usage_);
  return result;
}

Usage usage_of(const Json& usage) {
  Usage out;
  out.prompt_tokens = usage["prompt_tokens"].int_or(0);
  out.completion_tokens = usage["completion_tokens"].int_or(0);
  out.cached_tokens = usage["prompt_tokens_details"]["cached_tokens"].int_or(0);
  out.raw = usage;
  return out;
}

Usage estimate_usage(const Json& request, const ChatResult& result) {
  Usage usage;
  usage.estimated = true;
  const Json& messages = request["messages"];
  for (std::size_t i = 0; i < messages.size(); ++i)
    usage.prompt_tokens += 4 + estimate(text_of(messages.at(i)["content"]));
  usage.completion_tokens = estimate(result.content);
  if (!result.tool_calls.is_null()) usage.completion_tokens += estimate(result.tool_calls.dump());
  return usage;
}

}  // namespace lakeloop::gateway
