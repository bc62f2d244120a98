#include "app/api_client.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "app/data_folder.h"
#include "base/file.h"
#include "base/format.h"
#include "base/text.h"
#include "codec/encoding.h"
#include "codec/sse.h"

namespace lakeloop::app {
namespace {

constexpr auto kCallTime = std::chrono::minutes(10);

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

[[noreturn]] void throw_answer(const net::Response& response) {
  const Json body = Json::try_parse(response.body).value_or(Json());
  if (body["error"].is_object()) {
    throw Error(ErrorCode::kUpstream, "{}", body["error"].str("message"));
  }
  if (body.contains("message"))
    throw Error(ErrorCode::kUpstream, "{} ({})", body.str("message"), body.str("error_code"));
  throw Error(ErrorCode::kUpstream, "the server answered {}: {}", response.status, response.body.substr(0, 500));
}

class ProgressLine {
 public:
  ~ProgressLine() {
    if (drawn_) std::fprintf(stderr, "\r\033[K");
  }
  void draw(const Json& status) {
    if (isatty(STDERR_FILENO) == 0) return;
    const std::int64_t done = status["done"].int_or(0), total = status["total"].int_or(0);
    const double seconds = std::chrono::duration<double>(Steady::now() - begin_).count();
    std::string line = status.str("what").substr(0, 50);
    if (total > 0) {
      line += lakeloop::format("  {} of {}", done, total);
      if (done > 0 && seconds > 1) {
        const double rate = static_cast<double>(done) / seconds;
        line += lakeloop::format("  {:.0f}/s  {:.0f} s left", rate, static_cast<double>(total - done) / rate);
      }
    }
    std::fprintf(stderr, "\r\033[K  %s", line.c_str());
    std::fflush(stderr);
    drawn_ = true;
  }

 private:
  Steady::time_point begin_ = Steady::now();
  bool drawn_ = false;
};

}  // namespace

ApiClient::ApiClient(const Connection& connection) : url_(connection.url) {
  if (url_.empty()) url_ = environment("LAKELOOP_URL");
  if (url_.empty()) {
    const std::filesystem::path file = connection.data / kServerFile;
    if (!std::filesystem::exists(file)) {
      throw Error(ErrorCode::kNotFound,
                  "no server found: {} is missing; start `lakeloop server --data {}`, or give --url", file.string(),
                  connection.data.string());
    }
    url_ = Json::parse(read_file(file, 4096)).str("url");
  }
  while (url_.ends_with('/')) url_.pop_back();
  token_ = environment("LAKELOOP_TOKEN");
  if (token_.empty()) {
    std::filesystem::path file =
        connection.token_file.empty() ? environment("LAKELOOP_TOKEN_FILE") : connection.token_file;
    if (file.empty()) file = connection.data / kTokenFile;
    token_ = trim(read_file(file, 4096));
  }
}

net::ClientRequest ApiClient::request(net::Method method, const std::string& path, const Json& body) {
  net::ClientRequest request;
  request.method = method;
  request.url = url_ + path;
  request.headers.set("authorization", "Bearer " + token_);
  if (!body.is_null()) {
    request.headers.set("content-type", "application/json");
    request.body = body.dump();
  }
  request.stall_timeout = std::chrono::minutes(5);
  request.policy = net::OutboundPolicy::kAllowPrivate;
  return request;
}

Json ApiClient::call(net::Method method, const std::string& path, const Json& body) {
  const net::Response response = client_.fetch(request(method, path, body), Deadline::after(kCallTime));
  if (response.status >= 400) throw_answer(response);
  if (trim(response.body).empty()) return Json::object();
  return Json::parse(response.body);
}

void ApiClient::stream(const std::string& path, const Json& body, const std::function<void(const Json&)>& on_event) {
  net::Response failed;
  codec::SseParser parser([&](codec::SseEvent event) {
    if (event.data == "[DONE]") return;
    on_event(Json::parse(event.data));
  });
  client_.stream(
      request(net::Method::kPost, path, body), Deadline::after(kCallTime),
      [&](const net::Response& head) {
        failed.status = head.status;
        return true;
      },
      [&](std::string_view bytes) {
        if (failed.status >= 400) {
          failed.body += bytes;
        } else {
          parser.feed(bytes);
        }
        return true;
      });
  if (failed.status >= 400) throw_answer(failed);
}

Json ApiClient::wait_for_task(const std::string& task_id) {
  ProgressLine progress;
  std::chrono::milliseconds pause(20);
  for (;;) {
    const Json status = get("/api/2.0/lakeloop/tasks/" + codec::percent_encode(task_id));
    const std::string state = status.str("state");
    if (state == "SUCCEEDED") return status["result"];
    if (state == "FAILED" || state == "CANCELLED") {
      throw Error(ErrorCode::kUpstream, "{}", status["error"].str("message", "the task was cancelled"));
    }
    progress.draw(status);
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(250));
  }
}

}  // namespace lakeloop::app
