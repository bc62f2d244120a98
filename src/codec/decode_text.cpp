// Bytes of a file become text before anybody looks for lines or cells in them: in UTF-16 the bytes of U+010A or U+4E0A
// hold a 0x0A that is no line end.

#include <algorithm>
#include <cstdint>

#include "base/format.h"
#include "codec/unicode.h"

namespace lakeloop::codec {
namespace {

enum class Order : std::uint8_t { kLittle, kBig };

Error not_text(std::string_view why) {
  return Error(ErrorCode::kInvalidArgument, "not text: {}", why);
}

std::uint32_t unit_at(std::string_view bytes, std::size_t at, std::size_t width, Order order) {
  std::uint32_t unit = 0;
  for (std::size_t i = 0; i < width; ++i) {
    const std::size_t place = order == Order::kBig ? i : width - 1 - i;
    unit = unit << 8 | static_cast<unsigned char>(bytes[at + place]);
  }
  return unit;
}

void append_utf8(std::string& out, std::uint32_t c) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

bool high_surrogate(std::uint32_t unit) {
  return unit >= 0xD800 && unit <= 0xDBFF;
}
bool low_surrogate(std::uint32_t unit) {
  return unit >= 0xDC00 && unit <= 0xDFFF;
}

Expected<std::string> decode_utf16(std::string_view bytes, Order order, std::string_view name) {
  if (bytes.size() % 2 != 0) return std::unexpected(not_text(format("{} with an odd number of bytes", name)));
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size(); at += 2) {
    std::uint32_t c = unit_at(bytes, at, 2, order);
    if (high_surrogate(c) && bytes.size() - at >= 4) {
      const std::uint32_t low = unit_at(bytes, at + 2, 2, order);
      if (low_surrogate(low)) {
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        at += 2;
      }
    }
    if (high_surrogate(c) || low_surrogate(c)) {
      return std::unexpected(not_text(format("{} with half a surrogate pair at byte {}", name, at)));
    }
    append_utf8(out, c);
  }
  return out;
}

Expected<std::string> decode_utf32(std::string_view bytes, Order order, std::string_view name) {
  if (bytes.size() % 4 != 0) return std::unexpected(not_text(format("{} with a size that is no multiple of 4", name)));
  std::string out;
  out.reserve(bytes.size() / 2);
  for (std::size_t at = 0; at < bytes.size(); at += 4) {
    const std::uint32_t c = unit_at(bytes, at, 4, order);
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
      return std::unexpected(not_text(format("{} with an impossible code point at byte {}", name, at)));
    }
    append_utf8(out, c);
  }
  return out;
}

// Without a mark: more than half of the units are ASCII text, none is NUL or another control character. A file of
// numbers or a picture does not look like that, nor does the other byte order.
bool looks_like_utf16(std::string_view bytes, Order order) {
  if (bytes.empty() || bytes.size() % 2 != 0) return false;
  std::size_t ascii = 0;
  for (std::size_t at = 0; at < bytes.size(); at += 2) {
    const std::uint32_t unit = unit_at(bytes, at, 2, order);
    if (unit < 0x20 && !(unit >= '\t' && unit <= '\r')) return false;
    if (unit < 0x7F) ++ascii;
  }
  return ascii * 2 > bytes.size() / 2;
}

std::size_t first_invalid(std::string_view text) {
  // Halving by validity of the front part does not work inside a code point: walk instead.
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t size = 1;
    while (size <= 4 && at + size <= text.size() && !is_valid_utf8(text.substr(at, size))) ++size;
    if (size > 4 || at + size > text.size()) return at;
    at += size;
  }
  return at;
}

Expected<std::string> decode_utf8(std::string_view bytes) {
  if (is_valid_utf8(bytes)) return std::string(bytes);
  return std::unexpected(not_text(format(
      "byte {} is not UTF-8; save the file as UTF-8, or as UTF-16 with a byte order mark", first_invalid(bytes))));
}

struct Mark {
  std::string_view bytes;
  std::string_view encoding;
};
// The longer mark of UTF-32LE begins with that of UTF-16LE; no text begins with NUL, so it wins.
constexpr Mark kMarks[] = {{std::string_view("\xFF\xFE\0\0", 4), "utf-32le"},
                           {std::string_view("\0\0\xFE\xFF", 4), "utf-32be"},
                           {"\xEF\xBB\xBF", "utf-8"},
                           {"\xFF\xFE", "utf-16le"},
                           {"\xFE\xFF", "utf-16be"}};

Expected<std::string> decode_as(std::string_view bytes, std::string_view name) {
  if (name == "utf-16le") return decode_utf16(bytes, Order::kLittle, "UTF-16LE");
  if (name == "utf-16be") return decode_utf16(bytes, Order::kBig, "UTF-16BE");
  if (name == "utf-32le") return decode_utf32(bytes, Order::kLittle, "UTF-32LE");
  if (name == "utf-32be") return decode_utf32(bytes, Order::kBig, "UTF-32BE");
  return decode_utf8(bytes);
}

}  // namespace

Expected<std::string> decode_text(std::string_view bytes, std::string* encoding) {
  std::string_view name;
  for (const Mark& mark : kMarks) {
    if (!bytes.starts_with(mark.bytes)) continue;
    bytes.remove_prefix(mark.bytes.size());
    name = mark.encoding;
    break;
  }
  if (name.empty()) {
    name = "utf-8";
    if (bytes.contains('\0')) {
      if (looks_like_utf16(bytes, Order::kLittle)) name = "utf-16le";
      if (looks_like_utf16(bytes, Order::kBig)) name = "utf-16be";
      if (name == "utf-8") {
        return std::unexpected(not_text("it holds zero bytes; save it as UTF-8, or as UTF-16 with a byte order mark"));
      }
    }
  }
  Expected<std::string> text = decode_as(bytes, name);
  if (text && text->contains('\0')) return std::unexpected(not_text(format("{} that holds the character NUL", name)));
  if (text && encoding != nullptr) *encoding = name;
  return text;
}

}  // namespace lakeloop::codec
