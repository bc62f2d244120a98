#include "process/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/error.h"

namespace lakeloop::process {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<Child> shell(const std::string& script) {
  ChildOptions options;
  options.program = "/bin/sh";
  options.arguments = {"-c", script};
  options.environment = {{"PATH", "/usr/bin:/bin"}};
  return Child::spawn(options);
}

bool eventually(auto&& condition) {
  const Steady::time_point until = Steady::now() + 60s;
  while (!condition()) {
    if (Steady::now() > until) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

TEST(Supervisor, KeepsAChildRunning) {
  std::atomic<int> started = 0, ended = 0;
  Supervisor supervisor({.name = "test",
                         .start = [] { return shell("exec sleep 1000"); },
                         .on_start = [&](Child&) { ++started; },
                         .on_exit = [&](const std::string&) { ++ended; },
                         .first_delay = 1ms});
  ASSERT_TRUE(supervisor.wait_for(SupervisorState::kRunning, 60s));
  const SupervisorStatus first = supervisor.status();
  EXPECT_EQ(first.starts, 1u);
  EXPECT_GT(first.pid, 0);
  EXPECT_GT(first.resident_bytes, 0u);
  EXPECT_EQ(first.last_exit, "");
  ::kill(first.pid, SIGKILL);
  ASSERT_TRUE(eventually([&] { return supervisor.status().starts == 2; }));
  EXPECT_EQ(supervisor.status().last_exit, "signal 9 (Killed)");
  EXPECT_NE(supervisor.status().pid, first.pid);
  supervisor.stop();
  EXPECT_EQ(supervisor.status().state, SupervisorState::kStopped);
  EXPECT_EQ(supervisor.status().pid, 0);
  EXPECT_EQ(supervisor.status().last_exit, "signal 15 (Terminated)");
  EXPECT_EQ(started, 2);
  EXPECT_EQ(ended, 2);
  supervisor.stop();
}

TEST(Supervisor, WaitsLongerEachTime) {
  std::mutex mutex;
  std::vector<Steady::time_point> times;
  Supervisor supervisor({.name = "test",
                         .start =
                             [&] {
                               const std::lock_guard lock(mutex);
                               times.push_back(Steady::now());
                               return shell("exit 3");
                             },
                         .first_delay = 10ms,
                         .longest_delay = 40ms});
  const auto count = [&] {
    const std::lock_guard lock(mutex);
    return times.size();
  };
  ASSERT_TRUE(eventually([&] { return count() >= 5; }));
  EXPECT_EQ(supervisor.status().last_exit, "exit code 3");
  supervisor.stop();
  // Never earlier than the delay says; later is the machine's business.
  const std::chrono::milliseconds least[] = {10ms, 20ms, 40ms, 40ms};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_GE(times[i + 1] - times[i], least[i]) << i;
}

TEST(Supervisor, HealthResetsTheDelay) {
  std::atomic<int> starts = 0;
  Supervisor supervisor({.name = "test",
                         .start =
                             [&] {
                               ++starts;
                               return shell("exit 0");
                             },
                         .first_delay = 1ms,
                         .longest_delay = 1h,
                         .healthy_after = 0ms});
  // Doubling from 1 ms would need half an hour for 20 starts.
  EXPECT_TRUE(eventually([&] { return starts >= 20; }));
}

TEST(Supervisor, AFailedStartIsAnEndToo) {
  std::atomic<int> tries = 0;
  std::mutex mutex;
  std::vector<std::string> reasons;
  Supervisor supervisor({.name = "test",
                         .start = [&]() -> std::unique_ptr<Child> {
                           if (++tries < 3) throw Error(ErrorCode::kNotFound, "the model file is missing");
                           return shell("exec sleep 1000");
                         },
                         .on_exit =
                             [&](const std::string& reason) {
                               const std::lock_guard lock(mutex);
                               reasons.push_back(reason);
                               throw std::runtime_error("a callback that fails stops nothing");
                             },
                         .first_delay = 1ms});
  ASSERT_TRUE(supervisor.wait_for(SupervisorState::kRunning, 60s));
  EXPECT_EQ(supervisor.status().last_exit, "the model file is missing");
  EXPECT_EQ(supervisor.status().starts, 1u);
  const std::lock_guard lock(mutex);
  EXPECT_THAT(reasons, testing::ElementsAre("the model file is missing", "the model file is missing"));
}

TEST(Supervisor, StopsAtOnceInBackoff) {
  Supervisor supervisor(
      {.name = "test", .start = [] { return shell("exit 1"); }, .first_delay = 1h, .longest_delay = 1h});
  ASSERT_TRUE(supervisor.wait_for(SupervisorState::kBackoff, 60s));
  EXPECT_EQ(supervisor.status().pid, 0);
  supervisor.stop();
  EXPECT_FALSE(supervisor.wait_for(SupervisorState::kRunning, 60s));  // returns, since it can no longer be
}

TEST(Supervisor, KillsWhatDoesNotListen) {
  Supervisor supervisor({.name = "test",
                         .start =
                             [] {
                               SocketPair pair = make_socket_pair();
                               ChildOptions options;
                               options.program = "/bin/sh";
                               options.arguments = {"-c", "trap '' TERM; echo x >&3; while :; do sleep 1000; done"};
                               options.environment = {{"PATH", "/usr/bin:/bin"}};
                               options.hand_over = pair.theirs.release();
                               auto child = Child::spawn(options);
                               char c;
                               EXPECT_EQ(read(pair.ours.get(), &c, 1), 1);  // the trap is set
                               return child;
                             },
                         .grace = 20ms});
  ASSERT_TRUE(supervisor.wait_for(SupervisorState::kRunning, 60s));
  supervisor.stop();
  EXPECT_EQ(supervisor.status().last_exit, "signal 9 (Killed)");
}

TEST(Supervisor, MayBeStoppedByManyAtAnyMoment) {
  for (int round = 0; round < 20; ++round) {
    Supervisor supervisor({.name = "test", .start = [] { return shell("exec sleep 1000"); }});
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        (void)supervisor.status();
        supervisor.stop();
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(supervisor.status().state, SupervisorState::kStopped);
    EXPECT_EQ(supervisor.status().pid, 0);
  }
}

}  // namespace
}  // namespace lakeloop::process
