// A writer killed at any moment: each record it was told is written stands in the journal once, at its position.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <random>
#include <thread>

#include "base/id.h"
#include "journal/journal.h"

namespace lakeloop::journal {
namespace {

namespace fs = std::filesystem;

struct Acknowledged {
  std::uint64_t position;
  std::uint32_t round, thread, number;
};

constexpr JournalOptions kOptions = {.segment_bytes = 20'000};

std::string content(const Acknowledged& about) {
  std::string text =
      std::to_string(about.round) + "/" + std::to_string(about.thread) + "/" + std::to_string(about.number) + "/";
  return text + std::string(about.number * 37 % 500, 'x');
}

[[noreturn]] void write_until_killed(const fs::path& folder, std::uint32_t round, int channel) {
  const std::unique_ptr<Journal> journal = Journal::open(folder, kOptions);
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint32_t number = 0;; ++number) {
        Acknowledged about{0, round, t, number};
        about.position = journal->append(content(about));
        if (write(channel, &about, sizeof about) != sizeof about) _exit(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  _exit(1);
}

TEST(JournalCrash, KilledWriterLosesNothingAcknowledged) {
  const fs::path top = fs::temp_directory_path() / ("journal-crash-" + random_hex(8));
  const fs::path folder = top / "j";
  std::mt19937 random(17);
  std::map<std::uint64_t, std::string> acknowledged;
  std::uint64_t consumed = 0;
  for (std::uint32_t round = 0; round < 40; ++round) {
    int channel[2];
    ASSERT_EQ(pipe(channel), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(channel[0]);
      write_until_killed(folder, round, channel[1]);
    }
    close(channel[1]);
    const auto take = [&] {
      Acknowledged about{};
      if (read(channel[0], &about, sizeof about) != sizeof about) return false;
      EXPECT_TRUE(acknowledged.emplace(about.position, content(about)).second)
          << "position " << about.position << " twice";
      return true;
    };
    const std::uint32_t wanted = random() % 60;
    for (std::uint32_t i = 0; i < wanted; ++i) ASSERT_TRUE(take());
    ASSERT_EQ(kill(child, SIGKILL), 0);
    while (take()) {
    }
    close(channel[0]);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);

    const std::unique_ptr<Journal> journal = Journal::open(folder, kOptions);
    journal->register_consumer("check");
    ASSERT_EQ(journal->offset("check"), consumed);
    std::map<std::string, int> seen;
    std::uint64_t next = consumed;
    for (const Record& record : journal->read(consumed, SIZE_MAX, SIZE_MAX)) {
      ASSERT_EQ(record.position, next++);
      ASSERT_EQ(++seen[record.bytes], 1) << record.bytes << " twice";
      const auto known = acknowledged.find(record.position);
      if (known != acknowledged.end()) {
        ASSERT_EQ(record.bytes, known->second);
      }
    }
    ASSERT_EQ(next, journal->end());
    if (!acknowledged.empty()) {
      ASSERT_LT(acknowledged.rbegin()->first, journal->end());
    }
    // Now and then the consumer commits: segments go, offsets stay.
    if (round % 5 == 4) {
      consumed = next;
      journal->commit_offset("check", consumed);
    }
  }
  EXPECT_GT(acknowledged.size(), 300u);
  fs::remove_all(top);
}

}  // namespace
}  // namespace lakeloop::journal
