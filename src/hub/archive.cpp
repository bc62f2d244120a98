#include "hub/archive.h"

#include <fcntl.h>
#include <unistd.h>
#include <zip.h>

#include <array>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/id.h"
#include "codec/hash.h"

namespace lakeloop::hub {
namespace {

constexpr std::size_t kPiece = 1024 * 1024;

struct CloseZip {
  void operator()(zip_t* zip) const { zip_discard(zip); }
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using Zip = std::unique_ptr<zip_t, CloseZip>;
using ZipFile = std::unique_ptr<zip_file_t, CloseZip>;

Zip open_zip(const std::filesystem::path& archive) {
  int code = 0;
  Zip zip(zip_open(archive.c_str(), ZIP_RDONLY, &code));
  if (!zip) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string why = zip_error_strerror(&error);
    zip_error_fini(&error);
    throw Error(ErrorCode::kInvalidArgument, "{} is not a readable zip archive: {}", archive.string(), why);
  }
  return zip;
}

ZipFile open_member(zip_t* zip, std::string_view member, const std::filesystem::path& archive) {
  ZipFile file(zip_fopen(zip, std::string(member).c_str(), 0));
  if (!file) throw Error(ErrorCode::kNotFound, "{} has no file {}", archive.string(), member);
  return file;
}

}  // namespace

std::string sha256_of_file(const std::filesystem::path& path) {
  const FileHandle file = open_file(path, O_RDONLY);
  codec::Sha256 hash;
  std::string buffer(kPiece, '\0');
  for (;;) {
    const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
    if (size < 0) throw Error(ErrorCode::kInternal, "cannot read {}", path.string());
    if (size == 0) return hash.finish_hex();
    hash.update({buffer.data(), static_cast<std::size_t>(size)});
  }
}

void extract_member(const std::filesystem::path& archive, std::string_view member, std::string_view sha256,
                    const std::filesystem::path& target, std::uint64_t limit) {
  const Zip zip = open_zip(archive);
  const ZipFile file = open_member(zip.get(), member, archive);
  const std::filesystem::path part =
      target.parent_path() / ("." + target.filename().string() + ".part-" + random_hex(6));
  try {
    const FileHandle out = open_file(part, O_WRONLY | O_CREAT | O_EXCL);
    codec::Sha256 hash;
    std::string buffer(kPiece, '\0');
    std::uint64_t total = 0;
    for (;;) {
      const zip_int64_t size = zip_fread(file.get(), buffer.data(), buffer.size());
      if (size < 0) throw Error(ErrorCode::kDataLoss, "{}: {} is damaged", archive.string(), member);
      if (size == 0) break;
      total += static_cast<std::uint64_t>(size);
      if (total > limit)
        throw Error(ErrorCode::kTooLarge, "{}: {} has more than {} bytes", archive.string(), member, limit);
      const std::string_view piece(buffer.data(), static_cast<std::size_t>(size));
      hash.update(piece);
      write_all(out.get(), piece, part);
    }
    const std::string found = hash.finish_hex();
    if (found != sha256) {
      throw Error(ErrorCode::kDataLoss, "{}: {} has the SHA-256 {}, expected {}", archive.string(), member, found,
                  sha256);
    }
    if (fsync(out.get()) != 0) throw Error(ErrorCode::kInternal, "cannot sync {}", part.string());
    std::filesystem::rename(part, target);
    sync_folder(target.parent_path());
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(part, ignored);
    throw;
  }
}

std::string read_member(const std::filesystem::path& archive, std::string_view member, std::size_t limit) {
  const Zip zip = open_zip(archive);
  const zip_int64_t index = zip_name_locate(zip.get(), std::string(member).c_str(), 0);
  if (index < 0) return {};
  const ZipFile file = open_member(zip.get(), member, archive);
  std::string text(limit, '\0');
  std::size_t got = 0;
  while (got < limit) {
    const zip_int64_t size = zip_fread(file.get(), text.data() + got, limit - got);
    if (size <= 0) break;
    got += static_cast<std::size_t>(size);
  }
  text.resize(got);
  return text;
}

}  // namespace lakeloop::hub
