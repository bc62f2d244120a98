#pragma once

// Runs the lanes of all indexes on a few threads: a poller that looks every limits::kIndexPollInterval, or at once when
// woken, which lane of which index is due, and a pool for each kind of lane, so that a slow embedding model delays no
// row. A lane that failed waits, longer each time, up to 30 s. Thread-safe.

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "search/index_sync.h"

namespace lakeloop::search {

class Scheduler {
 public:
  Scheduler();
  ~Scheduler();  // stops the lanes and waits for them

  // From now on its lanes run: rows on their own if `continuous`, else once and then on request.
  void add(std::shared_ptr<IndexSync> index, bool continuous);
  // Stops the lanes of the index and waits until none runs.
  void remove(const IndexSync& index);
  // Its rows are synced soon; once more if that is under way.
  void request(const IndexSync& index);
  // Looks at all lanes at once, and wakes those who wait.
  void wake();
  // Waits until `done`, which is tried after each change of any index; false when the deadline came first.
  bool wait(const Deadline& deadline, const std::function<bool()>& done);
  // Whether its rows are being synced, or about to be.
  [[nodiscard]] bool busy(const IndexSync& index) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::search
