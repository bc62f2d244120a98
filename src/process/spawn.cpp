#include "process/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <future>
#include <thread>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/thread_pool.h"

namespace lakeloop::process {
namespace {

constexpr int kHandOver = 3;
constexpr int kFirstFreeFd = 10;  // descriptors are moved out of the way of 0 to 3 first

struct Limit {
  int resource;
  rlim_t value;
};

// All that the child needs, made before it exists: between vfork and exec it may only make system calls.
struct Plan {
  std::string program;
  std::vector<std::string> texts;
  std::vector<char*> arguments;
  std::vector<char*> environment;
  std::string folder;
  std::vector<Limit> limits;
  int input = -1, output = -1, errors = -1, hand_over = -1;
  int report = -1;  // takes errno when a step fails; closed by exec
  pid_t parent = 0;
};

[[noreturn]] void give_up(const Plan& plan) {
  const int cause = errno;
  [[maybe_unused]] const ssize_t ignored = write(plan.report, &cause, sizeof cause);
  _exit(127);
}

bool move_to(int fd, int target) {
  return dup2(fd, target) == target;
}

// Runs in the child, on the memory of the parent.
[[noreturn]] void become(const Plan& plan) {
  if (setpgid(0, 0) != 0) give_up(plan);
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up(plan);
  if (getppid() != plan.parent) _exit(127);  // it died before the line above
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up(plan);
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number)
    sigaction(number, &standard, nullptr);  // some numbers are refused: fine
  for (const Limit& limit : plan.limits) {
    const struct rlimit both{limit.value, limit.value};
    if (setrlimit(static_cast<__rlimit_resource>(limit.resource), &both) != 0) give_up(plan);
  }
  if (chdir(plan.folder.c_str()) != 0) give_up(plan);
  if (!move_to(plan.input, 0) || !move_to(plan.output, 1) || !move_to(plan.errors, 2)) give_up(plan);
  if (plan.hand_over >= 0 && !move_to(plan.hand_over, kHandOver)) give_up(plan);
  const unsigned first_closed = plan.hand_over >= 0 ? kHandOver + 1 : kHandOver;
  if (close_range(first_closed, ~0u, CLOSE_RANGE_CLOEXEC) != 0) give_up(plan);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(plan.program.c_str(), plan.arguments.data(), plan.environment.data());
  give_up(plan);
}

// vfork and not fork: the page tables of a server with gigabytes take milliseconds to copy. The parent stands still
// until the child has executed its program, so the child may use its memory.
pid_t start(const Plan& plan) {
  const pid_t pid = vfork();
  if (pid == 0) become(plan);
  return pid;
}

// PR_SET_PDEATHSIG fires when the *thread* that made the child ends, so one thread that never ends makes them all. It
// takes no signals: a handler must not run in the child on our memory. It is never destroyed, as threads of a library
// may still be at work when main returns.
ThreadPool& spawner() {
  static ThreadPool* const pool = [] {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    auto* made = new ThreadPool("spawn", 1, limits::kSpawnQueue);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return made;
  }();
  return *pool;
}

[[noreturn]] void fail(std::string_view what, const std::filesystem::path& program, int cause) {
  ErrorCode code = ErrorCode::kInternal;
  if (cause == ENOENT || cause == ENOTDIR) code = ErrorCode::kNotFound;
  if (cause == EACCES || cause == EPERM) code = ErrorCode::kPermissionDenied;
  if (cause == EAGAIN || cause == ENOMEM || cause == EMFILE || cause == ENFILE) code = ErrorCode::kResourceExhausted;
  throw Error(code, "cannot {} {}: {}", what, program.string(), std::strerror(cause));
}

// A name without '/' is looked up in PATH, as a shell does.
std::string find_program(const std::filesystem::path& program) {
  const std::string name = program.string();
  if (name.empty()) throw Error(ErrorCode::kNotFound, "cannot start a program without a name");
  if (name.contains('/')) return std::filesystem::absolute(program).string();
  const char* path = std::getenv("PATH");
  for (const std::string_view folder : split(path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path, ':')) {
    std::string candidate = std::string(folder.empty() ? "." : folder) + "/" + name;
    if (access(candidate.c_str(), X_OK) == 0) return std::filesystem::absolute(candidate).string();
  }
  throw Error(ErrorCode::kNotFound, "cannot start {}: it is not installed (looked for in PATH)", name);
}

FileHandle moved_up(int fd, const std::filesystem::path& program) {
  FileHandle moved(fcntl(fd, F_DUPFD_CLOEXEC, kFirstFreeFd));
  if (!moved) fail("start", program, errno);
  return moved;
}

void fill_limits(const ChildLimits& limits, Plan& plan) {
  if (limits.address_space_bytes > 0) plan.limits.push_back({RLIMIT_AS, limits.address_space_bytes});
  if (limits.cpu_seconds > 0) plan.limits.push_back({RLIMIT_CPU, limits.cpu_seconds});
  if (limits.file_size_bytes > 0) plan.limits.push_back({RLIMIT_FSIZE, limits.file_size_bytes});
  plan.limits.push_back({RLIMIT_CORE, 0});
  struct rlimit files{};
  if (limits.open_files > 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
    plan.limits.push_back({RLIMIT_NOFILE, std::min<rlim_t>(limits.open_files, files.rlim_max)});
  }
}

void fill_texts(const ChildOptions& options, Plan& plan) {
  plan.texts.reserve(options.arguments.size() + options.environment.size() + 1);  // pointers into it stay valid
  const auto keep = [&plan](std::string text) {
    if (text.contains('\0'))
      throw Error(ErrorCode::kInvalidArgument, "an argument of a program holds the character NUL");
    return plan.texts.emplace_back(std::move(text)).data();
  };
  plan.arguments.push_back(keep(options.program.string()));
  for (const std::string& argument : options.arguments) plan.arguments.push_back(keep(argument));
  plan.arguments.push_back(nullptr);
  for (const auto& [name, value] : options.environment) plan.environment.push_back(keep(name + "=" + value));
  plan.environment.push_back(nullptr);
}

SpawnedProcess start_and_watch(Plan& plan, const std::filesystem::path& program) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail("start", program, errno);
  const FileHandle from_child(ends[0]);
  FileHandle to_parent = FileHandle(ends[1]);
  FileHandle report = moved_up(to_parent.get(), program);
  to_parent.reset();
  plan.report = report.get();

  SpawnedProcess process;
  int cause = 0;
  std::promise<void> done;
  const bool accepted = spawner().try_submit([&] {
    process.pid = start(plan);
    cause = errno;
    done.set_value();
  });
  if (!accepted) throw Error(ErrorCode::kResourceExhausted, "too many programs are being started");
  done.get_future().wait();
  if (process.pid < 0) fail("start", program, cause);

  process.pidfd = FileHandle(static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0)));
  const int no_pidfd = process.pidfd ? 0 : errno;
  report.reset();
  cause = 0;
  ssize_t got;
  do {
    got = read(from_child.get(), &cause, sizeof cause);
  } while (got < 0 && errno == EINTR);
  if (got == 0 && no_pidfd == 0) return process;
  ::kill(-process.pid, SIGKILL);
  ::kill(process.pid, SIGKILL);
  while (waitpid(process.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  fail("start", program, no_pidfd != 0 ? no_pidfd : cause);
}

}  // namespace

SpawnedProcess spawn_process(const ChildOptions& options, int output, int errors) {
  Plan plan;
  plan.program = find_program(options.program);
  plan.folder = options.working_folder.empty() ? "/" : options.working_folder.string();
  plan.parent = getpid();
  fill_texts(options, plan);
  fill_limits(options.limits, plan);
  // Above 3 first: else moving one into place could close another.
  const FileHandle null = open_file("/dev/null", O_RDONLY);
  const FileHandle input = moved_up(null.get(), options.program);
  const FileHandle out = moved_up(output, options.program);
  const FileHandle err = moved_up(errors, options.program);
  FileHandle hand_over;
  if (options.hand_over >= 0) hand_over = moved_up(options.hand_over, options.program);
  plan.input = input.get();
  plan.output = out.get();
  plan.errors = err.get();
  plan.hand_over = hand_over.get();
  return start_and_watch(plan, options.program);
}

bool wait_readable(int fd, std::chrono::milliseconds wait) {
  const Steady::time_point until = Steady::now() + std::min(wait, std::chrono::milliseconds(std::chrono::hours(24)));
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Steady::now());
    struct pollfd one{fd, POLLIN, 0};
    const int ready = poll(&one, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (ready > 0) return true;
    if (ready == 0) return false;
    LAKELOOP_CHECK(errno == EINTR);
  }
}

std::optional<ChildExit> reap(const SpawnedProcess& process, std::chrono::milliseconds wait) {
  if (!wait_readable(process.pidfd.get(), wait)) return std::nullopt;
  // As long as it is not reaped its number stands for its group and for no other.
  ::kill(-process.pid, SIGKILL);
  siginfo_t about{};
  int state;
  do {
    state = waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(process.pidfd.get()), &about, WEXITED);
  } while (state != 0 && errno == EINTR);
  LAKELOOP_CHECK(state == 0);
  ChildExit exit;
  if (about.si_code == CLD_EXITED) {
    exit.code = about.si_status;
  } else {
    exit.signal = about.si_status;
  }
  return exit;
}

}  // namespace lakeloop::process
