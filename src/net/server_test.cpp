#include "net/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <mutex>
#include <semaphore>

#include "base/format.h"
#include "net/testing/raw_client.h"
#include "net/testing/request_cases.h"

namespace lakeloop::net {
namespace {

using namespace std::chrono_literals;
using testing::eventually;
using testing::RawAnswer;
using testing::RawClient;

using Handle = std::function<void(Request&&, BodyReader*, ResponseWriter&, const Deadline&)>;

std::string get(const std::string& path, const std::string& headers = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n";
}
std::string post(const std::string& path, const std::string& body, const std::string& headers = "") {
  return "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers +
         "\r\n" + body;
}
std::string chunk(std::string_view bytes) {
  return lakeloop::format("{:x}\r\n", bytes.size()) + std::string(bytes) + "\r\n";
}

void echo(Request&& request, BodyReader*, ResponseWriter& out, const Deadline&) {
  out.send(Response::text(200, lakeloop::format("{} {} {}", to_string(request.method), request.path, request.body)));
}

// Paths under /stream/ take their body as it comes; a limit of 1000 bytes elsewhere.
BodyPolicy policy(const Request& request) {
  if (request.path.starts_with("/stream")) return {.limit = 100 * 1024 * 1024, .stream = true};
  if (request.path == "/large") return {.limit = 64 * 1024 * 1024};
  return {.limit = 1000};
}

Server serve(Handle handle, ServerOptions options = {}) {
  return {std::move(options), Handler{policy, std::move(handle)}};
}

RawAnswer ask(RawClient& client, const std::string& bytes, bool head = false) {
  EXPECT_TRUE(client.send(bytes));
  auto answer = client.read_answer(head);
  EXPECT_TRUE(answer) << bytes.substr(0, 60);
  return answer.value_or(RawAnswer{});
}

TEST(Server, AnswersAndKeepsTheConnection) {
  Server server = serve(echo);
  RawClient client(server.port());
  for (int i = 0; i < 3; ++i) {
    const RawAnswer answer = ask(client, post("/a", "body" + std::to_string(i)));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "POST /a body" + std::to_string(i));
    EXPECT_EQ(answer.header("server"), "lakeloop");
    EXPECT_EQ(answer.header("x-content-type-options"), "nosniff");
    EXPECT_EQ(answer.header("content-type"), "text/plain; charset=utf-8");
    EXPECT_EQ(answer.header("connection"), "");
    EXPECT_THAT(answer.header("date"), ::testing::MatchesRegex("..., .. ... .... ..:..:.. GMT"));
  }
}

TEST(Server, KnowsTheTargetAndThePeer) {
  std::mutex mutex;
  Request seen;
  Server server = serve([&](Request&& request, BodyReader*, ResponseWriter& out, const Deadline&) {
    {
      const std::lock_guard lock(mutex);
      seen = request;
    }
    out.send(Response::text(200, ""));
  });
  RawClient client(server.port());
  EXPECT_EQ(ask(client, get("/a%20b?x=1&x=2", "X-A: 1\r\n")).status, 200);
  const std::lock_guard lock(mutex);
  EXPECT_EQ(seen.target, "/a%20b?x=1&x=2");
  EXPECT_EQ(seen.path, "/a%20b");
  EXPECT_EQ(seen.query, (Query{{"x", "1"}, {"x", "2"}}));
  EXPECT_EQ(seen.headers.get("X-A"), "1");
  EXPECT_THAT(seen.peer, ::testing::StartsWith("127.0.0.1:"));
}

TEST(Server, PipelinedRequestsAreAnsweredInOrder) {
  Server server = serve([](Request&& request, BodyReader*, ResponseWriter& out, const Deadline&) {
    if (request.path == "/0") std::this_thread::sleep_for(20ms);
    out.send(Response::text(200, request.path + request.body));
  });
  RawClient client(server.port());
  std::string bytes, expected;
  for (int i = 0; i < 200; ++i) {
    const std::string path = "/" + std::to_string(i);
    bytes += i % 3 == 0 ? post(path, std::string(static_cast<std::size_t>(i), 'b')) : get(path);
    expected += path + (i % 3 == 0 ? std::string(static_cast<std::size_t>(i), 'b') : "") + "\n";
  }
  ASSERT_TRUE(client.send(bytes));
  std::string got;
  for (int i = 0; i < 200; ++i) {
    const auto answer = client.read_answer();
    ASSERT_TRUE(answer) << i;
    got += answer->body + "\n";
  }
  EXPECT_EQ(got, expected);
}

TEST(Server, ByteByByteIsTheSame) {
  Server server = serve(echo);
  const std::string bytes =
      post("/a", "hello") + get("/b") +
      "PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" + get("/d");
  RawClient client(server.port());
  for (const char c : bytes) ASSERT_TRUE(client.send(std::string_view(&c, 1)));
  for (const char* expected : {"POST /a hello", "GET /b ", "PUT /c abcde", "GET /d "}) {
    const auto answer = client.read_answer();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, expected);
  }
}

TEST(Server, HeadHasTheLengthAndNoBody) {
  Server server = serve(echo);
  RawClient client(server.port());
  const RawAnswer answer = ask(client, "HEAD /abc HTTP/1.1\r\nHost: h\r\n\r\n", true);
  EXPECT_EQ(answer.header("content-length"), "10");
  EXPECT_EQ(ask(client, get("/next")).body, "GET /next ");
}

TEST(Server, HeadMayStateALengthWithoutABody) {
  Server server = serve([](Request&&, BodyReader*, ResponseWriter& out, const Deadline&) {
    Response response;
    response.headers.set("Content-Length", "123456789");
    out.send(std::move(response));
  });
  RawClient client(server.port());
  EXPECT_EQ(ask(client, "HEAD /abc HTTP/1.1\r\nHost: h\r\n\r\n", true).header("content-length"), "123456789");
  EXPECT_EQ(ask(client, get("/a")).header("content-length"), "0");
}

TEST(Server, SomeStatusesHaveNoBody) {
  Server server = serve([](Request&& request, BodyReader*, ResponseWriter& out, const Deadline&) {
    out.send(Response::text(request.path == "/204" ? 204 : 304, "must not be seen"));
  });
  RawClient client(server.port());
  for (const int status : {204, 304, 204}) {
    const RawAnswer answer = ask(client, get("/" + std::to_string(status)));
    EXPECT_EQ(answer.status, status);
    EXPECT_EQ(answer.header("content-length"), "");
  }
}

TEST(Server, Version10ClosesUnlessAskedToStay) {
  Server server = serve(echo);
  RawClient closing(server.port());
  EXPECT_EQ(ask(closing, "GET / HTTP/1.0\r\n\r\n").header("connection"), "close");
  EXPECT_TRUE(closing.at_end());
  RawClient staying(server.port());
  EXPECT_EQ(ask(staying, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").header("connection"), "keep-alive");
  EXPECT_EQ(ask(staying, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").status, 200);
}

TEST(Server, CloseIsHeededFromBothSides) {
  Server server = serve([](Request&& request, BodyReader*, ResponseWriter& out, const Deadline&) {
    Response response = Response::text(200, "x");
    if (request.path == "/close") response.headers.set("Connection", "close");
    out.send(std::move(response));
  });
  RawClient first(server.port());
  EXPECT_EQ(ask(first, get("/", "Connection: close\r\n") + get("/ignored")).header("connection"), "close");
  EXPECT_TRUE(first.at_end());
  RawClient second(server.port());
  EXPECT_EQ(ask(second, get("/close")).header("connection"), "close");
  EXPECT_TRUE(second.at_end());
}

TEST(Server, ExpectContinue) {
  Server server = serve(echo);
  RawClient client(server.port());
  ASSERT_TRUE(client.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
  EXPECT_EQ(client.read_answer()->status, 100);
  EXPECT_EQ(ask(client, "abc").body, "POST /a abc");
  // Refused before the body is asked for.
  const RawAnswer refused =
      ask(client, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3000\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(refused.status, 413);
  EXPECT_TRUE(client.at_end());
}

TEST(Server, ExpectContinueOfAStreamIsAnsweredWhenTheHandlerReads) {
  std::binary_semaphore may_read(0);
  Server server = serve([&](Request&& request, BodyReader* body, ResponseWriter& out, const Deadline&) {
    if (request.path == "/stream/denied") return out.send(Response::text(401, "no"));
    may_read.acquire();
    std::string all;
    for (std::string piece; !(piece = body->read()).empty();) all += piece;
    out.send(Response::text(200, all));
  });
  const std::string headers = " HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
  RawClient client(server.port());
  ASSERT_TRUE(client.send("PUT /stream/a" + headers));
  EXPECT_FALSE(client.fill(20ms));
  may_read.release();
  EXPECT_EQ(client.read_answer()->status, 100);
  EXPECT_EQ(ask(client, "abc").body, "abc");
  const RawAnswer denied = ask(client, "PUT /stream/denied" + headers);
  EXPECT_EQ(denied.status, 401);
  EXPECT_EQ(denied.header("connection"), "close");
}

TEST(Server, LimitsHaveTheirStatuses) {
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

TEST(Server, AnAnswerToALargeRefusedBodyIsSeen) {
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

TEST(Server, ChunkedBodyOfManyPieces) {
  Server server = serve(echo);
  RawClient client(server.port());
  std::string bytes = "POST /large HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
              expected = "POST /large ";
  for (std::size_t i = 1; i < 2000; ++i) {
    const std::string piece(i, static_cast<char>('a' + i % 26));
    bytes += chunk(piece);
    expected += piece;
  }
  EXPECT_EQ(ask(client, bytes + "0\r\n\r\n").body, expected);
}

TEST(Server, StreamedAnswer) {
  Server server = serve([](Request&& request, BodyReader*, ResponseWriter& out, const Deadline&) {
    Headers headers;
    headers.set("content-type", "text/event-stream");
    EXPECT_FALSE(out.started());
    out.start(201, headers);
    EXPECT_TRUE(out.started());
    EXPECT_TRUE(out.write("one"));
    EXPECT_TRUE(out.write(""));
    EXPECT_TRUE(out.write(std::string(100'000, 'x')));
    out.finish();
    EXPECT_EQ(request.path, "/s");
  });
  RawClient client(server.port());
  for (int i = 0; i < 2; ++i) {
    const RawAnswer answer = ask(client, get("/s"));
    EXPECT_EQ(answer.status, 201);
    EXPECT_EQ(answer.header("transfer-encoding"), "chunked");
    EXPECT_EQ(answer.header("content-length"), "");
    EXPECT_EQ(answer.body, "one" + std::string(100'000, 'x'));
  }
  EXPECT_EQ(ask(client, "HEAD /s HTTP/1.1\r\nHost: h\r\n\r\n", true).status, 201);
  EXPECT_EQ(ask(client, get("/s")).body.size(), 100'003u);
  RawClient old(server.port());
  const RawAnswer answer = ask(old, "GET /s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(answer.header("transfer-encoding"), "");
  EXPECT_EQ(answer.header("connection"), "close");
  EXPECT_EQ(answer.body, "one" + std::string(100'000, 'x'));
}

TEST(Server, PiecesOfAStreamArriveAsTheyAreWritten) {
  std::binary_semaphore next(0);
  Server server = serve([&](Request&&, BodyReader*, ResponseWriter& out, const Deadline&) {
    out.start(200, {});
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(out.write("event"));
      next.acquire();
    }
    out.finish();
    next.acquire();  // the last chunk does not wait for the handler to return
  });
  RawClient client(server.port());
  ASSERT_TRUE(client.send(get("/")));
  ASSERT_TRUE(client.read_head());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.read_chunk(), "event");
    next.release();
  }
  EXPECT_EQ(client.read_chunk(), "");
  next.release();
}

TEST(Server, AHandlerThatGivesUpCutsTheConnection) {
  Server server = serve([](Request&&, BodyReader*, ResponseWriter& out, const Deadline&) {
    out.start(200, {});
    EXPECT_TRUE(out.write("partial"));
  });
  RawClient client(server.port());
  ASSERT_TRUE(client.send(get("/")));
  ASSERT_TRUE(client.read_head());
  EXPECT_EQ(client.read_chunk(), "partial");
  EXPECT_FALSE(client.read_chunk());
}

TEST(Server, BugsOfHandlersAre500) {
  Server server = serve([](Request&& request, BodyReader*, ResponseWriter& out, const Deadline&) {
    if (request.path == "/throw") throw std::runtime_error("bug");
    Headers bad;
    if (request.path == "/crlf") bad.set("location", "/x\r\nSet-Cookie: a=b");
    if (request.path == "/nul") bad.set("x-name", std::string_view("a\0b", 3));
    if (request.path == "/name") bad.add("bad name", "x");
    if (request.path == "/stream") {
      bad.set("x", "a\nb");
      out.start(200, bad);
      EXPECT_FALSE(out.write("x"));
      return out.finish();
    }
    if (!bad.all().empty()) out.send({.status = 302, .headers = bad, .body = {}});
  });
  for (const char* path : {"/throw", "/nothing", "/crlf", "/nul", "/name"}) {
    RawClient client(server.port());
    const RawAnswer answer = ask(client, get(path));
    EXPECT_EQ(answer.status, 500) << path;
    EXPECT_EQ(answer.header("set-cookie"), "");
    EXPECT_EQ(ask(client, get(path)).status, 500) << path;
  }
  RawClient client(server.port());
  EXPECT_EQ(ask(client, get("/stream")).status, 500);
}

TEST(Server, StreamedBody) {
  Server server = serve([](Request&& request, BodyReader* body, ResponseWriter& out, const Deadline&) {
    ASSERT_NE(body, nullptr);
    EXPECT_TRUE(request.body.empty());
    std::size_t size = 0;
    unsigned sum = 0;
    for (std::string piece; !(piece = body->read()).empty();) {
      size += piece.size();
      for (const char c : piece) sum = sum * 31 + static_cast<unsigned char>(c);
    }
    EXPECT_EQ(body->read(), "");
    out.send(Response::text(200, lakeloop::format("{} {}", size, sum)));
  });
  std::string bytes(5'000'000, 0);
  unsigned state = 1, sum = 0;
  for (char& c : bytes) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
    sum = sum * 31 + static_cast<unsigned char>(c);
  }
  RawClient client(server.port());
  EXPECT_EQ(ask(client, post("/stream/a", bytes)).body, lakeloop::format("{} {}", bytes.size(), sum));
  std::string chunks;
  for (std::size_t at = 0, size = 1; at < bytes.size(); at += size, size = size * 3 % 70'001 + 1)
    chunks += chunk(std::string_view(bytes).substr(at, size));
  EXPECT_EQ(
      ask(client, "PUT /stream/b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + "0\r\n\r\n")
          .body,
      lakeloop::format("{} {}", bytes.size(), sum));
  EXPECT_EQ(ask(client, post("/stream/empty", "")).body, "0 0");
  EXPECT_EQ(ask(client, get("/stream/none")).body, "0 0");
}

TEST(Server, ABodyLeftUnreadEndsTheConnectionAfterTheAnswer) {
  Server server = serve(
      [](Request&&, BodyReader*, ResponseWriter& out, const Deadline&) { out.send(Response::text(200, "early")); });
  RawClient client(server.port());
  std::thread sender([&] { client.send(post("/stream", std::string(8'000'000, 'x'))); });
  const auto answer = client.read_answer();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "early");
  EXPECT_EQ(answer->header("connection"), "close");
  client.half_close();
  sender.join();
}

TEST(Server, ErrorsOfAStreamedBodyReachTheHandler) {
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

TEST(Server, AStreamedBodyHasItsLimit) {
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

TEST(Server, SlowSendersMeetTheirTimeouts) {
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

TEST(Server, AFullPoolAnswers503) {
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

TEST(Server, TheNumberOfConnectionsIsLimited) {
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

TEST(Server, AResetIsSeenWhileTheHandlerDoesNotReadItsBody) {
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

TEST(Server, AHalfClosedClientGetsWhatItAskedFor) {
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

// The table of the parser through a socket: what follows a refusal is never taken for a request, and the pieces in
// which the bytes come make no difference.
TEST(Server, NoRequestIsSmuggled) {
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
    if (refused) EXPECT_THAT(reached, ::testing::IsEmpty()) << c.name;
    reached.clear();
  }
}

TEST(Server, StopAnswersWhatRuns) {
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

TEST(Server, StopCutsTheRestAfterItsGrace) {
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

TEST(Server, ATakenPortIsUnavailable) {
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

TEST(Server, ManyClientsOnTwoIoThreads) {
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
