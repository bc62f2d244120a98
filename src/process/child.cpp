#include "process/child.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>

#include "base/clock.h"
#include "base/error.h"
#include "base/format.h"
#include "base/limits.h"
#include "base/text.h"
#include "process/log_writer.h"
#include "process/spawn.h"

namespace lakeloop::process {

std::string ChildExit::text() const {
  if (signal == 0) return format("exit code {}", code);
  const char* name = sigdescr_np(signal);
  return format("signal {} ({})", signal, name == nullptr ? "unknown" : name);
}

struct Child::Impl {
  mutable std::mutex mutex;  // over `exit`: a process that is reaped must not be signalled, its number may be another's
  SpawnedProcess process;
  std::optional<ChildExit> exit;
  std::unique_ptr<LogWriter> log;

  void signal(int number) {
    const std::lock_guard lock(mutex);
    if (!exit) ::kill(-process.pid, number);
  }
};

Child::Child(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

std::unique_ptr<Child> Child::spawn(ChildOptions options) {
  const FileHandle hand_over(options.hand_over);  // closed here, also when something fails
  auto impl = std::make_unique<Impl>();
  FileHandle output;
  if (options.log_file.empty()) {
    output = open_file("/dev/null", O_WRONLY);
  } else {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
      throw Error(ErrorCode::kResourceExhausted, "cannot make a pipe: {}", std::strerror(errno));
    FileHandle reading(ends[0]);
    output = FileHandle(ends[1]);
    impl->log = std::make_unique<LogWriter>(std::move(reading), options.log_file, limits::kChildLogBytes);
  }
  impl->process = spawn_process(options, output.get(), output.get());
  return std::unique_ptr<Child>(new Child(std::move(impl)));
}

Child::~Child() {
  kill();
  while (!wait_for(std::chrono::hours(1))) {
  }
}

int Child::pid() const {
  return impl_->process.pid;
}

std::optional<ChildExit> Child::wait_for(std::chrono::milliseconds wait) {
  // The wait itself is outside the lock, so that others may send signals meanwhile.
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->exit) return impl_->exit;
  }
  if (!wait_readable(impl_->process.pidfd.get(), wait)) return std::nullopt;
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->exit) {
    impl_->exit = reap(impl_->process, std::chrono::milliseconds(0));
    impl_->log.reset();  // what it printed last is in the file when its end is known
  }
  return impl_->exit;
}

void Child::terminate() {
  impl_->signal(SIGTERM);
}
void Child::kill() {
  impl_->signal(SIGKILL);
}

std::uint64_t Child::resident_bytes() const {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->exit) return 0;
  try {
    const std::string about = read_file(format("/proc/{}/statm", impl_->process.pid), 4096);
    const std::vector<std::string_view> pages = split(about, ' ');  // total, resident, ...
    if (pages.size() < 2) return 0;
    return parse_number<std::uint64_t>(pages[1]).value_or(0) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  } catch (const Error&) {
    return 0;
  }
}

SocketPair make_socket_pair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    throw Error(ErrorCode::kResourceExhausted, "cannot make a pair of sockets: {}", std::strerror(errno));
  }
  return {FileHandle(ends[0]), FileHandle(ends[1])};
}

}  // namespace lakeloop::process
