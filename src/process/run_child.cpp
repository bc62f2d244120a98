#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "process/child.h"
#include "process/spawn.h"

namespace lakeloop::process {
namespace {

struct Pipe {
  FileHandle reading, writing;
};

Pipe make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    throw Error(ErrorCode::kResourceExhausted, "cannot make a pipe: {}", std::strerror(errno));
  Pipe made{FileHandle(ends[0]), FileHandle(ends[1])};
  fcntl(made.reading.get(), F_SETFL, O_NONBLOCK);
  return made;
}

// Takes what is in the pipe now; closes it at its end.
template <typename Take>
void drain(FileHandle& pipe, Take&& take) {
  // A bound, so that a child that prints without end cannot keep us from looking at the clock.
  for (int round = 0; pipe && round < 64; ++round) {
    char buffer[16 * 1024];
    const ssize_t got = read(pipe.get(), buffer, sizeof buffer);
    if (got > 0) {
      take(std::string_view(buffer, static_cast<std::size_t>(got)));
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
      pipe.reset();
    } else if (errno == EAGAIN) {
      return;
    }
  }
}

}  // namespace

RunResult run_child(ChildOptions options, std::chrono::milliseconds timeout, std::size_t output_limit) {
  const FileHandle hand_over(options.hand_over);
  const Steady::time_point until = Steady::now() + std::min(timeout, std::chrono::milliseconds(std::chrono::hours(24)));
  Pipe output = make_pipe();
  Pipe errors = make_pipe();
  const SpawnedProcess process = spawn_process(options, output.writing.get(), errors.writing.get());
  output.writing.reset();
  errors.writing.reset();

  RunResult result;
  const auto take_output = [&](std::string_view bytes) {
    result.output += bytes.substr(0, output_limit - std::min(output_limit, result.output.size()));
  };
  const auto take_errors = [&](std::string_view bytes) {
    result.errors += bytes;
    if (result.errors.size() > 4 * limits::kChildErrorBytes)
      result.errors.erase(0, result.errors.size() - limits::kChildErrorBytes);
  };
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Steady::now());
    // A negative descriptor is skipped by poll.
    std::array<struct pollfd, 3> all = {
        {{process.pidfd.get(), POLLIN, 0}, {output.reading.get(), POLLIN, 0}, {errors.reading.get(), POLLIN, 0}}};
    if (left.count() > 0) poll(all.data(), all.size(), static_cast<int>(left.count()));
    const bool ended = all[0].revents != 0;
    if (!ended && Steady::now() >= until) {
      ::kill(-process.pid, SIGKILL);
      (void)reap(process, std::chrono::hours(1));
      throw Error(ErrorCode::kDeadlineExceeded, "{} was stopped after {} ms", options.program.filename().string(),
                  timeout.count());
    }
    if (ended) result.exit = *reap(process, std::chrono::milliseconds(0));
    drain(output.reading, take_output);
    drain(errors.reading, take_errors);
    if (ended) break;
  }
  // Its group is dead; what a process that left the group still prints is not waited for.
  if (result.errors.size() > limits::kChildErrorBytes)
    result.errors.erase(0, result.errors.size() - limits::kChildErrorBytes);
  return result;
}

}  // namespace lakeloop::process
