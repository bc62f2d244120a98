#pragma once

// The durable offsets of a journal's consumers: one small text file, replaced as a whole by every commit. Not
// thread-safe.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace lakeloop::journal {

class ConsumerOffsets {
 public:
  explicit ConsumerOffsets(std::filesystem::path file);  // kDataLoss when the file is damaged

  [[nodiscard]] std::uint64_t get(std::string_view consumer) const;  // kNotFound
  [[nodiscard]] bool contains(std::string_view consumer) const { return offsets_.contains(consumer); }
  void set(std::string_view consumer, std::uint64_t position);  // durable when it returns

  struct Entry {
    std::string consumer;
    std::uint64_t position = 0;
  };
  [[nodiscard]] std::optional<Entry> slowest() const;  // nullopt without consumers
  [[nodiscard]] std::optional<Entry> fastest() const;

 private:
  const std::filesystem::path file_;
  std::map<std::string, std::uint64_t, std::less<>> offsets_;
};

}  // namespace lakeloop::journal
