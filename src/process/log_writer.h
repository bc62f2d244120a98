#pragma once

// Copies what comes out of a pipe to the end of a log file, on a thread of its own. The file never stops the child: it
// is read to its end even when the disk is full. At half of `limit` the file becomes "NAME.1" and a new one begins, so
// that the newest output is kept and both together stay below `limit`.

#include <cstdint>
#include <filesystem>
#include <thread>

#include "base/file.h"

namespace lakeloop::process {

class LogWriter {
 public:
  LogWriter(FileHandle pipe, std::filesystem::path file, std::uint64_t limit);
  ~LogWriter();  // takes what is in the pipe, then ends
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

 private:
  void run();
  bool copy();  // false at the pipe's end, or when it is empty for now
  void append(std::string_view bytes);
  void open_log();

  const FileHandle pipe_;
  const std::filesystem::path file_;
  const std::uint64_t half_;
  FileHandle stop_;  // an eventfd
  FileHandle log_;
  std::uint64_t size_ = 0;
  bool at_end_ = false;
  std::thread thread_;
};

}  // namespace lakeloop::process
