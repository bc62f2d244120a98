#pragma once

// Reads the chunks of an OpenAI chat stream and knows how it ended. Not thread-safe.

#include <functional>
#include <string>
#include <string_view>

#include "gateway/engine.h"
#include "gateway/tool_calls.h"

namespace lakeloop::gateway {

class ChatStream {
 public:
  // `on_chunk` (may be null) returns false to stop.
  explicit ChatStream(const std::function<bool(const ChatChunk&)>& on_chunk) : on_chunk_(on_chunk) {}

  // The data of one event. False when the caller wants no more. Throws kUpstream for what is no chunk, and the error
  // that the upstream reports inside the stream.
  bool event(std::string_view data);
  // A whole chat.completion, from a server that does not stream.
  bool completion(const Json& body);

  // Whether a piece went to the caller: then nothing may be retried.
  [[nodiscard]] bool started() const { return started_; }
  [[nodiscard]] bool stopped() const { return stopped_; }
  // Whether the upstream said how the answer ended; "[DONE]" is not needed for that.
  [[nodiscard]] bool finished() const { return !finish_reason_.empty(); }
  // Text, calls, finish reason, usage as far as they came.
  [[nodiscard]] ChatResult result() const;
  [[nodiscard]] bool has_usage() const { return usage_.is_object(); }

 private:
  bool give(ChatChunk chunk);
  void take_usage(const Json& chunk);

  const std::function<bool(const ChatChunk&)>& on_chunk_;
  ToolCallAssembler calls_;
  std::string content_, finish_reason_, model_;
  Json usage_;
  bool started_ = false, stopped_ = false;
};

// OpenAI's usage object; zeros where it says nothing.
Usage usage_of(const Json& usage);
// Where the upstream gives no usage: four characters a token.
Usage estimate_usage(const Json& request, const ChatResult& result);

}  // namespace lakeloop::gateway
