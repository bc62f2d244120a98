#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/id.h"
#include "base/metrics.h"
#include "base/text.h"
#include "base/thread_pool.h"

namespace lakeloop {
namespace {

TEST(Error, KnowsItsWireNames) {
  const Error error = Error(ErrorCode::kNotFound, "no table {}", "a.b.c").with_param("name");
  EXPECT_EQ(error.message(), "no table a.b.c");
  EXPECT_EQ(error.message_template(), "no table {}");
  EXPECT_EQ(info(error.code()).http_status, 404);
  EXPECT_EQ(error.param(), "name");
  EXPECT_EQ(error_code_from_wire("RESOURCE_DOES_NOT_EXIST"), ErrorCode::kNotFound);
  EXPECT_EQ(error_code_from_wire("NO_SUCH_CODE"), std::nullopt);
}

TEST(Clock, RoundTripsTimestamps) {
  const Timestamp at{1'767'323'045'678'000};
  EXPECT_EQ(format_rfc3339(at), "2026-01-02T03:04:05.678Z");
  EXPECT_EQ(parse_timestamp("2026-01-02T03:04:05.678Z"), at);
  EXPECT_EQ(parse_timestamp("2026-01-02 04:04:05.678+01:00"), at);
  EXPECT_EQ(parse_timestamp("1969-12-31T23:59:59.999999Z"), Timestamp{-1});
  EXPECT_EQ(format_rfc3339(Timestamp{-1}), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(days_since_epoch(Timestamp{-1}), -1);
  for (const char* bad : {"", "2026", "2026-13-01", "2026-02-30", "2026-01-02T25:00:00Z", "2026-01-02T03:04:05Zx"}) {
    EXPECT_EQ(parse_timestamp(bad), std::nullopt) << bad;
  }
}

TEST(Id, UuidsAreUniqueAndSorted) {
  std::set<std::string> seen;
  std::string last;
  for (int i = 0; i < 10'000; ++i) {
    const std::string id = new_uuid();
    EXPECT_GT(id, last);
    EXPECT_EQ(id[14], '7');
    seen.insert(last = id);
  }
  EXPECT_EQ(seen.size(), 10'000u);
}

TEST(Text, LikeMatchesAsSqlDoes) {
  EXPECT_TRUE(like("hello", "h%o"));
  EXPECT_TRUE(like("hello", "%"));
  EXPECT_TRUE(like("größe", "gr__e"));
  EXPECT_FALSE(like("hello", "H%"));
  EXPECT_TRUE(like("hello", "H%", true));
  EXPECT_FALSE(like("hello", "hell"));
  EXPECT_TRUE(like(std::string(5000, 'a') + "b", "%a%a%a%b"));
}

TEST(File, CreatesOnceAndReplacesWhole) {
  const auto folder = std::filesystem::temp_directory_path() / ("lakeloop-file-" + random_hex(4));
  std::filesystem::create_directories(folder);
  EXPECT_TRUE(write_file_if_absent(folder / "a", "one"));
  EXPECT_FALSE(write_file_if_absent(folder / "a", "two"));
  EXPECT_EQ(read_file(folder / "a"), "one");
  write_file_atomic(folder / "a", "three");
  EXPECT_EQ(read_file(folder / "a"), "three");
  EXPECT_THROW(read_file(folder / "a", 4), Error);
  EXPECT_THROW(read_file(folder / "missing"), Error);
  EXPECT_THROW(read_file(folder), Error);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1) << "no temporary file stays";
  std::filesystem::remove_all(folder);
}

TEST(ThreadPool, RefusesWhenFullAndFinishesTheRest) {
  std::atomic<int> done = 0;
  std::mutex gate;
  gate.lock();
  ThreadPool pool("test", 1, 2);
  ASSERT_TRUE(pool.try_submit([&] {
    const std::lock_guard wait(gate);
    ++done;
  }));
  while (pool.queued() > 0) std::this_thread::yield();
  EXPECT_TRUE(pool.try_submit([&] { ++done; }));
  EXPECT_TRUE(pool.try_submit([&] { ++done; }));
  EXPECT_FALSE(pool.try_submit([&] { ++done; }));
  gate.unlock();
  pool.stop();
  EXPECT_EQ(done, 3);
  EXPECT_FALSE(pool.try_submit([] {}));
}

TEST(Metrics, RendersPrometheusText) {
  Counter counter("test_requests_total", "Requests.", {"route"});
  counter.add(2, {"a\"b"});
  Histogram histogram("test_seconds", "Time.", {0.1, 1});
  histogram.observe(0.1);
  histogram.observe(5);
  const std::string text = render_metrics();
  EXPECT_THAT(text,
              testing::HasSubstr("# TYPE test_requests_total counter\ntest_requests_total{route=\"a\\\"b\"} 2\n"));
  EXPECT_THAT(text, testing::HasSubstr("test_seconds_bucket{le=\"0.1\"} 1\n"));
  EXPECT_THAT(text,
              testing::HasSubstr("test_seconds_bucket{le=\"+Inf\"} 2\ntest_seconds_sum 5.1\ntest_seconds_count 2\n"));
}

}  // namespace
}  // namespace lakeloop
