#include "codec/json.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lakeloop {
namespace {

TEST(Json, KeepsOrderAndExactIntegers) {
  const std::string text = R"({"b":9223372036854775807,"a":[1,2.5,true,null,"x\u2028y"],"c":{}})";
  const Json json = Json::parse(text);
  EXPECT_EQ(json["b"].as_int(), INT64_MAX);
  EXPECT_EQ(json["a"].at(1).as_double(), 2.5);
  EXPECT_EQ(json.dump(), "{\"b\":9223372036854775807,\"a\":[1,2.5,true,null,\"x\u2028y\"],\"c\":{}}");
  EXPECT_EQ(Json::parse(json.dump_pretty()), json);
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const std::string text : {"", "{", "{\"a\":1}x", "'a'", "NaN", "\"\xff\"", "[1,]"}) {
    EXPECT_THROW(Json::parse(text), Error) << text;
  }
  EXPECT_THROW(Json::parse(std::string(100'000, '[')), Error);
  EXPECT_THROW(Json::parse(std::string(65, '[') + std::string(65, ']')), Error);
  EXPECT_NO_THROW(Json::parse(std::string(60, '[') + std::string(60, ']')));
}

TEST(Json, BuildsDocuments) {
  Json json = Json::object({{"a", 1}, {"list", Json::array({1, "two", 3.0})}});
  json.set("a", "again").set_if("nothing", Json()).set("nan", std::nan(""));
  json.set("none", std::optional<std::string>());
  EXPECT_EQ(json.dump(), R"({"a":"again","list":[1,"two",3.0],"nan":"NaN","none":null})");
  EXPECT_EQ(json["missing"]["deeper"].string_or("x"), "x");
  EXPECT_EQ(json["list"].int_or(7), 7);
}

}  // namespace
}  // namespace lakeloop
