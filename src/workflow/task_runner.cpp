#include "workflow/task_runner.h"

#include <deque>
#include <map>
#include <mutex>

#include "base/id.h"
#include "base/log.h"
#include "base/thread_pool.h"

namespace lakeloop::workflow {
namespace {

constexpr std::size_t kQueue = 32;
constexpr std::size_t kKept = 1000;
constexpr auto kLongest = std::chrono::hours(24);

}  // namespace

std::string_view to_string(TaskState state) {
  switch (state) {
    case TaskState::kQueued:
      return "QUEUED";
    case TaskState::kRunning:
      return "RUNNING";
    case TaskState::kSucceeded:
      return "SUCCEEDED";
    case TaskState::kFailed:
      return "FAILED";
    case TaskState::kCancelled:
      return "CANCELLED";
  }
  return "";
}

struct TaskRunner::Impl {
  struct Entry : Task {
    explicit Entry(std::mutex& m) : mutex(m), until(Deadline::after(kLongest, stop.get_token())) {}
    void report(std::int64_t done, std::int64_t total, std::string what) override {
      const std::lock_guard lock(mutex);
      status.done = done;
      status.total = total;
      status.what = std::move(what);
    }
    [[nodiscard]] const Deadline& deadline() const override { return until; }

    std::mutex& mutex;
    std::stop_source stop;
    Deadline until;
    TaskStatus status;
  };

  explicit Impl(std::size_t threads) : pool("task", threads, kQueue) {}

  void run(const std::shared_ptr<Entry>& entry, const Work& work) {
    {
      const std::lock_guard lock(mutex);
      if (entry->stop.stop_requested()) {
        entry->status.state = TaskState::kCancelled;
        return;
      }
      entry->status.state = TaskState::kRunning;
    }
    std::optional<Error> error;
    Json result;
    try {
      result = work(*entry);
    } catch (const Error& failure) {
      error = failure;
    } catch (const std::exception& failure) {
      log_error("task_exception", {{"task", entry->status.id}, {"what", failure.what()}});
      error = Error(ErrorCode::kInternal, "unexpected exception in task {}", entry->status.id);
    }
    const std::lock_guard lock(mutex);
    TaskStatus& status = entry->status;
    status.ended = Timestamp::now();
    status.result = std::move(result);
    status.state = TaskState::kSucceeded;
    if (error) {
      status.state = error->code() == ErrorCode::kCancelled ? TaskState::kCancelled : TaskState::kFailed;
      status.error = std::move(error);
    }
    ended.push_back(status.id);
    if (ended.size() > kKept) {
      entries.erase(ended.front());
      ended.pop_front();
    }
  }

  std::mutex mutex;
  std::map<std::string, std::shared_ptr<Entry>, std::less<>> entries;
  std::deque<std::string> ended;
  ThreadPool pool;  // last: its threads end first
};

TaskRunner::TaskRunner(std::size_t threads) : impl_(std::make_unique<Impl>(threads)) {}
TaskRunner::~TaskRunner() {
  stop();
}

std::string TaskRunner::submit(std::string kind, std::string owner, Work work) {
  auto entry = std::make_shared<Impl::Entry>(impl_->mutex);
  entry->status.id = new_uuid();
  entry->status.kind = std::move(kind);
  entry->status.owner = std::move(owner);
  entry->status.created = Timestamp::now();
  const std::string id = entry->status.id;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->entries.emplace(id, entry);
  }
  if (!impl_->pool.try_submit([this, entry, work = std::move(work)] { impl_->run(entry, work); })) {
    const std::lock_guard lock(impl_->mutex);
    impl_->entries.erase(id);
    throw Error(ErrorCode::kUnavailable, "{} tasks are waiting already; try again later", kQueue)
        .with_retry_after(std::chrono::seconds(5));
  }
  return id;
}

std::optional<TaskStatus> TaskRunner::find(std::string_view id) {
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->entries.find(id);
  if (found == impl_->entries.end()) return std::nullopt;
  return found->second->status;
}

void TaskRunner::cancel(std::string_view id) {
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->entries.find(id);
  if (found != impl_->entries.end()) found->second->stop.request_stop();
}

void TaskRunner::stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& [id, entry] : impl_->entries) entry->stop.request_stop();
  }
  impl_->pool.stop();
}

}  // namespace lakeloop::workflow
