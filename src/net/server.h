#pragma once

// An HTTP/1.1 server on Asio and llhttp. Connections are coroutines on one or two I/O threads; handlers are plain
// functions on a bounded pool. The server never buffers more than limits say: a slow reader stops its producer, a slow
// sender meets limits::kHeaderTimeout, a full pool answers 503 with Retry-After.
//
// Refused with 400 and the connection closed: Content-Length with Transfer-Encoding, repeated or malformed lengths,
// bare CR or LF, obs-fold, blanks before a colon, unknown transfer codings (request smuggling, RFC 9112 section 11.2).
// Bodies are accepted on every method, GET and DELETE included: official clients send them.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/deadline.h"
#include "net/http.h"

namespace lakeloop::net {

// Reads a request body piece by piece, on the handler's thread. `read` waits; an empty piece is the end.
// Throws kCancelled when the client is gone, kTooLarge past the route's limit, kDeadlineExceeded when it stalls.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  virtual std::string read() = 0;
};

// What a handler answers with. Exactly one of send() or start()...finish() is called; all calls come from the handler's
// thread and may wait for the reader (backpressure). A handler that returns without answering is our bug: 500.
class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;
  virtual void send(Response response) = 0;
  // Begins a chunked answer; `headers` without Content-Length.
  virtual void start(int status, Headers headers) = 0;
  // False when the client has left or takes nothing for limits::kWriteStallTimeout: stop producing.
  [[nodiscard]] virtual bool write(std::string_view bytes) = 0;
  // Ends the body at once (some clients wait for the last chunk).
  virtual void finish() = 0;
  [[nodiscard]] virtual bool started() const = 0;
};

// What the server asks before it reads a body.
struct BodyPolicy {
  std::size_t limit = 0;     // bytes; more is 413
  bool stream = false;       // hand the body to the handler as it comes
};

struct Handler {
  // Called on the I/O thread with method, path and headers only: must be quick.
  std::function<BodyPolicy(const Request&)> body_policy;
  // Called on the pool. `body` is null unless the policy said stream. Must not throw.
  std::function<void(Request&&, BodyReader* body, ResponseWriter&, const Deadline&)> handle;
};

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any free one
  std::size_t io_threads = 1;
  std::size_t handler_threads = 16;
  std::size_t handler_queue = 512;
};

class Server {
 public:
  // Binds at once; kUnavailable with the address when the port is taken.
  Server(ServerOptions options, Handler handler);
  ~Server();  // stop(0s)
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  // Graceful drain: accepts no more, answers what runs (idle connections close at once), cuts the rest after `grace`.
  void stop(std::chrono::milliseconds grace);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::net
