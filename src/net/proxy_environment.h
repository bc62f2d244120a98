#pragma once

// Which proxy the environment names for a URL: http_proxy (lower case only: a CGI client could set the other),
// https_proxy, all_proxy and no_proxy, as curl and Go read them. Loopback hosts never use one.

#include <functional>
#include <string>
#include <string_view>

#include "net/outbound_guard.h"

namespace lakeloop::net {

class ProxyEnvironment {
 public:
  // `variable` returns a variable's value, or empty; it is asked in the constructor only.
  explicit ProxyEnvironment(const std::function<std::string(const char* name)>& variable);
  static ProxyEnvironment of_process();

  // The proxy's URL, or empty for a direct connection.
  [[nodiscard]] std::string proxy_for(const UrlParts& url) const;

 private:
  [[nodiscard]] bool exempt(const UrlParts& url) const;

  std::string http_, https_, none_;
};

}  // namespace lakeloop::net
