#include "net/outbound_guard.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <span>

#include "base/check.h"
#include "base/error.h"
#include "base/format.h"
#include "base/text.h"

namespace lakeloop::net {
namespace {

enum class Reach : std::uint8_t { kPublic, kPrivate, kNever };

template <std::size_t Size>
struct Range {
  std::array<std::uint8_t, Size> prefix;
  unsigned bits;
  Reach reach;
};

// IANA special-purpose address registries (RFC 6890) and the metadata services of the large clouds. The first range
// that fits decides.
constexpr Range<4> kRanges4[] = {
    {{168, 63, 129, 16}, 32, Reach::kNever},    // Azure's host
    {{100, 100, 100, 200}, 32, Reach::kNever},  // Alibaba's metadata
    {{0, 0, 0, 0}, 8, Reach::kNever},           // "this network"; Linux connects it to loopback
    {{10, 0, 0, 0}, 8, Reach::kPrivate},
    {{100, 64, 0, 0}, 10, Reach::kPrivate},  // carrier-grade NAT
    {{127, 0, 0, 0}, 8, Reach::kPrivate},    // loopback
    {{169, 254, 0, 0}, 16, Reach::kNever},   // link-local, metadata
    {{172, 16, 0, 0}, 12, Reach::kPrivate},
    {{192, 0, 0, 0}, 24, Reach::kNever},    // protocol assignments; Oracle's metadata
    {{192, 0, 2, 0}, 24, Reach::kNever},    // documentation
    {{192, 88, 99, 0}, 24, Reach::kNever},  // 6to4 relays
    {{192, 168, 0, 0}, 16, Reach::kPrivate},
    {{198, 18, 0, 0}, 15, Reach::kPrivate},  // benchmarks
    {{198, 51, 100, 0}, 24, Reach::kNever},  // documentation
    {{203, 0, 113, 0}, 24, Reach::kNever},   // documentation
    {{224, 0, 0, 0}, 4, Reach::kNever},      // multicast
    {{240, 0, 0, 0}, 4, Reach::kNever},      // reserved, broadcast
};

constexpr Range<16> kRanges6[] = {
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, Reach::kPrivate},                  // ::1
    {{0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}, 128, Reach::kNever},  // fd00:ec2::254, AWS
    {{0xfd, 0x20, 0x00, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}, 128, Reach::kNever},  // fd20:ce::254, Google
    {{0xfc}, 7, Reach::kPrivate},                                                              // unique local
    {{0x20, 0x01, 0x0d, 0xb8}, 32, Reach::kNever},                                             // documentation
    {{0x20, 0x01, 0x00}, 23, Reach::kNever},  // protocol assignments, Teredo, ORCHID
    {{0x3f, 0xff, 0x00}, 20, Reach::kNever},  // documentation
    {{0x20}, 3, Reach::kPublic},              // global unicast; all else is reserved, local or multicast
};

template <std::size_t Size>
bool contains(const Range<Size>& range, std::span<const std::uint8_t, Size> address) {
  for (unsigned i = 0; i < range.bits; i += 8) {
    const unsigned bits = std::min(8u, range.bits - i);
    const auto mask = static_cast<std::uint8_t>(0xff << (8 - bits));
    if ((address[i / 8] & mask) != (range.prefix[i / 8] & mask)) return false;
  }
  return true;
}

Reach reach_of(std::span<const std::uint8_t, 4> address) {
  const auto* range = std::ranges::find_if(kRanges4, [&](const auto& r) { return contains<4>(r, address); });
  return range == std::end(kRanges4) ? Reach::kPublic : range->reach;
}

Reach reach_of(std::span<const std::uint8_t, 16> address) {
  static constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  static constexpr std::array<std::uint8_t, 12> kNat64 = {0x00, 0x64, 0xff, 0x9b};
  if (std::ranges::equal(address.first<12>(), kMapped) || std::ranges::equal(address.first<12>(), kNat64)) {
    return reach_of(address.last<4>());
  }
  if (address[0] == 0x20 && address[1] == 0x02) return reach_of(address.subspan<2, 4>());  // 6to4
  const auto* range = std::ranges::find_if(kRanges6, [&](const auto& r) { return contains<16>(r, address); });
  return range == std::end(kRanges6) ? Reach::kNever : range->reach;
}

std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  const std::unique_ptr<char, decltype(&curl_free)> owned(text, curl_free);
  return text;
}

[[noreturn]] void refuse(std::string_view reason) {
  throw Error(ErrorCode::kInvalidArgument, "the URL is refused: {}; give an absolute http or https URL", reason);
}

}  // namespace

UrlParts parse_url(std::string_view url) {
  if (url.size() > 8192) refuse("it is too long");
  for (const char c : url) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '\\')
      refuse("it has a blank, control character or back-slash");
  }
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos) refuse("it has no scheme");
  const std::string_view scheme = url.substr(0, colon);
  if (!iequals(scheme, "http") && !iequals(scheme, "https")) refuse("its scheme is neither http nor https");

  // The parser of the library that will connect: both see the same host.
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), curl_url_cleanup);
  LAKELOOP_CHECK(parsed != nullptr);
  if (const CURLUcode code = curl_url_set(parsed.get(), CURLUPART_URL, std::string(url).c_str(), 0);
      code != CURLUE_OK) {
    refuse(curl_url_strerror(code));
  }
  const std::string_view authority = url.substr(colon + 3, url.find_first_of("/?#", colon + 3) - colon - 3);
  if (authority.empty()) refuse("it has no host");
  if (authority.contains('@')) refuse("it has user info");

  UrlParts parts;
  parts.scheme = ascii_lower(scheme);
  parts.host = ascii_lower(part_of(parsed.get(), CURLUPART_HOST));
  if (parts.host.starts_with('[')) parts.host = parts.host.substr(1, parts.host.size() - 2);
  if (parts.host.empty() || parts.host.contains('%')) refuse("its host is malformed");
  if (!part_of(parsed.get(), CURLUPART_ZONEID).empty()) refuse("its address has a zone");
  const auto port = parse_number<std::uint16_t>(part_of(parsed.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT));
  if (!port || *port == 0) refuse("its port is malformed");
  parts.port = *port;
  parts.path_and_query = part_of(parsed.get(), CURLUPART_PATH);
  if (!parts.path_and_query.starts_with('/')) parts.path_and_query.insert(0, "/");
  if (const std::string query = part_of(parsed.get(), CURLUPART_QUERY); !query.empty())
    parts.path_and_query += "?" + query;
  return parts;
}

std::string to_string(const UrlParts& parts) {
  const bool v6 = parts.host.contains(':');
  return lakeloop::format("{}://{}{}{}:{}{}", parts.scheme, v6 ? "[" : "", parts.host, v6 ? "]" : "", parts.port,
                          parts.path_and_query);
}

bool address_allowed(std::string_view numeric_address, OutboundPolicy policy) {
  std::string text(numeric_address);
  std::array<std::uint8_t, 16> bytes{};
  Reach reach = Reach::kNever;
  if (::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) {
    reach = reach_of(std::span<const std::uint8_t, 16>(bytes).first<4>());
  } else {
    // The zone of a link-local address says nothing about its range.
    if (const std::size_t zone = text.find('%'); zone != std::string::npos) text.resize(zone);
    if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) return false;
    reach = reach_of(std::span<const std::uint8_t, 16>(bytes));
  }
  return reach == Reach::kPublic || (reach == Reach::kPrivate && policy == OutboundPolicy::kAllowPrivate);
}

}  // namespace lakeloop::net
