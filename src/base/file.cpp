#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/id.h"

namespace lakeloop {
namespace {

[[noreturn]] void fail(std::string_view what, const std::filesystem::path& path) {
  const int cause = errno;
  ErrorCode code = ErrorCode::kInternal;
  if (cause == ENOENT) code = ErrorCode::kNotFound;
  if (cause == ENOSPC || cause == EDQUOT || cause == EMFILE) code = ErrorCode::kResourceExhausted;
  if (cause == EACCES || cause == EPERM || cause == EROFS) code = ErrorCode::kPermissionDenied;
  if (cause == EIO) code = ErrorCode::kDataLoss;
  throw Error(code, "cannot {} {}: {}", what, path.string(), std::strerror(cause));
}

// A name in the same folder that no reader takes for a finished file.
std::filesystem::path temporary_beside(const std::filesystem::path& path) {
  return path.parent_path() / ("." + path.filename().string() + ".tmp-" + random_hex(6));
}

void write_temporary(const std::filesystem::path& path, std::string_view bytes, unsigned mode) {
  const FileHandle file = open_file(path, O_WRONLY | O_CREAT | O_EXCL, mode);
  write_all(file.get(), bytes, path);
  if (fsync(file.get()) != 0) fail("sync", path);
}

}  // namespace

void FileHandle::reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

FileHandle open_file(const std::filesystem::path& path, int flags, unsigned mode) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) fail("open", path);
  return FileHandle(fd);
}

void write_all(int fd, std::string_view bytes, const std::filesystem::path& path_for_error) {
  while (!bytes.empty()) {
    const ssize_t done = write(fd, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail("write", path_for_error);
    bytes.remove_prefix(static_cast<std::size_t>(done));
  }
}

std::string read_file(const std::filesystem::path& path, std::uintmax_t limit) {
  const FileHandle file = open_file(path, O_RDONLY);
  struct stat about{};
  if (fstat(file.get(), &about) != 0) fail("read", path);
  if (S_ISDIR(about.st_mode)) throw Error(ErrorCode::kInvalidArgument, "cannot read {}: it is a folder", path.string());
  const auto size = static_cast<std::uintmax_t>(about.st_size);
  if (size > limit) {
    throw Error(ErrorCode::kTooLarge, "{} has {} bytes, the limit is {}", path.string(), size, limit);
  }
  std::string bytes;
  bytes.resize(size);
  std::size_t got = 0;
  for (;;) {
    if (got == bytes.size()) bytes.resize(bytes.size() + 4096);  // files that grow, and those without a size (/proc)
    const ssize_t n = read(file.get(), bytes.data() + got, bytes.size() - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("read", path);
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
    if (got > limit) throw Error(ErrorCode::kTooLarge, "{} has more than {} bytes", path.string(), limit);
  }
  bytes.resize(got);
  return bytes;
}

void sync_folder(const std::filesystem::path& folder) {
  const FileHandle handle = open_file(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
  if (fsync(handle.get()) != 0) fail("sync", folder);
}

void write_file_atomic(const std::filesystem::path& path, std::string_view bytes, unsigned mode) {
  const std::filesystem::path temporary = temporary_beside(path);
  try {
    write_temporary(temporary, bytes, mode);
    if (rename(temporary.c_str(), path.c_str()) != 0) fail("rename to", path);
  } catch (...) {
    unlink(temporary.c_str());
    throw;
  }
  sync_folder(path.parent_path());
}

bool write_file_if_absent(const std::filesystem::path& path, std::string_view bytes) {
  const std::filesystem::path temporary = temporary_beside(path);
  try {
    write_temporary(temporary, bytes, 0644);
  } catch (...) {
    unlink(temporary.c_str());
    throw;
  }
  const bool linked = link(temporary.c_str(), path.c_str()) == 0;
  const int cause = errno;
  unlink(temporary.c_str());
  if (!linked) {
    errno = cause;
    if (cause != EEXIST) fail("create", path);
    return false;
  }
  sync_folder(path.parent_path());
  return true;
}

}  // namespace lakeloop
