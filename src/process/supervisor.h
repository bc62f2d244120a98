#pragma once

// Keeps one child process running: starts it, starts it again when it ends, waits longer each time it does not last.
// Thread-safe. Callbacks and the factory run on the supervisor's own thread, one at a time; they must not call stop().

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "process/child.h"

namespace lakeloop::process {

enum class SupervisorState : std::uint8_t {
  kStarting,  // the factory is at work
  kRunning,
  kBackoff,  // it ended, or could not be started; the next try comes
  kStopped,
};
std::string_view name_of(SupervisorState state);  // "starting", "running", "backoff", "stopped"

struct SupervisorOptions {
  std::string name;                                   // for the log: "llm:main.default.chat"
  std::function<std::unique_ptr<Child>()> start{};    // may throw Error: counts as an end
  std::function<void(Child&)> on_start{};             // optional; requests may go to it from now on
  std::function<void(const std::string&)> on_exit{};  // optional; "exit code 3", or why it could not be started
  std::chrono::milliseconds first_delay{100};         // doubled each time, up to:
  std::chrono::milliseconds longest_delay{10'000};
  std::chrono::milliseconds healthy_after{30'000};  // who ran that long starts again with first_delay
  std::chrono::milliseconds grace{5'000};           // between SIGTERM and SIGKILL in stop()
};

struct SupervisorStatus {
  SupervisorState state = SupervisorState::kStarting;
  int pid = 0;               // 0 when none runs
  std::uint64_t starts = 0;  // children that came up
  std::uint64_t resident_bytes = 0;
  std::string last_exit;  // "" as long as none has ended
};

class Supervisor {
 public:
  explicit Supervisor(SupervisorOptions options);
  ~Supervisor();  // stop()
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  [[nodiscard]] SupervisorStatus status() const;
  // False when the state was not reached in time, or can no longer be.
  bool wait_for(SupervisorState state, std::chrono::milliseconds wait) const;
  // Sends SIGTERM, waits for the grace, kills. Returns when the child is gone and the last callback is over. Safe to
  // call twice and from several threads.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::process
