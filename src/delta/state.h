#pragma once

// What a log says about a table at one version: log replay (PROTOCOL.md, "Action Reconciliation").

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "delta/actions.h"
#include "delta/log.h"

namespace lakeloop::delta {

struct TableState {
  std::int64_t version = -1;
  Timestamp timestamp;         // of the commit, strictly rising with the version
  storage::ObjectInfo commit;  // its file, to notice a log that was replaced; empty when only a checkpoint is left
  Protocol protocol;
  Metadata metadata;
  std::int64_t settings_since = 0;           // protocol and metadata are known to be the same from this version on
  std::map<std::string, Add> files;          // by file_key
  std::map<std::string, Remove> tombstones;  // by file_key
  std::map<std::string, Txn> txns;           // by application
  std::map<std::string, Json> domains;       // live domainMetadata

  // The next version.
  void apply(std::int64_t next, const storage::ObjectInfo& file, Actions actions);
  [[nodiscard]] Snapshot snapshot() const;
};

// Reads the log up to `target` (the newest version when empty).
// kNotFound: no Delta table, or that version does not exist (any more). kDataLoss: the log has a gap.
TableState load_state(const Log& log, std::optional<std::int64_t> target = std::nullopt);

// The instant of each version still in the log, made strictly rising as Spark does: a copied folder has file times in
// any order.
std::map<std::int64_t, Timestamp> commit_times(const LogListing& listing);

}  // namespace lakeloop::delta
