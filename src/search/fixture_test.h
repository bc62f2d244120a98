#pragma once

// For the tests of this module: folders that vanish, chunk rows, a deterministic embedding, and the oracle of every
// ranking.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "search/index.h"
#include "search/ranking.h"

namespace lakeloop::search {

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// id STRING, text STRING, section STRING, tag STRING, n LONG, price DOUBLE, ok BOOLEAN, day DATE, tags ARRAY<STRING>
delta::Schema chunk_schema();
Layout chunk_layout();  // text is searched and embedded, section is its context
delta::Row chunk_row(std::string id, std::string text, std::string tag = "common", std::int64_t n = 0);

// Words of a text hashed into `dimension` places: texts that share words are near. Not of unit length.
std::vector<float> bag_of_words(std::string_view text, std::size_t dimension);
EmbeddingModel test_model(std::int64_t dimension = 32, std::string sha256 = "aa");
// Embeds what is pending; returns how many texts.
std::size_t embed_all(Index& index, const EmbeddingModel& model);

RowChanges upserts(const std::vector<delta::Row>& rows);
RowChanges deletes(const std::vector<std::string>& keys);
std::vector<std::string> keys(const std::vector<RankedRow>& rows);
// Key and score of each, as text: what must be equal between an index and its rebuild.
std::vector<std::string> scored(const std::vector<RankedRow>& rows);

RankRequest text_request(std::string_view text, std::size_t count = 10);
RankRequest vector_request(std::string_view text, std::size_t count = 10, std::size_t dimension = 32);
RankRequest fused_request(std::string_view text, std::size_t count = 10, std::size_t dimension = 32);
std::vector<RankedRow> rank(const View& view, const RankRequest& request, const Json& filters = {});

}  // namespace lakeloop::search
