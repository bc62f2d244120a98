#pragma once

// Operational log: one JSON object a line on standard error, {"ts","level","event", key: value...}.
// Thread-safe. Events are constant strings; values never hold secrets or user content.

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace lakeloop {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };

struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, double, bool> value;

  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}
  LogField(std::string_view k, double v) : key(k), value(v) {}
  template <typename Integer>
    requires std::is_integral_v<Integer>
  LogField(std::string_view k, Integer v) : key(k), value(static_cast<std::int64_t>(v)) {}
};

void set_log_level(LogLevel lowest);
void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

inline void log_info(std::string_view event, std::initializer_list<LogField> f = {}) {
  log(LogLevel::kInfo, event, f);
}
inline void log_warning(std::string_view event, std::initializer_list<LogField> f = {}) {
  log(LogLevel::kWarning, event, f);
}
inline void log_error(std::string_view event, std::initializer_list<LogField> f = {}) {
  log(LogLevel::kError, event, f);
}
inline void log_debug(std::string_view event, std::initializer_list<LogField> f = {}) {
  log(LogLevel::kDebug, event, f);
}

}  // namespace lakeloop
