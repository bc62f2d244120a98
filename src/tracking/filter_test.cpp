#include "tracking/filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/error.h"
#include "tracking/sql_text.h"

namespace lakeloop::tracking {
namespace {

using testing::ElementsAre;

TEST(Filter, ReadsComparisonsOfEveryKind) {
  const auto list = parse_filter(
      "params.lr = '0.1' AND metrics.`a b` >= 0.5 and tags.\"mlflow.runName\" LIKE \"%x%\" AND status IN ('OK', "
      "\"ERROR\",) "
      "AND tags.k IS NOT NULL AND name NOT IN ('a') AND \"params.q\" != 'it''s' AND span.attributes.a.b ILIKE 'Y'");
  ASSERT_EQ(list.size(), 8u);
  EXPECT_EQ(list[0].entity, "params");
  EXPECT_EQ(list[0].key, "lr");
  EXPECT_TRUE(list[0].quoted);
  EXPECT_EQ(list[1].key, "a b");
  EXPECT_EQ(list[1].comparator, Comparator::kGreaterEqual);
  EXPECT_EQ(list[1].value, "0.5");
  EXPECT_FALSE(list[1].quoted);
  EXPECT_EQ(list[2].entity, "tags");
  EXPECT_EQ(list[2].key, "mlflow.runName");
  EXPECT_EQ(list[2].value, "%x%");
  EXPECT_EQ(list[3].entity, "");
  EXPECT_THAT(list[3].values, ElementsAre("OK", "ERROR"));
  EXPECT_EQ(list[4].comparator, Comparator::kIsNotNull);
  EXPECT_EQ(list[5].comparator, Comparator::kNotIn);
  EXPECT_EQ(list[6].entity, "params");
  EXPECT_EQ(list[6].key, "q");
  EXPECT_EQ(list[6].value, "it's");
  EXPECT_EQ(list[7].entity, "span");
  EXPECT_EQ(list[7].key, "attributes.a.b");
  EXPECT_TRUE(parse_filter("  ").empty());
}

TEST(Filter, RefusesWhatIsNotTheGrammar) {
  for (const char* text : {"a",
                           "a =",
                           "a = ",
                           "= 'x'",
                           "a = 'x",
                           "a = 'x' OR b = 'y'",
                           "a = 'x' AND",
                           "a IN ()",
                           "a IN ('x'",
                           "a IN (1)",
                           "a NOT 'x'",
                           "a IS 'x'",
                           "a ~ 'x'",
                           "'a' = 'x'",
                           "a = 'x' b = 'y'",
                           "(a = 'x')",
                           "a..",
                           ".a = 'x'",
                           "a. = 'x'",
                           "a = 'x''",
                           "NOT a = 'x'",
                           "a = 'x' AND AND b = 'y'",
                           "a='x'AND b='y'"}) {
    try {
      (void)parse_filter(text);
      ADD_FAILURE() << text << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << text;
      EXPECT_TRUE(error.message().starts_with("Invalid clause(s) in filter string")) << error.message();
    }
  }
}

TEST(Filter, HoldsItsLimits) {
  EXPECT_THROW((void)parse_filter(std::string(20'000, ' ')), Error);
  std::string many = "a = 'x'";
  for (int i = 0; i < 60; ++i) many += " AND a = 'x'";
  EXPECT_THROW((void)parse_filter(many), Error);
}

// Whatever a value holds, it comes back as it went in: quoting loses and adds nothing.
RC_GTEST_PROP(Filter, ValuesSurviveQuoting, (const std::string& value)) {
  std::string quoted;
  for (const char c : value.substr(0, 2000)) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  const auto list = parse_filter("tags.`k` = '" + quoted + "' AND b = 'y'");
  RC_ASSERT(list.size() == 2u);
  RC_ASSERT(list[0].value == value.substr(0, 2000));
}

// Any bytes: an answer or kInvalidArgument, never more.
RC_GTEST_PROP(Filter, AnyBytesEndWell, (const std::string& text)) {
  try {
    (void)parse_filter(text);
    (void)parse_order_by(text);
  } catch (const Error& error) {
    RC_ASSERT(error.code() == ErrorCode::kInvalidArgument);
  }
}

TEST(Filter, ReadsOrderBy) {
  const OrderBy a = parse_order_by("metrics.`my acc` DESC");
  EXPECT_EQ(a.entity, "metrics");
  EXPECT_EQ(a.key, "my acc");
  EXPECT_FALSE(a.ascending);
  EXPECT_TRUE(parse_order_by("start_time").ascending);
  EXPECT_THROW((void)parse_order_by("a b"), Error);
  EXPECT_THROW((void)parse_order_by(""), Error);
}

TEST(PageToken, BelongsToItsSearch) {
  const std::vector<db::Value> last = {std::int64_t{5}, 0.1, std::string("x y"),
                                       -std::numeric_limits<double>::infinity()};
  const std::string token = page_token("search a", last);
  EXPECT_EQ(parse_page_token("search a", token, 4), last);
  EXPECT_THROW((void)parse_page_token("search b", token, 4), Error);
  EXPECT_THROW((void)parse_page_token("search a", token, 3), Error);
  for (const char* text : {"", "x", "eyJvZmZzZXQiOiA1fQ==", "e30="})
    EXPECT_THROW((void)parse_page_token("search a", text, 4), Error) << text;
}

TEST(LikePattern, LooksAtCaseAndKeepsSpecialCharacters) {
  EXPECT_EQ(glob_of_like("a%b_c*[d]?"), "a*b?c[*][[]d][?]");
}

}  // namespace
}  // namespace lakeloop::tracking
