#pragma once

// One attempt to change a table, and the rules by which it may still commit after others did (the conflict matrix of
// Spark's ConflictChecker).

#include <optional>
#include <string>
#include <vector>

#include "delta/actions.h"

namespace lakeloop::delta {

struct Transaction {
  std::int64_t read_version = -1;
  CommitOptions options;
  std::string operation;
  Json metrics = Json::object();
  std::vector<Add> adds;
  std::vector<Remove> removes;
  std::vector<ChangeFile> changes;
  std::optional<Protocol> protocol;
  std::optional<Metadata> metadata;
  bool reads_table = false;  // its result depends on rows of the table
  bool serializable =
      false;  // delta.isolationLevel; otherwise WriteSerializable: blind appends of others do not disturb
  [[nodiscard]] bool blind_append() const { return !reads_table && removes.empty() && !metadata && !protocol; }
  [[nodiscard]] bool empty() const {
    return adds.empty() && removes.empty() && changes.empty() && !protocol && !metadata && options.app_id.empty();
  }
};

// Why `ours` must not be committed after `winner`, which it has not seen; nullopt when the order of both does not
// matter.
std::optional<std::string> find_conflict(const Transaction& ours, const Actions& winner);

// The commit file: commitInfo first.
std::string commit_text(const Transaction& transaction, std::string_view txn_id, Timestamp now);

Remove remove_of(const AddFile& file, bool data_change, Timestamp now);

}  // namespace lakeloop::delta
