#include "tracking/fixture_test.h"

#include <rapidcheck/gtest.h>

#include <cmath>

namespace lakeloop::tracking {
namespace {

using testing::HasSubstr;

class AssessmentsTest : public TrackingTest {
 protected:
  AssessmentsTest() {
    e_ = experiment(ann_, "e");
    t_ = trace(ann_, e_, 1);
  }
  Assessment feedback(Json value, std::string overrides = {}) {
    return tracking_->create_assessment(ann_, {.trace_id = t_,
                                               .name = "rating",
                                               .source_id = "ann",
                                               .value = std::move(value),
                                               .overrides = std::move(overrides)});
  }
  std::vector<std::string> valid() {
    std::vector<std::string> ids;
    for (const Assessment& a : tracking_->assessments_of(ann_, t_)) {
      if (a.valid) ids.push_back(a.assessment_id);
    }
    return ids;
  }
  std::string e_, t_;
};

TEST_F(AssessmentsTest, EveryValueComesBackAsItWent) {
  for (const Json& value : {Json(0), Json(0.0), Json(false), Json(""), Json(1), Json("it's \"so\" \n 色"),
                            Json::array({"a", "b"}), Json::object({{"k", nullptr}}), Json(INT64_MAX)}) {
    const Assessment made = feedback(value);
    EXPECT_TRUE(made.assessment_id.starts_with("a-"));
    EXPECT_EQ(tracking_->get_assessment(ann_, t_, made.assessment_id).value, value) << value.dump();
  }
}

TEST_F(AssessmentsTest, RefusesWhatIsNoAssessment) {
  const auto refused = [&](Assessment a, std::string_view text) {
    a.trace_id = t_;
    std::string message;
    EXPECT_EQ(code_of([&] { tracking_->create_assessment(ann_, a); }, &message), ErrorCode::kInvalidArgument);
    EXPECT_THAT(message, HasSubstr(std::string(text)));
  };
  refused({.name = "", .value = 1}, "assessment_name");
  refused({.name = "a.b", .value = 1}, "'.'");
  refused({.name = "x", .value = std::nan("")}, "finite");
  refused({.name = "x", .value = INFINITY}, "finite");
  refused({.name = "x"}, "needs a value or an error");
  refused({.name = "x", .kind = "expectation"}, "needs a value");
  refused({.name = "x", .kind = "expectation", .value = 1, .error = Json::object({{"error_code", "E"}})},
          "takes no error");
  refused({.name = "x", .source_type = "ROBOT", .value = 1}, "source_type");
  refused({.name = "x", .kind = "both", .value = 1}, "exactly one");
  refused({.name = "x", .value = std::string(70'000, 'x')}, "longer");
  EXPECT_EQ(code_of([&] { tracking_->create_assessment(ann_, {.trace_id = "tr-none", .name = "x", .value = 1}); }),
            ErrorCode::kNotFound);
  // An error is not a score.
  const Assessment failed = tracking_->create_assessment(
      ann_, {.trace_id = t_, .name = "x", .source_type = "AI_JUDGE", .error = Json::object({{"error_code", "E"}})});
  EXPECT_TRUE(failed.value.is_null());
  EXPECT_EQ(failed.source_type, "LLM_JUDGE");
}

TEST_F(AssessmentsTest, AStampedOneSentAgainIsThereOnce) {
  Assessment a{.trace_id = t_, .name = "rating", .value = 1};
  a.created = a.updated = Timestamp::from_millis(1'700'000'000'000);
  const Assessment first = tracking_->create_assessment(ann_, a);
  const Assessment second = tracking_->create_assessment(ann_, a);
  EXPECT_EQ(first.assessment_id, second.assessment_id);
  a.value = 2;
  EXPECT_NE(tracking_->create_assessment(ann_, a).assessment_id, first.assessment_id);
  EXPECT_EQ(tracking_->assessments_of(ann_, t_).size(), 2u);
}

TEST_F(AssessmentsTest, TheNewestLinkOfAChainStands) {
  const Assessment down = feedback(false);
  const Assessment up = feedback(true, down.assessment_id);
  EXPECT_THAT(valid(), testing::ElementsAre(up.assessment_id));
  EXPECT_FALSE(tracking_->get_assessment(ann_, t_, down.assessment_id).valid);
  const Assessment again = feedback(false, up.assessment_id);
  EXPECT_THAT(valid(), testing::ElementsAre(again.assessment_id));
  // Overriding the first one once more supersedes the whole chain.
  const Assessment late = feedback(true, down.assessment_id);
  EXPECT_THAT(valid(), testing::ElementsAre(late.assessment_id));
  tracking_->delete_assessment(ann_, t_, up.assessment_id);  // a superseded one: nothing changes for the others
  EXPECT_THAT(valid(), testing::ElementsAre(late.assessment_id));
  tracking_->delete_assessment(ann_, t_, late.assessment_id);
  tracking_->delete_assessment(ann_, t_, late.assessment_id);  // a retry
  EXPECT_THAT(valid(), testing::ElementsAre(again.assessment_id));
  tracking_->delete_assessment(ann_, t_, again.assessment_id);
  EXPECT_THAT(valid(), testing::ElementsAre(down.assessment_id));
  EXPECT_EQ(code_of([&] { feedback(1, "a-none"); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { feedback(1, up.assessment_id); }), ErrorCode::kNotFound);
}

TEST_F(AssessmentsTest, UpdatesWhatTheMaskNames) {
  const Assessment a = tracking_->create_assessment(
      ann_, {.trace_id = t_, .name = "n", .value = 1, .rationale = "old", .metadata = {{"a", "1"}}});
  Assessment change{.assessment_id = a.assessment_id,
                    .trace_id = t_,
                    .name = "ignored",
                    .value = 0,
                    .rationale = "new",
                    .metadata = {{"b", "2"}}};
  const Assessment b = tracking_->update_assessment(ann_, change, {"feedback", "metadata"});
  EXPECT_EQ(b.value, Json(0));
  EXPECT_EQ(b.name, "n");
  EXPECT_EQ(b.rationale, "old");
  EXPECT_EQ(b.metadata, (std::map<std::string, std::string>{{"a", "1"}, {"b", "2"}}));
  EXPECT_GE(b.updated, a.updated);
  change.valid = false;
  EXPECT_FALSE(tracking_->update_assessment(ann_, change, {"valid"}).valid);
  EXPECT_EQ(code_of([&] { tracking_->update_assessment(ann_, change, {"trace_id"}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { tracking_->update_assessment(ann_, change, {"expectation"}); }), ErrorCode::kInvalidArgument);
  change.name = "a.b";
  EXPECT_EQ(code_of([&] { tracking_->update_assessment(ann_, change, {"assessment_name"}); }),
            ErrorCode::kInvalidArgument);
  change.assessment_id = "a-none";
  EXPECT_EQ(code_of([&] { tracking_->update_assessment(ann_, change, {"valid"}); }), ErrorCode::kNotFound);
}

TEST_F(AssessmentsTest, AnIdBelongsToItsTrace) {
  const std::string other = trace(ann_, e_, 2);
  const Assessment a = feedback(1);
  EXPECT_EQ(code_of([&] { tracking_->get_assessment(ann_, other, a.assessment_id); }), ErrorCode::kNotFound);
  tracking_->delete_assessment(ann_, other, a.assessment_id);
  EXPECT_EQ(tracking_->get_assessment(ann_, t_, a.assessment_id).value, Json(1));
}

TEST_F(AssessmentsTest, TheLogKeepsAll) {
  const Assessment a = feedback(1);
  feedback(2, a.assessment_id);
  tracking_->delete_traces(ann_, {.experiment_id = e_, .max_timestamp_ms = {}, .max_traces = {}, .trace_ids = {t_}});
  const auto rows = database_->reading(
      [&](db::Transaction& t) { return t.query("SELECT event, valid FROM assessment_events ORDER BY sequence"); });
  std::vector<std::string> events;
  for (const db::Row& row : rows) events.push_back(row.text(0));
  EXPECT_THAT(events, testing::ElementsAre("create", "update", "create", "delete", "delete"));
}

// After any run of creations, overrides and deletions each chain has exactly one valid link: its newest that is left.
RC_GTEST_FIXTURE_PROP(AssessmentsTest, EveryChainHasOneValidLink, ()) {
  const std::string trace_id = trace(ann_, e_, 100 + static_cast<int>(*rc::gen::inRange(0, 1'000'000)));
  std::map<std::string, std::vector<std::string>> chains;  // by the first one: live links, oldest first
  std::map<std::string, std::string> chain_of;
  const int steps = *rc::gen::inRange(1, 25);
  for (int i = 0; i < steps; ++i) {
    const auto live = tracking_->assessments_of(ann_, trace_id);
    const int choice = *rc::gen::inRange(0, 3);
    if (choice == 0 || live.empty()) {
      const auto a = tracking_->create_assessment(ann_, {.trace_id = trace_id, .name = "n", .value = i});
      chains[a.assessment_id] = {a.assessment_id};
      chain_of[a.assessment_id] = a.assessment_id;
      continue;
    }
    const auto& target = live[static_cast<std::size_t>(*rc::gen::inRange(0, static_cast<int>(live.size())))];
    const std::string chain = chain_of.at(target.assessment_id);
    if (choice == 1) {
      const auto a = tracking_->create_assessment(
          ann_, {.trace_id = trace_id, .name = "n", .value = i, .overrides = target.assessment_id});
      chains[chain].push_back(a.assessment_id);
      chain_of[a.assessment_id] = chain;
    } else {
      tracking_->delete_assessment(ann_, trace_id, target.assessment_id);
      std::erase(chains[chain], target.assessment_id);
    }
  }
  for (const auto& a : tracking_->assessments_of(ann_, trace_id)) {
    RC_ASSERT(a.valid == (chains[chain_of.at(a.assessment_id)].back() == a.assessment_id));
  }
}

}  // namespace
}  // namespace lakeloop::tracking
