#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <future>

#include "base/format.h"
#include "base/text.h"
#include "net/server.h"
#include "net/testing/raw_client.h"

namespace lakeloop::net {
namespace {

using namespace std::chrono_literals;
using testing::eventually;
using testing::RawClient;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // their shadows count as memory
#else
constexpr bool kSanitized = false;
#endif
constexpr std::size_t kTotal = 120'000'000;
constexpr std::size_t kGrowth = 8 * 1024 * 1024;

std::size_t resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("VmRSS:")) continue;
    const std::string_view digits = trim(std::string_view(line).substr(6, line.size() - 6 - 2));
    return parse_number<std::size_t>(digits).value() * 1024;
  }
  return 0;
}

// Until the count has not moved for a while.
std::size_t settled(const std::atomic<std::size_t>& count) {
  std::size_t before = 0;
  do {
    before = count;
    std::this_thread::sleep_for(150ms);
  } while (before != count);
  return before;
}

char byte_at(std::size_t index) {
  return static_cast<char>(index * 31 + (index >> 13));
}

TEST(Backpressure, AReaderThatReadsNothingStopsItsProducer) {
  std::atomic<std::size_t> written = 0;
  std::atomic<bool> finished = false;
  Server server({}, {{}, [&](Request&&, BodyReader*, ResponseWriter& out, const Deadline&) {
                       out.start(200, {});
                       std::string piece(10'000, 0);
                       while (written < kTotal) {
                         for (std::size_t i = 0; i < piece.size(); ++i) piece[i] = byte_at(written + i);
                         if (!out.write(piece)) return;
                         written += piece.size();
                       }
                       out.finish();
                       finished = true;
                     }});
  RawClient client(server.port(), 65536);
  const std::size_t before = resident_bytes();
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  ASSERT_TRUE(eventually([&] { return written > 0; }));
  const std::size_t stopped_at = settled(written);
  EXPECT_LT(stopped_at, kTotal / 4);
  EXPECT_FALSE(finished);
  if (!kSanitized) {
    EXPECT_LT(resident_bytes(), before + kGrowth);
  }
  RecordProperty("stopped_at", static_cast<int>(stopped_at));

  // Then it reads, and nothing is lost.
  const auto head = client.read_head();
  ASSERT_TRUE(head);
  std::size_t received = 0, wrong = 0;
  while (const auto chunk = client.read_chunk()) {
    if (chunk->empty()) break;
    for (const char c : *chunk) wrong += c != byte_at(received++);
  }
  EXPECT_EQ(received, kTotal);
  EXPECT_EQ(wrong, 0u);
  EXPECT_TRUE(eventually([&] { return finished.load(); }));
  if (!kSanitized) {
    EXPECT_LT(resident_bytes(), before + kGrowth);
  }
}

TEST(Backpressure, AHandlerThatReadsNothingStopsItsSender) {
  std::promise<void> read_on;
  std::promise<std::string> result;
  Server server({}, {[](const Request&) { return BodyPolicy{.limit = kTotal, .stream = true}; },
                     [&](Request&&, BodyReader* body, ResponseWriter& out, const Deadline&) {
                       read_on.get_future().wait();
                       std::size_t received = 0, wrong = 0;
                       for (std::string piece; !(piece = body->read()).empty();) {
                         for (const char c : piece) wrong += c != byte_at(received++);
                       }
                       out.send(Response::text(200, lakeloop::format("{} {}", received, wrong)));
                     }});
  RawClient client(server.port());
  const std::size_t before = resident_bytes();
  std::atomic<std::size_t> sent = 0;
  std::thread sender([&] {
    client.send(lakeloop::format("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", kTotal));
    std::string piece(10'000, 0);
    while (sent < kTotal) {
      for (std::size_t i = 0; i < piece.size(); ++i) piece[i] = byte_at(sent + i);
      if (!client.send(piece)) return;
      sent += piece.size();
    }
  });
  EXPECT_TRUE(eventually([&] { return sent > 0; }));
  EXPECT_LT(settled(sent), kTotal / 4);
  if (!kSanitized) {
    EXPECT_LT(resident_bytes(), before + kGrowth);
  }
  read_on.set_value();
  const auto answer = client.read_answer();
  sender.join();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, lakeloop::format("{} 0", kTotal));
  if (!kSanitized) {
    EXPECT_LT(resident_bytes(), before + kGrowth);
  }
}

// Time that the handler takes is not held against the sender.
TEST(Backpressure, ASlowHandlerIsNoStall) {
  std::atomic<bool> read_on = false;
  ServerOptions options;
  options.body_stall_timeout = 100ms;
  Server server(options, {[](const Request&) { return BodyPolicy{.limit = kTotal, .stream = true}; },
                          [&](Request&&, BodyReader* body, ResponseWriter& out, const Deadline&) {
                            eventually([&] { return read_on.load(); });
                            std::size_t received = 0;
                            try {
                              for (std::string piece; !(piece = body->read()).empty();) received += piece.size();
                            } catch (const Error& error) {
                              return out.send(Response::text(400, error.message()));
                            }
                            out.send(Response::text(200, std::to_string(received)));
                          }});
  RawClient client(server.port());
  std::thread sender([&] {
    client.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n" + std::string(10'000'000, 'x'));
  });
  std::this_thread::sleep_for(300ms);
  read_on = true;
  const auto answer = client.read_answer();
  sender.join();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "10000000");
}

TEST(Backpressure, AReaderThatTakesNothingIsDropped) {
  std::atomic<int> dropped = 0;
  ServerOptions options;
  options.write_stall_timeout = 50ms;
  options.connections = 1;  // so that another client gets in only when the first is gone
  Server server(options, {{}, [&](Request&& request, BodyReader*, ResponseWriter& out, const Deadline& deadline) {
                            if (request.path == "/stream") {
                              out.start(200, {});
                              while (out.write(std::string(10'000, 'x'))) {
                              }
                              if (deadline.cancelled().stop_requested()) ++dropped;
                              return out.finish();
                            }
                            // send() does not wait: the handler is long gone when the reader is dropped.
                            out.send(Response::text(200, std::string(request.path == "/whole" ? 50'000'000 : 1, 'x')));
                          }});
  for (const char* path : {"/stream", "/whole"}) {
    RawClient stuck(server.port(), 65536);
    eventually([&] { return stuck.connected(); });
    ASSERT_TRUE(stuck.send(lakeloop::format("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", path)));
    ASSERT_TRUE(stuck.fill());
    ASSERT_FALSE(stuck.buffer().starts_with("HTTP/1.1 503"));
    EXPECT_TRUE(eventually([&] {
      RawClient other(server.port());
      if (!other.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")) return false;
      const auto answer = other.read_answer();
      return answer && answer->status == 200 && other.at_end();
    }));
    while (stuck.fill()) {
    }
    EXPECT_LT(stuck.buffer().size(), 50'000'000u);
    // The other connection ends on the server's side a little after ours.
    EXPECT_TRUE(eventually([&] { return dropped == 1; }));
  }
}

}  // namespace
}  // namespace lakeloop::net
