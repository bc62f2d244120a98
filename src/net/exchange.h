#pragma once

// One request and its answer: where the handler's thread and the connection's I/O thread meet. The handler sees it as
// BodyReader and ResponseWriter and waits in it; the I/O thread never waits. Buffers are bounded both ways by
// limits::kBodyBufferBytes and limits::kWriteBufferBytes (one piece of kPiece bytes may stand above the limit).
// Knows no socket: `wake` tells the I/O thread that there is something to do.

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/error.h"
#include "net/response_head.h"
#include "net/server.h"

namespace lakeloop::net {

class Exchange final : public BodyReader, public ResponseWriter {
 public:
  static constexpr std::size_t kPiece = 16 * 1024;

  struct Traits {
    bool http_1_1 = true;
    bool head_only = false;  // the request was HEAD
    bool keep_alive = true;  // as far as the request says
    bool streamed = false;   // the body comes through read()
  };
  // `deadline` is when the request ends by itself; its cancellation is ours.
  Exchange(Request request, Traits traits, Steady::time_point deadline, std::function<void()> wake);

  // --- the handler's thread
  // Runs the handler and makes sure that the exchange ends.
  void run(const Handler& handler);
  std::string read() override;
  void send(Response response) override;
  void start(int status, Headers headers) override;
  [[nodiscard]] bool write(std::string_view bytes) override;
  void finish() override;
  [[nodiscard]] bool started() const override;

  // --- the I/O thread
  struct Output {
    std::string bytes;  // heads and chunks
    std::string body;   // of an answer sent whole; follows `bytes`
    bool end = false;   // nothing follows
    bool cut = false;   // the handler gave up in the middle: close without the last chunk
  };
  // What is to be written now; counts as waiting until report_written().
  Output take_output();
  void report_written(std::size_t bytes);
  void push_body(std::string_view bytes);
  void end_body();
  void fail_body(Error error);
  [[nodiscard]] bool body_full() const;
  // True once: the handler waits for a body that the client holds back until it is asked (100-continue).
  [[nodiscard]] bool take_wants_body();
  // Whoever reads the answer is gone: cancels the handler's deadline, fails its calls.
  // `gone`: nothing can be sent any more; a handler that has not begun is not called then.
  void client_left(bool gone);
  // The answer must say that the connection closes after it, if its head is not yet written.
  void close_after();
  // What was said in the head, once there is one.
  [[nodiscard]] bool keeps_alive() const;

 private:
  void answer(Response response);
  bool decide_keep_alive(const Headers& headers);  // with the lock held
  void wait_for_room(std::unique_lock<std::mutex>& lock);

  Request request_;
  const Traits traits_;
  const Steady::time_point deadline_;
  const std::function<void()> wake_;
  std::stop_source stop_;
  std::atomic<bool> gone_ = false;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool left_ = false;

  std::string body_;
  bool body_ended_ = false;
  bool wants_body_ = false;
  std::optional<Error> body_error_;

  enum class Stage { kNone, kStreaming, kRefused, kEnded } stage_ = Stage::kNone;
  bool chunked_ = false;
  bool bodyless_ = false;
  bool keep_alive_;
  Output output_;
  std::size_t in_flight_ = 0;
};

}  // namespace lakeloop::net
