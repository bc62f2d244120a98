#include "ingest/source_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <system_error>

#include "base/error.h"
#include "base/format.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/unicode.h"
#include "ingest/parser.h"

namespace lakeloop::ingest {
namespace {

constexpr int kReadAttempts = 3;

std::string cause(int error) {
  return std::generic_category().message(error);
}

std::string escaped(std::string_view name) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F && c != '\\') {
      out += c;
    } else {
      out += "\\x";
      out += kDigits[byte >> 4U];
      out += kDigits[byte & 15U];
    }
  }
  return out;
}

bool is_ignored(std::string_view name) {
  return name.starts_with('.') || name == "node_modules";
}

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

Timestamp modified_of(const struct stat& info) {
  return {static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1'000'000 + info.st_mtim.tv_nsec / 1000};
}

bool same_state(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

struct Walk {
  Listing listing;
  std::vector<std::string> links;
  std::vector<std::string> folders;  // still to be listed
  std::size_t names = 0;
};

}  // namespace

SourceFolder::SourceFolder(const std::filesystem::path& path) {
  std::error_code error;
  root_ = std::filesystem::canonical(path, error);
  if (error)
    throw Error(ErrorCode::kInvalidArgument, "cannot read \"{}\": {}", escaped(path.string()), error.message());
  if (!std::filesystem::is_directory(root_, error)) {
    only_ = root_.filename().string();
    root_ = root_.parent_path();
  }
  folder_ = FileHandle(::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder_)
    throw Error(ErrorCode::kInvalidArgument, "cannot read folder \"{}\": {}", escaped(root_.string()), cause(errno));
}

FileHandle SourceFolder::open_below(const std::string& path, int flags) const {
  FileHandle at;
  const auto parts = split(path, '/');
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto part_flags = i + 1 < parts.size() ? O_RDONLY | O_DIRECTORY : flags;
    FileHandle next(
        ::openat(at ? at.get() : folder_.get(), std::string(parts[i]).c_str(), part_flags | O_NOFOLLOW | O_CLOEXEC));
    if (!next) throw Error(ErrorCode::kInvalidArgument, "cannot be read: {}", cause(errno));
    at = std::move(next);
  }
  return at;
}

Listing SourceFolder::list(const Deadline& deadline) const {
  if (is_one_file()) return {{{only_, only_}}, {}, {}};
  Walk walk;
  walk.folders.emplace_back();
  auto& listing = walk.listing;
  while (!walk.folders.empty()) {
    deadline.check();
    const auto folder = std::move(walk.folders.back());  // "" or "docs/"
    walk.folders.pop_back();
    const auto skip_folder = [&](std::string reason) {
      if (folder.empty()) throw Error(ErrorCode::kInvalidArgument, "folder \"{}\" {}", escaped(root_.string()), reason);
      listing.skipped.push_back({folder, std::move(reason)});
      listing.unread.push_back(folder);
    };
    if (std::ranges::count(folder, '/') > static_cast<std::ptrdiff_t>(limits::kIngestFolderDepth)) {
      skip_folder(lakeloop::format("lies deeper than {} folders", limits::kIngestFolderDepth));
      continue;
    }
    FileHandle handle;
    try {
      handle = open_below(folder.empty() ? "." : folder.substr(0, folder.size() - 1), O_RDONLY | O_DIRECTORY);
    } catch (const Error& error) {
      skip_folder(error.message());
      continue;
    }
    const std::unique_ptr<DIR, CloseFolder> entries(::fdopendir(handle.get()));
    if (entries == nullptr) {
      skip_folder(lakeloop::format("cannot be read: {}", cause(errno)));
      continue;
    }
    const auto descriptor = handle.release();  // closedir closes it
    for (;;) {
      errno = 0;
      const auto* entry = ::readdir(entries.get());
      if (entry == nullptr) {
        if (errno != 0) skip_folder(lakeloop::format("cannot be read: {}", cause(errno)));
        break;
      }
      const std::string_view name = entry->d_name;
      if (is_ignored(name)) continue;
      if (++walk.names > limits::kIngestFiles) {
        throw Error(ErrorCode::kTooLarge, "folder \"{}\" holds more than {} names; ingest its parts one by one",
                    escaped(root_.string()), limits::kIngestFiles);
      }
      if (!codec::is_valid_utf8(name)) {
        listing.skipped.push_back({folder + escaped(name), "its name is not UTF-8"});
        continue;
      }
      auto path = folder + std::string(name);
      struct stat info{};
      if (::fstatat(descriptor, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        listing.skipped.push_back({std::move(path), lakeloop::format("cannot be read: {}", cause(errno))});
      } else if (S_ISDIR(info.st_mode)) {
        walk.folders.push_back(std::move(path) + '/');
      } else if (S_ISLNK(info.st_mode)) {
        walk.links.push_back(std::move(path));
      } else if (S_ISREG(info.st_mode)) {
        listing.files.push_back({path, path});
      } else {
        listing.skipped.push_back({std::move(path), "is not a regular file"});
      }
    }
  }
  for (const auto& link : walk.links) {
    std::error_code error;
    const auto target = std::filesystem::canonical(root_ / link, error);
    if (error) {
      listing.skipped.push_back({link, lakeloop::format("is a link that leads nowhere: {}", error.message())});
      continue;
    }
    const auto real = target.lexically_relative(root_);
    if (real.empty() || *real.begin() == "..") {
      listing.skipped.push_back({link, "is a link that leaves the folder"});
      continue;
    }
    const bool ignored =
        std::ranges::any_of(real, [](const auto& part) { return part != "." && is_ignored(part.string()); });
    if (ignored) {
      listing.skipped.push_back({link, "is a link to a name that is left out"});
    } else if (std::filesystem::is_regular_file(target, error) && parser_for(link) != nullptr &&
               parser_for(real.string()) == nullptr) {
      listing.files.push_back({link, real.string()});
    }
  }
  std::ranges::sort(listing.files, {}, &FoundFile::path);
  std::ranges::sort(listing.skipped, {}, &SkippedFile::path);
  return std::move(walk.listing);
}

SourceFile SourceFolder::read(const FoundFile& file) const {
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    // O_NONBLOCK: a pipe that took the file's place must not hang the run.
    const auto handle = open_below(file.real, O_RDONLY | O_NONBLOCK);
    struct stat before{}, after{};
    if (::fstat(handle.get(), &before) != 0)
      throw Error(ErrorCode::kInvalidArgument, "cannot be read: {}", cause(errno));
    if (!S_ISREG(before.st_mode)) throw Error(ErrorCode::kInvalidArgument, "is not a regular file");
    if (static_cast<std::uintmax_t>(before.st_size) > limits::kSourceFileBytes) {
      throw Error(ErrorCode::kTooLarge, "has {} bytes, over the limit of {} MiB", before.st_size,
                  limits::kSourceFileBytes >> 20U);
    }
    SourceFile source;
    source.bytes.resize(static_cast<std::size_t>(before.st_size) + 1);  // one more: a file that grew is seen
    std::size_t used = 0;
    while (used < source.bytes.size()) {
      const auto got = ::read(handle.get(), source.bytes.data() + used, source.bytes.size() - used);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw Error(ErrorCode::kInvalidArgument, "cannot be read: {}", cause(errno));
      if (got == 0) break;
      used += static_cast<std::size_t>(got);
    }
    if (::fstat(handle.get(), &after) != 0)
      throw Error(ErrorCode::kInvalidArgument, "cannot be read: {}", cause(errno));
    if (used == static_cast<std::size_t>(before.st_size) && same_state(before, after)) {
      source.bytes.resize(used);
      source.modified = modified_of(after);
      return source;
    }
  }
  throw Error(ErrorCode::kInvalidArgument, "changed while it was read, {} times in a row", kReadAttempts);
}

}  // namespace lakeloop::ingest
