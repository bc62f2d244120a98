// The change data feed and the history, read from commits (PROTOCOL.md, "Change Data Files").

#include <algorithm>
#include <iterator>

#include "base/format.h"
#include "base/text.h"
#include "delta/deletion_vector.h"
#include "delta/features.h"
#include "delta/scan.h"
#include "delta/table_impl.h"

namespace lakeloop::delta {
namespace {

std::optional<ChangeType> change_type(std::string_view text) {
  if (text == "insert") return ChangeType::kInsert;
  if (text == "update_preimage" || text == "update_pre") return ChangeType::kUpdatePreimage;
  if (text == "update_postimage" || text == "update_post") return ChangeType::kUpdatePostimage;
  if (text == "delete") return ChangeType::kDelete;
  return std::nullopt;
}

// A MERGE that changed no row may still rewrite files: they are not changes.
bool changes_nothing(const Json& info) {
  if (info.str("operation") != "MERGE") return false;
  const auto& metrics = info["operationMetrics"];
  for (const auto* name : {"numTargetRowsInserted", "numTargetRowsUpdated", "numTargetRowsDeleted"}) {
    const auto& value = metrics[name];
    if (!(value.is_string() && value.as_string() == "0") && !(value.is_int() && value.as_int() == 0)) return false;
  }
  return true;
}

// Hands rows over in batches.
class Batches {
 public:
  Batches(std::size_t size, const std::function<void(std::vector<Change>)>& consumer)
      : size_(std::max<std::size_t>(size, 1)), consumer_(consumer) {}
  void add(Change change) {
    pending_.push_back(std::move(change));
    if (pending_.size() >= size_) flush();
  }
  void flush() {
    if (!pending_.empty()) consumer_(std::exchange(pending_, {}));
  }

 private:
  const std::size_t size_;
  const std::function<void(std::vector<Change>)>& consumer_;
  std::vector<Change> pending_;
};

struct Version {
  std::int64_t number;
  Timestamp timestamp;
};

class FeedReader {
 public:
  FeedReader(const Log& log, const Snapshot& target, Batches& batches)
      : log_(log), shape_(scan_shape(log, target)), batches_(batches) {}

  void read(const Actions& actions, Version version) {
    if (!actions.changes.empty()) {
      std::vector<FileRows> files;
      for (const auto& change : actions.changes) files.push_back({change.path, change.partition_values, {}, false});
      auto shape = shape_;
      shape.change_type = true;
      rows(shape, files, std::nullopt, version);
      return;
    }
    if (changes_nothing(actions.info)) return;
    std::vector<FileRows> deleted, inserted;
    for (const auto& remove : actions.removes) {
      if (!remove.data_change) continue;
      const auto again = std::ranges::find_if(
          actions.adds, [&](const Add& add) { return add.data_change && add.file.path == remove.path; });
      const auto before = read_deletion_vector(log_, remove.deletion_vector);
      if (again == actions.adds.end()) {
        deleted.push_back({remove.path, partition_of(remove), before, false});
        continue;
      }
      // The same file with another deletion vector: the difference of both is what changed.
      const auto after = read_deletion_vector(log_, again->file.deletion_vector);
      FileRows gone{remove.path, again->file.partition_values, {}, true};
      FileRows back{remove.path, again->file.partition_values, {}, true};
      std::ranges::set_difference(after, before, std::back_inserter(gone.rows));
      std::ranges::set_difference(before, after, std::back_inserter(back.rows));
      deleted.push_back(std::move(gone));
      inserted.push_back(std::move(back));
    }
    for (const auto& add : actions.adds) {
      const bool known =
          std::ranges::any_of(actions.removes, [&](const Remove& remove) { return remove.path == add.file.path; });
      if (add.data_change && !known) inserted.push_back(live_rows(log_, add.file));
    }
    rows(shape_, deleted, ChangeType::kDelete, version);
    rows(shape_, inserted, ChangeType::kInsert, version);
  }

 private:
  [[nodiscard]] PartitionValues partition_of(const Remove& remove) const {
    if (!remove.extended && !shape_.partition_columns.empty()) {
      throw Error(ErrorCode::kDataLoss, "the removal of '{}' does not say its partition: its rows cannot be read",
                  remove.path);
    }
    return remove.partition_values;
  }

  void rows(const ScanShape& shape, const std::vector<FileRows>& files, std::optional<ChangeType> type,
            Version version) {
    if (files.empty()) return;
    for (const auto& file : files) {
      if (!log_.store().head(log_.key(file.path))) {
        throw Error(ErrorCode::kNotFound, "the changes of version {} are gone: the file '{}' was vacuumed",
                    version.number, file.path);
      }
    }
    duck_.stream(select_files(shape, files), {}, {}, [&](Rows batch) {
      for (auto& row : batch.rows) {
        auto mine = type;
        if (!mine) {
          mine = change_type(row.back().string_or(""));
          if (!mine)
            throw Error(ErrorCode::kDataLoss, "version {}: a change has the unknown type '{}'", version.number,
                        row.back().string_or(""));
          row.pop_back();
        }
        batches_.add({*mine, version.number, version.timestamp, std::move(row)});
      }
      return true;
    });
  }

  const Log& log_;
  const ScanShape shape_;
  Batches& batches_;
  Duck duck_;
};

[[noreturn]] void feed_off(const Log& log, std::int64_t version) {
  throw Error(ErrorCode::kInvalidArgument,
              "the change data feed of the table '{}' was off at version {}: set delta.enableChangeDataFeed",
              log.prefix(), version);
}

Timestamp instant(const Actions& actions, Timestamp file_time) {
  const auto& own = actions.info["inCommitTimestamp"];
  return own.is_int() ? Timestamp::from_millis(own.as_int()) : file_time;
}

}  // namespace

void Table::Impl::changes(std::int64_t from, std::int64_t to, std::size_t batch,
                          const std::function<void(std::vector<Change>)>& on_batch) {
  if (from < 0 || to < from)
    throw Error(ErrorCode::kInvalidArgument, "the range of versions {} to {} is empty", from, to);
  const auto now = settings();
  if (to > now.version)
    throw Error(ErrorCode::kInvalidArgument, "the table '{}' has no version {} yet; the newest is {}", log.prefix(), to,
                now.version);
  const auto listing = log.list(from > 0 ? from - 1 : 0);
  const auto times = commit_times(listing);
  for (auto version = from; version <= to; ++version) {
    if (!listing.commits.contains(version)) {
      throw Error(ErrorCode::kNotFound, "version {} of the table '{}' is gone from the log: its changes cannot be read",
                  version, log.prefix());
    }
  }
  const auto target = snapshot_at(to);
  auto protocol = now.protocol;
  auto metadata = now.metadata;
  if (from < now.since) {
    // Settings changed since then: those of the first version count, changes on the way follow from its successors.
    const auto first = load_state(log, from);
    protocol = first.protocol;
    metadata = first.metadata;
  }
  const auto enabled = [&] {
    return change_feed_enabled(protocol.min_writer, protocol.writer_features, metadata.configuration);
  };
  if (!enabled()) feed_off(log, from);
  Batches batches(batch, on_batch);
  FeedReader reader(log, *target, batches);
  for (auto version = from; version <= to; ++version) {
    const auto actions = log.read_commit(version);
    if (actions.protocol) protocol = *actions.protocol;
    if (actions.metadata) metadata = *actions.metadata;
    if (!enabled()) feed_off(log, version);
    reader.read(actions, {version, instant(actions, times.at(version))});
  }
  batches.flush();
}

std::vector<HistoryEntry> Table::Impl::history(std::size_t limit) {
  std::vector<HistoryEntry> entries;
  const auto listing = log.list();
  if (listing.empty()) throw Error(ErrorCode::kNotFound, "'{}' is not a Delta table: it has no log", log.prefix());
  const auto times = commit_times(listing);
  for (auto at = listing.commits.rbegin(); at != listing.commits.rend() && entries.size() < limit; ++at) {
    const auto actions = log.read_commit(at->first);
    HistoryEntry entry;
    entry.version = at->first;
    entry.timestamp = instant(actions, times.at(at->first));
    entry.operation = actions.info.str("operation");
    entry.parameters = actions.info["operationParameters"];
    entry.metrics = actions.info["operationMetrics"];
    entry.user = actions.info.str("userName");
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace lakeloop::delta
