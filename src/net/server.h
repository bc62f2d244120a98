#pragma once

// An HTTP/1.1 server on Asio and llhttp. Connections are coroutines on one or two I/O threads; handlers are plain
// functions on a bounded pool. The server never buffers more than limits say: a slow reader stops its producer, a slow
// sender meets limits::kHeaderTimeout, a full pool answers 503 with Retry-After.
//
// A client that closes its side (EOF) while its last request is answered has left: the handler's deadline is cancelled
// and write() returns false, though an answer that is sent whole is still tried. Requests that were pipelined before
// the EOF are answered first.
//
// Refused with 400 and the connection closed: Content-Length with Transfer-Encoding, repeated or malformed lengths,
// bare CR or LF, obs-fold, blanks before a colon, unknown transfer codings (request smuggling, RFC 9112 section 11.2).
// Bodies are accepted on every method, GET and DELETE included: official clients send them.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/deadline.h"
#include "base/limits.h"
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
// thread and may wait for the reader (backpressure). A handler that returns without answering is our bug: 500. One that
// returns after start() without finish() gave up: the connection is cut, so that the client sees a truncated body.
// Header values with CR, LF, NUL or other control characters are refused: the client gets a 500 instead. The headers
// that belong to the connection (Content-Length, Transfer-Encoding, Date, Server) are the server's; "Connection: close"
// is heeded; Content-Length of an answer to HEAD is heeded when there is no body to measure.
class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;
  // Does not wait: the I/O thread writes it out, or drops the connection when the reader takes nothing.
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
  std::size_t limit = 0;  // bytes; more is 413
  bool stream = false;    // hand the body to the handler as it comes
};

struct Handler {
  // Called on the I/O thread with method, path and headers only: must be quick. Without one: limits::kRequestBodyBytes.
  std::function<BodyPolicy(const Request&)> body_policy;
  // Called on the pool. `body` is null unless the policy said stream. Must not throw. The deadline's cancellation comes
  // on the I/O thread: what a stop_callback does there must be quick.
  std::function<void(Request&&, BodyReader* body, ResponseWriter&, const Deadline&)> handle;
};

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any free one
  std::size_t io_threads = 1;
  // A streamed answer holds its thread to the end.
  std::size_t handler_threads = limits::kHandlerThreads;
  std::size_t handler_queue = limits::kHandlerQueue;
  std::size_t connections = limits::kConnections;
  std::chrono::milliseconds header_timeout = limits::kHeaderTimeout;
  std::chrono::milliseconds body_stall_timeout = limits::kBodyStallTimeout;
  std::chrono::milliseconds keep_alive_timeout = limits::kKeepAliveTimeout;
  std::chrono::milliseconds write_stall_timeout = limits::kWriteStallTimeout;
  std::chrono::milliseconds linger_timeout = limits::kLingerTimeout;
  std::chrono::milliseconds request_deadline = limits::kRequestDeadline;  // of the Deadline that the handler gets
};

class Server {
 public:
  // Binds at once; kUnavailable with the address when the port is taken. `host` is an address or a name.
  Server(ServerOptions options, Handler handler);
  ~Server();  // stop(0s)
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  // Graceful drain: accepts no more, answers what runs (idle connections close at once), cuts the rest after `grace`,
  // then waits for the handlers that still run. Not from a handler. A second call returns when the first has.
  void stop(std::chrono::milliseconds grace);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::net
