#include "process/frame.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace lakeloop::process {
namespace {

constexpr std::size_t kSizeBytes = 4;
constexpr std::size_t kHeadBytes = 1 + 8;         // kind and id, counted by the size
constexpr std::size_t kPieceBytes = 1024 * 1024;  // memory follows the bytes that came, not the size announced

void wait_for(int fd, short events) {
  struct pollfd one{fd, events, 0};
  poll(&one, 1, -1);
}

// Bytes read; fewer than `size` only at the end of the stream.
std::size_t read_up_to(int fd, char* to, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(fd, to + done, size - done);
    if (got > 0) {
      done += static_cast<std::size_t>(got);
    } else if (got == 0 || errno == ECONNRESET) {
      break;  // a peer that died with bytes unread resets the connection
    } else if (errno == EAGAIN) {
      wait_for(fd, POLLIN);
    } else if (errno != EINTR) {
      throw Error(ErrorCode::kDataLoss, "cannot read from a worker: {}", std::strerror(errno));
    }
  }
  return done;
}

[[noreturn]] void cut() {
  throw Error(ErrorCode::kDataLoss, "a worker's stream ends inside a frame");
}

}  // namespace

std::optional<Frame> FrameSocket::read() {
  char head[kSizeBytes + kHeadBytes];
  const std::size_t got = read_up_to(fd_, head, sizeof head);
  if (got == 0) return std::nullopt;
  if (got < sizeof head) cut();
  std::uint32_t size;
  Frame frame;
  std::memcpy(&size, head, 4);
  const auto kind = static_cast<std::uint8_t>(head[4]);
  std::memcpy(&frame.id, head + 5, 8);
  if (size < kHeadBytes || size > kMaxFrameBytes) {
    throw Error(ErrorCode::kDataLoss, "a worker sent a frame of {} bytes, {} to {} are allowed", size, kHeadBytes,
                kMaxFrameBytes);
  }
  if (kind < static_cast<std::uint8_t>(FrameKind::kRequest) || kind > static_cast<std::uint8_t>(FrameKind::kVectors)) {
    throw Error(ErrorCode::kDataLoss, "a worker sent a frame of the unknown kind {}", kind);
  }
  frame.kind = static_cast<FrameKind>(kind);
  std::size_t left = size - kHeadBytes;
  while (left > 0) {
    const std::size_t piece = std::min(left, kPieceBytes);
    const std::size_t before = frame.payload.size();
    frame.payload.resize(before + piece);
    if (read_up_to(fd_, frame.payload.data() + before, piece) < piece) cut();
    left -= piece;
  }
  return frame;
}

bool FrameSocket::write(const Frame& frame) {
  const std::size_t size = kHeadBytes + frame.payload.size();
  if (size > kMaxFrameBytes) {
    throw Error(ErrorCode::kTooLarge, "a frame for a worker has {} bytes, the limit is {}", size, kMaxFrameBytes);
  }
  char head[kSizeBytes + kHeadBytes];
  const auto announced = static_cast<std::uint32_t>(size);
  std::memcpy(head, &announced, 4);
  head[4] = static_cast<char>(frame.kind);
  std::memcpy(head + 5, &frame.id, 8);
  struct iovec parts[2] = {{head, sizeof head}, {const_cast<char*>(frame.payload.data()), frame.payload.size()}};
  const std::lock_guard lock(write_mutex_);
  std::size_t left = sizeof head + frame.payload.size();
  while (left > 0) {
    struct msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    const ssize_t sent = sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        wait_for(fd_, POLLOUT);
        continue;
      }
      return false;  // EPIPE, ECONNRESET, ENOTCONN, EBADF: whatever it is, no frame gets through any more
    }
    left -= static_cast<std::size_t>(sent);
    auto taken = static_cast<std::size_t>(sent);
    for (struct iovec& part : parts) {
      const std::size_t step = std::min(taken, part.iov_len);
      part.iov_base = static_cast<char*>(part.iov_base) + step;
      part.iov_len -= step;
      taken -= step;
    }
  }
  return true;
}

}  // namespace lakeloop::process
