#pragma once

// From the bytes of sampled tokens to the text that a reader may see. A token may end inside a code point, and the
// text so far may be the beginning of a stop string: such bytes are held back until it is known what they are.
// Not thread-safe: one filter per answer.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lakeloop::llm {

// Joins token bytes to valid UTF-8. Bytes that can be no code point, and NUL, become U+FFFD.
class Utf8Assembler {
 public:
  // The whole code points that are now complete.
  std::string feed(std::string_view bytes);
  // What is left at the end: U+FFFD for an incomplete code point, else nothing.
  std::string finish();

 private:
  std::string pending_;  // at most three bytes
};

// Ends the text at the first place where any stop string is complete; of those ending there the longest is cut off.
// The result depends on the text only, never on how it was cut into pieces.
class StopScanner {
 public:
  explicit StopScanner(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // `text` is whole code points. Returns what can no longer belong to a stop string; nothing after a match.
  std::string feed(std::string_view text);
  // The held-back text of an answer that ended without a stop string.
  std::string finish();
  [[nodiscard]] bool matched() const { return matched_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool matched_ = false;
};

class TextFilter {
 public:
  explicit TextFilter(std::vector<std::string> stops) : scanner_(std::move(stops)) {}
  std::string feed(std::string_view token_bytes) { return scanner_.feed(assembler_.feed(token_bytes)); }
  std::string finish() {
    std::string text = scanner_.feed(assembler_.finish());
    return text += scanner_.finish();
  }
  [[nodiscard]] bool stopped() const { return scanner_.matched(); }

 private:
  Utf8Assembler assembler_;
  StopScanner scanner_;
};

}  // namespace lakeloop::llm
