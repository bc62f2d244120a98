#include "net/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <semaphore>

#include "base/format.h"
#include "net/testing/echo_server.h"
#include "net/testing/raw_client.h"
#include "net/testing/request_cases.h"

namespace lakeloop::net {
namespace {

using namespace std::chrono_literals;
using testing::ask;
using testing::chunk;
using testing::echo;
using testing::eventually;
using testing::get;
using testing::post;
using testing::RawAnswer;
using testing::RawClient;
using testing::serve;

TEST(ServerLimits, LimitsHaveTheirStatuses) {
  Server server = serve(echo);
  const auto status = [&](const std::string& bytes) {
    RawClient client(server.port());
    const RawAnswer answer = ask(client, bytes);
    EXPECT_EQ(answer.header("connection"), "close");
    EXPECT_THAT(answer.body, ::testing::HasSubstr("error_code"));
    EXPECT_TRUE(client.at_end());
    return answer.status;
  };
  EXPECT_EQ(status(get("/" + std::string(limits::kRequestTargetBytes, 'a'))), 414);
  EXPECT_EQ(status(get("/", "X: " + std::string(limits::kRequestHeaderBytes, 'a') + "\r\n")), 431);
  std::string many;
  for (std::size_t i = 0; i < limits::kRequestHeaderCount; ++i) many += "X: y\r\n";
  EXPECT_EQ(status(get("/", many)), 431);
  EXPECT_EQ(status(post("/", std::string(1001, 'x'))), 413);
  EXPECT_EQ(status("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(std::string(600, 'x')) +
                   chunk(std::string(600, 'x'))),
            413);
  EXPECT_EQ(status("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
  EXPECT_EQ(status("BREW / HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(status("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), 505);
}

TEST(ServerLimits, AnAnswerToALargeRefusedBodyIsSeen) {
  Server server = serve(echo);
  RawClient client(server.port());
  // More than the socket buffers hold: the server must read on while it says no.
  std::thread sender([&] { client.send(post("/", std::string(20 * 1024 * 1024, 'x'))); });
  const auto answer = client.read_answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 413);
  client.half_close();
  sender.join();
}

TEST(ServerLimits, ErrorsOfAStreamedBodyReachTheHandler) {
  std::promise<ErrorCode> seen;
  std::atomic<int> running = 0;
  const auto handle = [&](Request&&, BodyReader* body, ResponseWriter& out, const Deadline&) {
    ++running;
    try {
      while (!body->read().empty()) {
      }
      out.send(Response::text(200, ""));
    } catch (const Error& error) {
      seen.set_value(error.code());
      out.send(Response::text(error.code() == ErrorCode::kTooLarge ? 413 : 400, ""));
    }
  };
  ServerOptions options;
  options.body_stall_timeout = 50ms;
  Server server = serve(handle, options);
  const auto code = [&] {
    auto future = seen.get_future();
    const bool ready = future.wait_for(30s) == std::future_status::ready;
    const ErrorCode result = ready ? future.get() : ErrorCode::kInternal;
    seen = {};
    return result;
  };
  const std::string chunked = "PUT /stream/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  {
    RawClient client(server.port());
    EXPECT_EQ(ask(client, chunked + "3\r\nabc\r\nzz\r\n").status, 400);
    EXPECT_EQ(code(), ErrorCode::kMalformedRequest);
    EXPECT_TRUE(client.at_end());
  }
  {
    RawClient client(server.port());
    EXPECT_EQ(ask(client, chunked + "3\r\nabc\r\n").status, 400);
    EXPECT_EQ(code(), ErrorCode::kDeadlineExceeded);
    EXPECT_TRUE(client.at_end());
  }
  {
    RawClient client(server.port());
    ASSERT_TRUE(client.send(chunked + "3\r\nabc\r\n"));
    ASSERT_TRUE(eventually([&] { return running == 3; }));
    client.close();
    EXPECT_EQ(code(), ErrorCode::kCancelled);
  }
}

TEST(ServerLimits, AStreamedBodyHasItsLimit) {
  std::atomic<std::size_t> received = 0;
  Server server({}, {[](const Request&) { return BodyPolicy{.limit = 100'000, .stream = true}; },
                     [&](Request&&, BodyReader* body, ResponseWriter& out, const Deadline&) {
                       try {
                         for (std::string piece; !(piece = body->read()).empty();) received += piece.size();
                         out.send(Response::text(200, ""));
                       } catch (const Error& error) {
                         out.send(Response::text(error.code() == ErrorCode::kTooLarge ? 413 : 400, ""));
                       }
                     }});
  RawClient client(server.port());
  std::string bytes = "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 11; ++i) bytes += chunk(std::string(10'000, 'x'));
  EXPECT_EQ(ask(client, bytes).status, 413);
  EXPECT_LE(received.load(), 100'000u);
  RawClient known(server.port());
  EXPECT_EQ(ask(known, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 100001\r\n\r\n").status, 413);
}

TEST(ServerLimits, SlowSendersMeetTheirTimeouts) {
  ServerOptions options;
  options.header_timeout = 60ms;
  options.body_stall_timeout = 60ms;
  options.keep_alive_timeout = 60ms;
  Server server = serve(echo, options);
  const auto trickle = [&](RawClient& client, std::string_view bytes) {
    for (const char c : bytes) {
      if (!client.send(std::string_view(&c, 1)) || client.fill(5ms)) return;
    }
  };
  RawClient silent(server.port());
  EXPECT_TRUE(silent.at_end());
  RawClient loris(server.port());
  trickle(loris, get("/", "X: " + std::string(10'000, 'a')));
  ASSERT_EQ(loris.read_answer()->status, 408);
  EXPECT_TRUE(loris.at_end());
  RawClient body(server.port());
  EXPECT_EQ(ask(body, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc").status, 408);
  EXPECT_TRUE(body.at_end());
  // One byte now and then is no progress either.
  RawClient dripping(server.port());
  ASSERT_TRUE(dripping.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999\r\n\r\n"));
  trickle(dripping, std::string(998, 'a'));
  EXPECT_EQ(dripping.read_answer()->status, 408);
  RawClient idle(server.port());
  EXPECT_EQ(ask(idle, get("/")).status, 200);
  EXPECT_TRUE(idle.at_end());
}

TEST(ServerLimits, AFullPoolAnswers503) {
  std::counting_semaphore<> release(0);
  std::atomic<int> running = 0;
  ServerOptions options;
  options.handler_threads = 1;
  options.handler_queue = 1;
  Server server = serve(
      [&](Request&&, BodyReader*, ResponseWriter& out, const Deadline&) {
        ++running;
        release.acquire();
        out.send(Response::text(200, "done"));
      },
      options);
  RawClient first(server.port()), second(server.port()), third(server.port());
  ASSERT_TRUE(first.send(get("/")));
  ASSERT_TRUE(eventually([&] { return running == 1; }));
  ASSERT_TRUE(second.send(get("/")));
  // One of the two is queued, the other is turned away and may come again on its connection.
  ASSERT_TRUE(third.send(get("/")));
  ASSERT_TRUE(eventually([&] { return second.fill(1ms) || third.fill(1ms); }));
  RawClient& refused = second.buffered() ? second : third;
  RawClient& queued = second.buffered() ? third : second;
  const auto answer = refused.read_answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 503);
  EXPECT_EQ(answer->header("retry-after"), "1");
  release.release(3);
  EXPECT_EQ(first.read_answer()->body, "done");
  EXPECT_EQ(queued.read_answer()->body, "done");
  EXPECT_EQ(ask(refused, get("/")).body, "done");
}

TEST(ServerLimits, TheNumberOfConnectionsIsLimited) {
  ServerOptions options;
  options.connections = 2;
  Server server = serve(echo, options);
  RawClient first(server.port());
  {
    RawClient second(server.port());
    EXPECT_EQ(ask(first, get("/")).status, 200);
    EXPECT_EQ(ask(second, get("/")).status, 200);
    RawClient third(server.port());
    const auto answer = third.read_answer();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 503);
    EXPECT_EQ(answer->header("retry-after"), "1");
  }
  EXPECT_TRUE(eventually([&] {
    RawClient again(server.port());
    if (!again.send(get("/"))) return false;
    const auto answer = again.read_answer();
    return answer && answer->status == 200;
  }));
}

// The table of the parser through a socket: what follows a refusal is never taken for a request, and the pieces in
// which the bytes come make no difference.
TEST(ServerLimits, NoRequestIsSmuggled) {
  std::mutex mutex;
  std::vector<std::string> reached;
  Server server = serve([&](Request&& request, BodyReader*, ResponseWriter& out, const Deadline&) {
    {
      const std::lock_guard lock(mutex);
      reached.push_back(request.path);
    }
    out.send(Response::text(200, request.target + " body=" + request.body));
  });
  const auto talk = [&](const std::string& bytes, bool byte_by_byte) {
    RawClient client(server.port());
    for (std::size_t at = 0, step = byte_by_byte ? 1 : bytes.size(); at < bytes.size(); at += step) {
      if (!client.send(std::string_view(bytes).substr(at, step))) break;
    }
    client.half_close();
    std::string got;
    while (const auto answer = client.read_answer(bytes.starts_with("HEAD"))) {
      got += lakeloop::format("{} {};", answer->status,
                              answer->status == 200 ? answer->body : answer->header("connection"));
    }
    return got;
  };
  for (const testing::RequestCase& c : testing::request_cases()) {
    // A request hides behind each case.
    const bool refused = c.expected.contains("failed");
    const bool unfinished = c.expected.contains("unfinished");
    const std::string bytes = unfinished ? c.bytes : c.bytes + get("/hidden");
    const std::string got = talk(bytes, false);
    EXPECT_EQ(talk(bytes, true), got) << c.name;
    if (refused) {
      EXPECT_EQ(got, c.expected.substr(c.expected.find("failed ") + 7) + " close;") << c.name;
    } else if (!unfinished) {
      EXPECT_EQ(got.contains("/hidden"), !c.expected.contains(" close")) << c.name << got;
    }
    const std::lock_guard lock(mutex);
    if (refused) {
      EXPECT_THAT(reached, ::testing::IsEmpty()) << c.name;
    }
    reached.clear();
  }
}

}  // namespace
}  // namespace lakeloop::net
