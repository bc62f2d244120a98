#include "net/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <mutex>
#include <semaphore>

#include "base/format.h"
#include "net/server.h"
#include "net/testing/raw_client.h"
#include "net/testing/raw_server.h"

namespace lakeloop::net {
namespace {

using namespace std::chrono_literals;
using testing::eventually;
using ::testing::HasSubstr;
using testing::RawClient;
using testing::RawServer;

ClientRequest to(const std::string& url) {
  ClientRequest request;
  request.url = url;
  request.policy = OutboundPolicy::kAllowPrivate;
  return request;
}
std::string local(const Server& server, const std::string& path = "/") {
  return lakeloop::format("http://127.0.0.1:{}{}", server.port(), path);
}
Deadline soon() {
  return Deadline::after(60s);
}

template <typename Call>
ErrorCode code_of(const Call& call, std::string* message = nullptr) {
  try {
    call();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.message();
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorCode::kInternal;
}

Server serve(std::function<void(Request&&, BodyReader*, ResponseWriter&, const Deadline&)> handle) {
  return {{}, Handler{{}, std::move(handle)}};
}

void describe(Request&& request, BodyReader*, ResponseWriter& out, const Deadline&) {
  std::string text = lakeloop::format("{} {}\n", to_string(request.method), request.target);
  for (const auto& [name, value] : request.headers.all()) {
    if (name != "host" && name != "user-agent" && name != "accept") text += name + ": " + value + "\n";
  }
  Response response = Response::text(request.path == "/404" ? 404 : 200, text + "\n" + request.body);
  response.headers.add("X-Two", "a");
  response.headers.add("X-Two", "b");
  out.send(std::move(response));
}

TEST(Client, EveryMethodWithAndWithoutABody) {
  Server server = serve(describe);
  Client client;
  for (const Method method :
       {Method::kGet, Method::kPost, Method::kPut, Method::kPatch, Method::kDelete, Method::kOptions}) {
    ClientRequest request = to(local(server, "/a%20b/x/../c?x=1#f"));
    request.method = method;
    const bool has_length = method == Method::kPost || method == Method::kPut || method == Method::kPatch;
    const std::string line = lakeloop::format("{} /a%20b/c?x=1\n", to_string(method));
    EXPECT_EQ(client.fetch(request, soon()).body, line + (has_length ? "content-length: 0\n\n" : "\n"));
    request.body = "hello";
    request.headers.set("X-Empty", "");
    request.headers.set("Content-Type", "text/plain");
    EXPECT_EQ(client.fetch(request, soon()).body,
              line + "x-empty: \ncontent-type: text/plain\ncontent-length: 5\n\nhello");
  }
  ClientRequest head = to(local(server));
  head.method = Method::kHead;
  const Response response = client.fetch(head, soon());
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "");
  EXPECT_NE(response.headers.get("content-length"), "0");
}

TEST(Client, StatusesAndHeadersAreResults) {
  Server server = serve(describe);
  Client client;
  const Response response = client.fetch(to(local(server, "/404")), soon());
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.headers.get("X-Two"), "a");
  EXPECT_EQ(std::ranges::count(response.headers.all(), std::pair<std::string, std::string>("x-two", "b")), 1);
}

TEST(Client, ALargeBodyBothWays) {
  Server server({}, {[](const Request&) { return BodyPolicy{.limit = 64 << 20}; },
                     [](Request&& request, BodyReader*, ResponseWriter& out, const Deadline&) {
                       out.send(Response::text(200, request.body));
                     }});
  Client client;
  ClientRequest request = to(local(server));
  request.method = Method::kPost;
  request.body = std::string(20'000'000, 'x') + "end";
  EXPECT_TRUE(client.fetch(request, soon()).body == request.body);
}

TEST(Client, ConnectionsAreUsedAgain) {
  std::mutex mutex;
  std::vector<std::string> peers;
  Server server = serve([&](Request&& request, BodyReader*, ResponseWriter& out, const Deadline&) {
    const std::lock_guard lock(mutex);
    peers.push_back(request.peer);
    out.send(Response::text(200, "x"));
  });
  Client client;
  for (int i = 0; i < 5; ++i) client.fetch(to(local(server)), soon());
  const std::lock_guard lock(mutex);
  EXPECT_EQ(std::ranges::count(peers, peers[0]), 5);
}

TEST(Client, AStreamComesPieceByPiece) {
  std::binary_semaphore next(0);
  Server server = serve([&](Request&&, BodyReader*, ResponseWriter& out, const Deadline&) {
    out.start(200, {});
    for (int i = 0; i < 5; ++i) {
      EXPECT_TRUE(out.write(lakeloop::format("event {};", i)));
      next.acquire();
    }
    out.finish();
  });
  Client client;
  std::string all;
  int status = 0;
  client.stream(
      to(local(server)), soon(),
      [&](const Response& head) {
        status = head.status;
        return true;
      },
      [&](std::string_view piece) {
        all += piece;
        next.release();
        return true;
      });
  EXPECT_EQ(status, 200);
  EXPECT_EQ(all, "event 0;event 1;event 2;event 3;event 4;");
}

TEST(Client, AnEmptyStreamHasAHead) {
  Server server = serve([](Request&&, BodyReader*, ResponseWriter& out, const Deadline&) {
    out.send({.status = 204, .headers = {}, .body = {}});
  });
  Client client;
  int status = 0;
  client.stream(
      to(local(server)), soon(),
      [&](const Response& head) {
        status = head.status;
        return true;
      },
      [](std::string_view) { return ADD_FAILURE(), true; });
  EXPECT_EQ(status, 204);
}

TEST(Client, ReturningFalseCutsTheTransfer) {
  for (const bool at_head : {true, false}) {
    std::promise<void> cut;
    Server server = serve([&](Request&&, BodyReader*, ResponseWriter& out, const Deadline&) {
      out.start(200, {});
      while (out.write("tick")) std::this_thread::sleep_for(1ms);
      cut.set_value();
    });
    Client client;
    client.stream(
        to(local(server)), soon(), [&](const Response&) { return !at_head; }, [](std::string_view) { return false; });
    EXPECT_EQ(cut.get_future().wait_for(30s), std::future_status::ready);
  }
}

TEST(Client, ACallbackThatThrowsCutsTheTransfer) {
  std::promise<void> cut;
  Server server = serve([&](Request&&, BodyReader*, ResponseWriter& out, const Deadline&) {
    out.start(200, {});
    while (out.write("tick")) std::this_thread::sleep_for(1ms);
    cut.set_value();
  });
  Client client;
  EXPECT_THROW(client.stream(
                   to(local(server)), soon(), [](const Response&) { return true; },
                   [](std::string_view) -> bool { throw std::runtime_error("caller"); }),
               std::runtime_error);
  EXPECT_EQ(cut.get_future().wait_for(30s), std::future_status::ready);
}

TEST(Client, ASlowReaderStopsTheUpstream) {
  constexpr std::size_t kTotal = 50'000'000;
  std::atomic<std::size_t> sent = 0;
  Server server = serve([&](Request&&, BodyReader*, ResponseWriter& out, const Deadline&) {
    out.start(200, {});
    const std::string piece(10'000, 'x');
    while (sent < kTotal && out.write(piece)) sent += piece.size();
    out.finish();
  });
  Client client;
  std::size_t received = 0;
  client.stream(
      to(local(server)), soon(), [](const Response&) { return true; },
      [&](std::string_view piece) {
        if (received == 0) {
          // Until the producer has stood still for a while.
          std::size_t before = 0;
          while (before != sent) {
            before = sent;
            std::this_thread::sleep_for(100ms);
          }
          EXPECT_LT(sent.load(), kTotal / 2);
        }
        received += piece.size();
        EXPECT_LE(piece.size(), limits::kClientBufferBytes + 64 * 1024);
        return true;
      });
  EXPECT_EQ(received, kTotal);
}

TEST(Client, TheDeadlineEndsACall) {
  Server server = serve([](Request&& request, BodyReader*, ResponseWriter& out, const Deadline& deadline) {
    if (request.path == "/body") {
      out.start(200, {});
      while (out.write("tick")) std::this_thread::sleep_for(1ms);
    } else {
      while (!deadline.cancelled().stop_requested()) std::this_thread::sleep_for(1ms);
    }
  });
  Client client;
  EXPECT_EQ(code_of([&] { client.fetch(to(local(server)), Deadline::after(50ms)); }), ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(code_of([&] { client.fetch(to(local(server, "/body")), Deadline::after(50ms)); }),
            ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(code_of([&] { client.fetch(to(local(server)), Deadline::after(-1ms)); }), ErrorCode::kDeadlineExceeded);
}

TEST(Client, CancellingCutsTheConnection) {
  std::atomic<bool> running = false;
  std::promise<void> cut;
  Server server = serve([&](Request&&, BodyReader*, ResponseWriter&, const Deadline& deadline) {
    running = true;
    while (!deadline.cancelled().stop_requested()) std::this_thread::sleep_for(1ms);
    cut.set_value();
  });
  Client client;
  std::stop_source stop;
  std::thread canceller([&] {
    eventually([&] { return running.load(); });
    stop.request_stop();
  });
  EXPECT_EQ(code_of([&] { client.fetch(to(local(server)), Deadline::after(60s, stop.get_token())); }),
            ErrorCode::kCancelled);
  canceller.join();
  EXPECT_EQ(cut.get_future().wait_for(30s), std::future_status::ready);
  EXPECT_EQ(code_of([&] { client.fetch(to(local(server)), Deadline::after(60s, stop.get_token())); }),
            ErrorCode::kCancelled);
}

TEST(Client, FailuresAreUpstream) {
  Client client;
  std::string message;
  // Nobody listens.
  std::uint16_t port = 0;
  {
    port = Server({}, {{}, describe}).port();
  }
  EXPECT_EQ(
      code_of([&] { client.fetch(to(lakeloop::format("http://127.0.0.1:{}/?key=secret", port)), soon()); }, &message),
      ErrorCode::kUpstream);
  EXPECT_THAT(message, HasSubstr(lakeloop::format("127.0.0.1:{}", port)));
  EXPECT_THAT(message, ::testing::Not(HasSubstr("secret")));
  const auto answer = [&](const std::string& bytes) {
    RawServer server([&](const std::string&, int socket) { RawServer::send(socket, bytes); });
    return code_of([&] { client.fetch(to(server.url()), soon()); }, &message);
  };
  EXPECT_EQ(answer(""), ErrorCode::kUpstream);
  EXPECT_EQ(answer("HTTP/1.1 200 OK\r\nContent-Le"), ErrorCode::kUpstream);
  EXPECT_EQ(answer("hello, this is not HTTP\r\n\r\n"), ErrorCode::kUpstream);
  EXPECT_EQ(answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"), ErrorCode::kUpstream);
  EXPECT_EQ(answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), ErrorCode::kUpstream);
  EXPECT_EQ(answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), ErrorCode::kUpstream);
  EXPECT_EQ(answer("HTTP/1.1 200 OK\r\n" + std::string(1'000'000, 'a') + ": b\r\n\r\n"), ErrorCode::kUpstream);
  EXPECT_EQ(code_of([&] { client.fetch(to("https://127.0.0.1:" + std::to_string(port)), soon()); }),
            ErrorCode::kUpstream);
}

TEST(Client, ATruncatedBodyFailsAfterThePiecesThatCame) {
  const std::vector<std::string> heads = {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"};
  for (const std::string& head : heads) {
    RawServer server([&](const std::string&, int socket) { RawServer::send(socket, head + "piece"); });
    Client client;
    std::string all;
    EXPECT_EQ(code_of([&] {
                client.stream(
                    to(server.url()), soon(), [](const Response&) { return true; },
                    [&](std::string_view piece) {
                      all += piece;
                      return true;
                    });
              }),
              ErrorCode::kUpstream);
    EXPECT_EQ(all, "piece");
  }
}

TEST(Client, InterimAnswersAndTrailersArePassedOver) {
  RawServer server([](const std::string&, int socket) {
    RawServer::send(socket,
                    "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: "
                    "chunked\r\n\r\n2\r\nab\r\n0\r\nT: u\r\n\r\n");
  });
  Client client;
  const Response response = client.fetch(to(server.url()), soon());
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "ab");
  EXPECT_FALSE(response.headers.contains("link"));
  EXPECT_FALSE(response.headers.contains("t"));
}

TEST(Client, AStallEndsTheCall) {
  RawServer server([](const std::string&, int socket) {
    RawServer::send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    RawServer::peer_leaves(socket);
  });
  Client client;
  ClientRequest request = to(server.url());
  request.stall_timeout = 50ms;
  std::string message;
  EXPECT_EQ(code_of([&] { client.fetch(request, soon()); }, &message), ErrorCode::kUpstream);
  EXPECT_THAT(message, HasSubstr("50 ms"));
}

TEST(Client, TheAnswerIsLimited) {
  RawServer server([](const std::string&, int socket) {
    RawServer::send(socket, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + std::string(100'000, 'x'));
  });
  Client client;
  ClientRequest request = to(server.url());
  request.response_limit = 100'000;
  EXPECT_EQ(client.fetch(request, soon()).body.size(), 100'000u);
  request.response_limit = 99'999;
  std::string message;
  EXPECT_EQ(code_of([&] { client.fetch(request, soon()); }, &message), ErrorCode::kUpstream);
  EXPECT_THAT(message, HasSubstr("99999 bytes"));
}

TEST(Client, TheGuardRefusesTheAddressNotTheName) {
  std::atomic<int> calls = 0;
  Server server = serve([&](Request&&, BodyReader*, ResponseWriter& out, const Deadline&) {
    ++calls;
    out.send(Response::text(200, "reached"));
  });
  Client client;
  for (const char* host :
       {"127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"}) {
    ClientRequest request = to(lakeloop::format("http://{}:{}/", host, server.port()));
    request.policy = OutboundPolicy::kPublicOnly;
    EXPECT_EQ(code_of([&] { client.fetch(request, soon()); }), ErrorCode::kPermissionDenied) << host;
  }
  EXPECT_EQ(calls.load(), 0);
  EXPECT_EQ(code_of([&] { client.fetch(to(lakeloop::format("http://0.0.0.0:{}/", server.port())), soon()); }),
            ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of([&] { client.fetch(to("http://169.254.169.254/latest/meta-data"), soon()); }),
            ErrorCode::kPermissionDenied);
  EXPECT_EQ(client.fetch(to(lakeloop::format("http://localhost:{}/", server.port())), soon()).body, "reached");
}

TEST(Client, AnOpenConnectionDoesNotOpenTheGuard) {
  Server server = serve(
      [](Request&&, BodyReader*, ResponseWriter& out, const Deadline&) { out.send(Response::text(200, "reached")); });
  Client client;
  ClientRequest request = to(local(server));
  EXPECT_EQ(client.fetch(request, soon()).status, 200);
  request.policy = OutboundPolicy::kPublicOnly;
  EXPECT_EQ(code_of([&] { client.fetch(request, soon()); }), ErrorCode::kPermissionDenied);
}

TEST(Client, RefusesWhatCannotBeSent) {
  Client client;
  EXPECT_EQ(code_of([&] { client.fetch(to("ftp://example.com/"), soon()); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { client.fetch(to("http://user@127.0.0.1/"), soon()); }), ErrorCode::kInvalidArgument);
  for (const std::string& bad : {std::string("a\r\nX: y"), std::string("a\nb"), std::string("a\0b", 3)}) {
    ClientRequest request = to("http://127.0.0.1:1/");
    request.headers.set("x", bad);
    EXPECT_EQ(code_of([&] { client.fetch(request, soon()); }), ErrorCode::kInvalidArgument);
  }
  ClientRequest request = to("http://127.0.0.1:1/");
  request.headers.add("bad name:", "x");
  EXPECT_EQ(code_of([&] { client.fetch(request, soon()); }), ErrorCode::kInvalidArgument);
}

TEST(Client, RedirectsStayOnTheirHost) {
  RawServer other([](const std::string&, int socket) {
    RawServer::send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother");
  });
  Server server = serve([&](Request&& request, BodyReader*, ResponseWriter& out, const Deadline&) {
    Response response = Response::text(302, "moved");
    if (request.path == "/here")
      response.headers.set("location", "target?q=1");
    else if (request.path == "/keep")
      response = Response::text(307, "moved"), response.headers.set("location", "/target");
    else if (request.path == "/loop")
      response.headers.set("location", "/loop");
    else if (request.path == "/away")
      response.headers.set("location", other.url());
    else if (request.path == "/name")
      response.headers.set("location", lakeloop::format("http://localhost:{}/", other.port()));
    else if (request.path == "/file")
      response.headers.set("location", "file:///etc/passwd");
    else
      response =
          Response::text(200, lakeloop::format("{} {} {}", to_string(request.method), request.target, request.body));
    out.send(std::move(response));
  });
  Client client;
  const auto fetch = [&](const std::string& path, bool follow, Method method = Method::kGet) {
    ClientRequest request = to(local(server, path));
    request.follow_redirects = follow;
    request.method = method;
    if (method == Method::kPost) request.body = "b";
    return client.fetch(request, soon());
  };
  EXPECT_EQ(fetch("/here", false).status, 302);
  EXPECT_EQ(fetch("/here", true).body, "GET /target?q=1 ");
  EXPECT_EQ(fetch("/here", true, Method::kPost).body, "GET /target?q=1 ");
  EXPECT_EQ(fetch("/keep", true, Method::kPost).body, "POST /target b");
  for (const char* path : {"/away", "/name", "/file", "/loop"}) {
    const Response response = fetch(path, true);
    EXPECT_EQ(response.status, 302) << path;
    EXPECT_EQ(response.body, "moved") << path;
  }
  EXPECT_EQ(other.connections(), 0);
}

TEST(Client, UnixSockets) {
  std::string folder = (std::filesystem::temp_directory_path() / "lakeloop-net-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/socket";
  {
    std::string seen;
    RawServer server(
        [&](const std::string& head, int socket) {
          seen = head;
          RawServer::send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix");
        },
        path);
    Client client;
    ClientRequest request = to("http://worker/health");
    request.policy = OutboundPolicy::kPublicOnly;  // the guard is about addresses
    request.unix_socket = path;
    EXPECT_EQ(client.fetch(request, soon()).body, "unix");
    EXPECT_THAT(seen, HasSubstr("GET /health HTTP/1.1\r\nHost: worker"));
    request.unix_socket = folder + "/missing";
    EXPECT_EQ(code_of([&] { client.fetch(request, soon()); }), ErrorCode::kUpstream);
  }
  std::filesystem::remove_all(folder);
}

TEST(Client, ManyCallsAtOnce) {
  Server server = serve(describe);
  Client client;
  std::vector<std::thread> callers;
  std::atomic<int> good = 0;
  for (int c = 0; c < 16; ++c) {
    callers.emplace_back([&, c] {
      for (int i = 0; i < 30; ++i) {
        ClientRequest request = to(local(server, lakeloop::format("/{}/{}", c, i)));
        request.method = Method::kPost;
        request.body = "b";
        if (client.fetch(request, soon()).body.starts_with(lakeloop::format("POST /{}/{}\n", c, i))) ++good;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(good.load(), 480);
}

// A proxy sees the target; the guard has seen it before.
TEST(Client, ProxiesOfTheEnvironment) {
  std::string seen;
  RawServer proxy([&](const std::string& head, int socket) {
    seen = head;
    RawServer::send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nproxied");
  });
  ::setenv("http_proxy", proxy.url().c_str(), 1);
  Client client;
  ::unsetenv("http_proxy");
  EXPECT_EQ(client.fetch(to("http://10.1.2.3/x"), soon()).body, "proxied");
  EXPECT_THAT(seen, HasSubstr("GET http://10.1.2.3/x HTTP/1.1\r\n"));
  ClientRequest request = to("http://10.1.2.3/x");
  request.policy = OutboundPolicy::kPublicOnly;
  EXPECT_EQ(code_of([&] { client.fetch(request, soon()); }), ErrorCode::kPermissionDenied);
  request.url = "http://name.invalid/";
  EXPECT_EQ(code_of([&] { client.fetch(request, soon()); }), ErrorCode::kPermissionDenied);
  request.url = "http://1.1.1.1/";
  EXPECT_EQ(client.fetch(request, soon()).body, "proxied");
  EXPECT_EQ(code_of([&] { client.fetch(to("http://169.254.169.254/"), soon()); }), ErrorCode::kPermissionDenied);
  EXPECT_EQ(proxy.connections(), 2);
}

}  // namespace
}  // namespace lakeloop::net
