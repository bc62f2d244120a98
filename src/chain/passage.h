#pragma once

// What the retriever found: chunks with their scores and where they come from.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "chain/config.h"
#include "search/vector_search.h"

namespace lakeloop::chain {

struct Passage {
  std::string chunk_id, text, source_path, title, section;
  std::int64_t start = 0, end = 0;  // code points of the page
  std::int64_t page_version = -1;   // Delta version of the pages table that the chunk was cut from
  double score = 0;
  std::optional<double> vector_score, text_score;
};

struct Retrieval {
  std::vector<Passage> passages;  // best first
  std::int64_t source_version = -1;
  std::int64_t manifest = 0;
  std::string query_type;  // as run
};

Retrieval retrieve(search::VectorSearch& search, const search::Principal& who, const ChainConfig& config,
                   std::string_view question, const Deadline& deadline);

// Documents as MLflow shows those of a RETRIEVER span: {page_content, metadata, id}.
Json to_documents(const Retrieval& retrieval);

}  // namespace lakeloop::chain
