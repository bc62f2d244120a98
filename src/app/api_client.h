#pragma once

// The command line as a client of a server: where it is, with which token, and its answers as JSON or as an Error.

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "codec/json.h"
#include "net/client.h"

namespace lakeloop::app {

struct Connection {
  std::string url;  // --url, LAKELOOP_URL, or what DATA/server.json says
  std::string
      token_file;  // --token-file, LAKELOOP_TOKEN_FILE, or DATA/admin.token; LAKELOOP_TOKEN holds a token itself
  std::filesystem::path data = "data";
};

class ApiClient {
 public:
  explicit ApiClient(const Connection& connection);

  Json get(const std::string& path) { return call(net::Method::kGet, path, nullptr); }
  Json post(const std::string& path, const Json& body) { return call(net::Method::kPost, path, body); }
  Json call(net::Method method, const std::string& path, const Json& body);
  // Each `data:` event of a streamed answer.
  void stream(const std::string& path, const Json& body, const std::function<void(const Json&)>& on_event);
  // Waits for a task and draws its progress on a terminal; its result.
  Json wait_for_task(const std::string& task_id);
  [[nodiscard]] const std::string& url() const { return url_; }

 private:
  net::ClientRequest request(net::Method method, const std::string& path, const Json& body);

  net::Client client_;
  std::string url_, token_;
};

}  // namespace lakeloop::app
