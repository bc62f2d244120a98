#pragma once

// What the worker gives up before it reads a file that a user uploaded.

namespace lakeloop::llm {

// No privileges by exec, no network (where the kernel lets us leave it), no backtrace by a debugger, working folder "/"
// (libggml looks for plugins in the working folder too). Call while the process has one thread.
void enter_sandbox();

}  // namespace lakeloop::llm
