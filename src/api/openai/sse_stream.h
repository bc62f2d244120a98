#pragma once

// A stream of server-sent events as an answer: begins with its first event, so that an error before it is an ordinary
// error answer; a heartbeat goes out while the producer is silent, since proxies and clients give up on quiet
// connections.

#include <condition_variable>
#include <mutex>
#include <thread>

#include "codec/json.h"
#include "net/server.h"

namespace lakeloop::api::openai {

class SseStream {
 public:
  explicit SseStream(net::ResponseWriter& writer);
  ~SseStream();
  SseStream(const SseStream&) = delete;
  SseStream& operator=(const SseStream&) = delete;

  [[nodiscard]] bool started() const { return started_; }
  // False when the client has left.
  [[nodiscard]] bool send(const Json& event);
  // "data: [DONE]" and the end of the body.
  void done();
  // An error inside the stream, then its end.
  void fail(const Json& error);

 private:
  bool write(std::string_view bytes);
  void beat(const std::stop_token& stopped);

  net::ResponseWriter& writer_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  bool started_ = false, open_ = true;
  Steady::time_point last_;
  std::jthread heart_;
};

}  // namespace lakeloop::api::openai
