#include "delta/duck.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "delta/test_table.h"

namespace lakeloop::delta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Json cell(std::string_view sql, const std::vector<Json>& parameters = {}) {
  return Duck().query(sql, parameters).rows.at(0).at(0);
}

Error error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::kInternal, "no error");
}

TEST(Duck, TypesWithoutADeltaCounterpart) {
  EXPECT_EQ(cell("SELECT 170141183460469231731687303715884105727::HUGEINT"),
            Json("170141183460469231731687303715884105727"));
  EXPECT_EQ(cell("SELECT -5::HUGEINT"), Json("-5"));
  EXPECT_EQ(cell("SELECT 18446744073709551615::UBIGINT"), Json("18446744073709551615"));
  EXPECT_EQ(cell("SELECT '0198c3f2-6f3a-7b1c-9d3e-1f2a3b4c5d6e'::UUID"), Json("0198c3f2-6f3a-7b1c-9d3e-1f2a3b4c5d6e"));
  EXPECT_EQ(cell("SELECT TIME '01:02:03.5'"), Json("01:02:03.500000"));
  EXPECT_EQ(cell("SELECT INTERVAL '1 year 2 months 3 days 4 hours'"), Json("1 year 2 months 3 days 04:00:00"));
  EXPECT_EQ(cell("SELECT 'b'::ENUM('a', 'b')"), Json("b"));
  EXPECT_EQ(cell("SELECT [1, 2]::INTEGER[2]"), Json::array({1, 2}));
  EXPECT_EQ(cell("SELECT TIMESTAMP_NS '1969-12-31 23:59:59.9999999'"), Json(-1));
  EXPECT_EQ(cell("SELECT -0.05::DECIMAL(4,2)"), Json("-0.05"));
  EXPECT_EQ(cell("SELECT NULL"), Json());
  EXPECT_EQ(cell("SELECT current_setting('TimeZone')"), Json("UTC"));
}

TEST(Duck, ParametersKeepTheirTypes) {
  Duck duck;
  duck.execute("CREATE TEMP TABLE t (d DATE, ts TIMESTAMPTZ, b BLOB)");
  duck.execute("INSERT INTO t VALUES ('2026-01-02', '2026-01-02 00:00:00.000001Z', '\\xFF'::BLOB)");
  const auto count = [&](std::string_view where, const std::vector<Json>& parameters) {
    return duck.query("SELECT count(*) FROM t WHERE " + std::string(where), parameters).rows[0][0].as_int();
  };
  EXPECT_EQ(count("d = $1", {20455}), 1);
  EXPECT_EQ(count("d = $1", {"2026-01-02"}), 1);
  EXPECT_EQ(count("ts = $1", {1767312000000001}), 1);
  EXPECT_EQ(count("b = $1", {"\xFF"}), 1);
  EXPECT_EQ(count("d = $3", {1, 2, "2026-01-02"}), 1);  // the others are for other statements
  EXPECT_EQ(cell("SELECT $1 || ' $2 ' || $3 -- $4\n", {"a", "b", "c"}), Json("a $2 c"));
  EXPECT_EQ(cell("SELECT count(*) FROM range(5) WHERE range IN (SELECT unnest($1))", {Json::array({1, 3, 9})}),
            Json(2));
  EXPECT_EQ(cell("SELECT len($1)", {Json::array({"x", 1, nullptr})}), Json(3));
  EXPECT_EQ(cell("SELECT $1::VARCHAR", {"it's; DROP TABLE x"}), Json("it's; DROP TABLE x"));
  EXPECT_EQ(error_of([&] { count("d = $2", {1}); }).code(), ErrorCode::kInvalidArgument);
}

TEST(Duck, ErrorsHaveCodes) {
  Duck duck;
  EXPECT_EQ(error_of([&] { duck.execute("SELEC 1"); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([&] { duck.query("SELECT * FROM read_parquet('/nonexistent/x.parquet')"); }).code(),
            ErrorCode::kDataLoss);
  EXPECT_EQ(error_of([&] { duck.query("SELECT 'x'::INTEGER"); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([&] { duck.execute(std::string("SELECT 1\0 2", 11)); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([&] { duck.parse_select("DROP TABLE t"); }).code(), ErrorCode::kInvalidArgument);
  DuckDatabase small({1, "20MB"});
  Duck limited(small);
  limited.execute("SET temp_directory = ''");
  EXPECT_EQ(error_of([&] { limited.query("SELECT list(range) FROM range(20000000)"); }).code(),
            ErrorCode::kResourceExhausted);
}

TEST(Duck, DeadlinesAndCancellationEndAStatement) {
  Duck duck;
  const std::string endless = "SELECT sum(a.range * b.range) FROM range(1000000000) a, range(1000000) b";
  EXPECT_EQ(error_of([&] { duck.query(endless, {}, Deadline::after(std::chrono::milliseconds(50))); }).code(),
            ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(cell("SELECT 1"), Json(1));
  std::stop_source stop;
  std::jthread later([&] { stop.request_stop(); });
  EXPECT_EQ(error_of([&] { duck.query(endless, {}, Deadline(Steady::time_point::max(), stop.get_token())); }).code(),
            ErrorCode::kCancelled);
  EXPECT_EQ(duck.query("SELECT 2").rows[0][0], Json(2));
}

TEST(Duck, StreamsUntilToldToStop) {
  std::size_t rows = 0;
  int batches = 0;
  Duck().stream("SELECT range FROM range(100000)", {}, {}, [&](Rows batch) {
    rows += batch.rows.size();
    return ++batches < 3;
  });
  EXPECT_EQ(batches, 3);
  batches = 0;
  Duck duck;
  duck.stream("SELECT a.range FROM range(1000000000) a, range(1000000) b", {}, {},
              [&](const Rows&) { return ++batches < 2; });
  EXPECT_EQ(batches, 2);
  EXPECT_EQ(duck.query("SELECT 1").rows[0][0], Json(1));
  EXPECT_LT(rows, 100000U);
  EXPECT_EQ(error_of([] {
              Duck().stream("SELECT CASE WHEN range = 90000 THEN error('late') ELSE range END FROM range(100000)", {},
                            {}, [](const Rows&) { return true; });
            }).code(),
            ErrorCode::kInvalidArgument);
}

TEST(Duck, DescribesAndChecks) {
  Duck duck;
  const auto schema = duck.describe("SELECT 1 AS a, {'x': [1.5]} AS s");
  EXPECT_EQ(schema.at(1).type.text(), "struct<x:array<decimal(2,1)>>");
  duck.check_expression("a > 1 AND b LIKE '%x' OR c IN (1, 2) AND (SELECT max(v) FROM (VALUES (1)) t(v)) = 1", "it");
  for (const auto* bad :
       {"", "1 FROM x", "a) FROM t WHERE (b", "(SELECT x FROM y)", "EXISTS (FROM range(3))", "1, 2) UNION SELECT (3"}) {
    EXPECT_EQ(error_of([&] { duck.check_expression(bad, "it"); }).code(), ErrorCode::kInvalidArgument) << bad;
  }
  duck.check_order("a DESC NULLS LAST, lower(b)", "it");
  for (const auto* bad : {"a LIMIT 3", "(SELECT 1 FROM x)", "a; SELECT 1"}) {
    EXPECT_EQ(error_of([&] { duck.check_order(bad, "it"); }).code(), ErrorCode::kInvalidArgument) << bad;
  }
}

TEST(DeltaSchema, TypesAsTextAndJson) {
  for (const auto* text : {"string", "bigint", "int", "smallint", "tinyint", "float", "double", "decimal(10,2)",
                           "boolean", "binary", "date", "timestamp", "timestamp_ntz", "void",
                           "array<map<string,array<int>>>", "struct<a:int,`b c`:struct<d:decimal(38,18)>>"}) {
    const auto type = type_from_text(text);
    EXPECT_EQ(type.text(), text);
    Field field;
    field.name = "f";
    field.type = type;
    EXPECT_EQ(schema_from_json(schema_to_json({field})), Schema{field}) << text;
  }
  EXPECT_EQ(type_from_text(" STRUCT < a : varchar(20) , b:LONG not null > ").text(), "struct<a:string,b:bigint>");
  EXPECT_EQ(type_from_text("decimal").text(), "decimal(10,0)");
  for (const auto* bad :
       {"", "foo", "array<int", "array<int>>", "map<int>", "struct<a>", "decimal(39,1)", "int int", "struct<`a:int>"}) {
    const auto code = error_of([&] { (void)type_from_text(bad); }).code();
    EXPECT_TRUE(code == ErrorCode::kInvalidArgument || code == ErrorCode::kUnsupportedFeature) << bad;
  }
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "array<";
  EXPECT_EQ(error_of([&] { (void)type_from_text(deep); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([] {
              (void)schema_from_json(Json::parse(R"({"type":"struct","fields":[{"name":"v","type":"variant"}]})"));
            }).code(),
            ErrorCode::kUnsupportedFeature);
}

}  // namespace
}  // namespace lakeloop::delta
