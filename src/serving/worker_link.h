#pragma once

// Our side of one running worker process: requests go out by id, a reader thread sorts what comes back. When the worker
// dies, every request in flight ends with kUnavailable. Thread-safe.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/deadline.h"
#include "base/file.h"
#include "codec/json.h"
#include "process/frame.h"

namespace lakeloop::serving {

class WorkerLink {
 public:
  explicit WorkerLink(FileHandle socket);
  ~WorkerLink();  // closes the socket: the worker ends
  WorkerLink(const WorkerLink&) = delete;
  WorkerLink& operator=(const WorkerLink&) = delete;

  struct Handlers {
    std::function<bool(const Json&)> on_event;         // false cancels the request
    std::function<void(std::string_view)> on_vectors;  // raw float32
  };
  struct Answer {
    Json result;  // of the last frame; null when on_event cancelled it
    bool cancelled = false;
  };
  // Waits for the last frame on the caller's thread and calls the handlers there. Throws what the worker reports;
  // kUnavailable when it dies; kDeadlineExceeded or kCancelled, after telling the worker to stop.
  Answer call(const Json& request, const Deadline& deadline, const Handlers& handlers);

  [[nodiscard]] bool closed() const;

 private:
  struct Pending {
    std::deque<process::Frame> frames;
    std::condition_variable_any arrived;
    bool lost = false;
  };
  void read();
  process::Frame next(Pending& pending, const Deadline& deadline);

  FileHandle socket_;
  process::FrameSocket frames_;
  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<Pending>> pending_;
  std::uint64_t next_id_ = 1;
  bool closed_ = false;
  std::jthread reader_;  // last: it uses the others
};

}  // namespace lakeloop::serving
