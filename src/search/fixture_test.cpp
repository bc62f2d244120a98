#include "search/fixture_test.h"

#include "base/format.h"
#include "base/id.h"
#include "search/analyzer.h"
#include "search/distance.h"

namespace lakeloop::search {

TemporaryFolder::TemporaryFolder()
    : path_(std::filesystem::temp_directory_path() / ("lakeloop-search-" + random_hex(8))) {
  std::filesystem::create_directories(path_);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

delta::Schema chunk_schema() {
  using delta::TypeKind;
  delta::Schema schema;
  const auto add = [&](std::string name, delta::DataType type) {
    delta::Field field;
    field.name = std::move(name);
    field.type = std::move(type);
    schema.push_back(std::move(field));
  };
  add("id", TypeKind::kString);
  add("text", TypeKind::kString);
  add("section", TypeKind::kString);
  add("tag", TypeKind::kString);
  add("n", TypeKind::kLong);
  add("price", TypeKind::kDouble);
  add("ok", TypeKind::kBoolean);
  add("day", TypeKind::kDate);
  add("tags", delta::DataType::array(TypeKind::kString));
  return schema;
}

Layout chunk_layout() {
  return {"id", {"text"}, "text", "section"};
}

delta::Row chunk_row(std::string id, std::string text, std::string tag, std::int64_t n) {
  return {Json(std::move(id)),
          Json(std::move(text)),
          {},
          Json(std::move(tag)),
          n,
          static_cast<double>(n) / 2,
          n % 2 == 0,
          n,
          Json::array({"x"})};
}

std::vector<float> bag_of_words(std::string_view text, std::size_t dimension) {
  std::vector<float> vector(dimension, 0.0F);
  thread_analyzer().analyze(text, [&](std::string_view term) {
    const std::size_t hash = content_hash(term)[0];
    vector[hash % dimension] += (hash >> 40) % 2 == 0 ? 1.0F : -1.0F;
    vector[(hash >> 20) % dimension] += 0.5F;
  });
  return vector;
}

EmbeddingModel test_model(std::int64_t dimension, std::string sha256) {
  return {"bag-of-words", std::move(sha256), dimension};
}

std::size_t embed_all(Index& index, const EmbeddingModel& model) {
  std::size_t total = 0;
  for (auto pending = index.pending(model, 500); !pending.empty(); pending = index.pending(model, 500)) {
    std::vector<VectorResult> results;
    for (PendingText& text : pending) {
      auto vector = bag_of_words(text.text, static_cast<std::size_t>(model.dimension));
      results.push_back({std::move(text), std::move(vector), {}});
    }
    total += results.size();
    index.attach(model, std::move(results));
  }
  index.attach(model, {});
  return total;
}

RowChanges upserts(const std::vector<delta::Row>& rows) {
  RowChanges changes;
  changes.schema = chunk_schema();
  for (const delta::Row& row : rows) changes.put(row[0].as_string(), row);
  return changes;
}

RowChanges deletes(const std::vector<std::string>& keys) {
  RowChanges changes;
  changes.schema = chunk_schema();
  for (const std::string& key : keys) changes.put(key, std::nullopt);
  return changes;
}

std::vector<std::string> keys(const std::vector<RankedRow>& rows) {
  std::vector<std::string> result;
  for (const RankedRow& row : rows) result.push_back(row.segment->segment->key(row.row));
  return result;
}

std::vector<std::string> scored(const std::vector<RankedRow>& rows) {
  std::vector<std::string> result;
  for (const RankedRow& row : rows) {
    result.push_back(row.segment->segment->key(row.row) + " " + format("{:.5f}", row.score));
  }
  return result;
}

RankRequest text_request(std::string_view text, std::size_t count) {
  RankRequest request;
  request.ranking = Ranking::kText;
  request.text = text;
  request.count = count;
  return request;
}

RankRequest vector_request(std::string_view text, std::size_t count, std::size_t dimension) {
  RankRequest request;
  request.ranking = Ranking::kVectors;
  request.vector = bag_of_words(text, dimension);
  static_cast<void>(normalize(request.vector));
  request.count = count;
  return request;
}

RankRequest fused_request(std::string_view text, std::size_t count, std::size_t dimension) {
  RankRequest request = vector_request(text, count, dimension);
  request.ranking = Ranking::kFused;
  request.text = text;
  return request;
}

std::vector<RankedRow> rank(const View& view, const RankRequest& request, const Json& filters) {
  return rank(view, request, Filter(compile_filters(filters, chunk_schema()), chunk_schema()), Deadline());
}

}  // namespace lakeloop::search
