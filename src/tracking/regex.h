#pragma once

// Regular expressions that a user writes (RLIKE): ICU's, with a limit on time and stack, so that none runs away.

#include <memory>
#include <string_view>

namespace lakeloop::tracking {

class Regex {
 public:
  explicit Regex(std::string_view pattern);  // kInvalidArgument for a bad one
  ~Regex();
  Regex(Regex&&) noexcept;
  // True when the pattern is found anywhere in the text. A search past its limit is kInvalidArgument.
  [[nodiscard]] bool found_in(std::string_view text) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::tracking
