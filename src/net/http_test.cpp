#include "net/http.h"

#include <gtest/gtest.h>

#include "net/percent.h"

namespace lakeloop::net {
namespace {

TEST(Headers, NamesIgnoreCaseAndAreKeptLower) {
  Headers headers;
  headers.add("Content-Type", "a");
  headers.add("X-Two", "1");
  headers.add("x-TWO", "2");
  EXPECT_EQ(headers.get("CONTENT-TYPE"), "a");
  EXPECT_EQ(headers.get("x-two"), "1");
  EXPECT_EQ(headers.all()[0].first, "content-type");
  EXPECT_EQ(headers.all().size(), 3u);
  headers.set("X-Two", "3");
  EXPECT_EQ(headers.all().size(), 2u);
  EXPECT_EQ(headers.get("x-two"), "3");
  headers.erase("X-TWO");
  EXPECT_FALSE(headers.contains("x-two"));
  EXPECT_EQ(headers.get("x-two"), "");
}

TEST(Headers, SetTakesAViewIntoItsOwnValue) {
  Headers headers;
  headers.add("a", "a value that is longer than the small string buffer");
  headers.set("a", headers.get("a").substr(2));
  EXPECT_EQ(headers.get("a"), "value that is longer than the small string buffer");
}

TEST(Methods, RoundTrip) {
  for (const char* name : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}) {
    ASSERT_TRUE(parse_method(name)) << name;
    EXPECT_EQ(to_string(*parse_method(name)), name);
  }
  EXPECT_FALSE(parse_method("get"));
  EXPECT_FALSE(parse_method("TRACE"));
  EXPECT_FALSE(parse_method(""));
}

TEST(Query, DecodesOnceAndKeepsOrder) {
  EXPECT_EQ(parse_query("a=1&b=x+y%2Bz&a=2&empty=&flag&&=v&pct=%2525"),
            (Query{{"a", "1"}, {"b", "x y+z"}, {"a", "2"}, {"empty", ""}, {"flag", ""}, {"", "v"}, {"pct", "%25"}}));
  EXPECT_EQ(parse_query(""), Query{});
  EXPECT_EQ(parse_query("f=a%3Db%26c"), (Query{{"f", "a=b&c"}}));
  EXPECT_EQ(parse_query("broken=%zz+%4"), (Query{{"broken", "%zz %4"}}));
}

TEST(Percent, RefusesBrokenEscapes) {
  EXPECT_EQ(decode_component("a%2fb%C3%a9+"), "a/b\xC3\xA9+");
  for (const char* bad : {"%", "a%", "%4", "%zz", "%4g", "%-1", "%%20"}) EXPECT_FALSE(decode_component(bad)) << bad;
}

TEST(Reasons, EveryStatusHasOne) {
  for (int status = 100; status < 600; ++status) EXPECT_FALSE(reason_phrase(status).empty());
  EXPECT_EQ(reason_phrase(404), "Not Found");
}

}  // namespace
}  // namespace lakeloop::net
