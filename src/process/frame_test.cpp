#include "process/frame.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <map>
#include <thread>
#include <vector>

#include "base/error.h"
#include "process/child.h"

namespace lakeloop::process {
namespace {

std::string bytes_of(std::uint32_t size, std::uint8_t kind, std::uint64_t id, std::string_view payload) {
  std::string bytes(13, '\0');
  std::memcpy(bytes.data(), &size, 4);
  bytes[4] = static_cast<char>(kind);
  std::memcpy(bytes.data() + 5, &id, 8);
  return bytes + std::string(payload);
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = write(fd, bytes.data(), bytes.size());
    ASSERT_GT(sent, 0);
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

ErrorCode error_after(std::string_view bytes) {
  SocketPair pair = make_socket_pair();
  send_all(pair.theirs.get(), bytes);
  pair.theirs.reset();
  FrameSocket socket(pair.ours.get());
  try {
    while (socket.read()) {
    }
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kNotFound;  // a clean end
}

TEST(FrameSocket, CarriesFrames) {
  const SocketPair pair = make_socket_pair();
  FrameSocket ours(pair.ours.get()), theirs(pair.theirs.get());
  const std::string payloads[] = {"", "{}", std::string("\0\n\xff", 3), std::string(5'000'000, 'x')};
  std::thread writer([&] {
    std::uint64_t id = UINT64_MAX;
    for (const std::string& payload : payloads) EXPECT_TRUE(ours.write({FrameKind::kVectors, id--, payload}));
  });
  std::uint64_t id = UINT64_MAX;
  for (const std::string& payload : payloads) {
    const std::optional<Frame> frame = theirs.read();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->kind, FrameKind::kVectors);
    EXPECT_EQ(frame->id, id--);
    EXPECT_EQ(frame->payload, payload);
  }
  writer.join();
}

TEST(FrameSocket, HasTheLayoutOfItsHeader) {
  SocketPair pair = make_socket_pair();
  EXPECT_TRUE(FrameSocket(pair.ours.get()).write({FrameKind::kEvent, 0x0102030405060708, "abc"}));
  pair.ours.reset();
  char buffer[64];
  const ssize_t got = read(pair.theirs.get(), buffer, sizeof buffer);
  EXPECT_EQ(std::string(buffer, static_cast<std::size_t>(got)), bytes_of(12, 3, 0x0102030405060708, "abc"));
}

TEST(FrameSocket, TakesBytesInAnySlices) {
  const std::string bytes = bytes_of(9, 2, 1, "") + bytes_of(14, 1, 2, "hello") + bytes_of(10, 5, 3, "e");
  SocketPair pair = make_socket_pair();
  std::thread writer([&] {
    for (const char c : bytes) send_all(pair.theirs.get(), {&c, 1});
    pair.theirs.reset();
  });
  FrameSocket socket(pair.ours.get());
  EXPECT_EQ(socket.read()->id, 1u);
  EXPECT_EQ(socket.read()->payload, "hello");
  EXPECT_EQ(socket.read()->kind, FrameKind::kError);
  EXPECT_FALSE(socket.read());
  writer.join();
}

TEST(FrameSocket, RefusesBrokenFrames) {
  const std::string good = bytes_of(14, 1, 2, "hello");
  EXPECT_EQ(error_after(""), ErrorCode::kNotFound);
  EXPECT_EQ(error_after(good), ErrorCode::kNotFound);
  for (std::size_t size = 1; size < good.size(); ++size) {
    EXPECT_EQ(error_after(good.substr(0, size)), ErrorCode::kDataLoss) << size;
  }
  EXPECT_EQ(error_after(bytes_of(0, 1, 2, "")), ErrorCode::kDataLoss);
  EXPECT_EQ(error_after(bytes_of(8, 1, 2, "")), ErrorCode::kDataLoss);
  EXPECT_EQ(error_after(bytes_of(kMaxFrameBytes + 1, 1, 2, "")), ErrorCode::kDataLoss);
  EXPECT_EQ(error_after(bytes_of(UINT32_MAX, 1, 2, "")), ErrorCode::kDataLoss);
  EXPECT_EQ(error_after(bytes_of(kMaxFrameBytes, 1, 2, "short")), ErrorCode::kDataLoss);
  EXPECT_EQ(error_after(bytes_of(9, 0, 2, "")), ErrorCode::kDataLoss);
  EXPECT_EQ(error_after(bytes_of(9, 7, 2, "")), ErrorCode::kDataLoss);
  EXPECT_EQ(error_after("HTTP/1.1 200 OK\r\n\r\n"), ErrorCode::kDataLoss);
}

TEST(FrameSocket, AGonePeerIsNoSignal) {
  SocketPair pair = make_socket_pair();
  FrameSocket socket(pair.ours.get());
  pair.theirs.reset();
  EXPECT_FALSE(socket.write({FrameKind::kRequest, 1, "{}"}));
  EXPECT_FALSE(socket.write({FrameKind::kRequest, 2, std::string(1'000'000, 'x')}));
  EXPECT_FALSE(socket.read());
  // Gone with bytes unread: the connection is reset.
  SocketPair other = make_socket_pair();
  FrameSocket second(other.ours.get());
  EXPECT_TRUE(second.write({FrameKind::kRequest, 1, "{}"}));
  other.theirs.reset();
  EXPECT_FALSE(second.read());
  // While a large frame is being written.
  SocketPair third = make_socket_pair();
  std::thread closer([&] {
    char buffer[1000];
    EXPECT_GT(read(third.theirs.get(), buffer, sizeof buffer), 0);
    third.theirs.reset();
  });
  EXPECT_FALSE(FrameSocket(third.ours.get()).write({FrameKind::kRequest, 1, std::string(10'000'000, 'x')}));
  closer.join();
}

TEST(FrameSocket, RefusesToWriteTooMuch) {
  const SocketPair pair = make_socket_pair();
  EXPECT_THROW((void)FrameSocket(pair.ours.get()).write({FrameKind::kRequest, 1, std::string(kMaxFrameBytes - 8, 'x')}),
               Error);
}

TEST(FrameSocket, WritersOfManyThreadsDoNotMix) {
  SocketPair pair = make_socket_pair();
  FrameSocket ours(pair.ours.get()), theirs(pair.theirs.get());
  std::vector<std::thread> writers;
  for (std::uint64_t t = 0; t < 6; ++t) {
    writers.emplace_back([&, t] {
      for (std::size_t i = 0; i < 100; ++i) {
        EXPECT_TRUE(ours.write({FrameKind::kEvent, t, std::string(i * 300, static_cast<char>('a' + t))}));
      }
    });
  }
  std::map<std::uint64_t, std::size_t> next;
  for (int i = 0; i < 600; ++i) {
    const std::optional<Frame> frame = theirs.read();
    ASSERT_TRUE(frame);
    ASSERT_EQ(frame->payload, std::string(next[frame->id]++ * 300, static_cast<char>('a' + frame->id)));
  }
  for (std::thread& writer : writers) writer.join();
}

// Our end may be set not to block, for an event loop.
TEST(FrameSocket, WorksOnDescriptorsThatDoNotBlock) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  const FileHandle a(ends[0]), b(ends[1]);
  FrameSocket ours(a.get()), theirs(b.get());
  std::thread writer([&] { EXPECT_TRUE(ours.write({FrameKind::kDone, 7, std::string(4'000'000, 'y')})); });
  EXPECT_EQ(theirs.read()->payload.size(), 4'000'000u);
  writer.join();
}

}  // namespace
}  // namespace lakeloop::process
