#include "journal/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "journal/consumer_offsets.h"
#include "journal/segment.h"

namespace lakeloop::journal {
namespace {

constexpr std::size_t kReadChunk = 64 * 1024;

Counter records_total("lakeloop_journal_records_total", "Records appended to journals");
Counter syncs_total("lakeloop_journal_syncs_total", "Syncs of journals; several appends share one");

// Records that are written and synced together. Its first appender to find no sync running becomes the leader and does
// that for all; the others wait.
struct Batch {
  struct Entry {
    std::string_view bytes;  // of an appender, which waits until the batch is done
  };
  std::vector<Entry> entries;
  std::uint64_t bytes = 0;
  std::uint64_t first = 0;
  bool done = false;
  std::optional<Error> error;
};

class FileJournal final : public Journal {
 public:
  FileJournal(std::filesystem::path folder, JournalOptions options)
      : folder_(std::move(folder)), options_(options), lock_(take_lock(folder_)), offsets_(folder_ / "offsets") {
    std::map<std::uint64_t, std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      if (const auto first = Segment::first_of(entry.path())) files.emplace(*first, entry.path());
    }
    for (const auto& [first, path] : files) {
      const bool is_last = first == files.rbegin()->first;
      std::shared_ptr<Segment> segment = Segment::open(path, first, is_last);
      if (!segments_.empty() && segments_.back()->end() != first) {
        throw Error(ErrorCode::kDataLoss,
                    "the journal {} lacks the records from {} to {}: restore the file from a backup", folder_.string(),
                    segments_.back()->end(), first);
      }
      segments_.push_back(std::move(segment));
    }
    if (segments_.empty()) segments_.push_back(Segment::create(folder_, 0));
    check_offsets();
    end_ = segments_.back()->end();
    for (const auto& segment : segments_) last_micros_ = std::max(last_micros_, segment->last_micros());
    delete_passed();
  }

  std::uint64_t append(std::string_view bytes) override {
    if (bytes.size() > options_.record_limit) {
      throw Error(ErrorCode::kTooLarge, "a journal record has {} bytes, the limit is {}", bytes.size(),
                  options_.record_limit);
    }
    const std::uint64_t size = kRecordHeaderBytes + bytes.size();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      return closed_ || broken_ || open_batch_->bytes == 0 || open_batch_->bytes + size <= limits::kJournalBatchBytes;
    });
    check_open(size);
    const std::shared_ptr<Batch> batch = open_batch_;
    const std::size_t index = batch->entries.size();
    batch->entries.push_back({bytes});
    batch->bytes += size;
    while (!batch->done) {
      if (writing_) {
        changed_.wait(lock);
      } else {
        lead(lock);
      }
    }
    if (batch->error) throw Error(*batch->error);
    return batch->first + index;
  }

  std::vector<Record> read(std::uint64_t position, std::size_t max_records, std::size_t max_bytes) override {
    std::vector<Record> records;
    std::size_t bytes = 0;
    while (records.size() < max_records) {
      std::unique_lock lock(mutex_);
      if (position < segments_.front()->first()) {
        throw Error(ErrorCode::kNotFound, "the journal begins at record {}, record {} is no longer kept",
                    segments_.front()->first(), position);
      }
      if (position >= end_) break;
      const auto after =
          std::ranges::upper_bound(segments_, position, {}, [](const auto& one) { return one->first(); });
      const std::shared_ptr<Segment> segment = *std::prev(after);
      const Segment::Start start = segment->start_for(position);
      const std::uint64_t segment_end = segment->end();
      SegmentReader reader(*segment, start.offset, segment->size(), kReadChunk);
      lock.unlock();

      std::uint64_t at = start.position;
      for (; at < segment_end && records.size() < max_records; ++at) {
        if (reader.next() != SegmentReader::State::kRecord) {
          throw Error(ErrorCode::kDataLoss, "the journal file {} is damaged at byte {}: restore it from a backup",
                      segment->path().string(), reader.offset());
        }
        if (at < position) continue;
        if (!records.empty() && bytes + reader.bytes().size() > max_bytes) return records;
        bytes += reader.bytes().size();
        records.push_back({at, Timestamp{static_cast<std::int64_t>(reader.micros())}, std::string(reader.bytes())});
      }
      position = at;
    }
    return records;
  }

  bool wait(std::uint64_t position, std::chrono::milliseconds wait) override {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, wait, [&] { return end_ > position || closed_; });
    return end_ > position;
  }

  std::uint64_t end() const override {
    const std::lock_guard lock(mutex_);
    return end_;
  }

  void register_consumer(std::string_view name) override {
    const std::lock_guard offsets_lock(offsets_mutex_);
    if (offsets_.contains(name)) return;
    const std::lock_guard lock(mutex_);  // nothing may be deleted between the look and the entry
    offsets_.set(name, segments_.front()->first());
  }

  std::uint64_t offset(std::string_view consumer) override {
    const std::lock_guard lock(offsets_mutex_);
    return offsets_.get(consumer);
  }

  void commit_offset(std::string_view consumer, std::uint64_t position) override {
    const std::lock_guard lock(offsets_mutex_);
    const std::uint64_t before = offsets_.get(consumer);
    if (position == before) return;
    if (position < before || position > end()) {
      throw Error(ErrorCode::kInvalidArgument, "the consumer {} stands at {} of {}, it cannot commit {}", consumer,
                  before, end(), position);
    }
    offsets_.set(consumer, position);
    delete_passed();
  }

  void close() override {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
  }

 private:
  static FileHandle take_lock(const std::filesystem::path& folder) {
    std::filesystem::create_directories(folder);
    FileHandle lock = open_file(folder / "lock", O_RDWR | O_CREAT, 0600);
    if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
      throw Error(ErrorCode::kConflict, "the journal {} is in use by another process", folder.string());
    }
    return lock;
  }

  // A consumer that stands outside of what is kept means that files are gone.
  void check_offsets() const {
    const auto slowest = offsets_.slowest();
    const auto fastest = offsets_.fastest();
    if (slowest && slowest->position < segments_.front()->first()) {
      throw Error(ErrorCode::kDataLoss,
                  "the journal {} begins at record {}, but its consumer {} has read up to {} only: restore the older "
                  "files from a backup",
                  folder_.string(), segments_.front()->first(), slowest->consumer, slowest->position);
    }
    if (fastest && fastest->position > segments_.back()->end()) {
      throw Error(ErrorCode::kDataLoss,
                  "the journal {} ends at record {}, but its consumer {} has read up to {}: restore the newer files "
                  "from a backup",
                  folder_.string(), segments_.back()->end(), fastest->consumer, fastest->position);
    }
  }

  void check_open(std::uint64_t size) const {
    if (closed_) throw Error(ErrorCode::kUnavailable, "the journal is closed");
    if (broken_) throw Error(*broken_);
    std::uint64_t total = open_batch_->bytes + size;
    for (const auto& segment : segments_) total += segment->size();
    if (total > options_.size_limit) {
      throw Error(ErrorCode::kResourceExhausted,
                  "the journal has reached its limit of {} bytes; its consumers must catch up", options_.size_limit)
          .with_retry_after(std::chrono::seconds(5));
    }
  }

  // Writes and syncs the open batch while the lock is free; the next batch fills meanwhile.
  void lead(std::unique_lock<std::mutex>& lock) {
    writing_ = true;
    const std::shared_ptr<Batch> batch = std::exchange(open_batch_, std::make_shared<Batch>());
    batch->first = end_;
    // Later than every batch before: that is how a torn tail is told from damage.
    last_micros_ = std::max(static_cast<std::uint64_t>(Timestamp::now().micros), last_micros_ + 1);
    const std::uint64_t micros = last_micros_;
    std::shared_ptr<Segment> segment = segments_.back();
    lock.unlock();
    changed_.notify_all();  // there is room again

    std::string encoded;
    bool usable = true;
    try {
      if (segment->end() > segment->first() && segment->size() + batch->bytes > options_.segment_bytes) {
        segment = Segment::create(folder_, batch->first);
      }
      encoded.reserve(batch->bytes);
      for (const Batch::Entry& entry : batch->entries) segment->encode(entry.bytes, micros, encoded);
      segment->write(encoded, usable);
    } catch (const Error& error) {
      batch->error = error;
    } catch (const std::bad_alloc&) {
      batch->error =
          Error(ErrorCode::kResourceExhausted, "not enough memory for a journal batch of {} bytes", batch->bytes);
    }

    lock.lock();
    if (segment != segments_.back()) segments_.push_back(segment);  // also without records: its file is there
    if (!batch->error) {
      segment->add(encoded);
      end_ = segment->end();
      syncs_total.add();
      records_total.add(static_cast<double>(batch->entries.size()));
    } else {
      log_error("journal.append_failed", {{"reason", batch->error->message()}, {"usable", usable}});
      if (!usable) {
        broken_ = Error(ErrorCode::kUnavailable,
                        "the journal stopped after a failed write; restart the server when the disk is sound");
      }
    }
    batch->done = true;
    writing_ = false;
    changed_.notify_all();
  }

  // Oldest first, each unlinked durably before the next: a gap would look like loss at the next start. The offsets that
  // allow it are durable already.
  void delete_passed() {
    const auto slowest = offsets_.slowest();
    if (!slowest) return;  // without consumers everything waits for one
    for (;;) {
      std::filesystem::path path;
      {
        const std::lock_guard lock(mutex_);
        if (segments_.size() < 2 || segments_.front()->end() > slowest->position) return;
        path = segments_.front()->path();
        segments_.erase(segments_.begin());  // a reader keeps its segment open
      }
      if (unlink(path.c_str()) != 0 && errno != ENOENT) {
        log_warning("journal.delete_failed", {{"file", path.string()}});
        return;
      }
      sync_folder(folder_);
    }
  }

  const std::filesystem::path folder_;
  const JournalOptions options_;
  const FileHandle lock_;

  std::mutex offsets_mutex_;  // taken before mutex_
  ConsumerOffsets offsets_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Segment>> segments_;  // oldest first, never empty
  std::shared_ptr<Batch> open_batch_ = std::make_shared<Batch>();
  std::uint64_t end_ = 0;
  std::uint64_t last_micros_ = 0;
  bool writing_ = false;
  bool closed_ = false;
  std::optional<Error> broken_;
};

}  // namespace

std::unique_ptr<Journal> Journal::open(const std::filesystem::path& folder, JournalOptions options) {
  return std::make_unique<FileJournal>(folder, options);
}

}  // namespace lakeloop::journal
