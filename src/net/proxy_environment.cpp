#include "net/proxy_environment.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "base/text.h"

namespace lakeloop::net {
namespace {

struct Address {
  std::array<std::uint8_t, 16> bytes{};
  unsigned bits = 0;  // 32 or 128
};

std::optional<Address> parse_address(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  const std::string copy(text);
  Address address;
  if (::inet_pton(AF_INET, copy.c_str(), address.bytes.data()) == 1)
    address.bits = 32;
  else if (::inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1)
    address.bits = 128;
  else
    return std::nullopt;
  return address;
}

bool same_prefix(const Address& a, const Address& b, unsigned bits) {
  for (unsigned i = 0; i < bits; ++i) {
    const unsigned mask = 0x80u >> (i % 8);
    if ((a.bytes[i / 8] & mask) != (b.bytes[i / 8] & mask)) return false;
  }
  return true;
}

// "10.0.0.0/8", "192.168.1.1", "::1"
bool covers(std::string_view network, const Address& address) {
  const std::size_t slash = network.find('/');
  const auto base = parse_address(network.substr(0, slash));
  if (!base || base->bits != address.bits) return false;
  if (slash == std::string_view::npos) return same_prefix(*base, address, address.bits);
  const auto bits = parse_number<unsigned>(network.substr(slash + 1));
  return bits && *bits <= address.bits && same_prefix(*base, address, *bits);
}

bool is_loopback(std::string_view host, const std::optional<Address>& address) {
  if (!address) return host == "localhost" || host.ends_with(".localhost");
  return covers("127.0.0.0/8", *address) || covers("::1", *address);
}

}  // namespace

ProxyEnvironment::ProxyEnvironment(const std::function<std::string(const char*)>& variable) {
  const auto first_of = [&](std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if (std::string value = variable(name); !value.empty()) return value;
    }
    return std::string();
  };
  http_ = first_of({"http_proxy", "all_proxy", "ALL_PROXY"});
  https_ = first_of({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"});
  none_ = ascii_lower(first_of({"no_proxy", "NO_PROXY"}));
  std::ranges::replace(none_, ' ', ',');
}

ProxyEnvironment ProxyEnvironment::of_process() {
  return ProxyEnvironment([](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  });
}

std::string ProxyEnvironment::proxy_for(const UrlParts& url) const {
  const std::string& proxy = url.scheme == "https" ? https_ : http_;
  return proxy.empty() || exempt(url) ? std::string() : proxy;
}

bool ProxyEnvironment::exempt(const UrlParts& url) const {
  const auto address = parse_address(url.host);
  if (is_loopback(url.host, address)) return true;
  for (std::string_view entry : split(none_, ',')) {
    if (entry.empty()) continue;
    if (entry == "*") return true;
    if (address) {
      if (covers(entry, *address)) return true;
      continue;
    }
    // "example.com", ".example.com" and "*.example.com" cover the name and what is below it.
    if (const std::size_t colon = entry.rfind(':'); colon != std::string_view::npos) {
      if (parse_number<std::uint16_t>(entry.substr(colon + 1)) != url.port) continue;
      entry = entry.substr(0, colon);
    }
    if (entry.starts_with('*')) entry.remove_prefix(1);
    if (entry.starts_with('.')) entry.remove_prefix(1);
    if (entry.empty()) continue;
    if (url.host == entry || (url.host.ends_with(entry) && url.host[url.host.size() - entry.size() - 1] == '.'))
      return true;
  }
  return false;
}

}  // namespace lakeloop::net
