#include "codec/unicode.h"

#include <cstdint>
#include <cstring>

namespace lakeloop::codec {
namespace {

bool continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// Size of the code point at `at`, 0 when it is not well-formed (Unicode 16, table 3-7: no surrogates, no overlong
// forms).
std::size_t well_formed(std::string_view text, std::size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  if (lead < 0x80) return 1;
  std::size_t size = 0;
  unsigned char low = 0x80, high = 0xBF;  // the range of the second byte
  if (lead >= 0xC2 && lead <= 0xDF) {
    size = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    size = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    size = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return 0;
  }
  if (text.size() - at < size) return 0;
  const auto second = static_cast<unsigned char>(text[at + 1]);
  if (second < low || second > high) return 0;
  for (std::size_t i = 2; i < size; ++i) {
    if (!continuation(text[at + i])) return 0;
  }
  return size;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    while (text.size() - at >= 8) {  // runs of ASCII, eight at a time
      std::uint64_t word;
      std::memcpy(&word, text.data() + at, sizeof word);
      if ((word & 0x8080808080808080u) != 0) break;
      at += 8;
    }
    if (at == text.size()) return true;
    const std::size_t size = well_formed(text, at);
    if (size == 0) return false;
    at += size;
  }
  return true;
}

std::size_t count_code_points(std::string_view utf8) {
  std::size_t count = 0;
  for (const char c : utf8) count += continuation(c) ? 0 : 1;
  return count;
}

std::size_t byte_offset(std::string_view utf8, std::size_t index) {
  for (std::size_t at = 0; at < utf8.size(); ++at) {
    if (continuation(utf8[at])) continue;
    if (index == 0) return at;
    --index;
  }
  return utf8.size();
}

std::string_view truncate_utf8(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && continuation(text[bytes])) --bytes;
  return text.substr(0, bytes);
}

}  // namespace lakeloop::codec
