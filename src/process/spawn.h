#pragma once

// Starts a program as a process of its own group with exactly the descriptors named here. Used by Child and run_child.

#include <sys/types.h>

#include "base/file.h"
#include "process/child.h"

namespace lakeloop::process {

struct SpawnedProcess {
  pid_t pid = -1;
  FileHandle pidfd;  // readable when the process has ended
};

// `output` and `errors` become the child's descriptors 1 and 2. Does not close options.hand_over.
SpawnedProcess spawn_process(const ChildOptions& options, int output, int errors);

// Waits until the process has ended, at most `wait`; kills what is left of its group, then reaps it.
std::optional<ChildExit> reap(const SpawnedProcess& process, std::chrono::milliseconds wait);

// poll(2) for one descriptor that goes on after signals. False when the time is over.
bool wait_readable(int fd, std::chrono::milliseconds wait);

}  // namespace lakeloop::process
