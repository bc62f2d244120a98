// Changes of rows and the feed that tells of them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "delta/stats.h"
#include "delta/test_table.h"
#include "delta/transaction.h"

namespace lakeloop::delta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Table keep_drop(const TestFolder& folder, CreateOptions options = {}) {
  options.schema = schema_of({{"id", "bigint"}, {"s", "string"}});
  auto table = Table::create(folder.store(), "t", options);
  table.append({{1, "keep"}, {2, nullptr}, {3, "drop"}});
  return table;
}

ErrorCode code_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kInternal;
}

TEST(DeltaChange, UnknownIsNotTrueInDelete) {
  const TestFolder folder;
  auto table = keep_drop(folder);
  const auto result = table.delete_where("s <> 'keep'", {});
  EXPECT_EQ(result.deleted, 1);
  EXPECT_THAT(rows_of(table), ElementsAre("[1,\"keep\"]", "[2,null]"));
  EXPECT_THAT(changes_of(table, 2, 2), ElementsAre("2 delete [3,\"drop\"]"));
  const auto none = table.delete_where("s NOT IN ('x', NULL)", {});
  EXPECT_FALSE(none.written);
  EXPECT_EQ(none.deleted, 0);
  EXPECT_EQ(table.snapshot().version, 2);
}

TEST(DeltaChange, UpdateWithParameters) {
  const TestFolder folder;
  auto table = keep_drop(folder);
  const auto result = table.update_where({{"s", "s || $2"}, {"id", "id + 10"}}, "s <> $1", {"keep", "!"});
  EXPECT_EQ(result.updated, 1);
  EXPECT_THAT(rows_of(table), ElementsAre("[1,\"keep\"]", "[13,\"drop!\"]", "[2,null]"));
  EXPECT_THAT(changes_of(table, 2, 2), ElementsAre("2 post [13,\"drop!\"]", "2 pre [3,\"drop\"]"));
  EXPECT_EQ(code_of([&] { table.update_where({{"nope", "1"}}, "", {}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { table.update_where({{"id", "'x'"}}, "", {}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(table.update_where({{"s", "NULL"}}, "", {}).updated, 3);
}

TEST(DeltaChange, WholeFilesGoWithoutChangeFiles) {
  const TestFolder folder;
  auto table = keep_drop(folder);
  table.append({{4, "more"}});
  EXPECT_EQ(table.delete_where("id = 4", {}).deleted, 1);
  EXPECT_THAT(folder.store()->list("t/_change_data/"), IsEmpty());
  EXPECT_THAT(changes_of(table, 3, 3), ElementsAre("3 delete [4,\"more\"]"));
  EXPECT_EQ(table.delete_where("", {}).deleted, 3);
  EXPECT_THAT(rows_of(table), IsEmpty());
}

TEST(DeltaChange, APartAndAWholeFileTogetherAreAllInTheFeed) {
  const TestFolder folder;
  auto table = keep_drop(folder);
  table.append({{3, "drop"}});
  EXPECT_EQ(table.delete_where("id = 3", {}).deleted, 2);
  EXPECT_THAT(changes_of(table, 3, 3), ElementsAre("3 delete [3,\"drop\"]", "3 delete [3,\"drop\"]"));
}

TEST(DeltaChange, UpsertReplacesInsertsDeletes) {
  const TestFolder folder;
  auto table = keep_drop(folder);
  const auto result = table.upsert({"id", {{1, "new"}, {7, "seven"}}, {3, 99}});
  EXPECT_EQ(result.inserted, 1);
  EXPECT_EQ(result.updated, 1);
  EXPECT_EQ(result.deleted, 1);
  EXPECT_THAT(rows_of(table), ElementsAre("[1,\"new\"]", "[2,null]", "[7,\"seven\"]"));
  EXPECT_THAT(changes_of(table, 2, 2), ElementsAre("2 delete [3,\"drop\"]", "2 insert [7,\"seven\"]",
                                                   "2 post [1,\"new\"]", "2 pre [1,\"keep\"]"));
  // Only new keys: no file is touched, so the feed needs no files of its own.
  table.upsert({"id", {{8, "eight"}}, {}});
  EXPECT_THAT(changes_of(table, 3, 3), ElementsAre("3 insert [8,\"eight\"]"));
  EXPECT_FALSE(table.upsert({"id", {}, {12345}}).written);
  EXPECT_FALSE(table.upsert({"id", {}, {}}).written);
}

TEST(DeltaChange, UpsertByTextKeyAndNullKeysNeverMatch) {
  const TestFolder folder;
  auto table = keep_drop(folder);
  const auto result = table.upsert({"s", {{5, nullptr}, {6, "keep"}}, {nullptr}});
  EXPECT_EQ(result.inserted, 1);
  EXPECT_EQ(result.updated, 1);
  EXPECT_EQ(result.deleted, 0);
  EXPECT_THAT(rows_of(table), ElementsAre("[2,null]", "[3,\"drop\"]", "[5,null]", "[6,\"keep\"]"));
  EXPECT_EQ(code_of([&] { table.upsert({"s", {{1, "x"}, {2, "x"}}, {}}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { table.upsert({"s", {{1, "x"}}, {"x"}}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { table.upsert({"nope", {{1, "x"}}, {}}); }), ErrorCode::kInvalidArgument);
}

TEST(DeltaChange, PartitionedTablesMoveRows) {
  const TestFolder folder;
  CreateOptions options;
  options.partition_columns = {"s"};
  auto table = keep_drop(folder, options);
  EXPECT_THAT(table.snapshot().files, SizeIs(3));
  EXPECT_EQ(table.update_where({{"s", "'keep'"}}, "s = 'drop' OR s IS NULL", {}).updated, 2);
  EXPECT_THAT(rows_of(table), ElementsAre("[1,\"keep\"]", "[2,\"keep\"]", "[3,\"keep\"]"));
  EXPECT_THAT(changes_of(table, 2, 2),
              ElementsAre("2 post [2,\"keep\"]", "2 post [3,\"keep\"]", "2 pre [2,null]", "2 pre [3,\"drop\"]"));
  table.upsert({"id", {{2, "a/b"}}, {1}});
  EXPECT_THAT(rows_of(table), ElementsAre("[2,\"a/b\"]", "[3,\"keep\"]"));
  EXPECT_THAT(changes_of(table, 3, 3),
              ElementsAre("3 delete [1,\"keep\"]", "3 post [2,\"a/b\"]", "3 pre [2,\"keep\"]"));
}

TEST(DeltaChange, FeedInBatchesAndItsLimits) {
  const TestFolder folder;
  auto table = keep_drop(folder);
  for (int i = 0; i < 5; ++i) table.append({{10 + i, "x"}});
  std::vector<std::size_t> sizes;
  std::vector<std::int64_t> versions;
  table.changes(1, 6, 3, [&](std::vector<Change> batch) {
    sizes.push_back(batch.size());
    for (const auto& change : batch) {
      versions.push_back(change.version);
      EXPECT_EQ(change.timestamp, table.snapshot_at(change.version).timestamp);
    }
  });
  EXPECT_THAT(sizes, ElementsAre(3, 3, 2));
  EXPECT_THAT(versions, ElementsAre(1, 1, 1, 2, 3, 4, 5, 6));
  EXPECT_EQ(code_of([&] { changes_of(table, 1, 7); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { changes_of(table, 3, 2); }), ErrorCode::kInvalidArgument);
  // Off, then on again: a range over the gap refuses, ranges beside it do not.
  table.set_properties({{"delta.enableChangeDataFeed", "false"}});
  table.append({{20, "unseen"}});
  table.set_properties({{"delta.enableChangeDataFeed", "true"}});
  table.append({{21, "seen"}});
  EXPECT_EQ(code_of([&] { changes_of(table, 6, 10); }), ErrorCode::kInvalidArgument);
  EXPECT_THAT(changes_of(table, 9, 10), ElementsAre("10 insert [21,\"seen\"]"));
  EXPECT_THAT(changes_of(table, 5, 6), SizeIs(2));
  // Versions and files that are gone.
  folder.store()->remove("t/_delta_log/00000000000000000001.json");
  EXPECT_EQ(code_of([&] { changes_of(table, 1, 2); }), ErrorCode::kNotFound);
}

TEST(DeltaChange, FeedOfAVacuumedVersionIsGone) {
  const TestFolder folder;
  auto table = keep_drop(folder);
  table.delete_where("", {});
  for (const auto& object : folder.store()->list("t/part-")) folder.store()->remove(object.key);
  EXPECT_EQ(code_of([&] { changes_of(table, 2, 2); }), ErrorCode::kNotFound);
}

TEST(DeltaChange, TheFeedIsSwitchedOnForOldProtocols) {
  const TestFolder folder;
  auto table = keep_drop(folder);
  const auto metadata =
      Json::object({{"metaData", Json::object({{"id", "i"},
                                               {"format", Json::object({{"provider", "parquet"}})},
                                               {"schemaString", schema_to_json(table.snapshot().schema).dump()},
                                               {"partitionColumns", Json::array()},
                                               {"configuration", Json::object()}})}});
  folder.store()->put("old/_delta_log/00000000000000000000.json",
                      "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n" + metadata.dump() + "\n");
  auto old = Table::open(folder.store(), "old");
  EXPECT_FALSE(old.snapshot().change_feed_enabled());
  old.append({{1, "a"}, {2, "b"}});
  old.delete_where("id = 1", {});
  EXPECT_THAT(folder.store()->list("old/_change_data/"), IsEmpty());
  old.set_properties({{"delta.enableChangeDataFeed", "true"}});
  EXPECT_TRUE(old.snapshot().change_feed_enabled());
  EXPECT_THAT(old.snapshot().writer_features, ElementsAre("appendOnly", "invariants", "changeDataFeed"));
  old.append({{3, "c"}});
  EXPECT_THAT(changes_of(old, 4, 4), ElementsAre("4 insert [3,\"c\"]"));
}

TEST(DeltaChange, AppendOnlyTakesNoDeletes) {
  const TestFolder folder;
  CreateOptions options;
  options.properties = {{"delta.appendOnly", "true"}};
  auto table = keep_drop(folder, options);
  EXPECT_EQ(code_of([&] { table.delete_where("id = 1", {}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { table.update_where({{"s", "'x'"}}, "", {}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { table.upsert({"id", {{1, "x"}}, {}}); }), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(table.upsert({"id", {{9, "new key"}}, {}}).written);
}

TEST(DeltaChange, NothingIsLeftBehindByAChangeThatFails) {
  const TestFolder folder;
  CreateOptions options;
  options.schema = schema_of({{"id", "bigint"}, {"s", "string"}});
  options.schema[1].nullable = false;
  auto table = Table::create(folder.store(), "t", options);
  table.append({{1, "a"}, {2, "b"}});
  const auto before = folder.store()->list("t/").size();
  EXPECT_EQ(code_of([&] { table.update_where({{"s", "NULL"}}, "id = 1", {}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(folder.store()->list("t/").size(), before);
}

// --- statistics

TEST(DeltaStats, TextBoundsFollowSparksRule) {
  const std::string a32(32, 'a'), e32 = [] {
    std::string text;
    for (int i = 0; i < 32; ++i) text += "\xC3\xA9";
    return text;
  }();
  EXPECT_EQ(lower_bound_text(a32 + "b"), a32);
  EXPECT_EQ(lower_bound_text(e32 + "b"), e32);
  EXPECT_EQ(upper_bound_text("short"), "short");
  EXPECT_EQ(upper_bound_text(a32), a32);
  EXPECT_EQ(upper_bound_text(a32 + "b"), a32 + "\x7F");
  EXPECT_EQ(upper_bound_text(a32 + "\xC3\xA9"), a32 + "\xF4\x8F\xBF\xBF");
  EXPECT_GT(*upper_bound_text(e32 + "z"), e32 + "z");
  std::string top;
  for (int i = 0; i < 80; ++i) top += "\xF4\x8F\xBF\xBF";
  EXPECT_EQ(upper_bound_text(top), std::nullopt);
}

TEST(DeltaStats, OfAWrittenFile) {
  const TestFolder folder;
  CreateOptions options;
  options.schema = schema_of({{"l", "bigint"},
                              {"st", "struct<x:int,y:string>"},
                              {"d", "double"},
                              {"m", "decimal(10,2)"},
                              {"t", "timestamp"},
                              {"day", "date"},
                              {"b", "boolean"},
                              {"a", "array<int>"}});
  auto table = Table::create(folder.store(), "t", options);
  table.append({{1, Json::object({{"x", 5}, {"y", "q"}}), 1.5, "1.10", 1700000000123456, 0, true, Json::array({1})},
                {9, nullptr, "NaN", "-7.00", nullptr, 1, nullptr, nullptr}});
  EXPECT_EQ(
      table.snapshot().files.at(0).stats,
      R"({"numRecords":2,"minValues":{"l":1,"st":{"x":5,"y":"q"},"d":1.5,"m":-7.00,"t":"2023-11-14T22:13:20.123456Z","day":"1970-01-01"},)"
      R"("maxValues":{"l":9,"st":{"x":5,"y":"q"},"m":1.10,"t":"2023-11-14T22:13:20.123456Z","day":"1970-01-02"},)"
      R"("nullCount":{"l":0,"st":{"x":1,"y":1},"d":0,"m":0,"t":1,"day":0,"b":1,"a":1}})");
}

TEST(DeltaStats, OnlyTheFirstColumnsAreIndexed) {
  const TestFolder folder;
  CreateOptions options;
  Row row;
  for (int i = 0; i < 40; ++i) {
    options.schema.push_back(schema_of({{"c" + std::to_string(i), "int"}}).at(0));
    row.emplace_back(i);
  }
  auto table = Table::create(folder.store(), "t", options);
  table.append({row});
  const auto stats = Json::parse(table.snapshot().files.at(0).stats);
  EXPECT_EQ(stats["minValues"].size(), 32U);
  EXPECT_FALSE(stats["nullCount"].contains("c32"));
}

// --- the conflict matrix (Spark's ConflictChecker)

Transaction ours(bool reads, std::vector<std::string> removes = {}, bool metadata = false, bool serializable = false) {
  Transaction transaction;
  transaction.reads_table = reads;
  transaction.serializable = serializable;
  for (const auto& path : removes) {
    Remove remove;
    remove.path = path;
    transaction.removes.push_back(remove);
  }
  if (metadata) transaction.metadata.emplace();
  return transaction;
}

Actions theirs(bool blind, std::vector<std::string> adds, std::vector<std::string> removes = {},
               bool data_change = true) {
  Actions actions;
  actions.info = Json::object({{"isBlindAppend", blind}});
  for (const auto& path : adds) {
    Add add;
    add.file.path = path;
    add.data_change = data_change;
    actions.adds.push_back(add);
  }
  for (const auto& path : removes) {
    Remove remove;
    remove.path = path;
    remove.data_change = data_change;
    actions.removes.push_back(remove);
  }
  return actions;
}

TEST(DeltaConflict, Matrix) {
  auto settings = theirs(false, {});
  settings.metadata.emplace();
  auto protocol = theirs(false, {});
  protocol.protocol.emplace();
  const auto append = theirs(true, {"new"});
  const auto change = theirs(false, {"a2"}, {"a"});
  const auto compaction = theirs(false, {"ab"}, {"a", "b"}, false);
  const auto conflict = [](const Transaction& mine, const Actions& winner) {
    return find_conflict(mine, winner).has_value();
  };
  // blind append
  EXPECT_FALSE(conflict(ours(false), append));
  EXPECT_FALSE(conflict(ours(false), change));
  EXPECT_FALSE(conflict(ours(false), compaction));
  EXPECT_TRUE(conflict(ours(false), settings));
  EXPECT_TRUE(conflict(ours(false), protocol));
  // update, delete, merge
  EXPECT_FALSE(conflict(ours(true, {"a"}), append));
  EXPECT_TRUE(conflict(ours(true, {"a"}, false, true), append));
  EXPECT_TRUE(conflict(ours(true, {"a"}), change));
  EXPECT_TRUE(conflict(ours(true, {"c"}), change));  // its rows were read
  EXPECT_TRUE(conflict(ours(true, {"a"}), compaction));
  EXPECT_FALSE(conflict(ours(true, {"c"}), compaction));  // the same rows in other files
  EXPECT_TRUE(conflict(ours(true, {"a"}), settings));
  // metadata
  EXPECT_FALSE(conflict(ours(false, {}, true), append));
  EXPECT_TRUE(conflict(ours(false, {}, true), settings));
}

TEST(DeltaConflict, ADeleteThatLostItsFileSaysWhoWon) {
  const TestFolder folder;
  auto table = keep_drop(folder);
  // The other writer commits between our look at the table and our commit: the store lets it in.
  class Interrupting final : public storage::ObjectStore {
   public:
    explicit Interrupting(std::shared_ptr<storage::ObjectStore> inner) : inner_(std::move(inner)) {}
    std::function<void()> before_commit;
    void put(std::string_view key, std::string_view bytes) override { inner_->put(key, bytes); }
    bool put_if_absent(std::string_view key, std::string_view bytes) override {
      if (auto once = std::exchange(before_commit, nullptr)) once();
      return inner_->put_if_absent(key, bytes);
    }
    std::string get(std::string_view key) override { return inner_->get(key); }
    std::unique_ptr<storage::Upload> upload(std::string_view key) override { return inner_->upload(key); }
    std::string get_range(std::string_view key, std::uint64_t offset, std::uint64_t size) override {
      return inner_->get_range(key, offset, size);
    }
    std::optional<storage::ObjectInfo> head(std::string_view key) override { return inner_->head(key); }
    std::vector<storage::ObjectInfo> list(std::string_view prefix, std::string_view after) override {
      return inner_->list(prefix, after);
    }
    void remove(std::string_view key) override { inner_->remove(key); }
    std::string location(std::string_view key) const override { return inner_->location(key); }

   private:
    std::shared_ptr<storage::ObjectStore> inner_;
  };
  auto store = std::make_shared<Interrupting>(folder.store());
  auto mine = Table::open(store, "t");
  store->before_commit = [&] { table.delete_where("id = 1", {}); };
  try {
    mine.delete_where("id = 2", {});
    FAIL() << "both deleted from one file";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConflict);
    EXPECT_THAT(error.message(), HasSubstr("version 2"));
  }
  EXPECT_THAT(rows_of(table), ElementsAre("[2,null]", "[3,\"drop\"]"));
  // A blind append in between does not disturb; a keyed change is done anew.
  store->before_commit = [&] { table.append({{4, "four"}}); };
  EXPECT_EQ(mine.delete_where("id = 2", {}).deleted, 1);
  store->before_commit = [&] { table.upsert({"id", {{3, "theirs"}, {5, "theirs"}}, {}}); };
  const auto result = mine.upsert({"id", {{3, "mine"}, {5, "mine"}}, {}});
  EXPECT_EQ(result.updated, 2);
  EXPECT_THAT(rows_of(table), ElementsAre("[3,\"mine\"]", "[4,\"four\"]", "[5,\"mine\"]"));
  // An append that lost the race comes after.
  store->before_commit = [&] { table.append({{6, "first"}}); };
  const auto late = mine.append({{7, "second"}});
  EXPECT_EQ(late.version, table.snapshot().version);
  EXPECT_THAT(rows_of(table), SizeIs(5));
}

}  // namespace
}  // namespace lakeloop::delta
