#include "base/id.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

#include "base/check.h"
#include "base/clock.h"

namespace lakeloop {
namespace {

void fill_random(unsigned char* out, std::size_t size) {
  while (size > 0) {
    const ssize_t got = getrandom(out, size, 0);
    LAKELOOP_CHECK(got > 0);
    out += got;
    size -= static_cast<std::size_t>(got);
  }
}

std::string hex(const unsigned char* bytes, std::size_t size) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  text.reserve(size * 2);
  for (std::size_t i = 0; i < size; ++i) {
    text += digits[bytes[i] >> 4];
    text += digits[bytes[i] & 15];
  }
  return text;
}

}  // namespace

std::string random_hex(std::size_t bytes) {
  std::string raw(bytes, '\0');
  fill_random(reinterpret_cast<unsigned char*>(raw.data()), bytes);
  return hex(reinterpret_cast<const unsigned char*>(raw.data()), bytes);
}

std::string new_uuid() {
  // 60 bits of time: milliseconds and a 12-bit fraction (RFC 9562, 6.2, method 3); never twice the same in a process.
  static std::atomic<std::uint64_t> last{0};
  const auto micros = static_cast<std::uint64_t>(Timestamp::now().micros);
  std::uint64_t tick = ((micros / 1000) << 12) | (((micros % 1000) << 12) / 1000);
  std::uint64_t seen = last.load();
  do {
    tick = std::max(tick, seen + 1);
  } while (!last.compare_exchange_weak(seen, tick));

  std::array<unsigned char, 16> b;
  fill_random(b.data(), b.size());
  const std::uint64_t millis = tick >> 12;
  for (int i = 0; i < 6; ++i) b[static_cast<std::size_t>(i)] = static_cast<unsigned char>(millis >> (40 - 8 * i));
  b[6] = static_cast<unsigned char>(0x70 | ((tick >> 8) & 0x0f));
  b[7] = static_cast<unsigned char>(tick);
  b[8] = static_cast<unsigned char>(0x80 | (b[8] & 0x3f));
  const std::string h = hex(b.data(), b.size());
  return h.substr(0, 8) + '-' + h.substr(8, 4) + '-' + h.substr(12, 4) + '-' + h.substr(16, 4) + '-' + h.substr(20);
}

}  // namespace lakeloop
