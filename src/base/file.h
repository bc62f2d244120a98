#pragma once

// Durable files. A function that returns has the bytes on disk (fsync of file and folder); errors name path and cause.
// `path` is trusted here: user input passes storage/path_guard.h first.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace lakeloop {

// Whole file; Error kNotFound when missing, kTooLarge when longer than `limit`.
std::string read_file(const std::filesystem::path& path, std::uintmax_t limit = UINTMAX_MAX);
// Replaces the file atomically: temporary name beside it, fsync, rename, fsync of the folder.
void write_file_atomic(const std::filesystem::path& path, std::string_view bytes, unsigned mode = 0644);
// Creates the file only if there is none (link(2), never rename): false when another was first.
bool write_file_if_absent(const std::filesystem::path& path, std::string_view bytes);
void sync_folder(const std::filesystem::path& folder);

// Closes its descriptor once. Move only.
class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(int fd) : fd_(fd) {}
  FileHandle(FileHandle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileHandle& operator=(FileHandle&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~FileHandle() { reset(); }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

// open(2) with O_CLOEXEC; throws.
FileHandle open_file(const std::filesystem::path& path, int flags, unsigned mode = 0644);
// Writes all bytes or throws; a full disk is kResourceExhausted.
void write_all(int fd, std::string_view bytes, const std::filesystem::path& path_for_error);

}  // namespace lakeloop
