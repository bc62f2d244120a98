#pragma once

// The files of a Delta log: commits, checkpoints, the hint _last_checkpoint. Reads and lists; knows nothing of their
// meaning for a table's state (state.h).

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "delta/actions.h"
#include "storage/object_store.h"

namespace lakeloop::delta {

struct Checkpoint {
  std::int64_t version = -1;
  std::vector<storage::ObjectInfo> parts;  // one file, or all parts of a multi-part checkpoint
};

struct LogListing {
  std::map<std::int64_t, storage::ObjectInfo> commits;
  std::vector<Checkpoint> checkpoints;  // complete ones only, oldest first
  [[nodiscard]] bool empty() const { return commits.empty() && checkpoints.empty(); }
};

class Log {
 public:
  Log(std::shared_ptr<storage::ObjectStore> store, std::string prefix);

  [[nodiscard]] storage::ObjectStore& store() const { return *store_; }
  [[nodiscard]] const std::string& prefix() const { return prefix_; }
  [[nodiscard]] std::string key(std::string_view path) const;  // of a file of the table
  [[nodiscard]] std::string commit_key(std::int64_t version) const;
  [[nodiscard]] std::string log_key(std::string_view name) const;  // of a file in _delta_log

  // Entries of version `from` and later.
  [[nodiscard]] LogListing list(std::int64_t from = 0) const;
  // The version that _last_checkpoint names; nullopt when it is absent or damaged: it is only a hint.
  [[nodiscard]] std::optional<std::int64_t> checkpoint_hint() const;
  [[nodiscard]] Actions read_commit(std::int64_t version) const;  // kNotFound when there is none
  [[nodiscard]] Actions read_checkpoint(const Checkpoint& checkpoint) const;

 private:
  void read_checkpoint_file(const std::string& key, Actions& into) const;

  std::shared_ptr<storage::ObjectStore> store_;
  std::string prefix_;
};

std::string version_text(std::int64_t version);  // 20 digits

}  // namespace lakeloop::delta
