#include "sql/tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "sql/draft.h"

namespace lakeloop::sql {
namespace {

using testing::ElementsAre;

std::vector<std::string> words(std::string_view statement) {
  std::vector<std::string> texts;
  for (const Token& token : tokenize(statement)) texts.push_back(token.text);
  return texts;
}

std::string translated(std::string_view statement, const std::vector<Parameter>& given = {}) {
  Parameters parameters(given);
  return Draft(tokenize(statement), parameters).text();
}

TEST(Tokens, QuotesAndCommentsAreRespected) {
  EXPECT_THAT(words("SELECT 'it''s; -- no' -- comment ; `x`\n, `a``b`/* ; /* nested */ ' */, \"c\"\"d\""),
              ElementsAre("SELECT", "'it''s; -- no'", ",", "a`b", ",", "c\"d"));
  EXPECT_THAT(words("e'a\\'b' $$x ' y$$ $t$ $$ $t$ 1.5e-3 .5 x1_ü"),
              ElementsAre("e'a\\'b'", "$$x ' y$$", "$t$ $$ $t$", "1.5e-3", ".5", "x1_ü"));
  EXPECT_TRUE(tokenize("  -- only\n /* c */ ").empty());
}

TEST(Tokens, WhatDoesNotEndIsRefused) {
  for (const std::string& statement :
       {std::string("SELECT 'a"), std::string("SELECT \"a"), std::string("SELECT `a"), std::string("SELECT /* a"),
        std::string("SELECT $$a"), std::string("SELECT e'\\'"), std::string("SELECT\0 1", 9), std::string("/*/")}) {
    EXPECT_THROW(tokenize(statement), Error) << statement;
  }
}

TEST(Draft, SparksQuotesBecomeDuckDBs) {
  EXPECT_EQ(translated("SELECT `a b`, '`x`' FROM `main`.`docs`.`chu\"nks`"),
            "SELECT \"a b\", '`x`' FROM \"main\".\"docs\".\"chu\"\"nks\"");
}

TEST(Draft, ParametersAreBoundAndNeverPasted) {
  const std::vector<Parameter> given{{.name = "n", .value = "1; DROP", .type = "INT"},
                                     {.name = "s", .value = "' OR 1=1 --", .type = "STRING"}};
  Parameters parameters(given);
  const Draft draft(tokenize("SELECT :n, ':n', x::INT, :s, :N -- :s"), parameters);
  EXPECT_EQ(draft.text(),
            "SELECT CAST(CAST($1 AS VARCHAR) AS INTEGER), ':n', x::INT, CAST(CAST($2 AS VARCHAR) AS VARCHAR), "
            "CAST(CAST($1 AS VARCHAR) AS INTEGER)");
  ASSERT_EQ(parameters.values().size(), 2u);
  EXPECT_EQ(parameters.values()[1].as_string(), "' OR 1=1 --");
  EXPECT_EQ(
      translated("SELECT l[1:x], {'a':b}, [1,2][1:2]", {{.name = "x", .value = "1"}, {.name = "b", .value = "1"}}),
      "SELECT l[1:x], {'a':b}, [1,2][1:2]");
  EXPECT_EQ(translated("SELECT {'a': :b}", {{.name = "b", .value = "1"}}),
            "SELECT {'a': CAST(CAST($1 AS VARCHAR) AS VARCHAR)}");
  EXPECT_THROW(translated("SELECT :missing"), Error);
  EXPECT_THROW(translated("SELECT ?"), Error);
  EXPECT_THROW(translated("SELECT $1"), Error);
  EXPECT_THROW(translated("SELECT :x", {{.name = "x", .value = "1", .type = "INT) AS y, (SELECT 1"}}), Error);
  EXPECT_THROW(translated("SELECT :x", {{.name = "x", .value = "1", .type = "ARRAY<INT>"}}), Error);
  EXPECT_THROW(translated("SELECT :x", {{.name = "x", .value = "1"}, {.name = "X", .value = "2"}}), Error);
}

TEST(Draft, TimeTravelIsTakenOut) {
  Parameters none({});
  const Draft draft(
      tokenize("SELECT * FROM a.`b`.c VERSION AS OF 3 AS x, d@v12, e FOR TIMESTAMP AS OF '2026-01-02 03:04:05' y"),
      none);
  EXPECT_EQ(draft.text(), "SELECT * FROM a.\"b\".c AS x, d, e y");
  EXPECT_EQ(draft.name_at(draft.text().find("a."))->as_of.version, 3);
  EXPECT_THAT(draft.name_at(draft.text().find("a."))->parts, ElementsAre("a", "b", "c"));
  EXPECT_EQ(draft.name_at(draft.text().find("d,"))->as_of.version, 12);
  EXPECT_EQ(draft.name_at(draft.text().find("e y"))->as_of.timestamp, parse_timestamp("2026-01-02T03:04:05Z"));
  EXPECT_EQ(translated("SELECT version, timestamp AS of, 'VERSION AS OF 1' FROM t"),
            "SELECT version, timestamp AS of, 'VERSION AS OF 1' FROM t");
  EXPECT_EQ(draft.source_of(draft.text().find("x,")), std::string("SELECT * FROM a.`b`.c VERSION AS OF 3 AS ").size());
  for (const std::string statement :
       {"SELECT * FROM t VERSION AS OF x", "SELECT * FROM t VERSION AS OF -1", "SELECT * FROM t VERSION AS OF 1.5",
        "SELECT * FROM t TIMESTAMP AS OF 'yesterday'", "SELECT * FROM t TIMESTAMP AS OF 5",
        "SELECT * FROM t VERSION AS OF"}) {
    EXPECT_THROW(translated(statement), Error) << statement;
  }
}

}  // namespace
}  // namespace lakeloop::sql
