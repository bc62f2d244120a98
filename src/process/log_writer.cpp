#include "process/log_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"

namespace lakeloop::process {
namespace {

constexpr std::size_t kPieceBytes = 16 * 1024;
constexpr int kLastPieces = 1024 * 1024 / kPieceBytes;  // the largest pipe Linux gives an ordinary process

}  // namespace

LogWriter::LogWriter(FileHandle pipe, std::filesystem::path file, std::uint64_t limit)
    : pipe_(std::move(pipe)), file_(std::move(file)), half_(limit / 2), stop_(eventfd(0, EFD_CLOEXEC)) {
  if (!stop_) throw Error(ErrorCode::kResourceExhausted, "no descriptor is left for the log {}", file_.string());
  open_log();
  const int flags = fcntl(pipe_.get(), F_GETFL);
  LAKELOOP_CHECK(flags >= 0 && fcntl(pipe_.get(), F_SETFL, flags | O_NONBLOCK) == 0);
  thread_ = std::thread([this] { run(); });
}

LogWriter::~LogWriter() {
  const std::uint64_t one = 1;
  while (write(stop_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
  thread_.join();
}

void LogWriter::open_log() {
  log_ = open_file(file_, O_WRONLY | O_CREAT | O_APPEND, 0640);
  struct stat about{};
  size_ = fstat(log_.get(), &about) == 0 ? static_cast<std::uint64_t>(about.st_size) : 0;
}

void LogWriter::run() {
  for (;;) {
    struct pollfd both[2] = {{pipe_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    if (poll(both, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return;
    }
    // A grandchild that left the group may write for ever: once told to stop, no more than a full pipe is taken.
    const bool stopping = both[1].revents != 0;
    for (int pieces = 0; copy() && (!stopping || pieces < kLastPieces); ++pieces) {
    }
    if (at_end_ || stopping) return;
  }
}

bool LogWriter::copy() {
  char buffer[kPieceBytes];
  const ssize_t got = read(pipe_.get(), buffer, sizeof buffer);
  if (got > 0) {
    append({buffer, static_cast<std::size_t>(got)});
    return true;
  }
  if (got < 0 && errno == EINTR) return true;
  at_end_ = got == 0 || errno != EAGAIN;
  return false;
}

void LogWriter::append(std::string_view bytes) {
  try {
    if (size_ > 0 && size_ + bytes.size() > half_) {
      std::filesystem::path old = file_;
      old += ".1";
      std::filesystem::rename(file_, old);
      open_log();
    }
    if (!log_) return;
    write_all(log_.get(), bytes, file_);
    size_ += bytes.size();
  } catch (const std::exception& error) {
    // Reported once; the child goes on.
    log_warning("process.log_lost", {{"file", file_.string()}, {"reason", error.what()}});
    log_.reset();
  }
}

}  // namespace lakeloop::process
