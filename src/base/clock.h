#pragma once

// Time. Wall-clock instants are microseconds since the Unix epoch (Delta's and Parquet's unit); durations and deadlines
// use the steady clock. Formats: RFC 3339 / ISO 8601 in UTC with 'Z'.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lakeloop {

using Steady = std::chrono::steady_clock;

// An instant: microseconds since 1970-01-01T00:00:00Z.
struct Timestamp {
  std::int64_t micros = 0;

  static Timestamp now();
  static Timestamp from_millis(std::int64_t ms) { return {ms * 1000}; }
  [[nodiscard]] std::int64_t millis() const { return micros / 1000; }
  auto operator<=>(const Timestamp&) const = default;
};

// "2026-01-02T03:04:05.678Z": milliseconds, or microseconds where the instant has them.
std::string format_rfc3339(Timestamp at);
// "2026-01-02"
std::string format_date(Timestamp at);
// Days since the epoch, floor.
std::int32_t days_since_epoch(Timestamp at);
// Accepts "2026-01-02T03:04:05[.frac](Z|+hh:mm)", a blank for 'T', and a bare date (midnight UTC).
std::optional<Timestamp> parse_timestamp(std::string_view text);

}  // namespace lakeloop
