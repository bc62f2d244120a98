#include "process/child.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "process/log_writer.h"

namespace lakeloop::process {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;

ChildOptions shell(const std::string& script) {
  ChildOptions options;
  options.program = "/bin/sh";
  options.arguments = {"-c", script};
  options.environment = {{"PATH", "/usr/bin:/bin"}};
  return options;
}

RunResult run(const std::string& script) {
  return run_child(shell(script), 60s, 1024 * 1024);
}

Error error_of(auto&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return Error(ErrorCode::kInternal, "none");
}

// Looks at a condition until it holds, at most a minute.
bool eventually(auto&& condition) {
  const Steady::time_point until = Steady::now() + 60s;
  while (!condition()) {
    if (Steady::now() > until) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

// Ended: no longer there, or a zombie that nobody has reaped yet.
bool gone(pid_t pid) {
  try {
    return read_file("/proc/" + std::to_string(pid) + "/stat").contains(") Z ");
  } catch (const Error&) {
    return true;
  }
}

class ChildTest : public testing::Test {
 protected:
  ChildTest() : folder_(fs::temp_directory_path() / ("child-" + random_hex(8))) { fs::create_directories(folder_); }
  ~ChildTest() override { fs::remove_all(folder_); }
  const fs::path folder_;
};

TEST_F(ChildTest, TellsHowItEnded) {
  EXPECT_EQ(run("exit 0").exit.text(), "exit code 0");
  EXPECT_TRUE(run("exit 0").exit.ok());
  EXPECT_EQ(run("exit 3").exit.text(), "exit code 3");
  EXPECT_FALSE(run("exit 3").exit.ok());
  EXPECT_EQ(run("kill -ABRT $$").exit.text(), "signal 6 (Aborted)");
  EXPECT_EQ(run("kill -KILL $$").exit.text(), "signal 9 (Killed)");
}

TEST_F(ChildTest, RefusesWhatCannotBeStarted) {
  ChildOptions missing;
  missing.program = folder_ / "none";
  EXPECT_EQ(error_of([&] { (void)Child::spawn(missing); }).code(), ErrorCode::kNotFound);
  missing.program = "no-such-program-anywhere";
  EXPECT_EQ(error_of([&] { (void)Child::spawn(missing); }).code(), ErrorCode::kNotFound);
  missing.program = "";
  EXPECT_EQ(error_of([&] { (void)Child::spawn(missing); }).code(), ErrorCode::kNotFound);
  write_file_atomic(folder_ / "text", "not a program", 0644);
  missing.program = folder_ / "text";
  EXPECT_EQ(error_of([&] { (void)Child::spawn(missing); }).code(), ErrorCode::kPermissionDenied);
  ChildOptions nul = shell("exit 0");
  nul.arguments.push_back(std::string("a\0b", 3));
  EXPECT_EQ(error_of([&] { (void)Child::spawn(nul); }).code(), ErrorCode::kInvalidArgument);
  ChildOptions by_path;
  by_path.program = "true";
  EXPECT_TRUE(run_child(by_path, 60s, 100).exit.ok());
}

TEST_F(ChildTest, GetsOnlyWhatItWasGiven) {
  const FileHandle open_here = open_file("/dev/null", O_RDONLY);
  const int inherited = dup(open_here.get());  // without O_CLOEXEC
  ChildOptions options = shell("env; pwd; ls /proc/self/fd");
  options.environment = {{"ONLY", "it's a \"value\"\nof two lines"}, {"PATH", "/usr/bin:/bin"}};
  options.working_folder = folder_;
  const RunResult result = run_child(options, 60s, 10'000);
  close(inherited);
  EXPECT_THAT(result.output, HasSubstr("ONLY=it's a \"value\"\nof two lines\n"));
  EXPECT_THAT(result.output, testing::Not(HasSubstr("HOME=")));
  EXPECT_THAT(result.output, HasSubstr(folder_.string() + "\n"));
  EXPECT_THAT(result.output, HasSubstr("\n0\n1\n2\n3\n"));  // 3 is ls reading the folder
  EXPECT_THAT(result.output, testing::Not(HasSubstr("\n4\n")));
}

TEST_F(ChildTest, SignalsAreAsAtBirth) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  sigset_t blocked, old;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &old);
  const RunResult result = run("grep -E 'Sig(Blk|Ign)' /proc/self/status");
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  std::signal(SIGPIPE, before);
  EXPECT_THAT(result.output, HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(result.output, HasSubstr("SigIgn:\t0000000000000000"));
}

TEST_F(ChildTest, LimitsHold) {
  ChildOptions options = shell("ulimit -v; ulimit -n; ulimit -c; ulimit -t");
  options.limits.address_space_bytes = 2048ull * 1024 * 1024;
  options.limits.open_files = 77;
  options.limits.cpu_seconds = 9;
  EXPECT_EQ(run_child(options, 60s, 1000).output, "2097152\n77\n0\n9\n");
  options = shell("head -c 100000 /dev/zero > big");
  options.working_folder = folder_;
  options.limits.file_size_bytes = 4096;
  EXPECT_FALSE(run_child(options, 60s, 1000).exit.ok());
  EXPECT_EQ(fs::file_size(folder_ / "big"), 4096u);
}

TEST_F(ChildTest, HandsADescriptorOver) {
  SocketPair pair = make_socket_pair();
  ChildOptions options = shell("read line <&3; echo \"got $line\" >&3");
  options.hand_over = pair.theirs.release();
  const int given = options.hand_over;
  const auto child = Child::spawn(options);
  EXPECT_EQ(fcntl(given, F_GETFD), -1);  // closed here
  ASSERT_EQ(write(pair.ours.get(), "hello\n", 6), 6);
  std::string answer;
  char c;
  while (read(pair.ours.get(), &c, 1) == 1) answer += c;  // to the end: no copy of theirs is open anywhere
  EXPECT_EQ(answer, "got hello\n");
  EXPECT_EQ(child->wait_for(60s)->text(), "exit code 0");
  // Closed as well when the start fails.
  SocketPair other = make_socket_pair();
  ChildOptions missing;
  missing.program = folder_ / "none";
  missing.hand_over = other.theirs.release();
  EXPECT_THROW((void)Child::spawn(missing), Error);
  EXPECT_EQ(read(other.ours.get(), &c, 1), 0);
}

TEST_F(ChildTest, TerminatesAndKillsTheWholeGroup) {
  const fs::path pid_file = folder_ / "grandchild";
  const std::string script = "sleep 1000 & echo $! > " + pid_file.string() + "; mv " + pid_file.string() + " " +
                             pid_file.string() + ".done; wait";
  const auto grandchild = [&] {
    EXPECT_TRUE(eventually([&] { return fs::exists(pid_file.string() + ".done"); }));
    const pid_t pid = std::stoi(read_file(pid_file.string() + ".done"));
    fs::remove(pid_file.string() + ".done");
    return pid;
  };
  {
    const auto child = Child::spawn(shell(script));
    const pid_t pid = grandchild();
    EXPECT_EQ(child->wait_for(0ms), std::nullopt);
    EXPECT_GT(child->resident_bytes(), 10'000u);
    child->terminate();
    EXPECT_EQ(child->wait_for(60s)->signal, SIGTERM);
    EXPECT_TRUE(eventually([&] { return gone(pid); }));
    EXPECT_EQ(child->resident_bytes(), 0u);
    child->kill();  // harmless now
    EXPECT_EQ(child->wait_for(0ms)->signal, SIGTERM);
  }
  pid_t pid = 0, child_pid = 0;
  {
    const auto child = Child::spawn(shell("trap '' TERM; " + script));
    pid = grandchild();
    child_pid = child->pid();
    child->terminate();
    EXPECT_EQ(child->wait_for(20ms), std::nullopt);
  }  // the destructor kills and reaps
  EXPECT_TRUE(gone(child_pid));
  EXPECT_TRUE(eventually([&] { return gone(pid); }));
  // A leader that ends by itself takes its group with it.
  const auto child = Child::spawn(shell(script.substr(0, script.size() - 4) + "exit 0"));
  pid = grandchild();
  EXPECT_TRUE(child->wait_for(60s)->ok());
  EXPECT_TRUE(eventually([&] { return gone(pid); }));
}

TEST_F(ChildTest, DiesWithUsButNotWithTheThreadThatMadeIt) {
  std::unique_ptr<Child> child;
  std::thread([&] { child = Child::spawn(shell("exec sleep 1000")); }).join();
  EXPECT_EQ(child->wait_for(50ms), std::nullopt);

  const pid_t parent = fork();
  if (parent == 0) {
    // Another process that makes a child and dies by SIGKILL. A fork has no threads but one, so it executes this
    // program afresh.
    const std::string pid_file = (folder_ / "orphan").string();
    setenv("LAKELOOP_ORPHAN_PID_FILE", pid_file.c_str(), 1);
    execl("/proc/self/exe", "process_test", "--gtest_filter=OrphanMaker.*", "--gtest_also_run_disabled_tests", nullptr);
    _exit(1);
  }
  const fs::path pid_file = folder_ / "orphan";
  ASSERT_TRUE(eventually([&] { return fs::exists(pid_file); }));
  const pid_t orphan = std::stoi(read_file(pid_file));
  EXPECT_FALSE(gone(orphan));
  ::kill(parent, SIGKILL);
  ASSERT_EQ(waitpid(parent, nullptr, 0), parent);
  EXPECT_TRUE(eventually([&] { return gone(orphan); }));
}

TEST(OrphanMaker, DISABLED_SpawnsAndWaits) {
  const char* pid_file = std::getenv("LAKELOOP_ORPHAN_PID_FILE");
  if (pid_file == nullptr) GTEST_SKIP() << "only for ChildTest.DiesWithUsButNotWithTheThreadThatMadeIt";
  const auto child = Child::spawn(shell("exec sleep 1000"));
  write_file_atomic(pid_file, std::to_string(child->pid()));
  while (true) pause();
}

TEST_F(ChildTest, WritesItsLog) {
  ChildOptions options = shell("echo out; echo err >&2; exit 1");
  options.log_file = folder_ / "log";
  for (int i = 0; i < 2; ++i) {
    const auto child = Child::spawn(options);
    EXPECT_EQ(child->wait_for(60s)->code, 1);
  }
  EXPECT_EQ(read_file(folder_ / "log"), "out\nerr\nout\nerr\n");
  options.log_file = folder_ / "none/log";
  EXPECT_EQ(error_of([&] { (void)Child::spawn(options); }).code(), ErrorCode::kNotFound);
}

TEST_F(ChildTest, ALogNeverGrowsWithoutEndNorStopsTheChild) {
  {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    LogWriter writer(FileHandle(ends[0]), folder_ / "log", 200'000);
    const FileHandle end(ends[1]);
    for (int i = 0; i < 10'000; ++i)
      write_all(end.get(), "line " + std::to_string(i) + std::string(100, '.') + "\n", "pipe");
  }
  EXPECT_LE(fs::file_size(folder_ / "log") + fs::file_size(folder_ / "log.1"), 200'000u);
  EXPECT_THAT(read_file(folder_ / "log"), HasSubstr("line 9999."));  // the newest is kept
  // A disk without room: the pipe is read all the same.
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  LogWriter writer(FileHandle(ends[0]), "/dev/full", 200'000);
  const FileHandle end(ends[1]);
  for (int i = 0; i < 1'000; ++i) write_all(end.get(), std::string(1000, 'x'), "pipe");
}

TEST_F(ChildTest, WaitersAndSignallersAtOnce) {
  for (int round = 0; round < 10; ++round) {
    const auto child = Child::spawn(shell("exec sleep 1000"));
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] { EXPECT_EQ(child->wait_for(60s)->signal, SIGTERM); });
      threads.emplace_back([&] {
        child->terminate();
        (void)child->resident_bytes();
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

TEST_F(ChildTest, ManyThreadsSpawn) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([i] {
      for (int round = 0; round < 5; ++round)
        EXPECT_EQ(run("echo " + std::to_string(i)).output, std::to_string(i) + "\n");
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(RunChild, CutsOutputButReadsItAll) {
  const RunResult result = run_child(
      shell("head -c 3000000 /dev/zero | tr '\\0' x; head -c 100000 /dev/zero | tr '\\0' e >&2; echo end >&2"), 60s,
      1000);
  EXPECT_EQ(result.output, std::string(1000, 'x'));
  EXPECT_EQ(result.errors.size(), 16u * 1024);
  EXPECT_THAT(result.errors, testing::EndsWith("eee"
                                               "end\n"));
  EXPECT_TRUE(result.exit.ok());
  EXPECT_EQ(run_child(shell("echo x"), 60s, 0).output, "");
}

TEST(RunChild, StopsAtItsDeadline) {
  const auto timeout = [](const std::string& script) {
    return error_of([&] { (void)run_child(shell(script), 100ms, 1000); }).code();
  };
  EXPECT_EQ(timeout("trap '' TERM; sleep 1000"), ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(timeout("exec yes"), ErrorCode::kDeadlineExceeded);  // prints without end
  EXPECT_EQ(timeout("exec >&- 2>&-; exec sleep 1000"), ErrorCode::kDeadlineExceeded);
}

TEST(RunChild, DoesNotWaitForWhatHoldsItsPipes) {
  EXPECT_EQ(run("sleep 1000 & echo started").output, "started\n");
  EXPECT_EQ(run("setsid sleep 5 & echo started").output, "started\n");  // left the group
}

}  // namespace
}  // namespace lakeloop::process
