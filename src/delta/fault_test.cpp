// Faults: lost replies, racing processes, writers that are killed.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <fstream>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "base/file.h"
#include "base/format.h"
#include "base/text.h"
#include "delta/test_table.h"

extern char** environ;

namespace lakeloop::delta {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

// A store whose next conditional put fails, before or after it reached the disk.
class FailingStore final : public storage::ObjectStore {
 public:
  enum class Mode : std::uint8_t { kNone, kReplyLost, kNeverArrived, kSaysFalseThoughOurs };
  explicit FailingStore(std::shared_ptr<storage::ObjectStore> inner) : inner_(std::move(inner)) {}
  Mode mode = Mode::kNone;
  void put(std::string_view key, std::string_view bytes) override { inner_->put(key, bytes); }
  bool put_if_absent(std::string_view key, std::string_view bytes) override {
    const auto now = std::exchange(mode, Mode::kNone);
    if (now == Mode::kNeverArrived) throw Error(ErrorCode::kUpstream, "the connection was cut");
    const bool won = inner_->put_if_absent(key, bytes);
    if (now == Mode::kReplyLost) throw Error(ErrorCode::kUpstream, "the connection was cut");
    return now != Mode::kSaysFalseThoughOurs && won;
  }
  std::string get(std::string_view key) override { return inner_->get(key); }
  std::unique_ptr<storage::Upload> upload(std::string_view key) override { return inner_->upload(key); }
  std::string get_range(std::string_view key, std::uint64_t offset, std::uint64_t size) override {
    return inner_->get_range(key, offset, size);
  }
  std::optional<storage::ObjectInfo> head(std::string_view key) override { return inner_->head(key); }
  std::vector<storage::ObjectInfo> list(std::string_view prefix, std::string_view after) override {
    return inner_->list(prefix, after);
  }
  void remove(std::string_view key) override { inner_->remove(key); }
  std::string location(std::string_view key) const override { return inner_->location(key); }

 private:
  std::shared_ptr<storage::ObjectStore> inner_;
};

TEST(DeltaFault, ALostReplyIsLookedUpInTheLog) {
  const TestFolder folder;
  auto store = std::make_shared<FailingStore>(folder.store());
  auto table = Table::create(store, "t", {.schema = schema_of({{"id", "bigint"}})});
  store->mode = FailingStore::Mode::kReplyLost;
  EXPECT_EQ(table.append({{1}}).version, 1);
  store->mode = FailingStore::Mode::kSaysFalseThoughOurs;
  EXPECT_EQ(table.append({{2}}).version, 2);
  store->mode = FailingStore::Mode::kNeverArrived;
  EXPECT_THROW(table.append({{3}}), Error);
  EXPECT_THAT(rows_of(table), ElementsAre("[1]", "[2]"));
  EXPECT_EQ(table.append({{4}}).version, 3);
  store->mode = FailingStore::Mode::kReplyLost;
  auto other = Table::create(store, "u", {.schema = schema_of({{"id", "bigint"}})});
  EXPECT_EQ(other.snapshot().version, 0);
}

TEST(DeltaFault, ThreadsOfOneHandleAndOfMany) {
  const TestFolder folder;
  auto table = Table::create(folder.store(), "t", {.schema = schema_of({{"id", "bigint"}, {"n", "bigint"}})});
  table.append({{-1, 0}});
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        auto mine = t == 0 ? table : Table::open(folder.store(), "t");
        for (int i = 0; i < 8; ++i) mine.append({{t * 100 + i, 0}});
      });
    }
    threads.emplace_back([&] {
      auto mine = table;
      for (int i = 0; i < 8; ++i) mine.upsert({"id", {{-1, i}}, {}});
    });
  }
  std::set<std::string> rows;
  for (const auto& row : rows_of(table)) EXPECT_TRUE(rows.insert(row).second) << row;
  EXPECT_THAT(rows, SizeIs(25));
  EXPECT_TRUE(rows.contains("[-1,7]"));
}

// The body of a child process of the tests below: appends rows (writer, i), telling each acknowledged i on its standard
// output.
TEST(DeltaChild, Appends) {
  const auto* folder = std::getenv("DELTA_CHILD_FOLDER");
  if (!folder) GTEST_SKIP() << "only runs as a child";
  const std::int64_t writer = std::atoi(std::getenv("DELTA_CHILD_WRITER"));
  const int count = std::atoi(std::getenv("DELTA_CHILD_COUNT"));
  const bool keyed = std::getenv("DELTA_CHILD_KEYED") != nullptr;
  auto table = Table::open(storage::open_local_store(folder), "t");
  const auto acknowledged =
      open_file(std::filesystem::path(folder) / format("ack-{}", writer), O_WRONLY | O_CREAT | O_APPEND);
  for (int i = 0; i < count; ++i) {
    if (keyed) {
      table.upsert({"id", {{0, i}, {writer * 1000 + i, i}}, {}});
    } else {
      table.append({{writer * 1000 + i, i}});
    }
    write_all(acknowledged.get(), format("{}\n", writer * 1000 + i), "ack");
  }
}

class Child {
 public:
  Child(const TestFolder& folder, int writer, int count, bool keyed = false) {
    std::vector<std::string> env = {"DELTA_CHILD_FOLDER=" + folder.path().string(),
                                    format("DELTA_CHILD_WRITER={}", writer), format("DELTA_CHILD_COUNT={}", count),
                                    "PATH=/usr/bin"};
    if (keyed) env.emplace_back("DELTA_CHILD_KEYED=1");
    std::vector<char*> pointers;
    for (auto& text : env) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    char program[] = "/proc/self/exe", filter[] = "--gtest_filter=DeltaChild.Appends", brief[] = "--gtest_brief=1";
    char* arguments[] = {program, filter, brief, nullptr};
    EXPECT_EQ(posix_spawn(&pid_, program, nullptr, nullptr, arguments, pointers.data()), 0);
  }
  ~Child() { wait(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  void kill() const { ::kill(pid_, SIGKILL); }
  int wait() {
    int status = 0;
    if (pid_ > 0) waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
};

std::map<std::string, int> count_rows(const Table& table) {
  std::map<std::string, int> counts;
  for (const auto& row : table.scan(table.snapshot(), {.columns = {"id"}}).rows)
    ++counts[std::to_string(row[0].as_int())];
  return counts;
}

std::vector<std::string> acknowledged(const TestFolder& folder, int writer) {
  const auto path = folder.path() / format("ack-{}", writer);
  std::vector<std::string> ids;
  if (!std::filesystem::exists(path)) return ids;
  auto text = read_file(path);
  text.resize(text.rfind('\n') + 1);
  for (const auto line : split(text, '\n')) {
    if (!line.empty()) ids.emplace_back(line);
  }
  return ids;
}

TEST(DeltaFault, TwoProcessesRaceToCommit) {
  const TestFolder folder;
  auto table = Table::create(folder.store(), "t", {.schema = schema_of({{"id", "bigint"}, {"n", "bigint"}})});
  {
    Child one(folder, 1, 25), two(folder, 2, 25);
    EXPECT_EQ(one.wait(), 0);
    EXPECT_EQ(two.wait(), 0);
  }
  const auto counts = count_rows(table);
  EXPECT_THAT(counts, SizeIs(50));
  for (const auto& [id, count] : counts) EXPECT_EQ(count, 1) << id;
  EXPECT_EQ(table.snapshot().version, 50);
}

TEST(DeltaFault, TwoProcessesRaceOnOneKey) {
  const TestFolder folder;
  auto table = Table::create(folder.store(), "t", {.schema = schema_of({{"id", "bigint"}, {"n", "bigint"}})});
  {
    Child one(folder, 1, 8, true), two(folder, 2, 8, true);
    EXPECT_EQ(one.wait(), 0);
    EXPECT_EQ(two.wait(), 0);
  }
  const auto counts = count_rows(table);
  EXPECT_THAT(counts, SizeIs(17));  // 8 own keys each, and key 0 once
  for (const auto& [id, count] : counts) EXPECT_EQ(count, 1) << id;
}

TEST(DeltaFault, KilledWritersLoseNothingAcknowledged) {
  const TestFolder folder;
  Table::create(folder.store(), "t", {.schema = schema_of({{"id", "bigint"}, {"n", "bigint"}})});
  std::mt19937 random(20260101);
  for (int round = 1; round <= 6; ++round) {
    Child writer(folder, round, 100000, round % 2 == 0);
    // Killed at any moment after its first few acknowledgements.
    const auto wanted = 1 + random() % 8;
    for (int i = 0; i < 120000 && acknowledged(folder, round).size() < wanted; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 15000));
    writer.kill();
    writer.wait();
    auto table = Table::open(folder.store(), "t");
    const auto counts = count_rows(table);
    for (int before = 1; before <= round; ++before) {
      const auto ids = acknowledged(folder, before);
      EXPECT_GE(ids.size(), 1U);
      for (const auto& id : ids) EXPECT_EQ(counts.contains(id) ? counts.at(id) : 0, 1) << id;
    }
    for (const auto& [id, count] : counts) EXPECT_EQ(count, 1) << id;
    table.append({{-round, 0}});
  }
}

}  // namespace
}  // namespace lakeloop::delta
