#include "delta/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "base/file.h"
#include "base/format.h"
#include "delta/test_table.h"

namespace lakeloop::delta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

template <typename F>
Error error_of(F&& run) {
  try {
    run();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return Error(ErrorCode::kInternal, "none");
}

const Schema kPeople = schema_of({{"id", "bigint"}, {"name", "string"}});

Table people(const TestFolder& folder, CreateOptions options = {}) {
  options.schema = kPeople;
  return Table::create(folder.store(), "people", options);
}

TEST(DeltaTable, CreatesAppendsScans) {
  const TestFolder folder;
  auto table = people(folder);
  EXPECT_EQ(table.snapshot().version, 0);
  EXPECT_THAT(rows_of(table), IsEmpty());
  const auto result = table.append({{1, "a"}, {2, nullptr}});
  EXPECT_EQ(result.version, 1);
  EXPECT_EQ(result.inserted, 2);
  EXPECT_TRUE(result.written);
  EXPECT_THAT(rows_of(table), ElementsAre("[1,\"a\"]", "[2,null]"));
  auto again = Table::open(folder.store(), "people");
  EXPECT_THAT(rows_of(again), ElementsAre("[1,\"a\"]", "[2,null]"));
  again.append({{3, "c"}});
  EXPECT_EQ(table.snapshot().version, 2);  // the first handle sees what the second wrote
  EXPECT_THAT(rows_of(table), SizeIs(3));
}

TEST(DeltaTable, EveryTypeComesBack) {
  const TestFolder folder;
  CreateOptions options;
  options.schema = schema_of({{"s", "string"},
                              {"l", "bigint"},
                              {"i", "int"},
                              {"h", "smallint"},
                              {"b", "tinyint"},
                              {"f", "float"},
                              {"d", "double"},
                              {"t", "boolean"},
                              {"x", "binary"},
                              {"day", "date"},
                              {"ts", "timestamp"},
                              {"ntz", "timestamp_ntz"},
                              {"d9", "decimal(9,2)"},
                              {"d38", "decimal(38,10)"},
                              {"v", "void"},
                              {"a", "array<string>"},
                              {"st", "struct<p:int,q:array<double>>"},
                              {"m", "map<string,bigint>"},
                              {"im", "map<int,string>"}});
  auto table = Table::create(folder.store(), "types", options);
  const Row row = {"h\xC3\xA9llo",
                   INT64_MIN,
                   INT32_MAX,
                   -32768,
                   127,
                   1.5,
                   2.25,
                   true,
                   std::string("\0\xFF", 2),
                   -1,
                   1700000000123456,
                   -1,
                   "-12.30",
                   "1234567890123456789012345678.0123456789",
                   nullptr,
                   Json::array({"x", nullptr}),
                   Json::object({{"p", 7}, {"q", Json::array({1.5})}}),
                   Json::object({{"k", 9}}),
                   Json::array({Json::object({{"key", 4}, {"value", "four"}})})};
  const Row nulls(options.schema.size());
  table.append({row, nulls});
  const auto rows = table.scan(table.snapshot(), {.columns = {}, .where = "l IS NOT NULL"});
  ASSERT_THAT(rows.rows, SizeIs(1));
  for (std::size_t i = 0; i < row.size(); ++i) EXPECT_EQ(rows.rows[0][i], row[i]) << options.schema[i].name;
  EXPECT_EQ(table.scan(table.snapshot(), {.columns = {}, .where = "l IS NULL"}).rows.at(0), nulls);
  EXPECT_EQ(table.snapshot().min_reader, 3);  // timestamp_ntz is a reader feature
}

TEST(DeltaTable, ScanTakesColumnsConditionOrderLimit) {
  const TestFolder folder;
  auto table = people(folder);
  table.append({{1, "a"}, {2, "b"}, {3, nullptr}});
  const auto rows = table.scan(table.snapshot(), {{"name"}, "id >= $1 AND id <= $2", {1, 2}, "id DESC", 1});
  EXPECT_THAT(sorted_text(rows.rows), ElementsAre("[\"b\"]"));
  EXPECT_EQ(rows.schema.at(0).name, "name");
}

TEST(DeltaTable, ConditionsReadNothingElse) {
  const TestFolder folder;
  auto table = people(folder);
  table.append({{1, "a"}});
  for (const auto* condition :
       {"name IN (SELECT content FROM read_text('/etc/passwd'))", "name IN (FROM '/etc/passwd')",
        "1=1) UNION SELECT 1, content FROM read_text('/etc/passwd') WHERE (true", "id = 1; DROP TABLE x", "id ="}) {
    EXPECT_EQ(error_of([&] { (void)table.scan(table.snapshot(), {{}, condition}); }).code(),
              ErrorCode::kInvalidArgument)
        << condition;
    EXPECT_EQ(error_of([&] { table.delete_where(condition, {}); }).code(), ErrorCode::kInvalidArgument) << condition;
  }
  EXPECT_THAT(rows_of(table), SizeIs(1));
}

TEST(DeltaTable, RefusesRowsThatDoNotFit) {
  const TestFolder folder;
  CreateOptions options;
  options.schema = schema_of({{"i", "int"}, {"s", "string"}, {"d", "decimal(4,1)"}});
  options.schema[0].nullable = false;
  auto table = Table::create(folder.store(), "t", options);
  const std::vector<std::pair<Row, std::string>> cases = {{{"x", "s", nullptr}, "row 1, column i"},
                                                          {{3000000000, "s", nullptr}, "out of range"},
                                                          {{1.5, "s", nullptr}, "does not fit"},
                                                          {{1, 5, nullptr}, "column s"},
                                                          {{1, "\xFF", nullptr}, "UTF-8"},
                                                          {{1, "s", "1000.0"}, "decimal(4,1)"},
                                                          {{1, "s", "1.25"}, "decimal(4,1)"},
                                                          {{1, "s"}, "2 cells"},
                                                          {{nullptr, "s", nullptr}, "does not allow NULL"}};
  for (const auto& [row, text] : cases) {
    const auto error = error_of([&] { table.append({row}); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << text;
    EXPECT_THAT(error.message(), HasSubstr(text));
  }
  EXPECT_EQ(table.snapshot().version, 0);
  EXPECT_THAT(folder.store()->list("t/part-"), IsEmpty());
}

TEST(DeltaTable, CreateChecksItsOptions) {
  const TestFolder folder;
  const auto attempt = [&](CreateOptions options) {
    return error_of([&] { Table::create(folder.store(), "bad", options); }).code();
  };
  EXPECT_EQ(attempt({}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(attempt({schema_of({{"a", "int"}, {"A", "int"}})}), ErrorCode::kInvalidArgument);
  CreateOptions spaces;
  spaces.schema = kPeople;
  spaces.schema[0].name = "a b";
  EXPECT_EQ(attempt(spaces), ErrorCode::kInvalidArgument);
  EXPECT_EQ(attempt({kPeople, {"nope"}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(attempt({kPeople, {"id", "name"}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(attempt({kPeople, {}, {{"delta.enableDeletionVectors", "true"}}}), ErrorCode::kUnsupportedFeature);
  EXPECT_EQ(attempt({kPeople, {}, {{"delta.appendOnly", "perhaps"}}}), ErrorCode::kInvalidArgument);
  people(folder);
  EXPECT_EQ(error_of([&] { people(folder); }).code(), ErrorCode::kAlreadyExists);
  EXPECT_EQ(error_of([&] { Table::open(folder.store(), "nothing"); }).code(), ErrorCode::kNotFound);
}

TEST(DeltaTable, TimeTravel) {
  const TestFolder folder;
  auto table = people(folder);
  std::vector<Timestamp> times = {table.snapshot().timestamp};
  for (int i = 1; i <= 25; ++i) {
    table.append({{i, "x"}});
    times.push_back(table.snapshot().timestamp);
  }
  for (int version : {0, 1, 9, 10, 11, 24, 25}) {
    EXPECT_THAT(table.scan(table.snapshot_at(version)).rows, SizeIs(static_cast<std::size_t>(version)));
  }
  EXPECT_LT(times[3], times[4]);
  EXPECT_EQ(table.snapshot_at(times[4]).version, 4);
  EXPECT_EQ(table.snapshot_at(Timestamp{times[25].micros + 60'000'000}).version, 25);
  EXPECT_EQ(error_of([&] { (void)table.snapshot_at(Timestamp{times[0].micros - 1'000'000}); }).code(),
            ErrorCode::kNotFound);
  const auto error = error_of([&] { (void)table.snapshot_at(26); });
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_THAT(error.message(), HasSubstr("the newest is 25"));
}

TEST(DeltaTable, HistoryAndCommitInfo) {
  const TestFolder folder;
  auto table = people(folder);
  CommitOptions options;
  options.user = "ann";
  options.operation = "STREAMING UPDATE";
  options.parameters = Json::object({{"queryId", "q"}});
  table.append({{1, "a"}}, options);
  table.set_properties({{"owner", "team"}});
  const auto history = table.history(2);
  ASSERT_THAT(history, SizeIs(2));
  EXPECT_EQ(history[0].operation, "SET TBLPROPERTIES");
  EXPECT_EQ(history[1].operation, "STREAMING UPDATE");
  EXPECT_EQ(history[1].user, "ann");
  EXPECT_EQ(history[1].parameters.str("queryId"), "q");
  EXPECT_EQ(history[1].metrics.str("numOutputRows"), "1");
  const auto first =
      Json::parse(folder.store()
                      ->get("people/_delta_log/00000000000000000001.json")
                      .substr(0, 2000)
                      .substr(0, folder.store()->get("people/_delta_log/00000000000000000001.json").find('\n')));
  EXPECT_THAT(first["commitInfo"].str("engineInfo"), testing::StartsWith("Lakeloop/"));
  EXPECT_TRUE(first["commitInfo"]["isBlindAppend"].as_bool());
  EXPECT_EQ(table.snapshot().properties.at("owner"), "team");
  EXPECT_FALSE(table.set_properties({{"owner", "team"}}).written);
}

TEST(DeltaTable, TransactionsAreIdempotent) {
  const TestFolder folder;
  auto table = people(folder);
  CommitOptions options;
  options.app_id = "journal";
  options.app_version = 7;
  EXPECT_TRUE(table.append({{1, "a"}}, options).written);
  const auto repeat = table.append({{1, "a"}}, options);
  EXPECT_FALSE(repeat.written);
  EXPECT_EQ(repeat.version, 1);
  options.app_version = 6;
  EXPECT_FALSE(Table::open(folder.store(), "people").append({{9, "z"}}, options).written);
  options.app_version = 8;
  EXPECT_TRUE(table.append({}, options).written);  // no rows, but the position moves on
  EXPECT_EQ(table.snapshot().transactions.at("journal"), 8);
  EXPECT_FALSE(table.delete_where("true", {}, options).written);
  EXPECT_THAT(rows_of(table), SizeIs(1));
}

TEST(DeltaTable, CheckpointsEveryTenCommitsAndReadsThem) {
  const TestFolder folder;
  CreateOptions create;
  create.partition_columns = {"name"};
  auto table = people(folder, create);
  CommitOptions options;
  options.app_id = "app";
  for (int i = 1; i <= 12; ++i) {
    options.app_version = i;
    table.append({{i, i % 2 ? Json("o") : Json()}}, options);
  }
  table.delete_where("id = 3", {});
  table.checkpoint();
  const auto store = folder.store();
  EXPECT_TRUE(store->head("people/_delta_log/00000000000000000010.checkpoint.parquet"));
  EXPECT_TRUE(store->head("people/_delta_log/00000000000000000013.checkpoint.parquet"));
  for (int version = 0; version <= 12; ++version) store->remove(format("people/_delta_log/{:020}.json", version));
  const auto fresh = Table::open(store, "people");
  EXPECT_EQ(rows_of(fresh), rows_of(table));
  EXPECT_THAT(rows_of(fresh), SizeIs(11));
  const auto snapshot = fresh.snapshot();
  EXPECT_EQ(snapshot.transactions.at("app"), 12);
  EXPECT_EQ(snapshot.table_id, table.snapshot().table_id);
  EXPECT_EQ(snapshot.schema, kPeople);
  EXPECT_TRUE(snapshot.change_feed_enabled());
  EXPECT_THAT(snapshot.files.at(0).stats, HasSubstr("numRecords"));
}

TEST(DeltaTable, ADamagedCheckpointOrHintIsPassedOver) {
  const TestFolder folder;
  auto table = people(folder);
  for (int i = 1; i <= 11; ++i) table.append({{i, "x"}});
  const auto store = folder.store();
  store->put("people/_delta_log/_last_checkpoint", "{\"version\":");
  EXPECT_THAT(rows_of(Table::open(store, "people")), SizeIs(11));
  store->put("people/_delta_log/_last_checkpoint", "{\"version\":99,\"size\":1}");
  EXPECT_THAT(rows_of(Table::open(store, "people")), SizeIs(11));
  store->put("people/_delta_log/_last_checkpoint", "{\"version\":10,\"size\":1}");
  store->put("people/_delta_log/00000000000000000010.checkpoint.parquet", "PAR1 torn");
  EXPECT_THAT(rows_of(Table::open(store, "people")), SizeIs(11));
  store->remove("people/_delta_log/00000000000000000003.json");
  EXPECT_EQ(error_of([&] { Table::open(store, "people"); }).code(), ErrorCode::kDataLoss);
}

TEST(DeltaTable, AGapNamesTheMissingVersion) {
  const TestFolder folder;
  auto table = people(folder);
  for (int i = 1; i <= 4; ++i) table.append({{i, "x"}});
  folder.store()->remove("people/_delta_log/00000000000000000002.json");
  const auto error = error_of([&] { Table::open(folder.store(), "people"); });
  EXPECT_EQ(error.code(), ErrorCode::kDataLoss);
  EXPECT_THAT(error.message(), HasSubstr("version 2 is missing"));
}

TEST(DeltaTable, ALogThatWasReplacedIsReadAnew) {
  const TestFolder folder;
  auto table = people(folder);
  table.append({{1, "old"}});
  std::filesystem::remove_all(folder.path() / "people");
  auto other = people(folder);
  other.append({{2, "new"}});
  EXPECT_THAT(rows_of(table), ElementsAre("[2,\"new\"]"));
}

TEST(DeltaTable, PartitionValuesOfEveryKindComeBack) {
  const TestFolder folder;
  const auto try_type = [&](const std::string& type, const std::vector<Json>& values) {
    CreateOptions options;
    options.schema = schema_of({{"n", "int"}, {"k", type}});
    options.partition_columns = {"k"};
    auto table = Table::create(folder.store(), "by_" + std::string(type.substr(0, 4)) + random_hex(4), options);
    std::vector<Row> rows;
    for (const auto& value : values) rows.push_back({static_cast<int>(rows.size()), value});
    table.append(rows);
    const auto read = table.scan(table.snapshot(), {{}, "", {}, "n"}).rows;
    ASSERT_EQ(read.size(), rows.size()) << type;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const bool empty = rows[i][1].is_string() && rows[i][1].as_string().empty();
      EXPECT_EQ(read[i][1], empty ? Json() : rows[i][1]) << type << " " << i;  // '' is NULL, as other engines read it
    }
  };
  try_type("string", {nullptr, "", "a/b", "100%", "x=y", "sp ace", "\xC3\xBC", "a:b", "a%2Fb", "..", "#?", "it's",
                      std::string(300, 'q'), "__HIVE_DEFAULT_PARTITION__"});
  try_type("bigint", {nullptr, 0, -5, INT64_MAX});
  try_type("date", {nullptr, 0, -1, 20000});
  try_type("timestamp", {nullptr, 0, -1, 1700000000123456, 1700000000000000});
  try_type("timestamp_ntz", {nullptr, 1700000000123456});
  try_type("boolean", {nullptr, true, false});
  try_type("double", {nullptr, 1.5, 1e300, 0.1});
  try_type("decimal(10,2)", {nullptr, "1.50", "-0.01"});
  try_type("binary", {nullptr, std::string("\x01\xFF\x80 a'", 6)});
}

TEST(DeltaTable, AbsentColumnsAndWiderTypesOfOtherWriters) {
  const TestFolder folder;
  auto table = people(folder);
  table.append({{1, "a"}});
  const auto store = folder.store();
  // Somebody adds a column, then one of a wider type; unknown actions and fields stay without effect.
  auto schema = kPeople;
  schema.push_back(schema_of({{"score", "double"}}).at(0));
  const auto metadata = Json::object(
      {{"metaData", Json::object({{"id", table.snapshot().table_id},
                                  {"format", Json::object({{"provider", "parquet"}})},
                                  {"schemaString", schema_to_json(schema).dump()},
                                  {"partitionColumns", Json::array()},
                                  {"configuration", Json::object({{"delta.enableChangeDataFeed", "true"}})},
                                  {"whatever", 1}})}});
  ASSERT_TRUE(store->put_if_absent(
      "people/_delta_log/00000000000000000002.json",
      metadata.dump() + "\n{\"newAction\":{\"x\":1}}\n{\"commitInfo\":{\"operation\":\"ADD COLUMNS\"}}\n"));
  EXPECT_THAT(rows_of(table), ElementsAre("[1,\"a\",null]"));
  table.append({{2, "b", 0.5}});
  EXPECT_THAT(rows_of(table), ElementsAre("[1,\"a\",null]", "[2,\"b\",0.5]"));
  EXPECT_THAT(changes_of(table, 1, 3), ElementsAre("1 insert [1,\"a\",null]", "3 insert [2,\"b\",0.5]"));
}

TEST(DeltaTable, PathsCannotLeaveTheTable) {
  const TestFolder folder;
  auto table = people(folder);
  const auto add = [](const std::string& path) {
    return "{\"add\":{\"path\":\"" + path +
           "\",\"partitionValues\":{},\"size\":1,\"modificationTime\":1,\"dataChange\":true}}\n";
  };
  for (const auto& [path, code] :
       std::vector<std::pair<std::string, ErrorCode>>{{"../x.parquet", ErrorCode::kDataLoss},
                                                      {"a/%2e%2e/%2e%2e/x", ErrorCode::kDataLoss},
                                                      {"/etc/passwd", ErrorCode::kUnsupportedFeature},
                                                      {"file:///etc/passwd", ErrorCode::kUnsupportedFeature},
                                                      {"s3://bucket/x", ErrorCode::kUnsupportedFeature},
                                                      {"bad%zz", ErrorCode::kDataLoss}}) {
    folder.store()->put("people/_delta_log/00000000000000000001.json", add(path));
    EXPECT_EQ(error_of([&] { Table::open(folder.store(), "people"); }).code(), code) << path;
  }
}

TEST(DeltaTable, FeaturesThatAreNotKnownRefuseByName) {
  const TestFolder folder;
  auto table = people(folder);
  const auto store = folder.store();
  const auto protocol = [&](const std::string& body) {
    store->put("people/_delta_log/00000000000000000001.json", "{\"protocol\":" + body + "}\n");
  };
  protocol(
      R"({"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["quantumRows"],"writerFeatures":["quantumRows"]})");
  auto error = error_of([&] { Table::open(store, "people"); });
  EXPECT_EQ(error.code(), ErrorCode::kUnsupportedFeature);
  EXPECT_THAT(error.message(), HasSubstr("quantumRows"));
  protocol(R"({"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["rowTracking"]})");
  auto readable = Table::open(store, "people");
  EXPECT_THAT(rows_of(readable), IsEmpty());
  error = error_of([&] { readable.append({{1, "a"}}); });
  EXPECT_EQ(error.code(), ErrorCode::kUnsupportedFeature);
  EXPECT_THAT(error.message(), HasSubstr("rowTracking"));
  protocol(R"({"minReaderVersion":4,"minWriterVersion":8})");
  EXPECT_EQ(error_of([&] { Table::open(store, "people"); }).code(), ErrorCode::kUnsupportedFeature);
}

TEST(DeltaTable, ConstraintsThatAreNotEvaluatedRefuseTheWrite) {
  const TestFolder folder;
  auto table = people(folder);
  const auto store = folder.store();
  auto schema = kPeople;
  const auto metadata = [&](Json configuration) {
    store->put("people/_delta_log/00000000000000000001.json",
               Json::object({{"metaData", Json::object({{"id", "i"},
                                                        {"format", Json::object({{"provider", "parquet"}})},
                                                        {"schemaString", schema_to_json(schema).dump()},
                                                        {"partitionColumns", Json::array()},
                                                        {"configuration", std::move(configuration)}})}})
                   .dump());
    auto opened = Table::open(store, "people");
    const auto error = error_of([&] { opened.append({{1, "a"}}); });
    EXPECT_EQ(error.code(), ErrorCode::kUnsupportedFeature);
    return error.message();
  };
  EXPECT_THAT(metadata(Json::object({{"delta.constraints.positive", "id > 0"}})), HasSubstr("checkConstraints"));
  schema[0].metadata = Json::object({{"delta.invariants", "{\"expression\":{\"expression\":\"id > 3\"}}"}});
  EXPECT_THAT(metadata(Json::object()), HasSubstr("invariants"));
  schema[0].metadata = Json::object({{"delta.generationExpression", "1"}});
  EXPECT_THAT(metadata(Json::object()), HasSubstr("generatedColumns"));
}

}  // namespace
}  // namespace lakeloop::delta
