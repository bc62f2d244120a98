#pragma once

// The one guard for outbound addresses that a user can set (SSRF): scheme http or https, no user info, and the resolved
// address, not the name, decides. The address that was checked is the address that is connected to.

#include <cstdint>
#include <string>
#include <string_view>

namespace lakeloop::net {

enum class OutboundPolicy : std::uint8_t {
  kPublicOnly,    // no loopback, private, link-local, multicast, documentation or mapped ranges, IPv4 and IPv6
  kAllowPrivate,  // an administrator allowed private networks; link-local metadata addresses stay refused
};

struct UrlParts {
  std::string scheme, host, path_and_query;
  std::uint16_t port = 0;
};
// kInvalidArgument with the reason when it is not an absolute http(s) URL.
UrlParts parse_url(std::string_view url);

// True when the numeric address may be connected to under the policy.
bool address_allowed(std::string_view numeric_address, OutboundPolicy policy);

}  // namespace lakeloop::net
