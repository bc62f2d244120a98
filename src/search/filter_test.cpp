#include "search/filter.h"

#include <gmock/gmock.h>

#include "base/text.h"
#include "search/fixture_test.h"

namespace lakeloop::search {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FilterTest : public testing::Test {
 protected:
  void load(const std::vector<delta::Row>& rows) {
    SegmentBuilder builder(chunk_schema(), chunk_layout());
    for (const auto& row : rows) builder.add(row);
    builder.write(folder_.path() / "a.segment");
    segment_ = Segment::open(folder_.path() / "a.segment");
  }
  std::vector<std::string> pass(Condition condition) {
    RowSet rows(segment_->rows(), true);
    Filter(std::move(condition), chunk_schema()).apply(*segment_, rows);
    std::vector<std::string> keys;
    rows.for_each([&](std::uint32_t row) { keys.push_back(segment_->key(row)); });
    return keys;
  }
  std::vector<std::string> dict(std::string_view json) {
    return pass(compile_filters(Json::parse(json), chunk_schema()));
  }
  std::vector<std::string> sql(std::string_view text) { return pass(compile_filter_string(text, chunk_schema())); }
  std::string error(std::string_view text) {
    try {
      sql(text);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kInvalidArgument);
      return e.message();
    }
    return "no error";
  }
  std::string dict_error(std::string_view json) {
    try {
      dict(json);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kInvalidArgument);
      return e.message();
    }
    return "no error";
  }

  TemporaryFolder folder_;
  std::shared_ptr<const Segment> segment_;
};

TEST_F(FilterTest, DictGrammar) {
  auto nulls = chunk_row("e", "nothing", "x");
  for (std::size_t i = 3; i < nulls.size(); ++i) nulls[i] = {};
  auto arrays = chunk_row("d", "delta lake tables", "blue", 4);
  arrays[8] = Json::array({"x", "y"});
  load({chunk_row("a", "alpha HashMap", "red", 1), chunk_row("b", "beta, hash", "blue", 2),
        chunk_row("c", "gamma", "red", 3), arrays, nulls});

  EXPECT_THAT(dict("{}"), ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_THAT(dict(R"({"tag": "red"})"), ElementsAre("a", "c"));
  EXPECT_THAT(dict(R"({"TAG": "red", "n >": 1})"), ElementsAre("c"));
  EXPECT_THAT(dict(R"({"n": [1, 4, 9]})"), ElementsAre("a", "d"));
  EXPECT_THAT(dict(R"({"tag NOT": "red"})"), ElementsAre("b", "d"));  // unknown for NULL
  EXPECT_THAT(dict(R"({"tag NOT": ["red", "green"]})"), ElementsAre("b", "d"));
  EXPECT_THAT(dict(R"({"n >=": 2, "n <": 4})"), ElementsAre("b", "c"));
  EXPECT_THAT(dict(R"({"price <=": 1})"), ElementsAre("a", "b"));
  EXPECT_THAT(dict(R"({"text LIKE": "hash"})"), ElementsAre("b"));
  EXPECT_THAT(dict(R"({"text LIKE": "%lake%"})"), ElementsAre("d"));
  EXPECT_THAT(dict(R"({"text NOT LIKE": "%a%"})"), ElementsAre("e"));
  EXPECT_THAT(dict(R"({"tag OR n >": ["red", 3]})"), ElementsAre("a", "c", "d"));
  EXPECT_THAT(dict(R"({"ok": true})"), ElementsAre("b", "d"));
  EXPECT_THAT(dict(R"({"ok": false})"), ElementsAre("a", "c"));
  EXPECT_THAT(dict(R"({"tags": "y"})"), ElementsAre("d"));
  EXPECT_THAT(dict(R"({"tags NOT": "y"})"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(dict(R"({"n": null})"), ElementsAre("e"));
  EXPECT_THAT(dict(R"({"n NOT": null})"), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(dict(R"({"n NOT": [1, null]})"), IsEmpty());
  EXPECT_THAT(dict(R"({"day <": "1970-01-03"})"), ElementsAre("a"));
  EXPECT_THAT(dict(R"([{"tag": "red"}, {"n <": 3}])"), ElementsAre("a"));
  EXPECT_THAT(dict(R"({"tag": []})"), IsEmpty());
}

TEST_F(FilterTest, SqlGrammar) {
  load({chunk_row("a", "alpha", "red", 1), chunk_row("b", "beta", "blue", 2), chunk_row("c", "gamma", "red", 3)});
  EXPECT_THAT(sql(""), ElementsAre("a", "b", "c"));
  EXPECT_THAT(sql("tag = 'red' AND n > 1 OR n = 2"), ElementsAre("b", "c"));
  EXPECT_THAT(sql("tag = 'red' and (n > 1 or n = 2)"), ElementsAre("c"));
  EXPECT_THAT(sql("NOT tag = 'red'"), ElementsAre("b"));
  EXPECT_THAT(sql("n <> 2 AND n != -7"), ElementsAre("a", "c"));
  EXPECT_THAT(sql("n IN (1, 3)"), ElementsAre("a", "c"));
  EXPECT_THAT(sql("n NOT IN (1, 3)"), ElementsAre("b"));
  EXPECT_THAT(sql("n NOT IN (1, NULL)"), IsEmpty());
  EXPECT_THAT(sql("text LIKE '%a%m%a'"), ElementsAre("c"));
  EXPECT_THAT(sql("text NOT LIKE '_lpha'"), ElementsAre("b", "c"));
  EXPECT_THAT(sql("`tag` IS NOT NULL AND \"section\" IS NULL"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(sql("section = 'x' OR NOT section = 'x'"), IsEmpty());
  EXPECT_THAT(sql("n = NULL"), IsEmpty());
  EXPECT_THAT(sql("price >= 1e0 AND price < 1.5"), ElementsAre("b"));
  EXPECT_THAT(sql("day >= DATE '1970-01-03'"), ElementsAre("b", "c"));
  EXPECT_THAT(sql("ok = TRUE"), ElementsAre("b"));
  EXPECT_THAT(sql("n > 9223372036854775806.0"), IsEmpty());
}

TEST_F(FilterTest, ErrorsNamePositionOrColumn) {
  load({chunk_row("a", "alpha")});
  EXPECT_THAT(error("tag ="), HasSubstr("position 6: expected a value"));
  EXPECT_THAT(error("tag = 'x"), HasSubstr("position 7: the quote is not closed"));
  EXPECT_THAT(error("text = '\u8272\u8272' # 1"), HasSubstr("position 13"));  // characters, not bytes
  EXPECT_THAT(error("nope = 1"), HasSubstr("no column nope"));
  EXPECT_THAT(error("tag = 1"), HasSubstr("position 7"));
  EXPECT_THAT(error("tag = 'a' tag = 'b'"), HasSubstr("position 11"));
  EXPECT_THAT(error("n NOT 1"), HasSubstr("expected IN or LIKE"));
  EXPECT_THAT(error("n LIKE '1'"), HasSubstr("LIKE needs a text column"));
  EXPECT_THAT(error("n = 1; DROP TABLE x"), HasSubstr("position 6"));
  EXPECT_THAT(error("day > 'tomorrow'"), HasSubstr("YYYY-MM-DD"));
  EXPECT_THAT(error("n = 1e999"), HasSubstr("too large"));
  EXPECT_THAT(error("tags > 'x'"), HasSubstr("no order"));
  EXPECT_THAT(error(std::string(5000, '(')), HasSubstr("nested too deeply"));
  EXPECT_THAT(error(std::string(70'000, ' ') + "n = 1"), HasSubstr("limited"));
  std::string many = "n IN (0";
  for (int i = 0; i < 2000; ++i) many += ",1";
  EXPECT_THAT(error(many + ")"), HasSubstr("too many values"));
  EXPECT_THAT(dict_error(R"({"nope": 1})"), HasSubstr("nope"));
  EXPECT_THAT(dict_error(R"({"nope <": 1})"), HasSubstr("nope"));
  EXPECT_THAT(dict_error(R"({"n": "1"})"), HasSubstr("column n is of type"));
  EXPECT_THAT(dict_error(R"({"n OR tag": [1]})"), HasSubstr("2 values"));
  EXPECT_THAT(dict_error(R"({"n >": null})"), HasSubstr("cannot be compared"));
  EXPECT_THAT(dict_error(R"({"n": {"$gt": 1}})"), HasSubstr("object"));
  EXPECT_THAT(dict_error(R"("n = 1")"), HasSubstr("must be an object"));
}

TEST_F(FilterTest, HostileValuesFindExactlyTheirOwnRow) {
  const std::vector<std::string> values = {"A \"test\"",
                                           "it's",
                                           "back\\slash",
                                           "two\nlines",
                                           "\u8272 \U0001F680",
                                           "100%_x",
                                           "100 ab",
                                           "' OR 1=1 --",
                                           "x' OR 'a'='a",
                                           "\\%",
                                           "--",
                                           "a`b",
                                           ";",
                                           "\\"};
  std::vector<delta::Row> rows;
  for (const std::string& value : values) rows.push_back(chunk_row(value, value, value));
  auto empty = chunk_row("the empty one", "", "");
  rows.push_back(empty);
  load(rows);
  for (const std::string& value : values) {
    const std::string quoted = "'" + replace_all(value, "'", "''") + "'";
    std::string pattern = replace_all(value, "\\", "\\\\");
    pattern = replace_all(replace_all(pattern, "%", "\\%"), "_", "\\_");
    const std::string quoted_pattern = "'" + replace_all(pattern, "'", "''") + "'";
    for (const std::string column : {"id", "tag"}) {
      EXPECT_THAT(dict(Json::object({{column, value}}).dump()), ElementsAre(value));
      EXPECT_THAT(dict(Json::object({{column, Json::array({value})}}).dump()), ElementsAre(value));
      EXPECT_THAT(sql(column + " = " + quoted), ElementsAre(value));
      EXPECT_THAT(sql(column + " IN (" + quoted + ")"), ElementsAre(value));
      EXPECT_THAT(sql(column + " LIKE " + quoted_pattern), ElementsAre(value)) << pattern;
    }
  }
  EXPECT_THAT(dict(R"({"tag": ""})"), ElementsAre("the empty one"));
  EXPECT_THAT(sql("tag = ''"), ElementsAre("the empty one"));
  EXPECT_THAT(sql("tag LIKE ''"), ElementsAre("the empty one"));
}

TEST(LikePattern, RunsCharactersAndEscapes) {
  EXPECT_TRUE(like_pattern("abc", "a%"));
  EXPECT_TRUE(like_pattern("abc", "%%c"));
  EXPECT_FALSE(like_pattern("abc", "a_"));
  EXPECT_TRUE(like_pattern("a\u8272c", "a_c"));
  EXPECT_TRUE(like_pattern("50%", "50\\%"));
  EXPECT_FALSE(like_pattern("50x", "50\\%"));
  EXPECT_TRUE(like_pattern("", "%"));
  EXPECT_FALSE(like_pattern("", "_"));
  EXPECT_FALSE(like_pattern(std::string(20'000, 'a'), "%a%a%a%a%a%b"));
}

}  // namespace
}  // namespace lakeloop::search
