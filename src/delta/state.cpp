#include "delta/state.h"

#include <algorithm>

#include "base/log.h"
#include "delta/features.h"

namespace lakeloop::delta {
namespace {

Timestamp to_millis(Timestamp at) {
  return Timestamp::from_millis(at.millis());
}

void apply_files(TableState& state, Actions& actions) {
  // Within one commit a path may be removed with one deletion vector and added with another: their keys differ.
  for (auto& remove : actions.removes) {
    auto key = file_key(remove.path, remove.deletion_vector);
    state.files.erase(key);
    state.tombstones.insert_or_assign(std::move(key), std::move(remove));
  }
  for (auto& add : actions.adds) {
    auto key = file_key(add.file.path, add.file.deletion_vector);
    state.tombstones.erase(key);
    state.files.insert_or_assign(std::move(key), std::move(add));
  }
}

void apply_rest(TableState& state, Actions& actions) {
  for (auto& txn : actions.txns) {
    auto id = txn.app_id;
    state.txns.insert_or_assign(std::move(id), std::move(txn));
  }
  for (auto& [domain, body] : actions.domains) {
    if (body["removed"].bool_or(false)) {
      state.domains.erase(domain);
    } else {
      state.domains.insert_or_assign(domain, std::move(body));
    }
  }
}

void apply_settings(TableState& state, Actions& actions, std::int64_t version) {
  if (actions.protocol) {
    check_readable(*actions.protocol);
    state.protocol = std::move(*actions.protocol);
    state.settings_since = version;
  }
  if (actions.metadata) {
    state.metadata = std::move(*actions.metadata);
    state.settings_since = version;
  }
}

TableState from_checkpoint(const Log& log, const Checkpoint& checkpoint, const LogListing& listing) {
  auto actions = log.read_checkpoint(checkpoint);
  TableState state;
  apply_settings(state, actions, checkpoint.version);
  // A checkpoint is already reconciled: the order of its adds and removes says nothing.
  for (auto& remove : actions.removes) {
    auto key = file_key(remove.path, remove.deletion_vector);
    state.tombstones.insert_or_assign(std::move(key), std::move(remove));
  }
  for (auto& add : actions.adds) {
    auto key = file_key(add.file.path, add.file.deletion_vector);
    state.files.insert_or_assign(std::move(key), std::move(add));
  }
  apply_rest(state, actions);
  state.version = checkpoint.version;
  const auto commit = listing.commits.find(checkpoint.version);
  if (commit != listing.commits.end()) state.commit = commit->second;
  state.timestamp =
      to_millis(commit != listing.commits.end() ? commit->second.modified : checkpoint.parts.front().modified);
  return state;
}

// The newest readable checkpoint at or before `target`. A damaged one is passed over: the log before it may still be
// there.
std::optional<TableState> newest_checkpoint(const Log& log, const LogListing& listing,
                                            std::optional<std::int64_t> target, std::optional<Error>& damage) {
  for (auto at = listing.checkpoints.rbegin(); at != listing.checkpoints.rend(); ++at) {
    if (target && at->version > *target) continue;
    try {
      return from_checkpoint(log, *at, listing);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kDataLoss) throw;
      log_warning("delta_checkpoint_skipped",
                  {{"table", log.prefix()}, {"version", at->version}, {"error", error.message()}});
      if (!damage) damage = error;
    }
  }
  return std::nullopt;
}

}  // namespace

void TableState::apply(std::int64_t next, const storage::ObjectInfo& file, Actions actions) {
  apply_settings(*this, actions, next);
  auto at = to_millis(file.modified);
  if (in_commit_timestamps(metadata) && actions.info["inCommitTimestamp"].is_int()) {
    at = Timestamp::from_millis(actions.info["inCommitTimestamp"].as_int());
  } else if (version >= 0 && at <= timestamp) {
    at = Timestamp::from_millis(timestamp.millis() + 1);
  }
  timestamp = at;
  apply_files(*this, actions);
  apply_rest(*this, actions);
  version = next;
  commit = file;
}

Snapshot TableState::snapshot() const {
  Snapshot s;
  s.version = version;
  s.timestamp = timestamp;
  s.table_id = metadata.id;
  s.name = metadata.name;
  s.description = metadata.description;
  s.schema = metadata.schema;
  s.partition_columns = metadata.partition_columns;
  s.properties = metadata.configuration;
  s.min_reader = protocol.min_reader;
  s.min_writer = protocol.min_writer;
  s.reader_features = protocol.reader_features;
  s.writer_features = protocol.writer_features;
  s.files.reserve(files.size());
  for (const auto& [key, add] : files) s.files.push_back(add.file);
  for (const auto& [app, txn] : txns) s.transactions[app] = txn.version;
  return s;
}

bool Snapshot::change_feed_enabled() const {
  return delta::change_feed_enabled(min_writer, writer_features, properties);
}

TableState load_state(const Log& log, std::optional<std::int64_t> target) {
  LogListing listing;
  if (const auto hint = log.checkpoint_hint(); hint && (!target || *hint <= *target)) {
    listing = log.list(*hint);
    // A hint that leads nowhere is stale: look at everything.
    if (listing.checkpoints.empty() || listing.checkpoints.front().version != *hint) listing = {};
  }
  std::optional<Error> damage;
  std::optional<TableState> state;
  if (!listing.empty()) state = newest_checkpoint(log, listing, target, damage);
  if (!state) {
    listing = log.list();
    if (listing.empty()) throw Error(ErrorCode::kNotFound, "'{}' is not a Delta table: it has no log", log.prefix());
    state = newest_checkpoint(log, listing, target, damage);
  }
  const auto newest = std::max(listing.commits.empty() ? -1 : listing.commits.rbegin()->first,
                               listing.checkpoints.empty() ? -1 : listing.checkpoints.back().version);
  if (target && (*target > newest || *target < 0)) {
    throw Error(ErrorCode::kNotFound, "the table '{}' has no version {}; the newest is {}", log.prefix(), *target,
                newest);
  }
  const auto oldest = listing.commits.empty() ? newest : listing.commits.begin()->first;
  if (!state && oldest > 0) {
    if (damage) throw *damage;
    if (target) {
      throw Error(ErrorCode::kNotFound, "version {} of the table '{}' is gone: the log starts at version {}", *target,
                  log.prefix(), listing.checkpoints.empty() ? oldest : listing.checkpoints.front().version);
    }
    throw Error(ErrorCode::kDataLoss, "the Delta log of '{}' has no version 0 and no checkpoint", log.prefix());
  }
  if (!state) state.emplace();
  const auto last = target.value_or(newest);
  bool settings = state->version >= 0;
  bool protocol = settings;
  for (auto version = state->version + 1; version <= last; ++version) {
    const auto commit = listing.commits.find(version);
    if (commit == listing.commits.end()) {
      throw Error(ErrorCode::kDataLoss, "the Delta log of '{}' has a gap: version {} is missing, version {} is there",
                  log.prefix(), version, newest);
    }
    auto actions = log.read_commit(version);
    settings = settings || actions.metadata;
    protocol = protocol || actions.protocol;
    state->apply(version, commit->second, std::move(actions));
  }
  if (!settings || !protocol) {
    throw Error(ErrorCode::kDataLoss, "the Delta log of '{}' has no {}", log.prefix(),
                settings ? "protocol" : "metaData");
  }
  return std::move(*state);
}

std::map<std::int64_t, Timestamp> commit_times(const LogListing& listing) {
  std::map<std::int64_t, Timestamp> times;
  std::optional<Timestamp> before;
  for (const auto& [version, info] : listing.commits) {
    auto at = to_millis(info.modified);
    if (before && at <= *before) at = Timestamp::from_millis(before->millis() + 1);
    times[version] = at;
    before = at;
  }
  return times;
}

}  // namespace lakeloop::delta
