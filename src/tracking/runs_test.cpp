#include <cmath>
#include <thread>

#include "tracking/fixture_test.h"

namespace lakeloop::tracking {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class RunsTest : public TrackingTest {
 protected:
  std::vector<std::string> ids(const Found<tracking::Run>& found) {
    std::vector<std::string> names;
    for (const tracking::Run& run : found.first) names.push_back(run.info.name);
    return names;
  }
  std::string new_run(std::string_view experiment_id, std::string name, std::int64_t start = 1) {
    return tracking_
        ->create_run(admin_,
                     {.name = std::move(name), .experiment_id = std::string(experiment_id), .start_time = start}, {})
        .info.run_id;
  }
  std::vector<std::string> search(std::string_view experiment_id, std::string filter,
                                  std::vector<std::string> order = {}) {
    return ids(tracking_->search_runs(admin_, {.experiment_ids = {std::string(experiment_id)},
                                               .filter = std::move(filter),
                                               .order_by = std::move(order),
                                               .page = {.max_results = 100, .page_token = ""}}));
  }
};

TEST_F(RunsTest, DefaultExperimentIsThereOnce) {
  EXPECT_EQ(tracking_->get_experiment(admin_, "0").name, "Default");
  close();
  open();
  EXPECT_EQ(tracking_->get_experiment(admin_, "0").name, "Default");
}

TEST_F(RunsTest, ExperimentLifecycle) {
  const Experiment e = tracking_->create_experiment(ann_, "first", "", {{"team", "a"}});
  EXPECT_EQ(e.artifact_location, "mlflow-artifacts:/" + e.experiment_id);
  EXPECT_EQ(e.tags.at("team"), "a");
  EXPECT_EQ(code_of([&] { tracking_->create_experiment(ann_, "first", "", {}); }), ErrorCode::kAlreadyExists);
  EXPECT_EQ(tracking_->find_experiment(ann_, "first")->experiment_id, e.experiment_id);
  EXPECT_FALSE(tracking_->find_experiment(ann_, "none"));
  std::string message;
  EXPECT_EQ(code_of([&] { tracking_->get_experiment(ann_, "4711"); }, &message), ErrorCode::kNotFound);
  EXPECT_THAT(message, HasSubstr("No Experiment with id=4711 exists"));
  EXPECT_EQ(code_of([&] { tracking_->get_experiment(ann_, "x"); }), ErrorCode::kInvalidArgument);

  const tracking::Run run = tracking_->create_run(ann_, {.experiment_id = e.experiment_id}, {});
  tracking_->delete_experiment(ann_, e.experiment_id);
  EXPECT_EQ(tracking_->get_experiment(ann_, e.experiment_id).lifecycle_stage, "deleted");
  EXPECT_EQ(tracking_->get_run(ann_, run.info.run_id).info.lifecycle_stage, "deleted");
  EXPECT_EQ(code_of([&] { tracking_->create_run(ann_, {.experiment_id = e.experiment_id}, {}); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { tracking_->create_experiment(ann_, "first", "", {}); }), ErrorCode::kAlreadyExists);
  tracking_->restore_experiment(ann_, e.experiment_id);
  EXPECT_EQ(tracking_->get_run(ann_, run.info.run_id).info.lifecycle_stage, "active");
  tracking_->rename_experiment(ann_, e.experiment_id, "second");
  EXPECT_EQ(tracking_->find_experiment(ann_, "second")->experiment_id, e.experiment_id);
  tracking_->set_experiment_tag(ann_, e.experiment_id, "k", "v");
  tracking_->delete_experiment_tag(ann_, e.experiment_id, "k");
  EXPECT_EQ(code_of([&] { tracking_->delete_experiment_tag(ann_, e.experiment_id, "k"); }), ErrorCode::kNotFound);
}

TEST_F(RunsTest, RefusesBadArtifactLocations) {
  for (const char* uri : {"file:///a#b", "s3://b/../c", "s3://b/%2e%2e/c", "s3://b?x=1", "s3://b/%252e%252e/c"}) {
    EXPECT_EQ(code_of([&] { tracking_->create_experiment(ann_, "x", uri, {}); }), ErrorCode::kInvalidArgument) << uri;
  }
}

TEST_F(RunsTest, RacingCreatorsMakeOneExperiment) {
  std::atomic<int> made = 0;
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      try {
        tracking_->create_experiment(ann_, "race", "", {});
        ++made;
      } catch (const Error& error) {
        if (error.code() == ErrorCode::kAlreadyExists) ++refused;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(made, 1);
  EXPECT_EQ(refused, 7);
  EXPECT_TRUE(tracking_->find_experiment(ann_, "race"));
}

TEST_F(RunsTest, AccessFollowsTheExperiment) {
  const std::string mine = experiment(ann_, "mine");
  const tracking::Run run = tracking_->create_run(ann_, {.experiment_id = mine}, {});
  EXPECT_EQ(code_of([&] { tracking_->get_experiment(bob_, mine); }), ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of([&] { tracking_->find_experiment(bob_, "mine"); }), ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of([&] { tracking_->get_run(bob_, run.info.run_id); }), ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of([&] { tracking_->create_run(bob_, {.experiment_id = mine}, {}); }), ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of([&] { tracking_->log_batch(bob_, run.info.run_id, {.params = {{"a", "b"}}}); }),
            ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of([&] { tracking_->search_runs(bob_, {.experiment_ids = {mine}}); }), ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of([&] { tracking_->metric_history(bob_, run.info.run_id, "a", {}); }), ErrorCode::kPermissionDenied);
  EXPECT_THAT(tracking_->search_experiments(bob_, {}).first, IsEmpty());
  grant(mine, bob_, catalog::Privilege::kSelect);
  EXPECT_EQ(tracking_->get_run(bob_, run.info.run_id).info.run_id, run.info.run_id);
  EXPECT_EQ(tracking_->search_experiments(bob_, {}).first.size(), 1u);
  EXPECT_EQ(code_of([&] { tracking_->delete_run(bob_, run.info.run_id); }), ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of([&] { tracking_->delete_experiment(bob_, mine); }), ErrorCode::kPermissionDenied);
}

TEST_F(RunsTest, ListsFillTheirPagesBehindTheFilterOfRights) {
  for (int i = 0; i < 15; ++i) {
    const std::string id = experiment(ann_, lakeloop::format("e{}", i));
    if (i % 5 == 0) grant(id, bob_, catalog::Privilege::kSelect);
  }
  std::vector<std::string> seen;
  std::string token;
  do {
    const auto page = tracking_->search_experiments(bob_, {.page = {.max_results = 2, .page_token = token}});
    for (const Experiment& e : page.first) seen.push_back(e.name);
    token = page.second;
    EXPECT_TRUE(page.first.size() == 2 || token.empty());
  } while (!token.empty());
  EXPECT_THAT(seen, UnorderedElementsAre("e0", "e5", "e10"));
}

TEST_F(RunsTest, RunNamesAndTagsAgree) {
  const std::string e = experiment(admin_, "e");
  const tracking::Run named =
      tracking_->create_run(admin_, {.name = "n", .experiment_id = e}, {{"mlflow.user", "zoe"}});
  EXPECT_EQ(named.tags.at("mlflow.runName"), "n");
  EXPECT_EQ(named.info.user_id, "zoe");
  EXPECT_EQ(named.info.artifact_uri, lakeloop::format("mlflow-artifacts:/{}/{}/artifacts", e, named.info.run_id));
  EXPECT_FALSE(tracking_->create_run(admin_, {.experiment_id = e}, {}).info.name.empty());
  EXPECT_EQ(
      code_of([&] { tracking_->create_run(admin_, {.name = "a", .experiment_id = e}, {{"mlflow.runName", "b"}}); }),
      ErrorCode::kInvalidArgument);
  EXPECT_EQ(
      tracking_->update_run(admin_, named.info.run_id, {.status = "FINISHED", .name = "m", .end_time = 5}).end_time, 5);
  EXPECT_EQ(tracking_->get_run(admin_, named.info.run_id).tags.at("mlflow.runName"), "m");
  tracking_->log_batch(admin_, named.info.run_id, {.tags = {{"mlflow.runName", "o"}}});
  EXPECT_EQ(tracking_->get_run(admin_, named.info.run_id).info.name, "o");
  EXPECT_EQ(code_of([&] {
              tracking_->update_run(admin_, named.info.run_id, {.status = "DONE", .name = {}, .end_time = {}});
            }),
            ErrorCode::kInvalidArgument);
}

TEST_F(RunsTest, DeletedRunsTakeNothing) {
  const std::string id = new_run(experiment(admin_, "e"), "r");
  tracking_->delete_run(admin_, id);
  tracking_->delete_run(admin_, id);  // a retry
  std::string message;
  EXPECT_EQ(code_of([&] { tracking_->log_batch(admin_, id, {.params = {{"a", "b"}}}); }, &message),
            ErrorCode::kInvalidArgument);
  EXPECT_THAT(message, HasSubstr("must be in the 'active' state. Current state is deleted."));
  tracking_->restore_run(admin_, id);
  tracking_->log_batch(admin_, id, {.params = {{"a", "b"}}});
  EXPECT_EQ(tracking_->get_run(admin_, id).params.at("a"), "b");
}

TEST_F(RunsTest, MetricsKeepTheirHistoryAndTheLatest) {
  const std::string id = new_run(experiment(admin_, "e"), "r");
  const double nan = std::nan("");
  for (int repeat = 0; repeat < 2; ++repeat) {  // sent twice is there once
    tracking_->log_batch(admin_, id,
                         {.metrics = {{.key = "m", .value = 0.5, .timestamp = 10, .step = 0},
                                      {.key = "m", .value = 0, .timestamp = 20, .step = 1},
                                      {.key = "m", .value = nan, .timestamp = 15, .step = 1},
                                      {.key = "inf", .value = -INFINITY, .timestamp = 1, .step = 0}}});
  }
  const auto history = tracking_->metric_history(admin_, id, "m", {.max_results = 0, .page_token = ""}).first;
  ASSERT_EQ(history.size(), 3u);
  EXPECT_EQ(history[0].value, 0.5);
  EXPECT_TRUE(std::isnan(history[1].value));
  EXPECT_EQ(history[2].value, 0);
  const tracking::Run r = tracking_->get_run(admin_, id);
  ASSERT_EQ(r.metrics.size(), 2u);
  EXPECT_EQ(r.metrics[0].value, -INFINITY);
  EXPECT_EQ(r.metrics[1].value, 0);
  EXPECT_EQ(r.metrics[1].step, 1);
  std::vector<double> paged;
  std::string token;
  do {
    const auto page = tracking_->metric_history(admin_, id, "m", {.max_results = 1, .page_token = token});
    for (const Metric& m : page.first) paged.push_back(m.value);
    token = page.second;
  } while (!token.empty());
  EXPECT_EQ(paged.size(), 3u);
  EXPECT_THAT(tracking_->metric_history(admin_, id, "none", {}).first, IsEmpty());
}

TEST_F(RunsTest, ABatchIsAllOrNothing) {
  const std::string id = new_run(experiment(admin_, "e"), "r");
  tracking_->log_batch(admin_, id, {.params = {{"a", "1"}}});
  tracking_->log_batch(admin_, id, {.params = {{"a", "1"}}});
  EXPECT_EQ(
      code_of([&] {
        tracking_->log_batch(
            admin_, id,
            {.metrics = {{.key = "m", .value = 1}}, .params = {{"b", "2"}, {"a", "changed"}}, .tags = {{"t", "u"}}});
      }),
      ErrorCode::kInvalidArgument);
  const tracking::Run r = tracking_->get_run(admin_, id);
  EXPECT_THAT(r.metrics, IsEmpty());
  EXPECT_EQ(r.params.size(), 1u);
  EXPECT_FALSE(r.tags.contains("t"));
  RunBatch big;
  for (int i = 0; i < 1001; ++i) big.metrics.push_back({.key = "m", .step = i});
  EXPECT_EQ(code_of([&] { tracking_->log_batch(admin_, id, big); }), ErrorCode::kInvalidArgument);
}

TEST_F(RunsTest, KeysAreChecked) {
  const std::string id = new_run(experiment(admin_, "e"), "r");
  for (const char* key : {"", "/a", "a//b", "a/../b", "./a", "a#b", "a?b", "a\nb"}) {
    EXPECT_EQ(code_of([&] { tracking_->log_batch(admin_, id, {.metrics = {{.key = key, .value = 1}}}); }),
              ErrorCode::kInvalidArgument)
        << key;
  }
  for (const char* key : {"a b", "a/b", "a.b-c_d", "größe", "a:b"}) {
    tracking_->log_batch(admin_, id, {.metrics = {{.key = key, .value = 1}}});
  }
  EXPECT_EQ(code_of([&] { tracking_->log_batch(admin_, id, {.params = {{std::string(251, 'a'), "x"}}}); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { tracking_->delete_run_tag(admin_, id, "none"); }), ErrorCode::kNotFound);
}

TEST_F(RunsTest, SearchFollowsTheGrammar) {
  const std::string e = experiment(admin_, "e");
  const std::string a = new_run(e, "a", 1);
  const std::string b = new_run(e, "b", 2);
  const std::string c = new_run(e, "c", 3);
  tracking_->log_batch(
      admin_, a, {.metrics = {{.key = "acc", .value = 0}}, .params = {{"lr", "0.1"}}, .tags = {{"Team", "Red_1"}}});
  tracking_->log_batch(
      admin_, b, {.metrics = {{.key = "acc", .value = 0.7}}, .params = {{"lr", "it's"}}, .tags = {{"Team", "blue"}}});
  tracking_->log_batch(admin_, c,
                       {.metrics = {{.key = "acc", .value = std::nan("")}}, .params = {{"lr", "' OR 1=1 --"}}});
  EXPECT_THAT(search(e, ""), ElementsAre("c", "b", "a"));
  EXPECT_THAT(search(e, "metrics.acc >= 0"), ElementsAre("b", "a"));
  EXPECT_THAT(search(e, "metrics.acc = 0"), ElementsAre("a"));
  EXPECT_THAT(search(e, "params.lr = '0.1'"), ElementsAre("a"));
  EXPECT_THAT(search(e, "params.lr = \"it's\""), ElementsAre("b"));
  EXPECT_THAT(search(e, "params.lr = ''' OR 1=1 --'"), ElementsAre("c"));
  EXPECT_THAT(search(e, "tags.Team LIKE 'red%'"), IsEmpty());
  EXPECT_THAT(search(e, "tags.Team ILIKE 'red%'"), ElementsAre("a"));
  EXPECT_THAT(search(e, "tags.Team != 'blue'"), ElementsAre("a"));  // c has no such tag
  EXPECT_THAT(search(e, "tags.Team IS NULL"), ElementsAre("c"));
  EXPECT_THAT(search(e, "attributes.start_time > 1 AND run_name = 'x' "), IsEmpty());
  EXPECT_THAT(search(e, "attributes.run_id IN ('" + a + "', '" + c + "')"), ElementsAre("c", "a"));
  EXPECT_THAT(search(e, "run_name = 'b'"), ElementsAre("b"));
  EXPECT_THAT(search(e, "", {"metrics.acc ASC"}), ElementsAre("a", "b", "c"));
  EXPECT_THAT(search(e, "", {"metrics.acc DESC"}), ElementsAre("b", "a", "c"));
  EXPECT_THAT(search(e, "", {"tags.Team DESC"}),
              ElementsAre("blue" < std::string("Red_1") ? "a" : "b", "blue" < std::string("Red_1") ? "b" : "a", "c"));
  for (const char* wrong : {"params.lr = 0.1", "metrics.acc = '1'", "foo.x = 'a'", "attributes.nope = 'a'",
                            "status IN ('RUNNING')", "metrics.acc LIKE 'x'", "start_time = 'x'"}) {
    EXPECT_EQ(code_of([&] { search(e, wrong); }), ErrorCode::kInvalidArgument) << wrong;
  }
  EXPECT_EQ(code_of([&] { search(e, "", {"metrics.acc", "metric.acc DESC"}); }), ErrorCode::kInvalidArgument);
}

TEST_F(RunsTest, PagesLoseAndRepeatNothingWhileRunsArrive) {
  const std::string e = experiment(admin_, "e");
  for (int i = 0; i < 15; ++i) new_run(e, lakeloop::format("r{}", i), 100);  // one start time for all
  std::vector<std::string> seen;
  std::string token;
  do {
    const auto page =
        tracking_->search_runs(admin_, {.experiment_ids = {e}, .page = {.max_results = 4, .page_token = token}});
    for (const std::string& name : ids(page)) seen.push_back(name);
    token = page.second;
    new_run(e, "late", 200);  // before all others
  } while (!token.empty());
  std::erase(seen, "late");
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 15u);
  EXPECT_EQ(seen.size(), 15u);
  for (const std::int64_t wrong : {0LL, -1LL, 50'001LL}) {
    EXPECT_EQ(code_of([&] {
                tracking_->search_runs(admin_,
                                       {.experiment_ids = {e}, .page = {.max_results = wrong, .page_token = ""}});
              }),
              ErrorCode::kInvalidArgument);
  }
}

TEST_F(RunsTest, InputsAndLoggedModels) {
  const std::string e = experiment(admin_, "e");
  const std::string r = new_run(e, "r");
  for (int repeat = 0; repeat < 2; ++repeat) {
    tracking_->log_inputs(admin_, r,
                          {{.name = "d",
                            .digest = "1",
                            .source_type = "local",
                            .source = "x",
                            .tags = {{"mlflow.data.context", "eval"}}}},
                          {});
  }
  EXPECT_EQ(tracking_->get_run(admin_, r).datasets.size(), 1u);
  EXPECT_THAT(search(e, "dataset.context = 'eval'"), ElementsAre("r"));
  EXPECT_EQ(code_of([&] { tracking_->log_inputs(admin_, r, {{.name = std::string(501, 'x'), .digest = "1"}}, {}); }),
            ErrorCode::kInvalidArgument);

  const LoggedModel m = tracking_->create_logged_model(
      admin_, {.experiment_id = e, .name = "clf", .source_run_id = r, .params = {{"p", "1"}}});
  EXPECT_EQ(m.artifact_uri, lakeloop::format("mlflow-artifacts:/{}/models/{}/artifacts", e, m.model_id));
  tracking_->log_batch(admin_, r, {.metrics = {{.key = "acc", .value = 0.9, .timestamp = 1, .model_id = m.model_id}}});
  EXPECT_EQ(tracking_->finalize_logged_model(admin_, m.model_id, "LOGGED_MODEL_READY").status, "LOGGED_MODEL_READY");
  EXPECT_EQ(
      tracking_->search_logged_models(admin_, {.experiment_ids = {e}, .filter = "metrics.acc > 0.5 AND name = 'clf'"})
          .first.size(),
      1u);
  EXPECT_EQ(tracking_->search_logged_models(admin_, {.experiment_ids = {e}, .filter = "params.p = '2'"}).first.size(),
            0u);
  EXPECT_EQ(code_of([&] { tracking_->get_logged_model(bob_, m.model_id); }), ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of([&] { tracking_->create_logged_model(admin_, {.experiment_id = e, .name = "a/b"}); }),
            ErrorCode::kInvalidArgument);
  tracking_->delete_logged_model(admin_, m.model_id);
  EXPECT_EQ(code_of([&] { tracking_->get_logged_model(admin_, m.model_id); }), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace lakeloop::tracking
