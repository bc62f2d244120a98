#include "net/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/text.h"

namespace lakeloop::net {
namespace {

using testing::ElementsAre;
using testing::Pair;

class RouterTest : public testing::Test {
 protected:
  void SetUp() override {
    router.add(Method::kGet, "/", 0);
    router.add(Method::kGet, "/a/b", 1);
    router.add(Method::kGet, "/a/{x}", 2);
    router.add(Method::kPost, "/a/{y}", 3);
    router.add(Method::kGet, "/a/{x}/c", 4);
    router.add(Method::kGet, "/a/b/d", 5);
    router.add(Method::kGet, "/files/{path...}", 6);
    router.add(Method::kGet, "/files/special", 7);
    router.add(Method::kGet, "/slash/", 8);
    router.add(Method::kPut, "/{schema}/{table}", 9);
    router.add(Method::kHead, "/a/b", 10);
  }
  std::optional<std::size_t> route(Method method, std::string_view path) {
    const auto match = router.find(method, path);
    return match ? std::optional(match->route) : std::nullopt;
  }
  Router router;
};

TEST_F(RouterTest, LiteralsWinOverParametersOverRests) {
  EXPECT_EQ(route(Method::kGet, "/a/b"), 1u);
  EXPECT_EQ(route(Method::kGet, "/a/z"), 2u);
  EXPECT_EQ(route(Method::kGet, "/a/b/d"), 5u);
  EXPECT_EQ(route(Method::kGet, "/files/special"), 7u);
  EXPECT_EQ(route(Method::kGet, "/files/special/x"), 6u);
  EXPECT_EQ(route(Method::kGet, "/"), 0u);
}

TEST_F(RouterTest, TurnsBackWhereALiteralLeadsNowhere) {
  EXPECT_EQ(route(Method::kGet, "/a/b/c"), 4u);
  EXPECT_EQ(route(Method::kPost, "/a/b"), 3u);  // the literal has no POST
  EXPECT_THAT(router.find(Method::kPost, "/a/b")->params, ElementsAre(Pair("y", "b")));
}

TEST_F(RouterTest, SlashAtTheEndMatchesOnlyWhereDeclared) {
  EXPECT_EQ(route(Method::kGet, "/slash/"), 8u);
  EXPECT_EQ(route(Method::kGet, "/slash"), std::nullopt);
  EXPECT_EQ(route(Method::kGet, "/a/b/"), std::nullopt);
  EXPECT_EQ(route(Method::kGet, "/files/"), std::nullopt);
  EXPECT_EQ(route(Method::kGet, "/files"), std::nullopt);
  EXPECT_EQ(route(Method::kGet, "/files/x/"), std::nullopt);
}

TEST_F(RouterTest, ParametersAreDecodedOnce) {
  EXPECT_THAT(router.find(Method::kGet, "/a/x%20y%2Fz")->params, ElementsAre(Pair("x", "x y/z")));
  EXPECT_THAT(router.find(Method::kGet, "/a/%252F")->params, ElementsAre(Pair("x", "%2F")));
  EXPECT_THAT(router.find(Method::kGet, "/a/p+q")->params, ElementsAre(Pair("x", "p+q")));
  EXPECT_THAT(router.find(Method::kGet, "/files/a%20b/c")->params, ElementsAre(Pair("path", "a b/c")));
}

TEST_F(RouterTest, NothingClimbsOrHides) {
  for (const char* path : {"",
                           "a/b",
                           "//",
                           "/a//b",
                           "//a/b",
                           "/a/.",
                           "/a/..",
                           "/a/../a/b",
                           "/./a/b",
                           "/a/%2e%2E",
                           "/a/%2e",
                           "/a/%00",
                           "/a/%",
                           "/a/%4",
                           "/a/%zz",
                           "/files/x/../y",
                           "/files/x%2F..%2Fy",
                           "/files/..%2Fy",
                           "/files/%2e%2e/y",
                           "/files/a//b",
                           "/a/..%2F..%2Fetc"}) {
    EXPECT_EQ(route(Method::kGet, path), std::nullopt) << path;
    EXPECT_TRUE(router.methods_of(path).empty()) << path;
  }
}

TEST_F(RouterTest, HeadFallsBackToGet) {
  EXPECT_EQ(route(Method::kHead, "/a/b"), 10u);
  EXPECT_EQ(route(Method::kHead, "/a/z"), 2u);
  EXPECT_EQ(route(Method::kHead, "/x/y/z"), std::nullopt);
}

TEST_F(RouterTest, MethodsTellMissingFromForbidden) {
  EXPECT_THAT(router.methods_of("/a/b"), ElementsAre(Method::kGet, Method::kHead, Method::kPost, Method::kPut));
  EXPECT_THAT(router.methods_of("/q/r"), ElementsAre(Method::kPut));
  EXPECT_THAT(router.methods_of("/q/r/s"), ElementsAre());
  EXPECT_EQ(route(Method::kDelete, "/a/b"), std::nullopt);
}

TEST(RouterDeathTest, TwoRoutesForTheSamePathsAreOurBug) {
  Router router;
  router.add(Method::kGet, "/a/{x}", 1);
  router.add(Method::kPost, "/a/{y}", 2);
  EXPECT_DEATH(router.add(Method::kGet, "/a/{other}", 3), "check failed");
  EXPECT_DEATH(router.add(Method::kGet, "/b/{rest...}/c", 4), "check failed");
  EXPECT_DEATH(router.add(Method::kGet, "/b/{}", 5), "check failed");
  EXPECT_DEATH(router.add(Method::kGet, "b", 6), "check failed");
  EXPECT_DEATH(router.add(Method::kGet, "/{x}/{x}", 7), "check failed");
}

// The trie agrees with a direct reading of the rules: of all patterns that fit, the one whose kinds of parts are
// smallest in order.
TEST(RouterProperty, AgreesWithTheRulesReadOneByOne) {
  std::mt19937 random(7);
  const auto pick = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  const std::vector<std::string> words = {"a", "b", "c"};
  for (int round = 0; round < 300; ++round) {
    struct Pattern {
      std::vector<std::string> parts;  // "a", "{}", "*"
    };
    std::vector<Pattern> patterns;
    Router router;
    for (int i = 0; i < 12; ++i) {
      Pattern pattern;
      std::string text;
      const std::size_t count = 1 + pick(4);
      for (std::size_t k = 0; k < count; ++k) {
        const std::size_t kind = pick(k + 1 == count ? 4 : 3);
        pattern.parts.push_back(kind == 3 ? "*" : kind == 2 ? "{}" : words[pick(words.size())]);
        text += kind == 3 ? "/{rest...}" : kind == 2 ? "/{p" + std::to_string(k) + "}" : "/" + pattern.parts.back();
      }
      const bool known = std::ranges::any_of(patterns, [&](const Pattern& p) { return p.parts == pattern.parts; });
      if (known) continue;
      router.add(Method::kGet, text, patterns.size());
      patterns.push_back(pattern);
    }
    for (int i = 0; i < 40; ++i) {
      std::vector<std::string> path(1 + pick(5));
      for (auto& segment : path) segment = words[pick(words.size())];
      const auto rank = [&](const Pattern& p) -> std::optional<std::vector<int>> {
        std::vector<int> ranks;
        for (std::size_t k = 0; k < p.parts.size(); ++k) {
          if (k >= path.size()) return std::nullopt;
          if (p.parts[k] == "*") return ranks.push_back(2), ranks;
          if (p.parts[k] != "{}" && p.parts[k] != path[k]) return std::nullopt;
          ranks.push_back(p.parts[k] == "{}" ? 1 : 0);
        }
        return path.size() == p.parts.size() ? std::optional(ranks) : std::nullopt;
      };
      std::optional<std::size_t> expected;
      for (std::size_t n = 0; n < patterns.size(); ++n) {
        if (rank(patterns[n]) && (!expected || *rank(patterns[n]) < *rank(patterns[*expected]))) expected = n;
      }
      const std::string text = "/" + join(path, "/");
      const auto match = router.find(Method::kGet, text);
      ASSERT_EQ(match ? std::optional(match->route) : std::nullopt, expected) << text << " in round " << round;
    }
  }
}

}  // namespace
}  // namespace lakeloop::net
