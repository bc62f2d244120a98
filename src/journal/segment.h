#pragma once

// One file of a journal. It begins with the magic "LAKEJRN1", a random salt of 4 bytes and the CRC-32C of both; records
// follow:
//   u32 length | u32 CRC-32C of header, length, time and bytes | u64 microseconds | bytes        (little-endian)
// The salt keeps bytes that a client sent from passing for a record when a damaged file is searched for one. Records
// that were written and synced together share their time; a later batch has a later one. Not thread-safe but for
// reading.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "journal/journal.h"

namespace lakeloop::journal {

inline constexpr std::uint64_t kSegmentHeaderBytes = 16;
inline constexpr std::uint64_t kRecordHeaderBytes = 16;

class Segment {
 public:
  // A new, synced file for records from `first` on.
  static std::shared_ptr<Segment> create(const std::filesystem::path& folder, std::uint64_t first);
  // Reads and checks the whole file. Of the last segment a torn tail is cut; other damage is kDataLoss.
  static std::shared_ptr<Segment> open(const std::filesystem::path& path, std::uint64_t first, bool is_last);
  // The first position in a segment's file name; nullopt for other files.
  static std::optional<std::uint64_t> first_of(const std::filesystem::path& path);

  // Appends an encoded record to `batch`.
  void encode(std::string_view bytes, std::uint64_t micros, std::string& batch) const;
  // Writes and syncs. When that fails nothing of the batch stays in the file, or nothing may be appended any more:
  // then `usable` is false.
  void write(std::string_view batch, bool& usable);
  // Takes a written batch into the index.
  void add(std::string_view batch);

  // Where to read: the offset of a record at or before `position`, and that record's position.
  struct Start {
    std::uint64_t position = 0;
    std::uint64_t offset = kSegmentHeaderBytes;
  };
  [[nodiscard]] Start start_for(std::uint64_t position) const;

  [[nodiscard]] std::uint64_t first() const { return first_; }
  [[nodiscard]] std::uint64_t end() const { return first_ + count_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t last_micros() const { return last_micros_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] int fd() const { return file_.get(); }
  [[nodiscard]] std::uint32_t seed() const { return seed_; }

 private:
  Segment(std::filesystem::path path, std::uint64_t first) : path_(std::move(path)), first_(first) {}
  void write_header();
  void read_header(bool is_last);
  void scan(bool is_last);
  void index(std::uint64_t offset, std::uint64_t micros);

  const std::filesystem::path path_;
  const std::uint64_t first_;
  FileHandle file_;
  std::uint32_t seed_ = 0;  // the header's checksum
  std::uint64_t count_ = 0;
  std::uint64_t size_ = kSegmentHeaderBytes;  // what is synced
  std::uint64_t last_micros_ = 0;
  std::vector<Start> index_;  // one entry for every few kilobytes
};

// Walks over the records of a segment with a buffer of its own.
class SegmentReader {
 public:
  enum class State : std::uint8_t { kRecord, kEnd, kBroken };

  SegmentReader(const Segment& segment, std::uint64_t offset, std::uint64_t end, std::size_t chunk)
      : fd_(segment.fd()), path_(segment.path()), seed_(segment.seed()), offset_(offset), end_(end), chunk_(chunk) {}

  // kBroken: no whole record with a right checksum stands at offset().
  State next();
  [[nodiscard]] std::uint64_t offset() const { return offset_; }  // of the record that next() will look at
  [[nodiscard]] std::uint64_t micros() const { return micros_; }
  [[nodiscard]] std::string_view bytes() const { return bytes_; }  // until the next call

 private:
  bool fill(std::size_t size);

  const int fd_;
  const std::filesystem::path& path_;
  const std::uint32_t seed_;
  std::uint64_t offset_;
  const std::uint64_t end_;
  const std::size_t chunk_;
  std::string buffer_;
  std::size_t used_ = 0;  // front of the buffer that is done with
  std::uint64_t micros_ = 0;
  std::string_view bytes_;
};

}  // namespace lakeloop::journal
