#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "base/clock.h"
#include "base/format.h"

namespace lakeloop {
namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("lakeloop", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->set_level(spdlog::level::info);
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += format("\\u{:04x}", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

constexpr std::string_view kLevelNames[] = {"debug", "info", "warning", "error"};

}  // namespace

void set_log_level(LogLevel lowest) {
  logger().set_level(to_spdlog(lowest));
}

void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  const auto spd = to_spdlog(level);
  if (!logger().should_log(spd)) return;
  std::string line = format(R"({{"ts":"{}","level":"{}","event":)", format_rfc3339(Timestamp::now()),
                            kLevelNames[static_cast<std::size_t>(level)]);
  append_quoted(line, event);
  for (const LogField& field : fields) {
    line += ',';
    append_quoted(line, field.key);
    line += ':';
    if (const auto* text = std::get_if<std::string_view>(&field.value)) append_quoted(line, *text);
    if (const auto* number = std::get_if<std::int64_t>(&field.value)) line += format("{}", *number);
    if (const auto* real = std::get_if<double>(&field.value)) line += format("{}", *real);
    if (const auto* flag = std::get_if<bool>(&field.value)) line += *flag ? "true" : "false";
  }
  line += '}';
  logger().log(spd, "{}", line);
}

}  // namespace lakeloop
