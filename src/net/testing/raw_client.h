#pragma once

// For tests: a socket that sends exactly the bytes it is given, and a reader of answers that knows just enough HTTP.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "base/file.h"
#include "base/text.h"

namespace lakeloop::net::testing {

struct RawAnswer {
  int status = 0;
  std::string head;  // with the blank line
  std::string body;  // chunks joined
  [[nodiscard]] std::string header(std::string_view name) const {
    for (const std::string_view line : split(head, '\n')) {
      const std::size_t colon = line.find(':');
      if (colon != std::string_view::npos && iequals(line.substr(0, colon), name))
        return std::string(trim(line.substr(colon + 1)));
    }
    return {};
  }
};

class RawClient {
 public:
  // `receive_buffer`: SO_RCVBUF, for tests of backpressure.
  explicit RawClient(std::uint16_t port, int receive_buffer = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const int on = 1;
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }

  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

  // False when the server has closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void half_close() { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }
  // Closes with a reset.
  void reset() {
    const linger hard{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    fd_.reset();
  }

  // More bytes into the buffer; false at the end of the stream, on an error or after the bound.
  bool fill(std::chrono::milliseconds bound = std::chrono::seconds(30)) {
    pollfd waiting{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, static_cast<int>(bound.count())) <= 0) return false;
    char piece[65536];
    const ssize_t got = ::recv(fd_.get(), piece, sizeof piece, 0);
    if (got <= 0) return false;
    buffer_.append(piece, static_cast<std::size_t>(got));
    return true;
  }
  std::string& buffer() { return buffer_; }

  // True when the server closes, without a further byte.
  bool at_end() {
    const std::size_t before = buffer_.size();
    return !fill() && buffer_.size() == before && !buffered();
  }
  [[nodiscard]] bool buffered() const { return !buffer_.empty(); }

  std::optional<RawAnswer> read_head() {
    std::size_t end;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!fill()) return std::nullopt;
    }
    RawAnswer answer;
    answer.head = buffer_.substr(0, end + 4);
    buffer_.erase(0, end + 4);
    if (answer.head.size() > 12)
      answer.status = parse_number<int>(std::string_view(answer.head).substr(9, 3)).value_or(0);
    return answer;
  }

  // nullopt when the stream ends before the answer does.
  std::optional<RawAnswer> read_answer(bool to_head = false) {
    auto answer = read_head();
    if (!answer || to_head || answer->status < 200 || answer->status == 204 || answer->status == 304) return answer;
    if (const std::string length = answer->header("content-length"); !length.empty()) {
      const std::size_t wanted = parse_number<std::size_t>(length).value();
      while (buffer_.size() < wanted) {
        if (!fill()) return std::nullopt;
      }
      answer->body = buffer_.substr(0, wanted);
      buffer_.erase(0, wanted);
    } else if (answer->header("transfer-encoding") == "chunked") {
      for (;;) {
        auto chunk = read_chunk();
        if (!chunk) return std::nullopt;
        if (chunk->empty()) break;
        answer->body += *chunk;
      }
    } else {
      while (fill()) {
      }
      answer->body = std::exchange(buffer_, {});
    }
    return answer;
  }

  // The last chunk is empty.
  std::optional<std::string> read_chunk() {
    std::size_t line;
    while ((line = buffer_.find("\r\n")) == std::string::npos) {
      if (!fill()) return std::nullopt;
    }
    std::size_t size = 0;
    if (std::from_chars(buffer_.data(), buffer_.data() + line, size, 16).ptr != buffer_.data() + line)
      return std::nullopt;
    while (buffer_.size() < line + 2 + size + 2) {
      if (!fill()) return std::nullopt;
    }
    std::string chunk = buffer_.substr(line + 2, size);
    buffer_.erase(0, line + 2 + size + 2);
    return chunk;
  }

 private:
  FileHandle fd_;
  bool connected_ = false;
  std::string buffer_;
};

// Polls `condition` until it holds; false after the bound.
template <typename Condition>
bool eventually(const Condition& condition, std::chrono::milliseconds bound = std::chrono::seconds(30)) {
  const auto until = std::chrono::steady_clock::now() + bound;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace lakeloop::net::testing
