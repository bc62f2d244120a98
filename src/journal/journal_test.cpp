#include "journal/journal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/id.h"

namespace lakeloop::journal {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class JournalTest : public testing::Test {
 protected:
  JournalTest() : top_(fs::temp_directory_path() / ("journal-" + random_hex(8))), folder_(top_ / "j") { open(); }
  ~JournalTest() override {
    journal_.reset();
    fs::remove_all(top_);
  }
  void open(JournalOptions options = {}) {
    journal_.reset();
    journal_ = Journal::open(folder_, options);
  }
  std::vector<std::string> all(std::uint64_t from = 0) {
    std::vector<std::string> texts;
    for (const Record& record : journal_->read(from, SIZE_MAX, SIZE_MAX)) {
      EXPECT_EQ(record.position, from + texts.size());
      texts.push_back(record.bytes);
    }
    return texts;
  }
  std::vector<fs::path> segments() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      if (entry.path().extension() == ".log") files.push_back(entry.path());
    }
    std::ranges::sort(files);
    return files;
  }

  const fs::path top_;
  const fs::path folder_;
  std::unique_ptr<Journal> journal_;
};

Error error_of(auto&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return Error(ErrorCode::kInternal, "none");
}

TEST_F(JournalTest, KeepsRecordsInOrder) {
  EXPECT_EQ(journal_->end(), 0u);
  EXPECT_THAT(all(), ElementsAre());
  EXPECT_EQ(journal_->append("zero"), 0u);
  EXPECT_EQ(journal_->append(""), 1u);
  EXPECT_EQ(journal_->append(std::string("\0\n\xff", 3)), 2u);
  EXPECT_EQ(journal_->append(std::string(300'000, 'x')), 3u);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(journal_->end(), 4u);
    EXPECT_THAT(all(), ElementsAre("zero", "", std::string("\0\n\xff", 3), std::string(300'000, 'x')));
    EXPECT_THAT(all(3), testing::SizeIs(1));
    EXPECT_THAT(all(4), ElementsAre());
    EXPECT_THAT(all(400), ElementsAre());
    open();
  }
  EXPECT_EQ(journal_->append("more"), 4u);
  const std::vector<Record> records = journal_->read(0, 10, SIZE_MAX);
  for (std::size_t i = 1; i < records.size(); ++i) EXPECT_GT(records[i].appended, records[i - 1].appended);
}

TEST_F(JournalTest, ReadsWithinLimits) {
  for (int i = 0; i < 10; ++i) journal_->append(std::string(100, static_cast<char>('a' + i)));
  EXPECT_EQ(journal_->read(0, 3, SIZE_MAX).size(), 3u);
  EXPECT_EQ(journal_->read(0, 100, 250).size(), 2u);
  EXPECT_EQ(journal_->read(0, 100, 1).size(), 1u);  // at least one
  EXPECT_EQ(journal_->read(0, 0, 100).size(), 0u);
  EXPECT_EQ(journal_->read(9, 100, 1000).front().bytes[0], 'j');
}

TEST_F(JournalTest, EveryPositionIsFoundInEverySegment) {
  open({.segment_bytes = 20'000});
  std::vector<std::string> expected;
  for (int i = 0; i < 400; ++i) {
    expected.push_back(std::to_string(i) + std::string(static_cast<std::size_t>(i % 7) * 100, '.'));
    EXPECT_EQ(journal_->append(expected.back()), static_cast<std::uint64_t>(i));
  }
  EXPECT_GT(segments().size(), 3u);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(all(), expected);
    for (std::uint64_t i = 0; i < 400; ++i) {
      const std::vector<Record> one = journal_->read(i, 1, SIZE_MAX);
      ASSERT_EQ(one.size(), 1u);
      EXPECT_EQ(one[0].position, i);
      EXPECT_EQ(one[0].bytes, expected[i]);
    }
    open({.segment_bytes = 20'000});
  }
}

TEST_F(JournalTest, HasLimits) {
  open({.segment_bytes = 10'000, .record_limit = 1000, .size_limit = 20'000});
  EXPECT_EQ(error_of([&] { journal_->append(std::string(1001, 'x')); }).code(), ErrorCode::kTooLarge);
  journal_->register_consumer("slow");
  std::uint64_t appended = 0;
  const Error full = error_of([&] {
    for (;; ++appended) journal_->append(std::string(900, 'x'));
  });
  EXPECT_EQ(full.code(), ErrorCode::kResourceExhausted);
  EXPECT_TRUE(full.retry_after());
  EXPECT_EQ(journal_->end(), appended);
  journal_->commit_offset("slow", appended);
  EXPECT_EQ(journal_->append("again"), appended);  // room after the consumer caught up
}

TEST_F(JournalTest, ConsumersFreeSegments) {
  open({.segment_bytes = 1000});
  for (int i = 0; i < 100; ++i) journal_->append(std::string(100, 'x'));
  const std::size_t before = segments().size();
  ASSERT_GT(before, 8u);
  journal_->register_consumer("a");
  journal_->register_consumer("b");
  EXPECT_EQ(journal_->offset("a"), 0u);
  journal_->commit_offset("a", 100);
  EXPECT_EQ(segments().size(), before);  // b has not read them
  journal_->commit_offset("b", 50);
  EXPECT_LT(segments().size(), before);
  EXPECT_EQ(journal_->read(50, 1, 1).size(), 1u);
  EXPECT_EQ(error_of([&] { (void)journal_->read(0, 1, 1); }).code(), ErrorCode::kNotFound);
  open({.segment_bytes = 1000});
  EXPECT_EQ(journal_->offset("a"), 100u);
  EXPECT_EQ(journal_->offset("b"), 50u);
  journal_->register_consumer("b");
  EXPECT_EQ(journal_->offset("b"), 50u);  // known already
  journal_->register_consumer("late");
  EXPECT_LE(journal_->offset("late"), 50u);
  EXPECT_EQ(journal_->read(journal_->offset("late"), 1, 1).size(), 1u);  // the oldest record kept
  for (const char* name : {"a", "b", "late"}) journal_->commit_offset(name, 100);
  EXPECT_EQ(segments().size(), 1u);
  open({.segment_bytes = 1000});
  EXPECT_EQ(journal_->end(), 100u);
  EXPECT_EQ(journal_->append("x"), 100u);
}

TEST_F(JournalTest, OffsetsOnlyGoForward) {
  journal_->append("x");
  journal_->append("x");
  journal_->register_consumer("c");
  journal_->commit_offset("c", 1);
  journal_->commit_offset("c", 1);
  EXPECT_EQ(error_of([&] { journal_->commit_offset("c", 0); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([&] { journal_->commit_offset("c", 3); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([&] { journal_->commit_offset("d", 1); }).code(), ErrorCode::kNotFound);
  EXPECT_EQ(error_of([&] { (void)journal_->offset("d"); }).code(), ErrorCode::kNotFound);
  for (const char* bad : {"", "a b", "a\nb", "\xc3\xa9"}) {
    EXPECT_EQ(error_of([&] { journal_->register_consumer(bad); }).code(), ErrorCode::kInvalidArgument);
  }
}

TEST_F(JournalTest, OneProcessAtATime) {
  EXPECT_EQ(error_of([&] { (void)Journal::open(folder_); }).code(), ErrorCode::kConflict);
}

TEST_F(JournalTest, WaitsForRecords) {
  EXPECT_FALSE(journal_->wait(0, std::chrono::milliseconds(1)));
  std::thread writer([&] { journal_->append("x"); });
  EXPECT_TRUE(journal_->wait(0, std::chrono::seconds(60)));
  writer.join();
  std::thread closer([&] { journal_->close(); });
  EXPECT_FALSE(journal_->wait(1, std::chrono::seconds(60)));
  closer.join();
  EXPECT_TRUE(journal_->wait(0, std::chrono::seconds(60)));
  EXPECT_EQ(error_of([&] { journal_->append("y"); }).code(), ErrorCode::kUnavailable);
  EXPECT_THAT(all(), ElementsAre("x"));
}

TEST_F(JournalTest, ThreadsShareSyncsAndLoseNothing) {
  open({.segment_bytes = 30'000});
  journal_->register_consumer("reader");
  constexpr int kThreads = 8, kRecords = 200;
  std::atomic<bool> done = false;
  std::vector<std::string> seen;
  std::thread reader([&] {
    std::uint64_t next = 0;
    while (next < kThreads * kRecords) {
      journal_->wait(next, std::chrono::milliseconds(100));
      for (Record& record : journal_->read(next, 50, 10'000)) {
        EXPECT_EQ(record.position, next);
        ++next;
        seen.push_back(std::move(record.bytes));
      }
      journal_->commit_offset("reader", next);
    }
    done = true;
  });
  std::vector<std::vector<std::uint64_t>> positions(kThreads);
  std::vector<std::thread> writers;
  for (int t = 0; t < kThreads; ++t) {
    writers.emplace_back([&, t] {
      for (int i = 0; i < kRecords; ++i) {
        positions[static_cast<std::size_t>(t)].push_back(
            journal_->append(std::to_string(t) + ":" + std::to_string(i) + std::string(100, ' ')));
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  reader.join();
  ASSERT_EQ(seen.size(), static_cast<std::size_t>(kThreads * kRecords));
  for (int t = 0; t < kThreads; ++t) {
    const auto& mine = positions[static_cast<std::size_t>(t)];
    EXPECT_TRUE(std::ranges::is_sorted(mine));
    for (std::size_t i = 0; i < mine.size(); ++i) {
      EXPECT_EQ(seen[mine[i]], std::to_string(t) + ":" + std::to_string(i) + std::string(100, ' '));
    }
  }
  EXPECT_EQ(segments().size(), 1u);
}

// A disk that is full takes nothing halfway, and the journal goes on when there is room again. The file size limit of
// the process stands for the disk.
TEST_F(JournalTest, AFullDiskIsAnErrorNotALoss) {
  struct rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const auto limit = [&](rlim_t bytes) {
    const struct rlimit now{bytes, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &now), 0);
  };
  std::vector<std::string> expected;
  limit(10'000);
  Error error = error_of([&] {
    for (int i = 0;; ++i) {
      const std::string record = std::to_string(i) + std::string(777, '.');
      journal_->append(record);
      expected.push_back(record);
    }
  });
  EXPECT_EQ(error.code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(all(), expected);
  EXPECT_EQ(journal_->append("small"), expected.size());
  expected.push_back("small");
  limit(before.rlim_cur);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(journal_->append(std::string(5000, 'y')), expected.size());
  expected.push_back(std::string(5000, 'y'));
  EXPECT_EQ(all(), expected);
  open();
  EXPECT_EQ(all(), expected);
}

TEST_F(JournalTest, TornTailIsCutAtEveryByte) {
  open({.segment_bytes = 150});
  std::vector<std::string> expected;
  for (int i = 0; i < 7; ++i) {
    expected.push_back("record " + std::to_string(i) + std::string(static_cast<std::size_t>(i) * 3, '.'));
    journal_->append(expected.back());
  }
  journal_.reset();
  const fs::path last = segments().back();
  ASSERT_EQ(segments().size(), 2u);
  const std::string whole = read_file(last);
  const std::uint64_t first = std::stoull(last.stem().string());
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    // Which records stand before the cut?
    std::size_t offset = 16;
    std::uint64_t kept = first;
    while (kept < expected.size() && offset + 16 + expected[kept].size() <= size)
      offset += 16 + expected[kept++].size();
    write_file_atomic(last, whole.substr(0, size));
    open({.segment_bytes = 150});
    const std::vector<std::string> want(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(kept));
    ASSERT_EQ(all(), want) << "cut at " << size;
    EXPECT_EQ(journal_->append("next"), kept);
    open({.segment_bytes = 150});
    ASSERT_EQ(all().back(), "next");
    journal_.reset();
    for (const fs::path& file : segments()) {
      if (file > last) fs::remove(file);
    }
  }
}

TEST_F(JournalTest, AHoleAtTheEndIsATornTail) {
  for (int i = 0; i < 5; ++i) journal_->append("record " + std::to_string(i));
  journal_.reset();
  const fs::path file = segments().back();
  const std::string whole = read_file(file);
  const std::size_t record = 16 + 8;
  std::string hole = whole;
  std::fill(hole.end() - record, hole.end(), '\0');
  write_file_atomic(file, hole);
  open();
  EXPECT_EQ(journal_->end(), 4u);
  journal_.reset();
  write_file_atomic(file, whole + std::string(10'000, '\0'));
  open();
  EXPECT_EQ(journal_->end(), 5u);
}

TEST_F(JournalTest, EveryDamagedByteBeforeTheLastRecordIsRefused) {
  for (int i = 0; i < 4; ++i) journal_->append("record " + std::to_string(i));
  journal_.reset();
  const fs::path file = segments().back();
  const std::string whole = read_file(file);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const char flip : {'\x01', '\x80'}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      write_file_atomic(file, damaged);
      if (at < whole.size() - 24) {
        const Error error = error_of([&] { open(); });
        EXPECT_EQ(error.code(), ErrorCode::kDataLoss) << at;
        EXPECT_THAT(error.message(), HasSubstr(file.string()));
        if (at >= 16) {
          EXPECT_THAT(error.message(), HasSubstr("at byte " + std::to_string(16 + (at - 16) / 24 * 24) + ":"));
        }
      } else {
        // The last record: it cannot be told from one that was never finished.
        open();
        EXPECT_EQ(journal_->end(), 3u) << at;
        journal_.reset();
      }
    }
  }
}

TEST_F(JournalTest, DamageInAnOlderSegmentIsRefused) {
  open({.segment_bytes = 100});
  for (int i = 0; i < 20; ++i) journal_->append("record " + std::to_string(i));
  journal_.reset();
  const std::vector<fs::path> files = segments();
  ASSERT_GT(files.size(), 4u);
  const std::string whole = read_file(files[1]);
  write_file_atomic(files[1], whole.substr(0, whole.size() - 3));
  EXPECT_EQ(error_of([&] { open(); }).code(), ErrorCode::kDataLoss);
  write_file_atomic(files[1], whole.substr(0, whole.size() - 25));  // a whole record less
  EXPECT_EQ(error_of([&] { open(); }).code(), ErrorCode::kDataLoss);
  fs::remove(files[1]);
  EXPECT_THAT(error_of([&] { open(); }).message(), HasSubstr("lacks the records"));
  write_file_atomic(files[1], whole);
  open();
  EXPECT_EQ(journal_->end(), 20u);
  // Damage that comes while the journal is open.
  std::string flipped = whole;
  flipped[40] ^= 1;
  {
    const FileHandle raw = open_file(files[1], O_WRONLY);
    write_all(raw.get(), flipped, files[1]);
  }
  EXPECT_THAT(error_of([&] { all(); }).message(), HasSubstr(files[1].string()));
}

TEST_F(JournalTest, ConsumersOutsideOfTheRecordsMeanLoss) {
  open({.segment_bytes = 100});
  for (int i = 0; i < 20; ++i) journal_->append("record " + std::to_string(i));
  journal_->register_consumer("c");
  journal_->commit_offset("c", 2);
  journal_.reset();
  const fs::path oldest = segments().front();
  const std::string whole = read_file(oldest);
  fs::remove(oldest);
  EXPECT_THAT(error_of([&] { open(); }).message(), HasSubstr("older files"));
  write_file_atomic(oldest, whole);
  open();
  journal_->commit_offset("c", 20);
  journal_.reset();
  for (const fs::path& file : segments()) fs::remove(file);
  EXPECT_THAT(error_of([&] { open(); }).message(), HasSubstr("newer files"));
}

TEST_F(JournalTest, ADamagedFileOfOffsetsIsRefused) {
  journal_->append("x");
  journal_->register_consumer("c");
  journal_.reset();
  const std::string whole = read_file(folder_ / "offsets");
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] ^= 2;
    write_file_atomic(folder_ / "offsets", damaged);
    EXPECT_EQ(error_of([&] { open(); }).code(), ErrorCode::kDataLoss) << at;
    write_file_atomic(folder_ / "offsets", whole.substr(0, at));
    EXPECT_EQ(error_of([&] { open(); }).code(), ErrorCode::kDataLoss) << at;
  }
}

}  // namespace
}  // namespace lakeloop::journal
