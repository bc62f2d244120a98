#pragma once

// Keeps one index in step with its Delta table, in three lanes that run beside each other: rows (text is searchable
// when the round ends), vectors with merges, graphs. Each lane is run by one thread at a time; lanes and readers are
// independent.

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "base/deadline.h"
#include "catalog/catalog.h"
#include "gateway/engine.h"
#include "search/index.h"
#include "search/metadata.h"

namespace lakeloop::search {

class IndexSync {
 public:
  IndexSync(IndexRecord record, catalog::Catalog& catalog, gateway::EngineDirectory& engines,
            const std::filesystem::path& folder, IndexOptions options);

  [[nodiscard]] const IndexRecord& record() const { return record_; }
  [[nodiscard]] Index& index() { return index_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] bool has_model() const { return !record_.spec.embedding_endpoint.empty(); }
  // Columns that queries may return and filter by, of the newest view.
  [[nodiscard]] delta::Schema returned_schema(const View& view) const;

  // One round of a lane. Rows and vectors return whether there was work; an error is kept for the status and thrown on.
  bool sync_rows(const std::stop_token& stop);
  bool fill_vectors(const std::stop_token& stop);
  bool build_graph(const std::stop_token& stop) { return index_.build_graph(stop); }

  struct State {
    std::int64_t seen_version = -1;  // newest version of the table that was seen
    std::string row_error, vector_error, note;
  };
  [[nodiscard]] State state() const;

  // The query's text as a unit vector of the serving model. kUnavailable while the endpoint's model is not the one that
  // made the vectors of the view.
  std::vector<float> embed_query(const View& view, const std::string& text, const Deadline& deadline);

 private:
  delta::Table open_table();
  [[nodiscard]] delta::Schema stored_schema(const delta::Schema& table) const;
  void rebuild(const delta::Table& table, const delta::Snapshot& snapshot, const std::string& reason);
  void follow(const delta::Table& table, const delta::Snapshot& snapshot, std::int64_t from,
              const std::stop_token& stop);
  bool embed_pending(const std::stop_token& stop);
  bool add_row(RowChanges& changes, const std::vector<std::size_t>& columns, std::size_t key, delta::Row& row) const;

  const IndexRecord record_;
  catalog::Catalog& catalog_;
  gateway::EngineDirectory& engines_;
  const std::filesystem::path folder_;
  Index index_;
  std::optional<delta::Table> table_;
  Steady::time_point table_checked_;
  mutable std::mutex mutex_;
  State state_;
};

}  // namespace lakeloop::search
