#include "process/supervisor.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

namespace lakeloop::process {

std::string_view name_of(SupervisorState state) {
  switch (state) {
    case SupervisorState::kStarting:
      return "starting";
    case SupervisorState::kRunning:
      return "running";
    case SupervisorState::kBackoff:
      return "backoff";
    case SupervisorState::kStopped:
      return "stopped";
  }
  LAKELOOP_UNREACHABLE();
}

struct Supervisor::Impl {
  const SupervisorOptions options;
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  SupervisorState state = SupervisorState::kStarting;
  std::shared_ptr<Child> child;
  std::uint64_t starts = 0;
  std::string last_exit;
  bool stopping = false;
  std::mutex join_mutex;
  std::thread thread;
  // Of the thread that runs here, if any: a thread's id is another's after its end.
  static thread_local const Impl* running_here;

  explicit Impl(SupervisorOptions given) : options(std::move(given)) {}

  void run() {
    running_here = this;
    std::chrono::milliseconds delay = options.first_delay;
    while (enter(SupervisorState::kStarting)) {
      const Steady::time_point began = Steady::now();
      const std::string reason = run_once();
      if (Steady::now() - began >= options.healthy_after) delay = options.first_delay;
      ended(reason);
      if (!enter(SupervisorState::kBackoff)) break;
      log_warning("process.ended", {{"name", options.name}, {"reason", reason}, {"next_start_ms", delay.count()}});
      std::unique_lock lock(mutex);
      changed.wait_for(lock, delay, [&] { return stopping; });
      delay = std::min(delay * 2, options.longest_delay);
    }
    const std::lock_guard lock(mutex);
    state = SupervisorState::kStopped;
    changed.notify_all();
  }

  // From the start of one child to its end; says how it ended.
  std::string run_once() {
    try {
      std::shared_ptr<Child> started = options.start();
      LAKELOOP_CHECK(started != nullptr);
      {
        const std::lock_guard lock(mutex);
        child = started;
        ++starts;
        state = SupervisorState::kRunning;
        if (stopping) started->terminate();  // stop() came while it was being made, and saw none
        changed.notify_all();
      }
      log_info("process.started", {{"name", options.name}, {"pid", started->pid()}});
      if (options.on_start) options.on_start(*started);
      for (;;) {
        if (const auto exit = started->wait_for(std::chrono::hours(1))) return exit->text();
      }
    } catch (const std::exception& error) {
      return error.what();
    }
  }

  void ended(const std::string& reason) {
    std::shared_ptr<Child> gone;
    {
      const std::lock_guard lock(mutex);
      gone = std::move(child);
      child.reset();
      last_exit = reason;
    }
    gone.reset();  // kills one that a callback's exception left behind
    if (!options.on_exit) return;
    try {
      options.on_exit(reason);
    } catch (const std::exception& error) {
      log_error("process.callback_failed", {{"name", options.name}, {"reason", error.what()}});
    }
  }

  bool enter(SupervisorState next) {
    const std::lock_guard lock(mutex);
    if (stopping) return false;
    state = next;
    changed.notify_all();
    return true;
  }

  bool wait_stopped(std::chrono::milliseconds wait) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, wait, [&] { return state == SupervisorState::kStopped; });
  }

  void kill_child() {
    const std::lock_guard lock(mutex);
    if (child) child->kill();
  }
};

thread_local const Supervisor::Impl* Supervisor::Impl::running_here = nullptr;

Supervisor::Supervisor(SupervisorOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {
  LAKELOOP_CHECK(impl_->options.start != nullptr);
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

Supervisor::~Supervisor() {
  stop();
}

SupervisorStatus Supervisor::status() const {
  std::shared_ptr<Child> child;
  SupervisorStatus status;
  {
    const std::lock_guard lock(impl_->mutex);
    child = impl_->child;
    status.state = impl_->state;
    status.starts = impl_->starts;
    status.last_exit = impl_->last_exit;
  }
  if (child) {
    status.pid = child->pid();
    status.resident_bytes = child->resident_bytes();
  }
  return status;
}

bool Supervisor::wait_for(SupervisorState state, std::chrono::milliseconds wait) const {
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait_for(lock, wait,
                          [&] { return impl_->state == state || impl_->state == SupervisorState::kStopped; });
  return impl_->state == state;
}

void Supervisor::stop() {
  LAKELOOP_CHECK(Impl::running_here != impl_.get());  // from a callback it would wait for itself
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    if (impl_->child) impl_->child->terminate();
  }
  impl_->changed.notify_all();
  // A factory may still be at work when the grace is over: what it makes is terminated at once, and killed by the next
  // round.
  const auto grace = std::max(impl_->options.grace, std::chrono::milliseconds(1));
  while (!impl_->wait_stopped(grace)) impl_->kill_child();
  const std::lock_guard lock(impl_->join_mutex);
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace lakeloop::process
