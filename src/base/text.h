#pragma once

// Small operations on text: bytes in, bytes out, no locale. Anything about Unicode is in codec/unicode.h.

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lakeloop {

std::vector<std::string_view> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view trim(std::string_view text);  // ASCII blanks at both ends
std::string ascii_lower(std::string_view text);
std::string ascii_upper(std::string_view text);
bool iequals(std::string_view a, std::string_view b);  // ASCII case ignored
std::string replace_all(std::string text, std::string_view from, std::string_view to);

// The whole text must be one number.
template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Shell-like patterns for LIKE: '%' any run, '_' one character; no escape. `fold` ignores ASCII case.
bool like(std::string_view text, std::string_view pattern, bool fold = false);

}  // namespace lakeloop
