#include "codec/sse.h"

#include <utility>

#include "base/check.h"
#include "base/error.h"

namespace lakeloop::codec {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// The three line ends that the format does not know but many clients split on.
void append_escaped(std::string& out, std::string_view line) {
  static constexpr std::pair<std::string_view, std::string_view> kEscapes[] = {
      {"\xE2\x80\xA8", "\\u2028"}, {"\xE2\x80\xA9", "\\u2029"}, {"\xC2\x85", "\\u0085"}};
  for (std::size_t from = 0;;) {
    std::size_t at = line.find_first_of("\xE2\xC2", from);
    const auto* escape = kEscapes;
    for (; at != std::string_view::npos; at = line.find_first_of("\xE2\xC2", at + 1)) {
      for (escape = kEscapes; escape != std::end(kEscapes); ++escape) {
        if (line.substr(at).starts_with(escape->first)) break;
      }
      if (escape != std::end(kEscapes)) break;
    }
    out += line.substr(from, at - from);
    if (at == std::string_view::npos) return;
    out += escape->second;
    from = at + escape->first.size();
  }
}

void append_data(std::string& out, std::string_view text) {
  for (;;) {
    const std::size_t end = text.find_first_of("\r\n");
    out += "data: ";
    append_escaped(out, text.substr(0, end));
    out += '\n';
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + (text.substr(end).starts_with("\r\n") ? 2 : 1));
  }
  out += '\n';
}

}  // namespace

SseParser::SseParser(std::function<void(SseEvent)> on_event, std::size_t limit)
    : on_event_(std::move(on_event)), limit_(limit) {}

void SseParser::feed(std::string_view bytes) {
  if (bytes.empty()) return;
  if (after_cr_ && bytes.front() == '\n') bytes.remove_prefix(1);  // the second half of CRLF
  after_cr_ = false;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find_first_of("\r\n");
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + part.size() + event_.data.size() > limit_) {
      throw Error(ErrorCode::kTooLarge, "a server-sent event is longer than {} bytes", limit_);
    }
    line_ += part;
    if (end == std::string_view::npos) return;
    const bool carriage_return = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    if (carriage_return) {
      after_cr_ = bytes.empty();
      if (bytes.starts_with('\n')) bytes.remove_prefix(1);
    }
    end_line();
  }
}

void SseParser::end_line() {
  const std::string whole = std::exchange(line_, {});
  std::string_view line = whole;
  if (std::exchange(first_line_, false) && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  if (line.empty()) {
    const bool complete = std::exchange(has_data_, false);
    SseEvent event = std::exchange(event_, {});
    if (complete) on_event_(std::move(event));
    return;
  }
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value;
  if (colon != std::string_view::npos) {
    value = line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
  }
  if (field == "data") {
    if (has_data_) event_.data += '\n';
    event_.data += value;
    has_data_ = true;
  } else if (field == "event") {
    event_.event = value;
  }
}

std::string sse_data(std::string_view json_line) {
  std::string out;
  out.reserve(json_line.size() + 8);
  append_data(out, json_line);
  return out;
}

std::string sse_event(std::string_view event, std::string_view json_line) {
  LAKELOOP_CHECK(event.find_first_of("\r\n") == std::string_view::npos);
  std::string out;
  out.reserve(event.size() + json_line.size() + 16);
  out += "event: ";
  out += event;
  out += '\n';
  append_data(out, json_line);
  return out;
}

}  // namespace lakeloop::codec
