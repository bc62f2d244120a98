#include "search/index.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <random>
#include <thread>

#include "base/file.h"
#include "base/format.h"
#include "search/analyzer.h"
#include "search/distance.h"
#include "search/fixture_test.h"

namespace lakeloop::search {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string words(std::mt19937& random, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    // Zipf-like: small numbers are common words.
    const double u = std::uniform_real_distribution<double>(0, 1)(random);
    text += format("w{} ", static_cast<int>(std::pow(2000.0, u)));
  }
  return text;
}

std::vector<delta::Row> random_rows(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<delta::Row> rows;
  for (std::size_t i = 0; i < count; ++i) {
    rows.push_back(
        chunk_row(format("k{}", i), words(random, 20), i % 10 == 0 ? "tenth" : "common", static_cast<std::int64_t>(i)));
  }
  return rows;
}

std::vector<std::string> all_answers(const Index& index) {
  std::vector<std::string> result;
  const auto view = index.view();
  for (const std::string_view query : {"w1 w20 w300", "w7", "w1500 w2", "nothing of it"}) {
    for (const RankRequest& request : {text_request(query, 20), vector_request(query, 20), fused_request(query, 20)}) {
      for (const std::string& line : scored(rank(*view, request))) result.push_back(line);
      for (const std::string& line : scored(rank(*view, request, Json::object({{"tag", "tenth"}}))))
        result.push_back(line);
    }
  }
  return result;
}

class IndexTest : public testing::Test {
 protected:
  Index open(IndexOptions options = {}) { return Index(folder_.path(), chunk_layout(), options); }
  std::vector<std::string> files(std::string_view suffix) {
    std::vector<std::string> result;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      if (entry.path().filename().string().ends_with(suffix)) result.push_back(entry.path().string());
    }
    return result;
  }
  TemporaryFolder folder_;
};

TEST_F(IndexTest, TextIsSearchableBeforeVectors) {
  Index index = open();
  index.replace(upserts({chunk_row("a", "delta lake tables"), chunk_row("b", "vector search")}), {"t", 3});
  EXPECT_THAT(keys(rank(*index.view(), text_request("lakes"))), ElementsAre("a"));
  EXPECT_THAT(rank(*index.view(), vector_request("lakes")), IsEmpty());
  EXPECT_EQ(index.view()->pending_rows, 2U);
  EXPECT_EQ(embed_all(index, test_model()), 2U);
  EXPECT_EQ(index.view()->pending_rows, 0U);
  EXPECT_EQ(index.view()->rows_with_vectors, 2U);
  EXPECT_EQ(keys(rank(*index.view(), vector_request("vector search"))).front(), "b");
  const auto fused = rank(*index.view(), fused_request("vector search"));
  ASSERT_FALSE(fused.empty());
  EXPECT_NEAR(fused[0].score, 1.0, 1e-6);
  EXPECT_TRUE(fused[0].cosine && fused[0].bm25);
}

TEST_F(IndexTest, Bm25FollowsTheFormula) {
  Index index = open();
  index.replace(upserts({chunk_row("a", "cat cat dog"), chunk_row("b", "dog"), chunk_row("c", "bird bird bird bird")}),
                {"t", 0});
  const auto rows = rank(*index.view(), text_request("cat"));
  ASSERT_EQ(rows.size(), 1U);
  const double mean = 8.0 / 3, idf = std::log(1 + (3 - 1 + 0.5) / 1.5);
  EXPECT_NEAR(rows[0].score, idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 3 / mean)), 1e-5);
}

TEST_F(IndexTest, ChangesWithMergesEqualARebuild) {
  IndexOptions options;
  options.merge_at = 3;
  options.segment_rows = 200;
  options.graph_rows = 100'000;
  auto rows = random_rows(700, 1);
  Index index = open(options);
  index.replace(upserts({rows.begin(), rows.begin() + 300}), {"t", 1});
  embed_all(index, test_model());
  std::mt19937 random(2);
  std::map<std::string, delta::Row> expected;
  for (std::size_t i = 0; i < 300; ++i) expected[rows[i][0].as_string()] = rows[i];
  for (std::int64_t version = 2; version < 40; ++version) {
    RowChanges changes;
    changes.schema = chunk_schema();
    for (int i = 0; i < 15; ++i) {
      auto row = rows[random() % rows.size()];
      const std::string key = row[0].as_string();
      if (random() % 3 == 0) {
        changes.put(key, std::nullopt);
        expected.erase(key);
      } else {
        row[1] = words(random, 15);
        changes.put(key, row);
        expected[key] = row;
      }
    }
    index.apply(changes, {"t", version});
    if (version % 3 == 0) embed_all(index, test_model());
    while (version % 4 == 0 && index.merge_segments()) {
    }
  }
  embed_all(index, test_model());
  while (index.join_vectors()) {
  }
  EXPECT_LE(index.view()->segments.size(), 12U);

  TemporaryFolder other;
  Index rebuilt(other.path(), chunk_layout(), options);
  std::vector<delta::Row> live;
  for (const auto& [key, row] : expected) live.push_back(row);
  rebuilt.replace(upserts(live), {"t", 39});
  embed_all(rebuilt, test_model());
  EXPECT_EQ(index.view()->live_rows, expected.size());
  EXPECT_EQ(all_answers(index), all_answers(rebuilt));

  // A restart reads the same without a rebuild.
  const auto before = all_answers(index);
  Index reopened = open(options);
  EXPECT_EQ(reopened.problem(), "");
  EXPECT_EQ(reopened.view()->manifest.source_version, 39);
  EXPECT_EQ(all_answers(reopened), before);
}

TEST_F(IndexTest, DeletedAndAddedAgain) {
  Index index = open();
  index.replace(upserts({chunk_row("a", "first words"), chunk_row("b", "second")}), {"t", 1});
  embed_all(index, test_model());
  index.apply(deletes({"a", "unknown"}), {"t", 2});
  EXPECT_THAT(keys(rank(*index.view(), text_request("first"))), IsEmpty());
  EXPECT_THAT(keys(rank(*index.view(), vector_request("first words"))), ElementsAre("b"));
  index.apply(upserts({chunk_row("a", "first words")}), {"t", 3});
  EXPECT_EQ(index.view()->pending_rows, 0U);  // the vector of the deleted row was used again
  EXPECT_THAT(keys(rank(*index.view(), text_request("first"))), ElementsAre("a"));
  EXPECT_EQ(index.view()->live_rows, 2U);
  index.apply(deletes({"a", "b"}), {"t", 4});
  EXPECT_EQ(index.view()->live_rows, 0U);
  EXPECT_THAT(rank(*index.view(), fused_request("first")), IsEmpty());
}

TEST_F(IndexTest, UnchangedTextIsNeverEmbeddedAgain) {
  Index index = open();
  auto rows = random_rows(50, 3);
  index.replace(upserts(rows), {"t", 1});
  EXPECT_EQ(embed_all(index, test_model()), 50U);
  for (auto& row : rows) row[4] = 999;  // another column
  index.apply(upserts(rows), {"t", 2});
  EXPECT_EQ(embed_all(index, test_model()), 0U);
  rows[7][1] = "other text";
  index.replace(upserts(rows), {"t", 3});
  EXPECT_EQ(embed_all(index, test_model()), 1U);
  rows[8][2] = "a section";  // the context is part of what is embedded
  index.apply(upserts(rows), {"t", 4});
  EXPECT_EQ(index.pending(test_model(), 10).at(0).text, "a section\n" + rows[8][1].as_string());
}

TEST_F(IndexTest, LimitComesAfterTheFilter) {
  std::vector<delta::Row> rows;
  for (int i = 0; i < 1000; ++i)
    rows.push_back(chunk_row(format("k{:04}", i), "same words here", i == 777 ? "rare" : "common"));
  rows[777][1] = "same far";
  Index index = open();
  index.replace(upserts(rows), {"t", 1});
  embed_all(index, test_model());
  for (const RankRequest& request :
       {text_request("same words", 3), vector_request("same words", 3), fused_request("same words", 3)}) {
    EXPECT_THAT(keys(rank(*index.view(), request, Json::object({{"tag", "rare"}}))), ElementsAre("k0777"));
    EXPECT_EQ(rank(*index.view(), request, Json::object({{"n", 0}})).size(), 3U);
    EXPECT_THAT(rank(*index.view(), request, Json::object({{"tag", "none"}})), IsEmpty());
  }
}

TEST_F(IndexTest, VectorsWithoutDirectionAreRefusedByKey) {
  Index index = open();
  index.replace(upserts({chunk_row("good", "x"), chunk_row("zero", "y"), chunk_row("nan", "z"), chunk_row("tiny", "w"),
                         chunk_row("short", "v"), chunk_row("huge", "u"), chunk_row("blank", "  ")}),
                {"t", 1});
  const EmbeddingModel model = test_model(3);
  std::vector<VectorResult> results;
  for (PendingText& pending : index.pending(model, 100)) {
    std::vector<float> vector{0.9F, 0.1F, 0};
    if (pending.key == "zero") vector = {0, 0, 0};
    if (pending.key == "nan") vector = {NAN, 1, 0};
    if (pending.key == "tiny") vector = {1e-20F, 1e-20F, 1e-20F};
    if (pending.key == "short") vector = {1, 0};
    if (pending.key == "huge") vector = {INFINITY, 0, 0};
    results.push_back({std::move(pending), vector, {}});
  }
  EXPECT_EQ(results.size(), 6U);
  index.attach(model, std::move(results));
  EXPECT_EQ(index.view()->pending_rows, 0U);
  EXPECT_EQ(index.view()->manifest.refused_rows, 4);
  std::vector<std::string> refused;
  for (const RefusedRow& row : index.view()->manifest.refused) refused.push_back(row.key);
  EXPECT_THAT(refused, ElementsAre("zero", "nan", "short", "huge"));
  RankRequest request = text_request("x", 10);
  request.ranking = Ranking::kVectors;
  request.vector = {1, 0, 0};
  const auto found = rank(*index.view(), request);
  EXPECT_THAT(keys(found), ElementsAre("good", "tiny"));
  for (const RankedRow& row : found) EXPECT_TRUE(std::isfinite(row.score));
  EXPECT_EQ(index.view()->live_rows, 7U);
}

TEST_F(IndexTest, AnotherModelFillsInUnseenAndTakesOver) {
  Index index = open();
  index.replace(upserts(random_rows(20, 4)), {"t", 1});
  embed_all(index, test_model(32, "aa"));
  const EmbeddingModel second = test_model(16, "bb");
  auto pending = index.pending(second, 5);
  std::vector<VectorResult> results;
  for (auto& text : pending) {
    auto vector = bag_of_words(text.text, 16);
    results.push_back({std::move(text), std::move(vector), {}});
  }
  index.attach(second, std::move(results));
  EXPECT_EQ(index.view()->manifest.model->sha256, "aa");
  EXPECT_EQ(rank(*index.view(), vector_request("w1", 5)).size(), 5U);
  Index reopened = open();  // what was embedded is kept
  EXPECT_EQ(embed_all(reopened, second), 15U);
  EXPECT_EQ(reopened.view()->manifest.model->sha256, "bb");
  EXPECT_EQ(reopened.view()->rows_with_vectors, 20U);
  EXPECT_EQ(rank(*reopened.view(), vector_request("w1", 5, 16)).size(), 5U);
}

TEST_F(IndexTest, AnyDamagedFileIsFoundAndTheRebuildKeepsWholeVectors) {
  const auto rows = random_rows(30, 5);
  for (const std::string suffix : {".segment", ".vectors", ".tombstones", ".json"}) {
    TemporaryFolder folder;
    {
      Index index(folder.path(), chunk_layout());
      index.replace(upserts(rows), {"t", 1});
      embed_all(index, test_model());
      index.apply(upserts({chunk_row("new", "words w1")}), {"t", 2});
      index.apply(deletes({"k3"}), {"t", 3});
      embed_all(index, test_model());
    }
    std::vector<std::filesystem::path> victims;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      if (entry.path().string().ends_with(suffix)) victims.push_back(entry.path());
    }
    ASSERT_FALSE(victims.empty()) << suffix;
    for (const auto& victim : victims) {
      const std::string whole = read_file(victim);
      for (const std::size_t size : {std::size_t{0}, std::size_t{10}, whole.size() / 2, whole.size() - 1}) {
        std::ofstream(victim, std::ios::binary | std::ios::trunc) << whole.substr(0, size);
        Index index(folder.path(), chunk_layout());
        EXPECT_NE(index.problem(), "") << victim << " cut to " << size;
        EXPECT_EQ(index.view()->live_rows, 0U);
      }
      std::string flipped = whole;
      flipped[whole.size() / 3] ^= 1;
      std::ofstream(victim, std::ios::binary | std::ios::trunc) << flipped;
      {
        const Index index(folder.path(), chunk_layout());
        EXPECT_NE(index.problem(), "") << victim;
      }
      std::ofstream(victim, std::ios::binary | std::ios::trunc) << whole;
    }
    std::filesystem::resize_file(victims[0], 40);
    Index index(folder.path(), chunk_layout());
    index.replace(upserts(rows), {"t", 4});
    EXPECT_EQ(index.problem(), "");
    const std::size_t embedded = embed_all(index, test_model());
    if (suffix == ".tombstones") {
      EXPECT_EQ(embedded, 0U);
    }
    Index reopened(folder.path(), chunk_layout());
    EXPECT_EQ(reopened.problem(), "");
    EXPECT_EQ(reopened.view()->live_rows, 30U);
  }
}

TEST_F(IndexTest, FilesOfAnInterruptedWriteAreRemoved) {
  {
    Index index = open();
    index.replace(upserts(random_rows(5, 6)), {"t", 1});
  }
  const auto before = files("");
  write_file_atomic(folder_.path() / "000000000900.segment", "half");
  write_file_atomic(folder_.path() / "manifest-000000000000.json.tmp", "half");
  Index index = open();
  EXPECT_EQ(index.problem(), "");
  EXPECT_EQ(files(""), before);
}

TEST_F(IndexTest, OtherColumnsNeedARebuild) {
  {
    Index index = open();
    index.replace(upserts(random_rows(5, 7)), {"t", 1});
    embed_all(index, test_model());
  }
  Layout layout = chunk_layout();
  layout.text_columns = {"text", "tag"};
  Index index(folder_.path(), layout);
  EXPECT_THAT(index.problem(), HasSubstr("other columns"));
  index.replace(upserts(random_rows(5, 7)), {"t", 1});
  EXPECT_EQ(embed_all(index, test_model()), 0U);
  EXPECT_THAT(rank(*index.view(), text_request("tenth")), testing::SizeIs(1));
}

TEST_F(IndexTest, GraphAgreesWithTheExactScan) {
  IndexOptions options;
  options.graph_rows = 1000;
  Index index = open(options);
  std::mt19937 random(8);
  std::vector<delta::Row> rows;
  for (int i = 0; i < 22'000; ++i)
    rows.push_back(chunk_row(format("k{}", i), format("text{}", i), i % 2 == 0 ? "even" : "odd", i));
  index.replace(upserts(rows), {"t", 1});
  const EmbeddingModel model = test_model(16);
  std::normal_distribution<float> normal;
  while (true) {
    auto pending = index.pending(model, 30'000);
    if (pending.empty()) break;
    std::vector<VectorResult> results;
    for (auto& text : pending) {
      std::vector<float> vector(16);
      for (float& x : vector) x = normal(random);
      results.push_back({std::move(text), std::move(vector), {}});
    }
    index.attach(model, std::move(results));
  }
  ASSERT_TRUE(index.build_graph({}));
  EXPECT_FALSE(index.build_graph({}));
  index.apply(deletes({"k1", "k2", "k3"}), {"t", 2});
  Index reopened = open(options);
  ASSERT_TRUE(reopened.view()->segments[0].graph);
  std::size_t found = 0, wanted = 0;
  for (int q = 0; q < 20; ++q) {
    RankRequest request = vector_request("", 10, 16);
    for (float& x : request.vector) x = normal(random);
    ASSERT_TRUE(normalize(request.vector));
    const auto graph = keys(rank(*reopened.view(), request));
    request.exact = true;
    for (const std::string& key : keys(rank(*reopened.view(), request))) {
      ++wanted;
      found += std::ranges::contains(graph, key) ? 1 : 0;
    }
    request.exact = false;
    const auto filtered = keys(rank(*reopened.view(), request, Json::object({{"n <", 3}})));
    EXPECT_THAT(filtered, ElementsAre("k0"));
  }
  EXPECT_GE(static_cast<double>(found) / static_cast<double>(wanted), 0.95);
}

TEST_F(IndexTest, QueriesRunWhileRowsChange) {
  IndexOptions options;
  options.merge_at = 2;
  Index index = open(options);
  const auto rows = random_rows(200, 9);
  index.replace(upserts(rows), {"t", 0});
  embed_all(index, test_model());
  std::atomic<bool> stop{false};
  std::atomic<int> answers{0};
  std::vector<std::jthread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        const auto view = index.view();
        // Updates keep the number of rows: a reader never sees half of one.
        EXPECT_EQ(view->live_rows, 200U);
        EXPECT_LE(rank(*view, fused_request("w1 w5 w9", 10)).size(), 10U);
        ++answers;
      }
    });
  }
  std::jthread upkeep([&] {
    while (!stop) {
      embed_all(index, test_model());
      index.merge_segments();
      index.join_vectors();
    }
  });
  std::mt19937 random(10);
  for (int version = 1; version < 30 || answers < 20; ++version) {
    std::vector<delta::Row> changed;
    for (int i = 0; i < 20; ++i) {
      auto row = rows[random() % rows.size()];
      row[1] = words(random, 10);
      changed.push_back(row);
    }
    index.apply(upserts(changed), {"t", version});
  }
  stop = true;
  readers.clear();
  upkeep.join();
  embed_all(index, test_model());
  EXPECT_EQ(index.view()->rows_with_vectors, 200U);
}

TEST(Distance, KernelsAgree) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  for (std::size_t dimension = 1; dimension < 100; ++dimension) {
    std::vector<float> a(dimension), b(dimension);
    for (float& x : a) x = normal(random);
    for (float& x : b) x = normal(random);
    EXPECT_NEAR(dot_product()(a.data(), b.data(), dimension), dot_product_portable(a.data(), b.data(), dimension),
                1e-3);
  }
  std::vector<float> tiny{1e-20F, 0, 0}, zero{0, 0}, infinite{INFINITY, 0};
  EXPECT_TRUE(normalize(tiny));
  EXPECT_EQ(tiny[0], 1.0F);
  EXPECT_FALSE(normalize(zero));
  EXPECT_FALSE(normalize(infinite));
}

TEST(RowSet, RoundTripsAndRefusesWhatIsNoBitmap) {
  RowSet set(1000);
  for (std::uint32_t row = 0; row < 1000; row += 7) set.add(row);
  EXPECT_EQ(RowSet::parse(set.serialize(), 1000), set);
  EXPECT_THROW(RowSet::parse(set.serialize(), 100), Error);
  EXPECT_THROW(RowSet::parse("garbage", 1000), Error);
  EXPECT_EQ(RowSet(65, true).count(), 65U);
}

}  // namespace
}  // namespace lakeloop::search
