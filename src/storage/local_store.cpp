#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <ranges>
#include <shared_mutex>

#include "base/file.h"
#include "base/id.h"
#include "storage/object_store.h"
#include "storage/path_guard.h"

namespace lakeloop::storage {
namespace {

namespace fs = std::filesystem;

// Files being written are dot files with this in their name (base/file.h); keys may not look like one.
constexpr std::string_view kTemporaryMark = ".tmp-";

bool temporary(std::string_view name) {
  return name.starts_with('.') && name.contains(kTemporaryMark);
}

[[noreturn]] void fail(std::string_view what, std::string_view key, int cause) {
  ErrorCode code = ErrorCode::kInternal;
  if (cause == ENOENT || cause == ENOTDIR || cause == EISDIR) code = ErrorCode::kNotFound;
  if (cause == ENOSPC || cause == EDQUOT || cause == EMFILE) code = ErrorCode::kResourceExhausted;
  if (cause == EACCES || cause == EPERM || cause == EROFS) code = ErrorCode::kPermissionDenied;
  if (cause == EIO) code = ErrorCode::kDataLoss;
  throw Error(code, "cannot {} the object {}: {}", what, key, std::strerror(cause));
}

[[noreturn]] void missing(std::string_view key) {
  throw Error(ErrorCode::kNotFound, "there is no object {}", key);
}

ObjectInfo info_of(std::string key, const struct stat& about) {
  const std::int64_t micros = about.st_mtim.tv_sec * 1'000'000 + about.st_mtim.tv_nsec / 1000;
  return {std::move(key), static_cast<std::uint64_t>(about.st_size), Timestamp{micros}};
}

class LocalUpload final : public Upload {
 public:
  LocalUpload(fs::path path, std::string key, std::shared_mutex& folders)
      : path_(std::move(path)),
        key_(std::move(key)),
        temporary_(path_.parent_path() / ("." + random_hex(12) + std::string(kTemporaryMark))),
        file_(open_file(temporary_, O_WRONLY | O_CREAT | O_EXCL)),
        folders_(folders) {}
  LocalUpload(const LocalUpload&) = delete;
  LocalUpload& operator=(const LocalUpload&) = delete;
  ~LocalUpload() override {
    if (file_) unlink(temporary_.c_str());
  }

  void write(std::string_view bytes) override { write_all(file_.get(), bytes, path_); }

  void commit() override {
    if (fsync(file_.get()) != 0) fail("write", key_, errno);
    const std::shared_lock lock(folders_);  // the file being written keeps its folder from being pruned
    if (rename(temporary_.c_str(), path_.c_str()) != 0) fail("write", key_, errno);
    file_.reset();
    sync_folder(path_.parent_path());
  }

 private:
  const fs::path path_;
  const std::string key_;
  const fs::path temporary_;
  FileHandle file_;
  std::shared_mutex& folders_;
};

class LocalStore final : public ObjectStore {
 public:
  explicit LocalStore(fs::path root) : root_(std::move(root)) {
    fs::create_directories(root_);
    root_ = fs::canonical(root_);
  }

  void put(std::string_view key, std::string_view bytes) override {
    const fs::path path = path_of(key);
    const std::shared_lock lock(folders_);
    make_folders(path, key);
    if (fs::is_directory(path)) in_the_way(key);
    write_file_atomic(path, bytes);
  }

  bool put_if_absent(std::string_view key, std::string_view bytes) override {
    const fs::path path = path_of(key);
    const std::shared_lock lock(folders_);
    make_folders(path, key);
    if (fs::is_directory(path)) in_the_way(key);
    return write_file_if_absent(path, bytes);
  }

  std::unique_ptr<Upload> upload(std::string_view key) override {
    fs::path path = path_of(key);
    const std::shared_lock lock(folders_);
    make_folders(path, key);
    if (fs::is_directory(path)) in_the_way(key);
    return std::make_unique<LocalUpload>(std::move(path), std::string(key), folders_);
  }

  std::string get(std::string_view key) override {
    const FileHandle file = open_object(key);
    const std::uint64_t size = size_of(file, key);
    return read_at(file, key, 0, size);
  }

  std::string get_range(std::string_view key, std::uint64_t offset, std::uint64_t size) override {
    const FileHandle file = open_object(key);
    const std::uint64_t whole = size_of(file, key);
    if (offset > whole) {
      throw Error(ErrorCode::kInvalidArgument, "the object {} has {} bytes, byte {} is past its end", key, whole,
                  offset);
    }
    return read_at(file, key, offset, std::min(size, whole - offset));
  }

  std::optional<ObjectInfo> head(std::string_view key) override {
    struct stat about{};
    if (stat(path_of(key).c_str(), &about) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
      fail("look at", key, errno);
    }
    if (!S_ISREG(about.st_mode)) return std::nullopt;
    return info_of(std::string(key), about);
  }

  std::vector<ObjectInfo> list(std::string_view prefix, std::string_view start_after) override {
    std::vector<ObjectInfo> found;
    // "a/b/pa" looks into a/b for names that begin with "pa".
    const std::size_t slash = prefix.rfind('/');
    const std::string_view folder = slash == std::string_view::npos ? std::string_view() : prefix.substr(0, slash);
    // A prefix that is no possible key has no objects; it must not read the file system either.
    if (slash != std::string_view::npos && folder.empty()) return found;
    const fs::path start = folder.empty() ? root_ : resolve_inside(root_, folder);
    std::string key(folder.empty() ? "" : std::string(folder) + "/");
    walk(start, key, prefix, start_after, found);
    std::ranges::sort(found, {}, &ObjectInfo::key);
    return found;
  }

  void remove(std::string_view key) override {
    const fs::path path = path_of(key);
    struct stat about{};
    if (lstat(path.c_str(), &about) == 0 && S_ISDIR(about.st_mode)) return;  // a folder is no object
    if (unlink(path.c_str()) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return;
      fail("remove", key, errno);
    }
    // Nobody may be about to write into a folder that is taken away here.
    const std::unique_lock lock(folders_);
    fs::path folder = path.parent_path();
    while (folder != root_ && rmdir(folder.c_str()) == 0) folder = folder.parent_path();
    if (fs::exists(folder)) sync_folder(folder);
  }

  std::string location(std::string_view key) const override { return path_of(key).string(); }

 private:
  [[nodiscard]] fs::path path_of(std::string_view key) const {
    fs::path path = resolve_inside(root_, key);
    if (temporary(path.filename().string())) {
      throw Error(ErrorCode::kInvalidArgument, "the object name {} is kept for files being written",
                  path.filename().string());
    }
    return path;
  }

  [[noreturn]] static void in_the_way(std::string_view key) {
    throw Error(ErrorCode::kInvalidArgument,
                "the object {} cannot be written: objects stand below that name, or a part of it is an object", key);
  }

  // A new folder is durable when its parent is synced.
  void make_folders(const fs::path& path, std::string_view key) const {
    std::vector<fs::path> absent;
    for (fs::path folder = path.parent_path(); folder != root_; folder = folder.parent_path()) {
      struct stat about{};
      if (stat(folder.c_str(), &about) == 0) {
        if (!S_ISDIR(about.st_mode)) in_the_way(key);
        break;
      }
      if (errno == ENOTDIR) in_the_way(key);
      absent.push_back(folder);
    }
    for (const fs::path& folder : absent | std::views::reverse) {
      // Another writer may have made it a moment ago and not synced it yet: sync in both cases.
      if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) fail("make a folder for", key, errno);
      sync_folder(folder.parent_path());
    }
  }

  [[nodiscard]] FileHandle open_object(std::string_view key) const {
    const int fd = open(path_of(key).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) missing(key);
    if (fd < 0) fail("open", key, errno);
    return FileHandle(fd);
  }

  static std::uint64_t size_of(const FileHandle& file, std::string_view key) {
    struct stat about{};
    if (fstat(file.get(), &about) != 0) fail("look at", key, errno);
    if (!S_ISREG(about.st_mode)) missing(key);
    return static_cast<std::uint64_t>(about.st_size);
  }

  static std::string read_at(const FileHandle& file, std::string_view key, std::uint64_t offset, std::uint64_t size) {
    std::string bytes(size, '\0');
    std::size_t done = 0;
    while (done < size) {
      const ssize_t got = pread(file.get(), bytes.data() + done, size - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("read", key, errno);
      if (got == 0) throw Error(ErrorCode::kDataLoss, "the object {} became shorter while it was read", key);
      done += static_cast<std::size_t>(got);
    }
    return bytes;
  }

  // `key` is the folder's own with a '/' at its end. Symbolic links are not followed: what they lead to is not listed.
  static void walk(const fs::path& folder, const std::string& key, std::string_view prefix,
                   std::string_view start_after, std::vector<ObjectInfo>& found) {
    std::error_code cause;
    fs::directory_iterator entries(folder, cause);
    if (cause == std::errc::no_such_file_or_directory || cause == std::errc::not_a_directory) return;
    if (cause) fail("list", key, cause.value());
    for (; entries != fs::directory_iterator(); entries.increment(cause)) {
      if (cause) fail("list", key, cause.value());
      const std::string name = entries->path().filename().string();
      if (temporary(name)) continue;
      std::string whole = key + name;
      struct stat about{};
      if (lstat(entries->path().c_str(), &about) != 0) {
        if (errno == ENOENT) continue;  // removed meanwhile
        fail("look at", whole, errno);
      }
      if (S_ISDIR(about.st_mode)) {
        whole += '/';
        // Neither side of the prefix rules the folder out, and not all of it is before start_after.
        const std::size_t common = std::min(prefix.size(), whole.size());
        const bool inside = std::string_view(whole).substr(0, common) == prefix.substr(0, common);
        const bool before = whole < start_after && !start_after.starts_with(whole);
        if (inside && !before) walk(entries->path(), whole, prefix, start_after, found);
      } else if (S_ISREG(about.st_mode) && whole.starts_with(prefix) && whole > start_after) {
        found.push_back(info_of(std::move(whole), about));
      }
    }
  }

  fs::path root_;
  // Shared by writers, alone for the pruning of empty folders.
  std::shared_mutex folders_;
};

}  // namespace

std::unique_ptr<ObjectStore> open_local_store(fs::path root) {
  return std::make_unique<LocalStore>(std::move(root));
}

}  // namespace lakeloop::storage
