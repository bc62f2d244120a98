#include "tracking/table_mirror.h"

#include <thread>

#include "tracking/fixture_test.h"

namespace lakeloop::tracking {
namespace {

class TableMirrorTest : public TrackingTest {
 protected:
  delta::Rows rows(std::string_view table, std::vector<std::string> columns = {}) {
    const delta::Table t =
        catalog_->open_table(admin_, lakeloop::format("system.mlflow.{}", table), catalog::Privilege::kSelect);
    return t.scan(t.snapshot(), {.columns = std::move(columns), .where = "", .parameters = {}, .order_by = "sequence"});
  }
  std::size_t count(std::string_view table) {
    try {
      return rows(table).rows.size();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kNotFound) return 0;  // not made yet
      throw;
    }
  }
  // Waits for the mirror's thread; false after 20 s.
  bool arrives(std::string_view table, std::size_t wanted) {
    for (int i = 0; i < 1000; ++i) {
      if (count(table) >= wanted) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
  }
};

TEST_F(TableMirrorTest, RowsArriveOnceAcrossRestarts) {
  const std::string e = experiment(ann_, "e");
  std::string id;
  {
    TableMirror mirror(*tracking_, *catalog_, admin_);
    id = trace(ann_, e, 1);
    const Assessment a = tracking_->create_assessment(ann_, {.trace_id = id, .name = "score", .value = 0});
    tracking_->create_assessment(
        ann_, {.trace_id = id, .name = "score", .value = "it's \"fine\"", .overrides = a.assessment_id});
    EXPECT_TRUE(arrives("assessments", 3));
    EXPECT_TRUE(arrives("spans", 1));
    EXPECT_TRUE(arrives("traces", 1));
  }
  close();
  open();
  {
    TableMirror mirror(*tracking_, *catalog_, admin_);
    mirror.flush();
    EXPECT_EQ(count("assessments"), 3u);
    EXPECT_EQ(count("spans"), 1u);
    EXPECT_EQ(count("traces"), 1u);
    trace(ann_, e, 2);
    tracking_->set_trace_tag(ann_, id, "k", "v");
    mirror.flush();
    EXPECT_EQ(count("traces"), 3u);
    tracking_->delete_traces(ann_, {.experiment_id = e, .max_timestamp_ms = {}, .max_traces = {}, .trace_ids = {id}});
    mirror.flush();
  }
  const delta::Rows events = rows("assessments", {"event", "value", "valid", "overrides"});
  ASSERT_EQ(events.rows.size(), 5u);
  EXPECT_EQ(events.rows[0][1].string_or(""), "0");
  EXPECT_EQ(events.rows[1][0].string_or(""), "update");
  EXPECT_EQ(events.rows[2][1].string_or(""), R"("it's \"fine\"")");
  EXPECT_EQ(events.rows[4][0].string_or(""), "delete");
  const delta::Rows traces = rows("traces", {"event", "trace_id", "state", "tags"});
  ASSERT_EQ(traces.rows.size(), 4u);
  EXPECT_EQ(traces.rows[3][0].string_or(""), "delete");
  EXPECT_EQ(traces.rows[3][1].string_or(""), id);
  EXPECT_TRUE(traces.rows[3][2].is_null());
  EXPECT_EQ(Json::parse(traces.rows[2][3].string_or("{}")).str("k"), "v");
}

TEST_F(TableMirrorTest, WritersAndFlushesTogetherCopyEachRowOnce) {
  const std::string e = experiment(ann_, "e");
  TableMirror mirror(*tracking_, *catalog_, admin_);
  std::vector<std::thread> writers;
  for (int w = 0; w < 3; ++w) {
    writers.emplace_back([&, w] {
      for (int i = 0; i < 20; ++i) {
        trace(ann_, e, w * 100 + i);
        if (i % 7 == w) mirror.flush();
      }
    });
  }
  for (auto& writer : writers) writer.join();
  mirror.flush();
  const delta::Rows spans = rows("spans", {"trace_id", "sequence"});
  std::set<std::string> ids;
  for (const delta::Row& row : spans.rows) ids.insert(row[0].string_or(""));
  EXPECT_EQ(spans.rows.size(), 60u);
  EXPECT_EQ(ids.size(), 60u);
}

TEST_F(TableMirrorTest, ManyRowsGoInBoundedCommits) {
  const std::string e = experiment(ann_, "e");
  std::vector<Span> spans;
  for (int i = 0; i < 12'000; ++i) spans.push_back(span(1, i, i == 0 ? -1 : 0));
  tracking_->log_spans(ann_, e, spans, {});
  TableMirror mirror(*tracking_, *catalog_, admin_);
  mirror.flush();
  EXPECT_EQ(count("spans"), 12'000u);
  const delta::Table table = catalog_->open_table(admin_, "system.mlflow.spans", catalog::Privilege::kSelect);
  EXPECT_GE(table.snapshot().version, 3);
}

}  // namespace
}  // namespace lakeloop::tracking
