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

namespace lakeloop::net {
namespace {

using namespace std::chrono_literals;
using testing::ask;
using testing::echo;
using testing::eventually;
using testing::get;
using testing::post;
using testing::RawClient;
using testing::serve;

enum class Leave { kClose, kReset, kHalfClose };

class ClientLeaves : public ::testing::TestWithParam<Leave> {};

TEST_P(ClientLeaves, TheHandlerIsToldWhileItIsBusy) {
  std::atomic<bool> running = false;
  std::promise<void> cancelled;
  Server server = serve([&](Request&&, BodyReader*, ResponseWriter& out, const Deadline& deadline) {
    std::binary_semaphore stop(0);
    const std::stop_callback callback(deadline.cancelled(), [&] { stop.release(); });
    running = true;
    stop.acquire();
    cancelled.set_value();
    out.send(Response::text(200, "nobody hears"));
  });
  RawClient client(server.port());
  ASSERT_TRUE(client.send(post("/", "body")));
  ASSERT_TRUE(eventually([&] { return running.load(); }));
  switch (GetParam()) {
    case Leave::kClose:
      client.close();
      break;
    case Leave::kReset:
      client.reset();
      break;
    case Leave::kHalfClose:
      client.half_close();
      break;
  }
  EXPECT_EQ(cancelled.get_future().wait_for(30s), std::future_status::ready);
}

TEST_P(ClientLeaves, AStreamStops) {
  std::promise<void> stopped;
  Server server = serve([&](Request&&, BodyReader*, ResponseWriter& out, const Deadline&) {
    out.start(200, {});
    while (out.write("tick")) std::this_thread::sleep_for(1ms);
    stopped.set_value();
    out.finish();
  });
  RawClient client(server.port());
  ASSERT_TRUE(client.send(get("/")));
  ASSERT_TRUE(client.read_head());
  switch (GetParam()) {
    case Leave::kClose:
      client.close();
      break;
    case Leave::kReset:
      client.reset();
      break;
    case Leave::kHalfClose:
      client.half_close();
      break;
  }
  EXPECT_EQ(stopped.get_future().wait_for(30s), std::future_status::ready);
}

INSTANTIATE_TEST_SUITE_P(Ways, ClientLeaves, ::testing::Values(Leave::kClose, Leave::kReset, Leave::kHalfClose));

TEST(ServerLifetime, AResetIsSeenWhileTheHandlerDoesNotReadItsBody) {
  std::promise<void> cancelled;
  std::atomic<bool> running = false;
  Server server = serve([&](Request&&, BodyReader*, ResponseWriter& out, const Deadline& deadline) {
    std::binary_semaphore stop(0);
    const std::stop_callback callback(deadline.cancelled(), [&] { stop.release(); });
    running = true;
    stop.acquire();
    cancelled.set_value();
    out.send(Response::text(200, ""));
  });
  RawClient client(server.port());
  ASSERT_TRUE(
      client.send("PUT /stream HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n" + std::string(200'000, 'x')));
  ASSERT_TRUE(eventually([&] { return running.load(); }));
  client.reset();
  EXPECT_EQ(cancelled.get_future().wait_for(30s), std::future_status::ready);
}

TEST(ServerLifetime, AHalfClosedClientGetsWhatItAskedFor) {
  Server server = serve(echo);
  RawClient client(server.port());
  ASSERT_TRUE(client.send(get("/1") + get("/2") + get("/3")));
  client.half_close();
  for (const char* expected : {"GET /1 ", "GET /2 ", "GET /3 "}) {
    const auto answer = client.read_answer();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, expected);
  }
  EXPECT_TRUE(client.at_end());
}

TEST(ServerLifetime, StopAnswersWhatRuns) {
  std::binary_semaphore release(0);
  std::atomic<bool> running = false;
  ServerOptions options;
  options.linger_timeout = 20ms;
  Server server = serve(
      [&](Request&& request, BodyReader*, ResponseWriter& out, const Deadline&) {
        if (request.path == "/slow") {
          running = true;
          release.acquire();
        }
        out.send(Response::text(200, "answered"));
      },
      options);
  RawClient idle(server.port()), busy(server.port());
  EXPECT_EQ(ask(idle, get("/")).status, 200);
  ASSERT_TRUE(busy.send(get("/slow") + get("/next")));
  ASSERT_TRUE(eventually([&] { return running.load(); }));
  std::thread stopper([&] { server.stop(60s); });
  EXPECT_TRUE(idle.at_end());
  EXPECT_TRUE(eventually([&] { return !RawClient(server.port()).connected(); }));
  release.release();
  const auto answer = busy.read_answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "answered");
  EXPECT_EQ(answer->header("connection"), "close");
  EXPECT_TRUE(busy.at_end());
  stopper.join();
}

TEST(ServerLifetime, StopCutsTheRestAfterItsGrace) {
  std::atomic<int> running = 0;
  std::atomic<int> cancelled = 0;
  ServerOptions options;
  options.handler_threads = 2;
  Server server = serve(
      [&](Request&& request, BodyReader* body, ResponseWriter& out, const Deadline& deadline) {
        ++running;
        if (request.path == "/wait") {
          while (!deadline.cancelled().stop_requested()) std::this_thread::sleep_for(1ms);
          ++cancelled;
        } else if (request.path == "/stream/in") {
          EXPECT_THROW(while (!body->read().empty()){}, Error);
          ++cancelled;
        }
        out.send(Response::text(200, ""));
      },
      options);
  RawClient waiting(server.port()), uploading(server.port()), queued(server.port()), half(server.port());
  ASSERT_TRUE(waiting.send(get("/wait")));
  ASSERT_TRUE(uploading.send("PUT /stream/in HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc"));
  ASSERT_TRUE(eventually([&] { return running == 2; }));
  ASSERT_TRUE(queued.send(get("/wait")));
  ASSERT_TRUE(half.send("GET / HT"));
  server.stop(20ms);
  EXPECT_EQ(cancelled.load(), 2);
  EXPECT_TRUE(waiting.at_end());
  EXPECT_TRUE(queued.at_end());
  server.stop(0ms);
}

TEST(ServerLifetime, ATakenPortIsUnavailable) {
  Server server = serve(echo);
  ServerOptions options;
  options.port = server.port();
  try {
    Server second = serve(echo, options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    EXPECT_THAT(error.message(), ::testing::HasSubstr(lakeloop::format("127.0.0.1:{}", server.port())));
  }
  options = {};
  options.host = "999.not.a.name.invalid";
  EXPECT_THROW(serve(echo, options), Error);
}

TEST(ServerLifetime, ManyClientsOnTwoIoThreads) {
  ServerOptions options;
  options.io_threads = 2;
  options.handler_threads = 4;
  Server server = serve(echo, options);
  std::vector<std::thread> clients;
  std::atomic<int> good = 0;
  for (int c = 0; c < 16; ++c) {
    clients.emplace_back([&, c] {
      RawClient client(server.port());
      for (int i = 0; i < 100; ++i) {
        const std::string body = std::to_string(c * 1000 + i);
        if (!client.send(post("/x", body))) return;
        const auto answer = client.read_answer();
        if (answer && answer->body == "POST /x " + body) ++good;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(good.load(), 1600);
}

}  // namespace
}  // namespace lakeloop::net
