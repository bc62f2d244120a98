#include "search/scheduler.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>

#include "base/limits.h"
#include "base/log.h"
#include "base/thread_pool.h"

namespace lakeloop::search {

namespace {

constexpr std::size_t kRowThreads = 2, kVectorThreads = 2, kGraphThreads = 1;
constexpr auto kIdleLook = std::chrono::seconds(5);  // how often an idle vector lane asks whether the model changed
constexpr auto kFirstWait = std::chrono::milliseconds(250);
constexpr auto kLongestWait = std::chrono::seconds(30);
constexpr std::size_t kQueuedLanes = 16'384;

enum LaneKind : std::size_t { kRows, kVectors, kGraph, kLanes };

struct Lane {
  bool running = false;
  Steady::time_point due;   // not before
  Steady::duration wait{};  // after a failure; zero when the last round was good
};

struct Entry {
  std::shared_ptr<IndexSync> index;
  bool continuous = true;
  bool requested = true;  // rows: a round is owed
  bool removed = false;
  std::int64_t seen_manifest = -1;  // by the vector lane
  std::array<Lane, kLanes> lanes;
  std::stop_source stop;
};

}  // namespace

struct Scheduler::Impl {
  mutable std::mutex mutex;
  std::condition_variable look, changed;
  bool stopping = false, woken = false;
  std::list<std::shared_ptr<Entry>> entries;
  std::array<std::unique_ptr<ThreadPool>, kLanes> pools;
  std::thread poller;

  std::shared_ptr<Entry> find(const IndexSync& index) const {
    const auto found = std::ranges::find(entries, &index, [](const auto& entry) { return entry->index.get(); });
    return found == entries.end() ? nullptr : *found;
  }

  [[nodiscard]] static bool is_due(const Entry& entry, LaneKind kind, Steady::time_point now) {
    const Lane& lane = entry.lanes[kind];
    if (lane.running || entry.removed) return false;
    if (lane.wait.count() > 0 && now < lane.due) return false;
    switch (kind) {
      case kRows:
        return entry.requested || (entry.continuous && now >= lane.due);
      case kVectors: {
        const auto view = entry.index->index().view();
        return view->manifest.number > 0 && (view->manifest.number != entry.seen_manifest || now >= lane.due);
      }
      default:
        return now >= lane.due;
    }
  }

  void start(const std::shared_ptr<Entry>& entry, LaneKind kind) {
    entry->lanes[kind].running = true;
    if (kind == kRows) entry->requested = false;
    if (!pools[kind]->try_submit([this, entry, kind] { run(entry, kind); })) {
      entry->lanes[kind].running = false;
      if (kind == kRows) entry->requested = true;
    }
  }

  static bool round(Entry& entry, LaneKind kind) {
    const std::stop_token stop = entry.stop.get_token();
    if (stop.stop_requested()) return false;
    switch (kind) {
      case kRows:
        return entry.index->sync_rows(stop);
      case kVectors:
        return entry.index->fill_vectors(stop);
      default:
        return entry.index->build_graph(stop);
    }
  }

  void run(const std::shared_ptr<Entry>& entry, LaneKind kind) {
    bool worked = false, failed = false;
    const std::int64_t manifest = entry->index->index().view()->manifest.number;
    try {
      worked = round(*entry, kind);
    } catch (const std::exception& error) {
      failed = true;
      if (!entry->stop.stop_requested()) {
        log_warning("search_sync_failed", {{"index", entry->index->record().spec.name},
                                           {"lane", kind == kRows      ? "rows"
                                                    : kind == kVectors ? "vectors"
                                                                       : "graph"},
                                           {"error", error.what()}});
      }
    }
    const std::lock_guard lock(mutex);
    Lane& lane = entry->lanes[kind];
    const auto now = Steady::now();
    lane.running = false;
    if (failed) {
      lane.wait = lane.wait.count() == 0 ? Steady::duration(kFirstWait)
                                         : std::min<Steady::duration>(2 * lane.wait, kLongestWait);
      lane.due = now + lane.wait;
      if (kind == kRows && !entry->continuous) entry->requested = true;
    } else {
      lane.wait = {};
      lane.due = now;
      if (!worked)
        lane.due += kind == kRows ? Steady::duration(limits::kIndexPollInterval) : Steady::duration(kIdleLook);
      // Work may have left more work; only a round that found none says that this state is done.
      if (kind == kVectors) entry->seen_manifest = worked ? -1 : manifest;
    }
    woken = true;
    look.notify_one();
    changed.notify_all();
  }

  void poll() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      woken = false;
      const auto now = Steady::now();
      for (const auto& entry : entries) {
        for (const LaneKind kind : {kRows, kVectors, kGraph}) {
          if (is_due(*entry, kind, now)) start(entry, kind);
        }
      }
      look.wait_for(lock, limits::kIndexPollInterval, [this] { return stopping || woken; });
    }
  }
};

Scheduler::Scheduler() : impl_(std::make_unique<Impl>()) {
  impl_->pools[kRows] = std::make_unique<ThreadPool>("search-rows", kRowThreads, kQueuedLanes);
  impl_->pools[kVectors] = std::make_unique<ThreadPool>("search-vec", kVectorThreads, kQueuedLanes);
  impl_->pools[kGraph] = std::make_unique<ThreadPool>("search-graph", kGraphThreads, kQueuedLanes);
  impl_->poller = std::thread([this] { impl_->poll(); });
}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    for (const auto& entry : impl_->entries) {
      entry->removed = true;
      entry->stop.request_stop();
    }
    impl_->look.notify_all();
    impl_->changed.notify_all();
  }
  impl_->poller.join();
  for (auto& pool : impl_->pools) pool->stop();
}

void Scheduler::add(std::shared_ptr<IndexSync> index, bool continuous) {
  const std::lock_guard lock(impl_->mutex);
  auto entry = std::make_shared<Entry>();
  entry->index = std::move(index);
  entry->continuous = continuous;
  // A triggered index that holds data waits for its trigger.
  entry->requested =
      continuous || entry->index->index().view()->manifest.number == 0 || !entry->index->index().problem().empty();
  impl_->entries.push_back(std::move(entry));
  impl_->woken = true;
  impl_->look.notify_one();
}

void Scheduler::remove(const IndexSync& index) {
  std::unique_lock lock(impl_->mutex);
  const auto entry = impl_->find(index);
  if (!entry) return;
  entry->removed = true;
  entry->stop.request_stop();
  impl_->changed.wait(lock, [&] { return std::ranges::none_of(entry->lanes, &Lane::running); });
  std::erase(impl_->entries, entry);
}

void Scheduler::request(const IndexSync& index) {
  const std::lock_guard lock(impl_->mutex);
  if (const auto entry = impl_->find(index)) entry->requested = true;
  impl_->woken = true;
  impl_->look.notify_one();
}

void Scheduler::wake() {
  const std::lock_guard lock(impl_->mutex);
  impl_->woken = true;
  impl_->look.notify_one();
  impl_->changed.notify_all();
}

bool Scheduler::wait(const Deadline& deadline, const std::function<bool()>& done) {
  std::unique_lock lock(impl_->mutex);
  while (!impl_->stopping) {
    if (done()) return true;
    if (deadline.expired() || deadline.cancelled().stop_requested()) return false;
    // A cancelled wait is noticed within a poll.
    impl_->changed.wait_until(lock, std::min(deadline.at(), Steady::now() + limits::kIndexPollInterval));
  }
  return false;
}

bool Scheduler::busy(const IndexSync& index) const {
  const std::lock_guard lock(impl_->mutex);
  const auto entry = impl_->find(index);
  return entry && (entry->lanes[kRows].running || entry->requested);
}

}  // namespace lakeloop::search
