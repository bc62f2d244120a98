#include "net/response_head.h"

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "base/format.h"

namespace lakeloop::net {
namespace {

bool is_token_char(char c) {
  const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return alphanumeric || std::string_view("!#$%&'*+-.^_`|~").contains(c);
}

bool is_ours(std::string_view name) {
  static constexpr std::string_view kNames[] = {"connection", "content-length", "transfer-encoding",
                                                "keep-alive", "server",         "date"};
  return std::ranges::find(kNames, name) != std::end(kNames);
}

// RFC 9110, section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT".
const std::string& http_date() {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  thread_local std::chrono::sys_seconds cached_at{};
  thread_local std::string cached;
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  if (cached.empty() || now != cached_at) {
    const auto day = std::chrono::floor<std::chrono::days>(now);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(now - day);
    cached =
        format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[std::chrono::weekday(day).c_encoding()],
               static_cast<unsigned>(date.day()), kMonths[static_cast<unsigned>(date.month()) - 1],
               static_cast<int>(date.year()), time.hours().count(), time.minutes().count(), time.seconds().count());
    cached_at = now;
  }
  return cached;
}

std::string_view wire_code(int status) {
  switch (status) {
    case 408:
      return "DEADLINE_EXCEEDED";
    case 413:
    case 414:
    case 431:
      return "REQUEST_TOO_LARGE";
    case 500:
      return "INTERNAL_ERROR";
    case 501:
      return "NOT_IMPLEMENTED";
    case 503:
      return "TEMPORARILY_UNAVAILABLE";
    default:
      return "BAD_REQUEST";
  }
}

}  // namespace

bool valid_header(std::string_view name, std::string_view value) {
  const auto allowed = [](char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f); };
  return !name.empty() && std::ranges::all_of(name, is_token_char) && std::ranges::all_of(value, allowed);
}

bool valid_headers(const Headers& headers) {
  return std::ranges::all_of(headers.all(), [](const auto& item) { return valid_header(item.first, item.second); });
}

std::string render_head(int status, const Headers& headers, const HeadFraming& framing) {
  LAKELOOP_CHECK(status >= 100 && status <= 999);
  std::string out;
  out.reserve(256);
  out += format("HTTP/1.1 {} {}\r\n", status, reason_phrase(status));
  for (const auto& [name, value] : headers.all()) {
    LAKELOOP_CHECK(valid_header(name, value));
    if (is_ours(name)) continue;
    out.append(name).append(": ").append(value).append("\r\n");
  }
  out.append("date: ").append(http_date()).append("\r\nserver: lakeloop\r\n");
  if (!headers.contains("x-content-type-options")) out += "x-content-type-options: nosniff\r\n";
  if (framing.chunked) {
    out += "transfer-encoding: chunked\r\n";
  } else if (framing.content_length) {
    out += format("content-length: {}\r\n", *framing.content_length);
  }
  if (!framing.keep_alive) {
    out += "connection: close\r\n";
  } else if (!framing.http_1_1) {
    out += "connection: keep-alive\r\n";
  }
  out += "\r\n";
  return out;
}

bool status_forbids_body(int status) {
  return status < 200 || status == 204 || status == 304;
}

void append_chunk(std::string& out, std::string_view bytes) {
  if (bytes.empty()) return;
  out += format("{:x}\r\n", bytes.size());
  out.append(bytes).append("\r\n");
}

Response refusal(int status, std::string_view reason) {
  return Response::json(status, format(R"({{"error_code":"{}","message":"{}"}})", wire_code(status), reason));
}

}  // namespace lakeloop::net
