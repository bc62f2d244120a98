#include "search/analyzer.h"

#include <gmock/gmock.h>

namespace lakeloop::search {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> terms(std::string_view text) {
  return thread_analyzer().terms(text);
}

TEST(Analyzer, StemsFoldsAndDropsStopWords) {
  EXPECT_THAT(terms("The Aeroelastic models of HEATED, high-speed aircraft."),
              ElementsAre("aeroelast", "model", "heat", "high", "speed", "aircraft"));
  EXPECT_EQ(terms("generalizations"), terms("Generalization"));
}

TEST(Analyzer, IdentifiersAreFoundWholeAndByTheirParts) {
  EXPECT_THAT(terms("HashMap"), ElementsAre("hashmap", "hash", "map"));
  EXPECT_THAT(terms("foo_bar"), ElementsAre("foo_bar", "foo", "bar"));
  EXPECT_THAT(terms("HTTPServer"), ElementsAre("httpserver", "http", "server"));
  EXPECT_THAT(terms("std::collections"), ElementsAre("std", "collect"));
  EXPECT_THAT(terms("__init__"), ElementsAre("__init__", "init"));
  EXPECT_THAT(terms("utf8 v1.2.3 3.14"), ElementsAre("utf8", "v1.2.3", "3.14"));
}

TEST(Analyzer, UnicodeFormsMeet) {
  EXPECT_EQ(terms("STRASSE"), terms("stra\u00dfe"));
  EXPECT_EQ(terms("cafe\u0301"), terms("CAF\u00c9"));
  EXPECT_EQ(terms("\uff21\uff22\uff23"), terms("abc"));
  EXPECT_EQ(terms("don\u2019t"), terms("don't"));
  EXPECT_FALSE(terms("\u8272\u5f69 \u4e16\u754c").empty());
}

TEST(Analyzer, OddInputEnds) {
  EXPECT_THAT(terms(""), IsEmpty());
  EXPECT_THAT(terms(" \n\t ... !!! \U0001F680"), IsEmpty());
  EXPECT_EQ(terms("\xff\xfe good").back(), "good");
  const auto one = terms(std::string(1 << 20, 'x'));
  ASSERT_EQ(one.size(), 1U);
  EXPECT_LT(one[0].size(), 128U);
}

TEST(Analyzer, VersionNamesItsParts) {
  EXPECT_THAT(Analyzer::version(), testing::StartsWith("en-1/icu"));
}

}  // namespace
}  // namespace lakeloop::search
