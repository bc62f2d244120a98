#pragma once

// A durable append-only log of events: what the request path writes and streams read. Records are opaque bytes with a
// position (0, 1, 2, ...). Segments of 64 MiB, each record with length and CRC-32C; a torn tail is cut on open, damage
// elsewhere is kDataLoss with file and offset. Appends of several threads share one fsync (group commit).
// Consumers have names and durable offsets; a segment that all consumers have passed is deleted. Thread-safe.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace lakeloop::journal {

struct Record {
  std::uint64_t position = 0;
  Timestamp appended;
  std::string bytes;
};

struct JournalOptions {
  std::uint64_t segment_bytes = 64ull * 1024 * 1024;
  std::uint64_t record_limit = 16ull * 1024 * 1024;
  std::uint64_t size_limit =
      4ull * 1024 * 1024 * 1024;  // append then fails with kResourceExhausted until consumers catch up
};

class Journal {
 public:
  static std::unique_ptr<Journal> open(const std::filesystem::path& folder, JournalOptions options = {});
  virtual ~Journal() = default;

  // Returns after fsync, with the record's position.
  virtual std::uint64_t append(std::string_view bytes) = 0;
  // Records from `position` on, at most `max_records` and `max_bytes` (but at least one); empty when none is there yet.
  virtual std::vector<Record> read(std::uint64_t position, std::size_t max_records, std::size_t max_bytes) = 0;
  // Waits until a record at `position` exists, the wait is over, or close() is called. True when it exists.
  virtual bool wait(std::uint64_t position, std::chrono::milliseconds wait) = 0;
  [[nodiscard]] virtual std::uint64_t end() const = 0;  // the position after the last durable record

  // A consumer starts at the oldest record kept. Offsets are positions of the next record to read.
  virtual void register_consumer(std::string_view name) = 0;
  virtual std::uint64_t offset(std::string_view consumer) = 0;
  virtual void commit_offset(std::string_view consumer, std::uint64_t position) = 0;  // durable; frees segments
  virtual void close() = 0;  // wakes waiters; appends then fail
};

}  // namespace lakeloop::journal
