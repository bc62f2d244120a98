#include "llm/sandbox.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>

#include "base/error.h"

namespace lakeloop::llm {

void enter_sandbox() {
  // An abort of libggml starts a debugger for a backtrace where there is one; and a core file would hold prompts.
  ::setenv("GGML_NO_BACKTRACE", "1", 1);
  const rlimit no_core{0, 0};
  static_cast<void>(::setrlimit(RLIMIT_CORE, &no_core));
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    throw Error(ErrorCode::kInternal, "prctl(PR_SET_NO_NEW_PRIVS) failed");
  }
  // Leaving the network needs CAP_SYS_ADMIN or user namespaces; without either the worker still opens no socket.
  if (::unshare(CLONE_NEWNET) != 0) static_cast<void>(::unshare(CLONE_NEWUSER | CLONE_NEWNET));
  ::signal(SIGPIPE, SIG_IGN);
  if (::chdir("/") != 0) throw Error(ErrorCode::kInternal, "cannot change to the folder /");
}

}  // namespace lakeloop::llm
