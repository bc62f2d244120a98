#include "llm/text_filter.h"

#include <algorithm>
#include <cstddef>

namespace lakeloop::llm {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Table 3-7 of the Unicode standard: what the second byte may be depends on the first.
struct LeadByte {
  std::size_t length;  // 0: not a lead byte
  unsigned char second_low, second_high;
};

LeadByte lead_byte(unsigned char byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// How many of the first bytes of `text` belong to one code point, and whether they complete or spoil it.
struct Scan {
  std::size_t bytes;
  bool complete, valid;
};

Scan scan_code_point(std::string_view text) {
  const LeadByte lead = lead_byte(static_cast<unsigned char>(text[0]));
  if (lead.length == 0) return {1, true, false};
  for (std::size_t i = 1; i < lead.length; ++i) {
    if (i == text.size()) return {i, false, true};
    const auto byte = static_cast<unsigned char>(text[i]);
    const unsigned char low = i == 1 ? lead.second_low : 0x80, high = i == 1 ? lead.second_high : 0xBF;
    if (byte < low || byte > high) return {i, true, false};
  }
  return {lead.length, true, text[0] != '\0'};
}

}  // namespace

std::string Utf8Assembler::feed(std::string_view bytes) {
  pending_ += bytes;
  std::string out;
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const Scan scan = scan_code_point(rest);
    if (!scan.complete) break;
    out += scan.valid ? rest.substr(0, scan.bytes) : kReplacement;
    rest.remove_prefix(scan.bytes);
  }
  pending_ = std::string(rest);
  return out;
}

std::string Utf8Assembler::finish() {
  const bool incomplete = !pending_.empty();
  pending_.clear();
  return incomplete ? std::string(kReplacement) : std::string();
}

std::string StopScanner::feed(std::string_view text) {
  if (matched_) return {};
  if (stops_.empty()) return std::string(text);
  for (const char byte : text) {
    held_ += byte;
    std::size_t longest = 0;
    for (const std::string& stop : stops_) {
      if (held_.ends_with(stop)) longest = std::max(longest, stop.size());
    }
    if (longest > 0) {
      matched_ = true;
      std::string out = held_.substr(0, held_.size() - longest);
      held_.clear();
      return out;
    }
  }
  // A stop string is valid UTF-8, so a tail that begins one begins at a code point: the cut never splits one.
  std::size_t keep = 0;
  for (const std::string& stop : stops_) {
    for (std::size_t n = std::min(stop.size() - 1, held_.size()); n > keep; --n) {
      if (held_.ends_with(std::string_view(stop).substr(0, n))) {
        keep = n;
        break;
      }
    }
  }
  std::string out = held_.substr(0, held_.size() - keep);
  held_.erase(0, held_.size() - keep);
  return out;
}

std::string StopScanner::finish() {
  if (matched_) return {};
  return std::exchange(held_, {});
}

}  // namespace lakeloop::llm
