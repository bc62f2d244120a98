#pragma once

// The worker protocol: frames over a Unix stream socket. A frame is
//   u32 size of what follows | u8 kind | u64 request id | payload        (little-endian)
// The payload is JSON, but for kVectors, which is raw float32. Ids match answers to requests; several run at once.

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace lakeloop::process {

enum class FrameKind : std::uint8_t {
  kRequest = 1,  // parent -> worker: {"op": "...", ...}
  kCancel = 2,   // parent -> worker: no payload
  kEvent = 3,    // worker -> parent: one piece of a streamed answer
  kDone = 4,     // worker -> parent: the last frame of a request, {...}
  kError = 5,    // worker -> parent: the last frame, {"error_code","message"}
  kVectors = 6,  // worker -> parent: float32 data; followed by kDone
};

struct Frame {
  FrameKind kind = FrameKind::kRequest;
  std::uint64_t id = 0;
  std::string payload;
};

inline constexpr std::size_t kMaxFrameBytes = 64 * 1024 * 1024;

// Does not own the descriptor. read() and write() may run on two threads at once; write() is serialised.
class FrameSocket {
 public:
  explicit FrameSocket(int fd) : fd_(fd) {}
  // nullopt at the end of the stream; throws kDataLoss on a broken frame.
  std::optional<Frame> read();
  // False when the peer is gone.
  [[nodiscard]] bool write(const Frame& frame);

 private:
  int fd_;
  std::mutex write_mutex_;
};

}  // namespace lakeloop::process
