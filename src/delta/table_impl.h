#pragma once

// The inside of Table: the newest state, kept and advanced under one lock, and the commit loop.

#include <memory>
#include <mutex>

#include "delta/data_writer.h"
#include "delta/duck.h"
#include "delta/state.h"
#include "delta/transaction.h"

namespace lakeloop::delta {

// What a writer needs to know before it starts; cheap where a Snapshot copies every file.
struct Settings {
  std::int64_t version = -1;
  Protocol protocol;
  Metadata metadata;
  std::optional<std::int64_t> app_version;  // of the application asked for
  std::int64_t since = 0;                   // protocol and metadata are the same from this version on
  [[nodiscard]] bool change_feed() const;
  [[nodiscard]] WriteShape write_shape() const;
};

struct Table::Impl {
  explicit Impl(Log opened) : log(std::move(opened)) {}

  // Brings the state to the newest version: one look at the current and one at the next commit when nothing happened.
  std::shared_ptr<const Snapshot> snapshot();
  Settings settings(const std::string& app_id = {});
  // The new version, or -1 when the application's commit is in the table already. Otherwise throws. Data files of a
  // change that certainly did not happen are removed.
  std::int64_t commit(Transaction transaction);
  void checkpoint();

  CommitResult append(const std::vector<Row>& rows, const CommitOptions& options);
  CommitResult upsert(const Upsert& change, const CommitOptions& options);
  CommitResult delete_where(std::string_view condition, const std::vector<Json>& parameters,
                            const CommitOptions& options);
  CommitResult update_where(const std::map<std::string, std::string>& assignments, std::string_view condition,
                            const std::vector<Json>& parameters, const CommitOptions& options);
  CommitResult set_properties(const std::map<std::string, std::string>& properties, const CommitOptions& options);
  void changes(std::int64_t from, std::int64_t to, std::size_t batch,
               const std::function<void(std::vector<Change>)>& on_batch);
  std::vector<HistoryEntry> history(std::size_t limit);

  const Log log;

 private:
  void refresh();  // state_mutex_ is held
  bool advance_one();
  enum class Outcome : std::uint8_t { kWon, kLost };
  Outcome put_commit(std::int64_t version, std::string_view text, std::string_view txn_id);
  [[nodiscard]] bool is_ours(std::int64_t version, std::string_view txn_id) const;
  void check_winners(const Transaction& transaction, std::int64_t seen, std::int64_t upto) const;
  std::int64_t commit_in_turn(Transaction& transaction);
  void checkpoint_if_due(std::int64_t version);
  // The table at a version that settings() has just told.
  std::shared_ptr<const Snapshot> snapshot_at(std::int64_t version);
  CommitResult change_where(const std::map<std::string, std::string>& assignments, std::string_view condition,
                            const std::vector<Json>& parameters, const CommitOptions& options);
  CommitResult upsert_once(const Upsert& change, const CommitOptions& options);
  void discard(const Transaction& transaction) noexcept;

  std::mutex commit_mutex_;  // commits of this process take turns: they would only lose races to each other
  std::mutex state_mutex_;
  TableState state_;
  std::shared_ptr<const Snapshot> snapshot_;  // of state_, made when first asked for
  Steady::time_point listed_{};               // last full look at the log

 public:
  std::mutex write_mutex;  // changes that read the table take turns for the same reason; taken before commit_mutex_
};

// Whether this commit of the application is already in the table.
bool already_committed(const CommitOptions& options, const std::optional<std::int64_t>& app_version);
Transaction begin(const Settings& settings, const CommitOptions& options, std::string_view operation);

}  // namespace lakeloop::delta
