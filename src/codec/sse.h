#pragma once

// Server-sent events (WHATWG HTML, section 9.2). Lines end at CR, LF or CRLF only: U+2028, U+2029 and U+0085 are text.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace lakeloop::codec {

struct SseEvent {
  std::string event;  // empty = "message"
  std::string data;   // data lines joined by '\n'
};

// Feed bytes as they come, in any slicing. Comments, id and retry fields are dropped; events without data too.
// An event longer than `limit` throws kTooLarge.
class SseParser {
 public:
  explicit SseParser(std::function<void(SseEvent)> on_event, std::size_t limit = 4 * 1024 * 1024);
  void feed(std::string_view bytes);

 private:
  void end_line();
  std::function<void(SseEvent)> on_event_;
  std::size_t limit_;
  std::string line_;
  SseEvent event_;
  bool has_data_ = false;
  bool after_cr_ = false;
  bool first_line_ = true;
};

// "data: ...\n\n". Never writes `id:` or `retry:`: some clients then take a heartbeat for an event. `data` is one line
// of JSON; U+2028, U+2029 and U+0085 in it are written as \u escapes, since many clients split lines on them.
std::string sse_data(std::string_view json_line);
std::string sse_event(std::string_view event, std::string_view json_line);
// A heartbeat: one comment line without an empty line after it.
inline constexpr std::string_view kSseHeartbeat = ": ping\n";

}  // namespace lakeloop::codec
