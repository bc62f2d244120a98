#include "codec/encoding.h"

#include <array>

#include "base/check.h"

namespace lakeloop::codec {
namespace {

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kHexUpper = "0123456789ABCDEF";
constexpr std::string_view kZ85 =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
constexpr std::uint8_t kNoDigit = 0xFF;

constexpr std::array<std::uint8_t, 256> digits_of(std::string_view alphabet) {
  std::array<std::uint8_t, 256> table{};
  table.fill(kNoDigit);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}

constexpr auto kBase64Digits = digits_of(kBase64);
constexpr auto kZ85Digits = digits_of(kZ85);

std::uint32_t byte_at(std::string_view bytes, std::size_t i) {
  return static_cast<unsigned char>(bytes[i]);
}
std::uint8_t digit(const std::array<std::uint8_t, 256>& table, char c) {
  return table[static_cast<unsigned char>(c)];
}
char to_char(std::uint32_t value) {
  return static_cast<char>(static_cast<unsigned char>(value));
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// RFC 3986, section 2.3.
bool unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

}  // namespace

std::string base64_encode(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const std::uint32_t group = byte_at(bytes, i) << 16 | byte_at(bytes, i + 1) << 8 | byte_at(bytes, i + 2);
    for (const int shift : {18, 12, 6, 0}) text += kBase64[group >> shift & 63];
  }
  if (i + 1 == bytes.size()) {
    const std::uint32_t group = byte_at(bytes, i) << 16;
    text += {kBase64[group >> 18 & 63], kBase64[group >> 12 & 63], '=', '='};
  } else if (i + 2 == bytes.size()) {
    const std::uint32_t group = byte_at(bytes, i) << 16 | byte_at(bytes, i + 1) << 8;
    text += {kBase64[group >> 18 & 63], kBase64[group >> 12 & 63], kBase64[group >> 6 & 63], '='};
  }
  return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t pending = 0;
  int bits = 0;
  for (const char c : text) {
    const std::uint8_t value = digit(kBase64Digits, c);
    if (value == kNoDigit) return std::nullopt;
    pending = pending << 6 | value;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += to_char(pending >> bits);
      pending &= (1u << bits) - 1;
    }
  }
  // Bits that encode nothing must be zero (RFC 4648, section 3.5): else one value would have several texts.
  if (pending != 0) return std::nullopt;
  return bytes;
}

std::string hex_encode(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) text += {kHex[byte_at(bytes, i) >> 4], kHex[byte_at(bytes, i) & 15]};
  return text;
}

std::optional<std::string> hex_decode(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

std::string percent_encode(std::string_view text, bool keep_slash) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (unreserved(c) || (keep_slash && c == '/')) {
      out += c;
    } else {
      out += {'%', kHexUpper[byte_at(text, i) >> 4], kHexUpper[byte_at(text, i) & 15]};
    }
  }
  return out;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high << 4 | low);
    i += 2;
  }
  return out;
}

std::string z85_encode(std::string_view bytes) {
  LAKELOOP_CHECK(bytes.size() % 4 == 0);
  std::string text(bytes.size() / 4 * 5, '0');
  for (std::size_t i = 0, at = 0; i < bytes.size(); i += 4, at += 5) {
    std::uint32_t group =
        byte_at(bytes, i) << 24 | byte_at(bytes, i + 1) << 16 | byte_at(bytes, i + 2) << 8 | byte_at(bytes, i + 3);
    for (std::size_t place = 5; place-- > 0; group /= 85) text[at + place] = kZ85[group % 85];
  }
  return text;
}

std::optional<std::string> z85_decode(std::string_view text) {
  if (text.size() % 5 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 5 * 4);
  for (std::size_t i = 0; i < text.size(); i += 5) {
    std::uint64_t group = 0;
    for (const char c : text.substr(i, 5)) {
      const std::uint8_t value = digit(kZ85Digits, c);
      if (value == kNoDigit) return std::nullopt;
      group = group * 85 + value;
    }
    if (group > UINT32_MAX) return std::nullopt;  // five digits reach beyond 32 bits
    for (const int shift : {24, 16, 8, 0}) bytes += to_char(static_cast<std::uint32_t>(group) >> shift & 0xFF);
  }
  return bytes;
}

}  // namespace lakeloop::codec
