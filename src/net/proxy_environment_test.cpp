#include "net/proxy_environment.h"

#include <gtest/gtest.h>

#include <map>

namespace lakeloop::net {
namespace {

ProxyEnvironment environment(std::map<std::string, std::string> variables) {
  return ProxyEnvironment([&](const char* name) { return variables[name]; });
}

TEST(ProxyEnvironment, ChoosesByScheme) {
  const auto both =
      environment({{"http_proxy", "http://p:1"}, {"HTTPS_PROXY", "http://p:2"}, {"ALL_PROXY", "socks5://p:3"}});
  EXPECT_EQ(both.proxy_for(parse_url("http://example.com/")), "http://p:1");
  EXPECT_EQ(both.proxy_for(parse_url("https://example.com/")), "http://p:2");
  const auto all = environment({{"ALL_PROXY", "socks5://p:3"}, {"HTTP_PROXY", "http://set-by-a-client"}});
  EXPECT_EQ(all.proxy_for(parse_url("http://example.com/")), "socks5://p:3");
  EXPECT_EQ(environment({}).proxy_for(parse_url("http://example.com/")), "");
}

TEST(ProxyEnvironment, Exemptions) {
  const auto proxies = environment(
      {{"http_proxy", "http://p:1"},
       {"no_proxy", "corp.example, .Dotted.example,*.star.example,10.0.0.0/8,192.168.1.7,ported.example:81,fd00::/8"}});
  const auto direct = [&](const char* url) { return proxies.proxy_for(parse_url(url)).empty(); };
  for (const char* url : {"http://corp.example", "http://a.corp.example", "http://x.dotted.example",
                          "http://dotted.example", "http://b.star.example", "http://10.1.2.3", "http://192.168.1.7",
                          "http://ported.example:81", "http://[fd00::1]", "http://localhost:5", "http://a.localhost",
                          "http://127.0.0.9", "http://[::1]:8", "http://2130706433"}) {
    EXPECT_TRUE(direct(url)) << url;
  }
  for (const char* url :
       {"http://notcorp.example", "http://corp.example.org", "http://11.1.2.3", "http://192.168.1.8",
        "http://ported.example:82", "http://[fe00::1]", "http://8.8.8.8", "http://localhost.example"}) {
    EXPECT_FALSE(direct(url)) << url;
  }
  EXPECT_EQ(environment({{"http_proxy", "p"}, {"NO_PROXY", "*"}}).proxy_for(parse_url("http://a")), "");
}

}  // namespace
}  // namespace lakeloop::net
