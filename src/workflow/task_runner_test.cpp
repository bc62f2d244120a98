#include "workflow/task_runner.h"

#include <gtest/gtest.h>

#include <thread>

namespace lakeloop::workflow {
namespace {

TaskStatus wait_for_end(TaskRunner& runner, const std::string& id) {
  for (int i = 0; i < 5000; ++i) {
    const TaskStatus status = runner.find(id).value();
    if (status.state != TaskState::kQueued && status.state != TaskState::kRunning) return status;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  ADD_FAILURE() << "the task did not end";
  return {};
}

TEST(TaskRunner, KeepsResultsAndErrors) {
  TaskRunner runner;
  const std::string good = runner.submit("ingest", "ada", [](TaskRunner::Task& task) {
    task.report(1, 2, "page");
    return Json::object({{"pages", 2}});
  });
  const std::string bad = runner.submit("ingest", "ada", [](TaskRunner::Task&) -> Json {
    throw Error(ErrorCode::kInvalidArgument, "no such folder: {}", "x");
  });
  EXPECT_EQ(wait_for_end(runner, good).result["pages"].int_or(0), 2);
  const TaskStatus failed = wait_for_end(runner, bad);
  EXPECT_EQ(failed.state, TaskState::kFailed);
  EXPECT_EQ(failed.error.value().message(), "no such folder: x");
  EXPECT_FALSE(runner.find("unknown").has_value());
}

TEST(TaskRunner, CancelsAndRefusesWhenFull) {
  TaskRunner runner(1);
  const auto wait_until_cancelled = [](TaskRunner::Task& task) -> Json {
    for (;;) {
      task.deadline().check();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  };
  const std::string id = runner.submit("long", "ada", wait_until_cancelled);
  bool refused = false;
  for (int i = 0; i < 100 && !refused; ++i) {
    try {
      static_cast<void>(runner.submit("long", "ada", [](TaskRunner::Task&) { return Json(); }));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
      refused = true;
    }
  }
  EXPECT_TRUE(refused);
  runner.cancel(id);
  EXPECT_EQ(wait_for_end(runner, id).state, TaskState::kCancelled);
}

}  // namespace
}  // namespace lakeloop::workflow
