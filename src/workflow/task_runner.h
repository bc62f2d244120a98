#pragma once

// Work that outlives its request: ingest, chunking, downloads. A task has an id, a state, progress and, at its end, a
// result or an error. Tasks run on a few threads behind a bounded queue; the newest thousand ended ones are kept in
// memory. What a task does must be safe to run again: a stop of the server ends it, and nothing restarts it by itself.
// Thread-safe.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/deadline.h"
#include "codec/json.h"

namespace lakeloop::workflow {

enum class TaskState : std::uint8_t { kQueued, kRunning, kSucceeded, kFailed, kCancelled };
std::string_view to_string(TaskState state);

struct TaskStatus {
  std::string id, kind, owner;
  TaskState state = TaskState::kQueued;
  std::int64_t done = 0, total = 0;  // 0 of 0: unknown
  std::string what;                  // what it is at
  Json result;                       // of a succeeded one
  std::optional<Error> error;        // of a failed one
  Timestamp created, ended;
};

class TaskRunner {
 public:
  // What a task sees: report() is cheap, deadline() is cancelled when the task or the server is stopped.
  class Task {
   public:
    virtual ~Task() = default;
    virtual void report(std::int64_t done, std::int64_t total, std::string what) = 0;
    [[nodiscard]] virtual const Deadline& deadline() const = 0;
  };
  using Work = std::function<Json(Task&)>;

  explicit TaskRunner(std::size_t threads = 2);
  ~TaskRunner();
  TaskRunner(const TaskRunner&) = delete;
  TaskRunner& operator=(const TaskRunner&) = delete;

  // The task's id. kUnavailable with Retry-After when too many wait.
  std::string submit(std::string kind, std::string owner, Work work);
  std::optional<TaskStatus> find(std::string_view id);
  void cancel(std::string_view id);
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::workflow
