#pragma once

// Outbound HTTP on libcurl. Thread-safe; calls wait on the caller's thread, transfers run on one loop thread with
// connection reuse. Every call has a deadline and stops at once when it is cancelled (the connection is cut).
// Redirects are not followed unless asked, and never across hosts: such a redirect is the result. Bodies are not
// decompressed.
//
// Proxies of the environment (http_proxy, https_proxy, all_proxy, no_proxy; never for loopback) are honoured. A proxy
// resolves the name by itself, so the guard checks what the name resolves to here; a name that does not resolve here is
// refused under kPublicOnly. This look-up may outlast the deadline by the resolver's own timeout.

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/deadline.h"
#include "net/http.h"
#include "net/outbound_guard.h"

namespace lakeloop::net {

struct ClientRequest {
  Method method = Method::kGet;
  std::string url;
  Headers headers;
  std::string body;
  std::string unix_socket;  // when set: connect here instead of to the URL's host
  bool follow_redirects = false;
  std::size_t response_limit = 64 * 1024 * 1024;  // bytes of the body, streamed or not; more is kUpstream
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::milliseconds stall_timeout{60000};  // no byte for so long ends the call
  OutboundPolicy policy = OutboundPolicy::kPublicOnly;
};

class Client {
 public:
  Client();
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Network failures throw: kUpstream (refused, reset, TLS, truncated body, stalled), kDeadlineExceeded, kCancelled,
  // kPermissionDenied (the guard), kUnavailable (limits::kClientTransfers). A request that cannot be sent is
  // kInvalidArgument. A status of 4xx or 5xx is a result.
  Response fetch(ClientRequest request, const Deadline& deadline);

  // Streams the body: `on_headers` first, then `on_data` for each piece on the caller's thread; while it runs, the
  // transfer is paused (bounded buffer). Returning false cancels the transfer. Returns after the last piece.
  // A body that ends before its length or last chunk throws kUpstream after the pieces that came.
  void stream(ClientRequest request, const Deadline& deadline,
              const std::function<bool(const Response& head)>& on_headers,
              const std::function<bool(std::string_view)>& on_data);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::net
