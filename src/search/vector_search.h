#pragma once

// Vector Search: endpoints and indexes that follow Delta tables (kind DELTA_SYNC; DIRECT_ACCESS comes later and is
// refused by name). An index is a set of immutable segments (vectors and BM25 postings side by side) under an atomic
// manifest that names table id, Delta version, embedding model and analyzer; a restart opens it without a rebuild, and
// deleting it loses nothing. Text is searchable as soon as its commit is seen; vectors fill in behind. Thread-safe.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "catalog/catalog.h"
#include "gateway/engine.h"

namespace lakeloop::search {

using catalog::Principal;

enum class QueryType : std::uint8_t { kAnn, kHybrid, kFullText };

struct IndexSpec {
  std::string name;  // full name; takes grants as a table does
  std::string endpoint_name;
  std::string primary_key;
  std::string source_table;
  std::string pipeline_type = "CONTINUOUS";  // or TRIGGERED
  std::string embedding_source_column;       // managed embeddings; empty: full text only
  std::string embedding_endpoint;            // serving endpoint of the embedding model; empty: full text only
  std::string context_column;                // put before the text when it is embedded (breadcrumbs); may be empty
  std::vector<std::string> columns_to_sync;  // empty: all
  std::vector<std::string> text_columns;     // searched by BM25; empty: all string columns but the key
};

struct IndexStatus {
  IndexSpec spec;
  std::string id, creator;
  Timestamp created;
  std::string
      detailed_state;   // "ONLINE_NO_PENDING_UPDATE", "ONLINE_CONTINUOUS_UPDATE", "PROVISIONING_INITIAL_SNAPSHOT", ...
  std::string message;  // also rows that were refused, by key and reason
  bool ready = false;
  std::int64_t indexed_rows = 0, rows_with_vectors = 0;
  std::int64_t source_version = -1;  // Delta version that queries see
  std::int64_t manifest = 0;         // number of the manifest in force
  std::string embedding_model, embedding_sha256;
};

struct SearchQuery {
  std::string text;
  std::vector<float> vector;
  QueryType type = QueryType::kAnn;
  std::int64_t num_results = 10;
  std::vector<std::string> columns;  // to return; empty: the key
  Json filters;                      // dict grammar of standard endpoints, or null
  std::string filter_string;         // SQL-like grammar, or empty
  double score_threshold = 0;
};

struct Hit {
  double score = 0;                    // what ranks
  std::optional<double> vector_score;  // cosine
  std::optional<double> text_score;    // BM25
  std::vector<Json> values;            // in the order of `columns`
};

struct SearchResult {
  delta::Schema columns;  // of the values
  std::vector<Hit> hits;  // best first
  std::int64_t source_version = -1, manifest = 0;
  std::string query_type;  // as run: a text-only index answers HYBRID by text and says so here
};

std::vector<db::Migration> migrations();

class VectorSearch {
 public:
  VectorSearch(db::Database& database, catalog::Catalog& catalog, gateway::EngineDirectory& engines,
               std::filesystem::path folder);
  ~VectorSearch();  // stops the sync threads

  // --- endpoints (names that group indexes, as clients expect)
  Json create_endpoint(const Principal& who, std::string_view name, std::string_view type);
  Json get_endpoint(const Principal& who, std::string_view name);
  std::vector<Json> list_endpoints(const Principal& who);
  void delete_endpoint(const Principal& who, std::string_view name);

  // --- indexes
  IndexStatus create_index(const Principal& who, const IndexSpec& spec);
  IndexStatus get_index(const Principal& who, std::string_view name);
  std::vector<IndexStatus> list_indexes(const Principal& who, std::string_view endpoint);
  void delete_index(const Principal& who, std::string_view name);
  // Queued and idempotent. With a deadline that has time left it waits until queries see the table's newest version.
  void sync(const Principal& who, std::string_view name);
  // True when queries see `source_version` or later (and, if `vectors`, every row has its vector) before the deadline.
  bool wait_for(const Principal& who, std::string_view name, std::int64_t source_version, bool vectors,
                const Deadline& deadline);
  // Needs SELECT on the index.
  SearchResult query(const Principal& who, std::string_view name, const SearchQuery& query, const Deadline& deadline);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::search
