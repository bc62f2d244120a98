#include "net/outbound_guard.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace lakeloop::net {
namespace {

constexpr auto kPublic = OutboundPolicy::kPublicOnly;
constexpr auto kPrivate = OutboundPolicy::kAllowPrivate;

TEST(OutboundGuard, PublicAddressesPass) {
  for (const char* address : {"1.1.1.1",
                              "8.8.8.8",
                              "9.255.255.255",
                              "11.0.0.0",
                              "100.63.255.255",
                              "100.128.0.0",
                              "126.255.255.255",
                              "128.0.0.0",
                              "169.253.255.255",
                              "169.255.0.0",
                              "172.15.255.255",
                              "172.32.0.0",
                              "192.0.1.1",
                              "192.167.255.255",
                              "192.169.0.0",
                              "198.17.255.255",
                              "198.20.0.0",
                              "223.255.255.255",
                              "2606:4700:4700::1111",
                              "2a00:1450::1",
                              "2001:4860:4860::8888",
                              "::ffff:8.8.8.8",
                              "64:ff9b::8.8.8.8",
                              "2002:808:808::1"}) {
    EXPECT_TRUE(address_allowed(address, kPublic)) << address;
    EXPECT_TRUE(address_allowed(address, kPrivate)) << address;
  }
}

TEST(OutboundGuard, PrivateAddressesNeedTheirPolicy) {
  for (const char* address : {"127.0.0.1",
                              "127.255.255.255",
                              "10.0.0.0",
                              "10.255.255.255",
                              "172.16.0.0",
                              "172.31.255.255",
                              "192.168.0.0",
                              "192.168.255.255",
                              "100.64.0.0",
                              "100.127.255.255",
                              "198.18.0.1",
                              "::1",
                              "fc00::",
                              "fdff::1",
                              "::ffff:127.0.0.1",
                              "::ffff:10.1.2.3",
                              "::ffff:7f00:1",
                              "64:ff9b::7f00:1",
                              "64:ff9b::192.168.1.1",
                              "2002:7f00:1::",
                              "2002:a00:1::1",
                              "0:0:0:0:0:0:0:1"}) {
    EXPECT_FALSE(address_allowed(address, kPublic)) << address;
    EXPECT_TRUE(address_allowed(address, kPrivate)) << address;
  }
}

TEST(OutboundGuard, SomeAddressesNeverPass) {
  for (const char* address : {"0.0.0.0",
                              "0.1.2.3",
                              "169.254.0.1",
                              "169.254.169.254",
                              "169.254.170.2",
                              "100.100.100.200",
                              "168.63.129.16",
                              "192.0.0.192",
                              "192.0.2.1",
                              "192.88.99.1",
                              "198.51.100.1",
                              "203.0.113.1",
                              "224.0.0.1",
                              "239.255.255.255",
                              "240.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::ffff:169.254.169.254",
                              "::ffff:0.0.0.0",
                              "::127.0.0.1",
                              "::8.8.8.8",
                              "64:ff9b::169.254.169.254",
                              "64:ff9b:1::8.8.8.8",
                              "2002:a9fe:a9fe::",
                              "fe80::1",
                              "fe80::1%eth0",
                              "febf::1",
                              "fec0::1",
                              "ff02::1",
                              "fd00:ec2::254",
                              "fd20:ce::254",
                              "2001:db8::1",
                              "2001::1",
                              "2001:10::1",
                              "3fff::1",
                              "100::1",
                              "5f00::1",
                              "4000::1"}) {
    EXPECT_FALSE(address_allowed(address, kPublic)) << address;
    EXPECT_FALSE(address_allowed(address, kPrivate)) << address;
  }
}

TEST(OutboundGuard, OnlyAddressesInCanonicalFormAreJudged) {
  for (const char* text : {"", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "8.8.8", "8.8.8.8.8",
                           "8.8.8.8 ", "[2606:4700::1]", "08.8.8.8", "8.8.8.8:80", ":::1"}) {
    EXPECT_FALSE(address_allowed(text, kPublic)) << text;
    EXPECT_FALSE(address_allowed(text, kPrivate)) << text;
  }
}

TEST(ParseUrl, TakesApart) {
  const UrlParts plain = parse_url("http://Example.COM");
  EXPECT_EQ(plain.scheme, "http");
  EXPECT_EQ(plain.host, "example.com");
  EXPECT_EQ(plain.port, 80);
  EXPECT_EQ(plain.path_and_query, "/");
  const UrlParts full = parse_url("HTTPS://api.example.com:8443/v1/chat%20x?a=b&c=d#fragment");
  EXPECT_EQ(full.scheme, "https");
  EXPECT_EQ(full.port, 8443);
  EXPECT_EQ(full.path_and_query, "/v1/chat%20x?a=b&c=d");
  EXPECT_EQ(to_string(full), "https://api.example.com:8443/v1/chat%20x?a=b&c=d");
  const UrlParts six = parse_url("http://[2606:4700::1111]:81/x");
  EXPECT_EQ(six.host, "2606:4700::1111");
  EXPECT_EQ(to_string(six), "http://[2606:4700::1111]:81/x");
  EXPECT_EQ(parse_url("https://a?b=c").path_and_query, "/?b=c");
  EXPECT_EQ(parse_url("https://a/p?mail=x@y").host, "a");
}

TEST(ParseUrl, OtherSpellingsOfAnAddressBecomeTheAddress) {
  for (const char* url : {"http://127.0.0.1/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/",
                          "http://127.1/", "http://0x7f.1/"}) {
    EXPECT_EQ(parse_url(url).host, "127.0.0.1") << url;
  }
}

TEST(ParseUrl, RefusesWhatIsNoAbsoluteHttpUrl) {
  for (const char* url : {"",
                          "example.com",
                          "/path",
                          "ftp://a/b",
                          "file:///etc/passwd",
                          "gopher://a",
                          "javascript:alert(1)",
                          "http:/a",
                          "http:a",
                          "http://",
                          "http:///x",
                          "http://user@host/",
                          "http://user:pass@host/",
                          "http://@host/",
                          "http://a@b@c/",
                          "http://a b/",
                          "http://a\tb/",
                          "http://a/\r\nX: y",
                          "http://a:0/",
                          "http://a:99999/",
                          "http://a:b/",
                          "http://[::1",
                          "http://[::1]x/",
                          "http://[fe80::1%25eth0]/",
                          "http://a\\@b/",
                          "http://a\\b",
                          "unix:/run/x"}) {
    try {
      const UrlParts parts = parse_url(url);
      ADD_FAILURE() << url << " became " << to_string(parts);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << url;
    }
  }
  EXPECT_THROW(parse_url("http://a/" + std::string(9000, 'x')), Error);
  EXPECT_THROW(parse_url(std::string_view("http://a\0.b/", 12)), Error);
}

}  // namespace
}  // namespace lakeloop::net
