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
using testing::chunk;
using testing::echo;
using testing::get;
using testing::post;
using testing::RawAnswer;
using testing::RawClient;
using testing::serve;

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

}  // namespace
}  // namespace lakeloop::net
