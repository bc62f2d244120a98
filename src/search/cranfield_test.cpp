// Retrieval quality on Cranfield (1,400 abstracts, 225 queries, binary relevance). Reference: BM25 1.2/.75 with Porter
// stems and Lucene's stop list gives nDCG@10 .3750; ours differs in word breaking and in the stemmer (Porter2).

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "search/fixture_test.h"

namespace lakeloop::search {
namespace {

std::string_view between(std::string_view text, std::string_view open, std::string_view close) {
  const std::size_t begin = text.find(open);
  if (begin == std::string_view::npos) return {};
  const std::size_t end = text.find(close, begin);
  return text.substr(begin + open.size(), end - begin - open.size());
}

std::vector<std::string_view> blocks(std::string_view text, std::string_view open, std::string_view close) {
  std::vector<std::string_view> result;
  for (std::size_t at = text.find(open); at != std::string_view::npos; at = text.find(open, at + 1)) {
    result.push_back(text.substr(at, text.find(close, at) - at + close.size()));
  }
  return result;
}

TEST(Cranfield, Bm25MatchesTheReference) {
  const char* data = std::getenv("LAKELOOP_TEST_DATA");
  const std::filesystem::path folder = std::filesystem::path(data == nullptr ? "" : data) / "cranfield";
  if (data == nullptr || !std::filesystem::exists(folder)) GTEST_SKIP() << "LAKELOOP_TEST_DATA holds no cranfield";
  const std::string documents = read_file(folder / "cran.all.1400.xml");
  const std::string topics = read_file(folder / "cran.qry.xml");
  const std::string judgements = read_file(folder / "cranqrel.trec.txt");

  std::vector<delta::Row> rows;
  for (const std::string_view block : blocks(documents, "<doc>", "</doc>")) {
    rows.push_back(chunk_row(
        std::string(trim(between(block, "<docno>", "</docno>"))),
        std::string(between(block, "<title>", "</title>")) + "\n" + std::string(between(block, "<text>", "</text>"))));
  }
  ASSERT_EQ(rows.size(), 1400U);
  std::map<int, std::set<std::string>> relevant;  // by ordinal of the topic
  for (const std::string_view line : split(judgements, '\n')) {
    std::vector<std::string_view> parts;
    for (const std::string_view part : split(line, ' ')) {
      if (!trim(part).empty()) parts.push_back(trim(part));
    }
    if (parts.size() == 4 && parse_number<int>(parts[3]).value_or(0) > 0) {
      relevant[*parse_number<int>(parts[0])].insert(std::string(parts[2]));
    }
  }

  TemporaryFolder index_folder;
  Index index(index_folder.path(), chunk_layout());
  index.replace(upserts(rows), {"cranfield", 0});
  double total = 0;
  int queries = 0;
  for (const std::string_view topic : blocks(topics, "<top>", "</top>")) {
    ++queries;
    const auto& good = relevant[queries];
    const std::string query(between(topic, "<title>", "</title>"));
    double gain = 0, ideal = 0;
    const auto found = keys(rank(*index.view(), text_request(query, 10)));
    for (std::size_t i = 0; i < found.size(); ++i)
      gain += good.contains(found[i]) ? 1 / std::log2(static_cast<double>(i) + 2) : 0;
    for (std::size_t i = 0; i < std::min<std::size_t>(10, good.size()); ++i)
      ideal += 1 / std::log2(static_cast<double>(i) + 2);
    total += ideal > 0 ? gain / ideal : 0;
  }
  EXPECT_EQ(queries, 225);
  const double ndcg = total / queries;
  RecordProperty("ndcg_at_10", std::to_string(ndcg));
  std::printf("[          ] Cranfield BM25 nDCG@10 = %.4f (reference .3750)\n", ndcg);
  EXPECT_GT(ndcg, 0.36);
  EXPECT_LT(ndcg, 0.40);
}

}  // namespace
}  // namespace lakeloop::search
