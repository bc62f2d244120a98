#pragma once

// Child processes with limits. A child gets only the descriptors handed to it, a small environment, its own process
// group and PR_SET_PDEATHSIG; its death is an event (ChildExit), its log goes to a file. Thread-safe.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"

namespace lakeloop::process {

struct ChildLimits {
  std::uint64_t address_space_bytes = 0;  // RLIMIT_AS; 0 = none
  std::uint64_t cpu_seconds = 0;          // RLIMIT_CPU; 0 = none
  std::uint64_t file_size_bytes = 0;      // RLIMIT_FSIZE; 0 = none
  std::uint64_t open_files = 256;
};

struct ChildOptions {
  std::filesystem::path program;
  std::vector<std::string> arguments;              // without argv[0]; never secrets: others see them
  std::map<std::string, std::string> environment;  // the whole of it
  std::filesystem::path log_file;                  // stdout and stderr, appended, cut at 16 MiB; empty: /dev/null
  std::filesystem::path working_folder;            // empty: "/"
  int hand_over = -1;                              // a descriptor that becomes the child's descriptor 3; closed here
  ChildLimits limits;
};

struct ChildExit {
  int code = 0;  // exit code, when signal == 0
  int signal = 0;
  [[nodiscard]] bool ok() const { return code == 0 && signal == 0; }
  [[nodiscard]] std::string text() const;  // "exit code 3", "signal 6 (Aborted)"
};

class Child {
 public:
  // kNotFound when the program is missing.
  static std::unique_ptr<Child> spawn(ChildOptions options);
  ~Child();  // kills with SIGKILL when still running, and reaps
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] int pid() const;
  // nullopt while running; waits up to `wait`.
  std::optional<ChildExit> wait_for(std::chrono::milliseconds wait);
  void terminate();                                    // SIGTERM to its group
  void kill();                                         // SIGKILL to its group
  [[nodiscard]] std::uint64_t resident_bytes() const;  // 0 when gone

 private:
  struct Impl;
  explicit Child(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Runs to its end and gives what it printed (cut at `output_limit`); kDeadlineExceeded kills it.
struct RunResult {
  ChildExit exit;
  std::string output;  // stdout
  std::string errors;  // stderr, the last 16 KiB
};
RunResult run_child(ChildOptions options, std::chrono::milliseconds timeout, std::size_t output_limit);

// A connected pair of Unix stream sockets: ours, and the one to hand over.
struct SocketPair {
  FileHandle ours, theirs;
};
SocketPair make_socket_pair();

}  // namespace lakeloop::process
