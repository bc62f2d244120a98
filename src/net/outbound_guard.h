#pragma once

// The one guard for outbound addresses that a user can set (SSRF): scheme http or https, no user info, and the resolved
// address, not the name, decides. The address that was checked is the address that is connected to.

#include <cstdint>
#include <string>
#include <string_view>

namespace lakeloop::net {

enum class OutboundPolicy : std::uint8_t {
  kPublicOnly,    // no loopback, private, link-local, multicast, documentation or reserved ranges, IPv4 and IPv6
  kAllowPrivate,  // an administrator allowed loopback and private networks; metadata addresses stay refused
};

struct UrlParts {
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case; an IPv6 address without its brackets; IPv4 in dotted form however it was written
  std::string path_and_query;  // "/" at least, dot segments resolved, no fragment
  std::uint16_t port = 0;      // the scheme's, if the URL has none
};
// kInvalidArgument with the reason when it is not an absolute http(s) URL or has user info.
UrlParts parse_url(std::string_view url);

// The URL again; for an unchanged meaning in whatever parses it next.
std::string to_string(const UrlParts& parts);

// True when the numeric address may be connected to under the policy. An IPv6 address that holds an IPv4 address
// (mapped, NAT64, 6to4) is judged by that one too. False for what is no address in canonical form ("0x7f.1",
// "localhost").
bool address_allowed(std::string_view numeric_address, OutboundPolicy policy);

}  // namespace lakeloop::net
