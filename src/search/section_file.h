#pragma once

// The one layout of all binary index files: a header (magic, kind, format version, table of sections, its own
// checksum), then sections at multiples of 64 bytes, each under its CRC-32C. Written once, fsynced, never changed; read
// through mmap, so an open file stays readable after it was removed. Integers are little-endian.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lakeloop::search {

enum class FileKind : std::uint32_t { kSegment = 1, kVectors = 2, kTombstones = 3 };

// Collects sections; `bytes` of a section are copied or moved in and written by `write`.
class SectionWriter {
 public:
  explicit SectionWriter(FileKind kind) : kind_(kind) {}
  void add(std::uint32_t id, std::string bytes);
  template <typename T>
  void add_array(std::uint32_t id, std::span<const T> values) {
    add(id, std::string(reinterpret_cast<const char*>(values.data()), values.size_bytes()));
  }
  // Durable when it returns, but for the folder entry, which the manifest's write makes durable. Removes a partial file
  // on error.
  void write(const std::filesystem::path& path) const;

 private:
  struct Section {
    std::uint32_t id;
    std::string bytes;
  };
  FileKind kind_;
  std::vector<Section> sections_;
};

// An open file whose checksums were all right. Move only; thread-safe.
class SectionFile {
 public:
  // kNotFound when missing, kDataLoss naming the file and what is wrong with it.
  static SectionFile open(const std::filesystem::path& path, FileKind kind);
  SectionFile() = default;
  SectionFile(SectionFile&& other) noexcept;
  SectionFile& operator=(SectionFile&& other) noexcept;
  ~SectionFile();

  // kDataLoss when there is no such section.
  [[nodiscard]] std::string_view section(std::uint32_t id) const;
  // As values of T; kDataLoss unless it has exactly `count` of them.
  template <typename T>
  [[nodiscard]] std::span<const T> array(std::uint32_t id, std::size_t count) const {
    const std::string_view bytes = section(id);
    if (bytes.size() != count * sizeof(T)) wrong_size(id, bytes.size(), count * sizeof(T));
    return {reinterpret_cast<const T*>(bytes.data()), count};
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[noreturn]] void damaged(std::string_view what) const;

 private:
  [[noreturn]] void wrong_size(std::uint32_t id, std::size_t is, std::size_t should) const;
  struct Entry {
    std::uint32_t id;
    std::string_view bytes;
  };
  std::string name_;
  const char* data_ = nullptr;
  std::size_t size_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace lakeloop::search
