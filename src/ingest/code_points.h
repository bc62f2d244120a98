#pragma once

// Between byte offsets and code point offsets of one text: linear to build, constant time to ask. The text must outlive
// the map and be valid UTF-8.

#include <cstdint>
#include <string_view>
#include <vector>

namespace lakeloop::ingest {

class CodePoints {
 public:
  explicit CodePoints(std::string_view utf8);

  [[nodiscard]] std::int64_t count() const { return count_; }
  [[nodiscard]] std::int64_t from_byte(std::size_t byte) const;
  // The size of the text for an index past its end, 0 for a negative one.
  [[nodiscard]] std::size_t to_byte(std::int64_t index) const;

 private:
  std::string_view text_;
  std::int64_t count_ = 0;
  std::vector<std::int64_t> before_;  // code points that start before byte 128 * i
};

}  // namespace lakeloop::ingest
