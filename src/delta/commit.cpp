#include <algorithm>

#include "base/format.h"
#include "base/id.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "delta/checkpoint.h"
#include "delta/features.h"
#include "delta/table_impl.h"

namespace lakeloop::delta {
namespace {

Counter commits_total("lakeloop_delta_commits_total", "Commits written to Delta tables");
Counter races_total("lakeloop_delta_commit_races_total", "Commits that another writer was first with");

constexpr auto kListAgain = std::chrono::minutes(10);

}  // namespace

bool Settings::change_feed() const {
  return change_feed_enabled(protocol.min_writer, protocol.writer_features, metadata.configuration);
}

WriteShape Settings::write_shape() const {
  return {metadata.schema, metadata.partition_columns, metadata.configuration};
}

bool already_committed(const CommitOptions& options, const std::optional<std::int64_t>& app_version) {
  return !options.app_id.empty() && app_version && *app_version >= options.app_version;
}

Transaction begin(const Settings& settings, const CommitOptions& options, std::string_view operation) {
  Transaction transaction;
  transaction.read_version = settings.version;
  transaction.options = options;
  transaction.operation = options.operation == CommitOptions{}.operation ? std::string(operation) : options.operation;
  const auto level = settings.metadata.configuration.find("delta.isolationLevel");
  transaction.serializable = level != settings.metadata.configuration.end() && iequals(level->second, "Serializable");
  return transaction;
}

bool Table::Impl::advance_one() {
  const auto next = log.store().head(log.commit_key(state_.version + 1));
  if (!next) return false;
  auto actions = log.read_commit(state_.version + 1);
  state_.apply(state_.version + 1, *next, std::move(actions));
  snapshot_.reset();
  return true;
}

void Table::Impl::refresh() {
  // A log that was dropped and made anew, or cleaned up past our version, is read from the start. So is one that was
  // not looked at for long: its next commit may be gone already.
  bool known = state_.version >= 0 && Steady::now() - listed_ < kListAgain;
  if (known) {
    const auto now = log.store().head(log.commit_key(state_.version));
    known = now && now->size == state_.commit.size && now->modified == state_.commit.modified;
  }
  if (!known) {
    state_ = load_state(log);
    snapshot_.reset();
    listed_ = Steady::now();
    return;
  }
  while (advance_one()) {
  }
}

std::shared_ptr<const Snapshot> Table::Impl::snapshot() {
  const std::lock_guard lock(state_mutex_);
  refresh();
  if (!snapshot_) snapshot_ = std::make_shared<const Snapshot>(state_.snapshot());
  return snapshot_;
}

std::shared_ptr<const Snapshot> Table::Impl::snapshot_at(std::int64_t version) {
  {
    const std::lock_guard lock(state_mutex_);
    if (state_.version == version) {
      if (!snapshot_) snapshot_ = std::make_shared<const Snapshot>(state_.snapshot());
      return snapshot_;
    }
  }
  return std::make_shared<const Snapshot>(load_state(log, version).snapshot());
}

Settings Table::Impl::settings(const std::string& app_id) {
  const std::lock_guard lock(state_mutex_);
  refresh();
  Settings settings;
  settings.version = state_.version;
  settings.protocol = state_.protocol;
  settings.metadata = state_.metadata;
  settings.since = state_.settings_since;
  if (const auto txn = state_.txns.find(app_id); txn != state_.txns.end()) settings.app_version = txn->second.version;
  return settings;
}

bool Table::Impl::is_ours(std::int64_t version, std::string_view txn_id) const {
  return log.read_commit(version).info.str("txnId") == txn_id;
}

Table::Impl::Outcome Table::Impl::put_commit(std::int64_t version, std::string_view text, std::string_view txn_id) {
  const auto key = log.commit_key(version);
  try {
    if (log.store().put_if_absent(key, text)) return Outcome::kWon;
  } catch (const Error& error) {
    // The reply may be lost while the commit is there: only the log knows.
    log_warning("delta_commit_reply_lost", {{"table", log.prefix()}, {"version", version}, {"error", error.message()}});
    if (!log.store().head(key)) throw;
  }
  return is_ours(version, txn_id) ? Outcome::kWon : Outcome::kLost;
}

void Table::Impl::check_winners(const Transaction& transaction, std::int64_t seen, std::int64_t upto) const {
  for (auto version = seen + 1; version <= upto; ++version) {
    if (const auto why = find_conflict(transaction, log.read_commit(version))) {
      throw Error(ErrorCode::kConflict, "the change conflicts with version {} of the table '{}': {}", version,
                  log.prefix(), *why);
    }
  }
}

void Table::Impl::discard(const Transaction& transaction) noexcept {
  const auto remove = [&](const std::string& path) {
    try {
      log.store().remove(log.key(path));
    } catch (const std::exception& error) {
      log_warning("delta_file_left_behind", {{"table", log.prefix()}, {"path", path}, {"error", error.what()}});
    }
  };
  for (const auto& add : transaction.adds) remove(add.file.path);
  for (const auto& change : transaction.changes) remove(change.path);
}

std::int64_t Table::Impl::commit(Transaction transaction) {
  const auto version = commit_in_turn(transaction);
  if (version >= 0) checkpoint_if_due(version);
  return version;
}

std::int64_t Table::Impl::commit_in_turn(Transaction& transaction) {
  const std::lock_guard turn(commit_mutex_);
  const auto txn_id = new_uuid();
  auto checked = transaction.read_version;
  for (int attempt = 0; attempt < limits::kDeltaCommitAttempts; ++attempt) {
    try {
      const auto now = settings(transaction.options.app_id);
      if (already_committed(transaction.options, now.app_version)) {
        discard(transaction);
        return -1;
      }
      check_winners(transaction, checked, now.version);
      checked = now.version;
    } catch (const Error&) {
      discard(transaction);  // nothing of ours was put yet
      throw;
    }
    if (put_commit(checked + 1, commit_text(transaction, txn_id, Timestamp::now()), txn_id) == Outcome::kWon) {
      commits_total.add();
      return checked + 1;
    }
    races_total.add();
  }
  discard(transaction);
  throw Error(ErrorCode::kConflict, "the table '{}' is too busy: {} commits in a row were made by others", log.prefix(),
              limits::kDeltaCommitAttempts);
}

void Table::Impl::checkpoint_if_due(std::int64_t version) {
  try {
    const auto now = settings();
    const auto property = now.metadata.configuration.find("delta.checkpointInterval");
    auto interval = property == now.metadata.configuration.end()
                        ? std::int64_t{10}
                        : parse_number<std::int64_t>(property->second).value_or(10);
    if (interval < 1) interval = 10;
    if (version % interval == 0 && version > 0) checkpoint();
  } catch (const Error& error) {
    // The commit stands; the next checkpoint makes up for this one.
    log_warning("delta_checkpoint_failed", {{"table", log.prefix()}, {"version", version}, {"error", error.message()}});
  }
}

void Table::Impl::checkpoint() {
  TableState state;
  {
    const std::lock_guard lock(state_mutex_);
    refresh();
    state = state_;
  }
  write_checkpoint(log, state);
}

CommitResult Table::Impl::set_properties(const std::map<std::string, std::string>& properties,
                                         const CommitOptions& options) {
  for (const auto& [name, value] : properties) check_property(name, value);
  const auto now = settings(options.app_id);
  check_writable(now.protocol, now.metadata);
  if (already_committed(options, now.app_version)) return {now.version, false};
  auto metadata = now.metadata;
  for (const auto& [name, value] : properties) metadata.configuration[name] = value;
  if (metadata.configuration == now.metadata.configuration && options.app_id.empty()) return {now.version, false};
  auto transaction = begin(now, options, "SET TBLPROPERTIES");
  if (!transaction.options.parameters.contains("properties")) {
    auto object = Json::object();
    for (const auto& [name, value] : properties) object.set(name, value);
    transaction.options.parameters.set("properties", object.dump());
  }
  if (is_true(metadata.configuration, "delta.enableChangeDataFeed") && !now.change_feed()) {
    transaction.protocol = with_change_feed(now.protocol);
    if (transaction.protocol->min_writer == now.protocol.min_writer &&
        transaction.protocol->writer_features == now.protocol.writer_features) {
      transaction.protocol.reset();
    }
  }
  transaction.metadata = std::move(metadata);
  const auto version = commit(std::move(transaction));
  return version < 0 ? CommitResult{settings().version, false} : CommitResult{version, true};
}

}  // namespace lakeloop::delta
