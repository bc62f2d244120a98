#include "search/section_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/file.h"
#include "codec/hash.h"

namespace lakeloop::search {

static_assert(std::endian::native == std::endian::little, "index files are read in place as little-endian");

namespace {

constexpr char kMagic[8] = {'L', 'L', 'S', 'E', 'A', 'R', 'C', 'H'};
constexpr std::uint32_t kFormatVersion = 1;
constexpr std::size_t kAlignment = 64;
constexpr std::uint32_t kMaxSections = 65'536;

struct Header {
  char magic[8];
  std::uint32_t kind, version, sections, table_crc;
  std::uint64_t file_size;
};

struct TableEntry {
  std::uint32_t id, crc;
  std::uint64_t offset, size;
};

std::size_t align(std::size_t offset) {
  return (offset + kAlignment - 1) / kAlignment * kAlignment;
}

std::string_view bytes_of(const void* data, std::size_t size) {
  return {static_cast<const char*>(data), size};
}

}  // namespace

void SectionWriter::add(std::uint32_t id, std::string bytes) {
  sections_.push_back({id, std::move(bytes)});
}

void SectionWriter::write(const std::filesystem::path& path) const {
  LAKELOOP_CHECK(sections_.size() < kMaxSections);
  std::vector<TableEntry> table;
  std::size_t offset = align(sizeof(Header) + sections_.size() * sizeof(TableEntry));
  for (const Section& section : sections_) {
    table.push_back({section.id, codec::crc32c(section.bytes), offset, section.bytes.size()});
    offset = align(offset + section.bytes.size());
  }
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.kind = static_cast<std::uint32_t>(kind_);
  header.version = kFormatVersion;
  header.sections = static_cast<std::uint32_t>(sections_.size());
  header.file_size = offset;
  const std::string_view table_bytes = bytes_of(table.data(), table.size() * sizeof(TableEntry));
  // The table's checksum covers the header too, with its own field zero.
  header.table_crc = codec::crc32c(std::string(bytes_of(&header, sizeof(header))).append(table_bytes));

  try {
    const FileHandle file = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
    std::size_t at = 0;
    const auto put = [&](std::string_view bytes) {
      write_all(file.get(), bytes, path);
      at += bytes.size();
    };
    const auto pad = [&] { put(std::string(align(at) - at, '\0')); };
    put(bytes_of(&header, sizeof(header)));
    put(table_bytes);
    pad();
    for (const Section& section : sections_) {
      put(section.bytes);
      pad();
    }
    if (::fsync(file.get()) != 0) {
      throw Error(ErrorCode::kInternal, "cannot make {} durable: {}", path.string(), std::strerror(errno));
    }
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
    throw;
  }
}

SectionFile SectionFile::open(const std::filesystem::path& path, FileKind kind) {
  SectionFile result;
  result.name_ = path.filename().string();
  const FileHandle file = open_file(path, O_RDONLY);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) result.damaged("its size cannot be read");
  result.size_ = static_cast<std::size_t>(status.st_size);
  if (result.size_ < sizeof(Header)) {
    result.size_ = 0;
    result.damaged("it is shorter than its header");
  }
  void* mapped = ::mmap(nullptr, result.size_, PROT_READ, MAP_SHARED, file.get(), 0);
  if (mapped == MAP_FAILED) {
    result.size_ = 0;
    throw Error(ErrorCode::kInternal, "cannot map {}: {}", path.string(), std::strerror(errno));
  }
  result.data_ = static_cast<const char*>(mapped);

  Header header{};
  std::memcpy(&header, result.data_, sizeof(header));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) result.damaged("it is no index file");
  if (header.version != kFormatVersion) result.damaged("its format version is unknown");
  if (header.kind != static_cast<std::uint32_t>(kind)) result.damaged("it is of another kind");
  if (header.file_size != result.size_) result.damaged("it was cut short or extended");
  const std::size_t table_size = std::size_t{header.sections} * sizeof(TableEntry);
  if (header.sections > kMaxSections || sizeof(Header) + table_size > result.size_)
    result.damaged("its table of sections is too long");
  std::vector<TableEntry> table(header.sections);
  std::memcpy(table.data(), result.data_ + sizeof(Header), table_size);
  const std::uint32_t crc = std::exchange(header.table_crc, 0);
  std::string checked(bytes_of(&header, sizeof(header)));
  checked.append(result.data_ + sizeof(Header), table_size);
  if (codec::crc32c(checked) != crc) result.damaged("the checksum of its header is wrong");
  std::size_t checked_to = sizeof(Header) + table_size;
  // Bytes between sections are zero; so every byte of the file is checked.
  const auto check_gap = [&](std::size_t to) {
    for (; checked_to < to; ++checked_to) {
      if (result.data_[checked_to] != 0) result.damaged("bytes between its sections were changed");
    }
  };
  for (const TableEntry& entry : table) {
    if (entry.offset > result.size_ || entry.size > result.size_ - entry.offset || entry.offset % kAlignment != 0) {
      result.damaged("a section lies outside it");
    }
    const std::string_view bytes = bytes_of(result.data_ + entry.offset, entry.size);
    if (codec::crc32c(bytes) != entry.crc) result.damaged("the checksum of a section is wrong");
    result.entries_.push_back({entry.id, bytes});
    check_gap(entry.offset);
    checked_to = entry.offset + entry.size;
  }
  check_gap(result.size_);
  return result;
}

SectionFile::SectionFile(SectionFile&& other) noexcept {
  *this = std::move(other);
}

SectionFile& SectionFile::operator=(SectionFile&& other) noexcept {
  std::swap(name_, other.name_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(entries_, other.entries_);
  return *this;
}

SectionFile::~SectionFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

std::string_view SectionFile::section(std::uint32_t id) const {
  for (const Entry& entry : entries_) {
    if (entry.id == id) return entry.bytes;
  }
  damaged("a section is missing");
}

void SectionFile::damaged(std::string_view what) const {
  throw Error(ErrorCode::kDataLoss, "index file {} is damaged: {}", name_, what);
}

void SectionFile::wrong_size(std::uint32_t id, std::size_t is, std::size_t should) const {
  throw Error(ErrorCode::kDataLoss, "index file {} is damaged: section {} has {} bytes instead of {}", name_, id, is,
              should);
}

}  // namespace lakeloop::search
