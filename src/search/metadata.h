#pragma once

// What must outlive a restart about endpoints and indexes, in the metadata store. Names compare without case. The
// states of an index make creation and deletion, which also touch the catalog and a folder, resumable after a crash.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "db/database.h"
#include "search/vector_search.h"

namespace lakeloop::search {

struct EndpointRecord {
  std::string id, name, type, creator;
  Timestamp created;
};

enum class IndexPhase : std::uint8_t { kCreating, kActive, kDeleting };

struct IndexRecord {
  std::string id;
  IndexSpec spec;
  std::string endpoint_id;
  Principal creator;  // as they were when the index was made; sync reads the table with these rights
  Timestamp created;
  IndexPhase phase = IndexPhase::kCreating;
};

class Metadata {
 public:
  explicit Metadata(db::Database& database) : database_(database) {}

  void add_endpoint(const EndpointRecord& endpoint);  // kAlreadyExists; kResourceExhausted over the limit
  std::optional<EndpointRecord> find_endpoint(std::string_view name);
  std::vector<EndpointRecord> endpoints();
  void remove_endpoint(std::string_view id);  // kConflict while it has indexes

  void add_index(const IndexRecord& index);  // kAlreadyExists; kResourceExhausted over the limit
  std::vector<IndexRecord> indexes();
  std::size_t count_indexes(std::string_view endpoint_id);
  void set_phase(std::string_view id, IndexPhase phase);
  void remove_index(std::string_view id);

 private:
  db::Database& database_;
};

}  // namespace lakeloop::search
