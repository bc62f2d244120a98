#include "chain/passage.h"

namespace lakeloop::chain {

Retrieval retrieve(search::VectorSearch& search, const search::Principal& who, const ChainConfig& config,
                   std::string_view question, const Deadline& deadline) {
  search::SearchQuery query;
  query.text = question;
  query.type = config.query_type == "ANN"         ? search::QueryType::kAnn
               : config.query_type == "FULL_TEXT" ? search::QueryType::kFullText
                                                  : search::QueryType::kHybrid;
  query.num_results = config.num_results;
  query.columns = {"id", "text", "source_path", "title", "section", "start", "end", "page_version"};
  const search::SearchResult found = search.query(who, config.index, query, deadline);
  Retrieval retrieval{.passages = {},
                      .source_version = found.source_version,
                      .manifest = found.manifest,
                      .query_type = found.query_type};
  for (const search::Hit& hit : found.hits) {
    const auto text = [&](std::size_t i) { return hit.values.at(i).string_or(""); };
    const auto number = [&](std::size_t i) { return hit.values.at(i).int_or(-1); };
    retrieval.passages.push_back({.chunk_id = text(0),
                                  .text = text(1),
                                  .source_path = text(2),
                                  .title = text(3),
                                  .section = text(4),
                                  .start = number(5),
                                  .end = number(6),
                                  .page_version = number(7),
                                  .score = hit.score,
                                  .vector_score = hit.vector_score,
                                  .text_score = hit.text_score});
  }
  return retrieval;
}

Json to_documents(const Retrieval& retrieval) {
  Json documents = Json::array();
  for (const Passage& passage : retrieval.passages) {
    documents.push_back(Json::object({{"page_content", passage.text},
                                      {"metadata", Json::object({{"doc_uri", passage.source_path},
                                                                 {"chunk_id", passage.chunk_id},
                                                                 {"title", passage.title},
                                                                 {"section", passage.section},
                                                                 {"start", passage.start},
                                                                 {"end", passage.end},
                                                                 {"score", passage.score},
                                                                 {"vector_score", passage.vector_score},
                                                                 {"text_score", passage.text_score}})},
                                      {"id", passage.chunk_id}}));
  }
  return documents;
}

}  // namespace lakeloop::chain
