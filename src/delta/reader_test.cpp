// Forms of a table that our writer does not make.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/format.h"
#include "codec/encoding.h"
#include "delta/deletion_vector.h"
#include "delta/duck.h"
#include "delta/test_table.h"

namespace lakeloop::delta {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

Json metadata(const Schema& schema, Json configuration = Json::object(), Json partitions = Json::array()) {
  return Json::object({{"metaData", Json::object({{"id", "i"},
                                                  {"format", Json::object({{"provider", "parquet"}})},
                                                  {"schemaString", schema_to_json(schema).dump()},
                                                  {"partitionColumns", std::move(partitions)},
                                                  {"configuration", std::move(configuration)}})}});
}

Json protocol(int reader, const std::vector<std::string>& features) {
  return Json::object({{"protocol", Json::object({{"minReaderVersion", reader},
                                                  {"minWriterVersion", reader == 3 ? 7 : 5},
                                                  {"readerFeatures", Json::strings(features)},
                                                  {"writerFeatures", Json::strings(features)}})}});
}

Json add(const std::string& path, Json partition = Json::object(), Json vector = {}) {
  auto body = Json::object({{"path", path},
                            {"partitionValues", std::move(partition)},
                            {"size", 1},
                            {"modificationTime", 1},
                            {"dataChange", true}});
  body.set_if("deletionVector", std::move(vector));
  return Json::object({{"add", std::move(body)}});
}

class Reader : public testing::Test {
 protected:
  void file(const std::string& name, const std::string& select) {
    std::filesystem::create_directories(folder_.path() / "t");
    Duck().execute("COPY (" + select + ") TO " + quote_literal((folder_.path() / "t" / name).string()) +
                   " (FORMAT parquet)");
  }
  void commit(int version, const std::vector<Json>& actions) {
    std::string text;
    for (const auto& action : actions) text += action.dump() + "\n";
    folder_.store()->put(format("t/_delta_log/{:020}.json", version), text);
  }
  Table open() { return Table::open(folder_.store(), "t"); }
  const TestFolder folder_;
};

TEST_F(Reader, FilesInNarrowerTypesAndWithoutNewFields) {
  file("a.parquet", "SELECT 1::INTEGER AS n, {'x': 1::SMALLINT} AS s, [{'x': 1::INTEGER}] AS l");
  file("b.parquet",
       "SELECT 5000000000::BIGINT AS n, {'x': 2::BIGINT, 'y': 'new'} AS s, [{'x': 2::BIGINT, 'y': 'z'}] AS l, 'more' "
       "AS extra");
  commit(0, {protocol(3, {"typeWidening"}),
             metadata(schema_of(
                 {{"n", "bigint"}, {"s", "struct<x:bigint,y:string>"}, {"l", "array<struct<x:bigint,y:string>>"}})),
             add("a.parquet"), add("b.parquet")});
  EXPECT_THAT(rows_of(open()), ElementsAre(R"([1,{"x":1,"y":null},[{"x":1,"y":null}]])",
                                           R"([5000000000,{"x":2,"y":"new"},[{"x":2,"y":"z"}]])"));
}

TEST_F(Reader, PartitionColumnsInsideFilesAreNotBelieved) {
  file("with.parquet", "SELECT 1::BIGINT AS n, 'wrong' AS p");
  file("without.parquet", "SELECT 2::BIGINT AS n");
  commit(0,
         {protocol(1, {}), metadata(schema_of({{"n", "bigint"}, {"p", "string"}}), Json::object(), Json::array({"p"})),
          add("with.parquet", Json::object({{"p", "right"}})), add("without.parquet", Json::object({{"p", ""}}))});
  EXPECT_THAT(rows_of(open()), ElementsAre("[1,\"right\"]", "[2,null]"));
  // Nothing but partition columns is asked for: rows are still counted.
  const auto table = open();
  EXPECT_THAT(table.scan(table.snapshot(), {.columns = {"p"}}).rows, SizeIs(2));
}

TEST_F(Reader, ColumnMappingByNameAtEveryLevel) {
  file("a.parquet",
       "SELECT 1::BIGINT AS \"col-1\", {'col-3': 'in'} AS \"col-2\", [{'col-3': 'el'}] AS \"col-4\", MAP{'k': "
       "{'col-3': 'v'}} AS \"col-5\"");
  auto schema = schema_of({{"the id", "bigint"},
                           {"s", "struct<`a,b`:string>"},
                           {"l", "array<struct<`a,b`:string>>"},
                           {"m", "map<string,struct<`a,b`:string>>"}});
  auto json = schema_to_json(schema);
  const auto name = [](Json& field, const std::string& physical, int id) {
    field.set("metadata",
              Json::object({{"delta.columnMapping.physicalName", physical}, {"delta.columnMapping.id", id}}));
  };
  auto& fields = json.find("fields")->items();
  name(fields[0], "col-1", 1);
  name(fields[1], "col-2", 2);
  name(fields[1].find("type")->find("fields")->items()[0], "col-3", 3);
  name(fields[2], "col-4", 4);
  name(fields[2].find("type")->find("elementType")->find("fields")->items()[0], "col-3", 5);
  name(fields[3], "col-5", 6);
  name(fields[3].find("type")->find("valueType")->find("fields")->items()[0], "col-3", 7);
  commit(0, {protocol(2, {}), metadata(schema_from_json(json), Json::object({{"delta.columnMapping.mode", "name"}})),
             add("a.parquet")});
  EXPECT_THAT(rows_of(open()), ElementsAre(R"([1,{"a,b":"in"},[{"a,b":"el"}],{"k":{"a,b":"v"}}])"));
  try {
    open().append({Row(4)});
    FAIL() << "written";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupportedFeature);
    EXPECT_THAT(error.message(), testing::HasSubstr("columnMapping"));
  }
}

TEST_F(Reader, DeletionVectorsAreKeptOutAndGoWhenRowsChange) {
  file("a.parquet", "SELECT range AS n FROM range(40)");
  const auto vector = Json::object({{"storageType", "i"},
                                    {"pathOrInlineDv", "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L"},
                                    {"sizeInBytes", 44},
                                    {"cardinality", 6}});
  commit(0, {protocol(3, {"deletionVectors"}), metadata(schema_of({{"n", "bigint"}})),
             add("a.parquet", Json::object(), vector)});
  auto table = open();
  EXPECT_THAT(rows_of(table), SizeIs(34));
  EXPECT_EQ(table.scan(table.snapshot(), {.where = "n IN (3, 4, 7, 11, 18, 29)"}).rows.size(), 0U);
  EXPECT_EQ(table.delete_where("n < 5", {}).deleted, 3);
  EXPECT_THAT(rows_of(table), SizeIs(31));
  EXPECT_TRUE(table.snapshot().files.at(0).deletion_vector.is_null());
  table.checkpoint();
  folder_.store()->remove("t/_delta_log/00000000000000000000.json");
  EXPECT_THAT(rows_of(open()), SizeIs(31));
}

TEST_F(Reader, MultiPartCheckpointsNeedAllParts) {
  {
    auto table = Table::create(folder_.store(), "t", {.schema = schema_of({{"n", "bigint"}})});
    for (int i = 0; i < 10; ++i) table.append({{i}});
    table.append({{10}});
  }
  const auto store = folder_.store();
  const auto name = [](int part) {
    return format("t/_delta_log/00000000000000000010.checkpoint.{:010}.{:010}.parquet", part, 2);
  };
  const auto path = [&](const std::string& key) { return quote_literal((folder_.path() / key).string()); };
  const std::string whole = "t/_delta_log/00000000000000000010.checkpoint.parquet";
  Duck().execute("COPY (SELECT * FROM read_parquet(" + path(whole) + ") WHERE add IS NULL) TO " + path(name(1)) +
                 " (FORMAT parquet)");
  Duck().execute("COPY (SELECT * FROM read_parquet(" + path(whole) + ") WHERE add IS NOT NULL) TO " + path(name(2)) +
                 " (FORMAT parquet)");
  store->remove(whole);
  for (int version = 0; version <= 10; ++version) store->remove(format("t/_delta_log/{:020}.json", version));
  EXPECT_THAT(rows_of(open()), SizeIs(11));
  store->remove(name(2));
  try {
    open();
    FAIL() << "opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDataLoss);
  }
}

TEST_F(Reader, FileNamesThatLookLikePatterns) {
  file("a[1]*.parquet", "SELECT 1::BIGINT AS n");
  file("it's 100%.parquet", "SELECT 2::BIGINT AS n");
  commit(0, {protocol(1, {}), metadata(schema_of({{"n", "bigint"}})), add("a%5B1%5D*.parquet"),
             add("it's%20100%25.parquet")});
  EXPECT_THAT(rows_of(open()), ElementsAre("[1]", "[2]"));
}

TEST_F(Reader, NothingThatIsNoLogCrashes) {
  std::mt19937 random(7);
  const std::vector<Json> actions = {protocol(1, {}), metadata(schema_of({{"n", "bigint"}})), add("a.parquet")};
  std::string text;
  for (const auto& action : actions) text += action.dump() + "\n";
  for (int i = 0; i < 300; ++i) {
    auto broken = text;
    for (int k = 0; k < 3; ++k) broken[random() % broken.size()] = static_cast<char>(random());
    folder_.store()->put("t/_delta_log/00000000000000000000.json",
                         broken.substr(0, i % 2 ? broken.size() : random() % broken.size()));
    try {
      (void)open().relation(open().snapshot());
    } catch (const Error& error) {
      EXPECT_NE(error.code(), ErrorCode::kInternal) << error.message();
    }
  }
}

TEST(DeltaDeletionVectorFault, DamagedBitmapsAreRefused) {
  const auto good = *codec::z85_decode("^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L");
  std::mt19937 random(11);
  for (int i = 0; i < 20000; ++i) {
    auto bytes = good.substr(0, 44);
    for (int k = 0; k < 1 + i % 4; ++k) bytes[random() % bytes.size()] = static_cast<char>(random());
    try {
      const auto rows = decode_deletion_vector(bytes);
      EXPECT_TRUE(std::ranges::is_sorted(rows));
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace lakeloop::delta
