#pragma once

// HTTP messages as values (RFC 9110). Header names compare without case and are kept in lower case; nothing here checks
// what a value may hold: the server and the client refuse control characters when they write a head.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lakeloop::net {

enum class Method : std::uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions };
std::string_view to_string(Method method);
std::optional<Method> parse_method(std::string_view text);

class Headers {
 public:
  // First value, or empty.
  [[nodiscard]] std::string_view get(std::string_view name) const;
  [[nodiscard]] bool contains(std::string_view name) const;
  void add(std::string_view name, std::string_view value);
  void set(std::string_view name, std::string_view value);
  void erase(std::string_view name);
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& all() const { return items_; }

 private:
  std::vector<std::pair<std::string, std::string>> items_;
};

// The query part (without '?'), decoded once ('+' is a blank), order and repetitions kept. A broken escape stays as it
// is.
using Query = std::vector<std::pair<std::string, std::string>>;
Query parse_query(std::string_view raw);

struct Request {
  Method method = Method::kGet;
  std::string target;  // as received: "/a%20b?x=1"
  std::string path;    // raw path, not decoded: "/a%20b"
  Query query;
  Headers headers;
  std::string body;  // whole body, unless the route takes it as a stream
  std::string peer;  // "127.0.0.1:53412"
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;

  static Response json(int status, std::string body);
  static Response text(int status, std::string body);
};

std::string_view reason_phrase(int status);

}  // namespace lakeloop::net
