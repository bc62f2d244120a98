#pragma once

// For tests of the server: a server around a handler, requests as text, and one question with its answer.

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>

#include "base/format.h"
#include "net/server.h"
#include "net/testing/raw_client.h"

namespace lakeloop::net::testing {

using Handle = std::function<void(Request&&, BodyReader*, ResponseWriter&, const Deadline&)>;

inline std::string get(const std::string& path, const std::string& headers = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n";
}
inline std::string post(const std::string& path, const std::string& body, const std::string& headers = "") {
  return "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers +
         "\r\n" + body;
}
inline std::string chunk(std::string_view bytes) {
  return lakeloop::format("{:x}\r\n", bytes.size()) + std::string(bytes) + "\r\n";
}

inline void echo(Request&& request, BodyReader*, ResponseWriter& out, const Deadline&) {
  out.send(Response::text(200, lakeloop::format("{} {} {}", to_string(request.method), request.path, request.body)));
}

// Paths under /stream/ take their body as it comes; a limit of 1000 bytes elsewhere.
inline BodyPolicy policy(const Request& request) {
  if (request.path.starts_with("/stream")) return {.limit = 100 * 1024 * 1024, .stream = true};
  if (request.path == "/large") return {.limit = 64 * 1024 * 1024};
  return {.limit = 1000};
}

inline Server serve(Handle handle, ServerOptions options = {}) {
  return {std::move(options), Handler{policy, std::move(handle)}};
}

inline RawAnswer ask(RawClient& client, const std::string& bytes, bool head = false) {
  EXPECT_TRUE(client.send(bytes));
  auto answer = client.read_answer(head);
  EXPECT_TRUE(answer) << bytes.substr(0, 60);
  return answer.value_or(RawAnswer{});
}

}  // namespace lakeloop::net::testing
