#include "api/databricks/statements.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/id.h"
#include "base/limits.h"

namespace lakeloop::api::databricks {
namespace {

using namespace std::chrono_literals;

class StatementsTest : public testing::Test {
 protected:
  StatementsTest() : folder_(std::filesystem::temp_directory_path() / ("statements_test_" + random_hex(8))) {
    std::filesystem::create_directories(folder_);
    std::vector<db::Migration> all = identity::migrations();
    for (const auto& migration : catalog::migrations()) all.push_back(migration);
    database_ = db::Database::open(folder_ / "meta.db", all);
    identity_ = std::make_unique<identity::Identity>(*database_);
    identity_->ensure_admin("root");
    root_ = *identity_->find("root");
    ann_ = identity_->create_user("ann@example.com", "Ann", false);
    catalog_ = std::make_unique<catalog::Catalog>(*database_, storage::open_local_store(folder_ / "objects"));
    catalog_->ensure_schema(root_, "main", "default");
    statements_ = std::make_unique<Statements>(*catalog_);
  }
  ~StatementsTest() override {
    statements_.reset();
    catalog_.reset();
    identity_.reset();
    database_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::string submit(const std::string& statement) {
    return statements_->submit(
        root_, {.statement = statement, .catalog = "main", .schema = "default", .options = {.parameters = {}}});
  }
  StatementView ended(const std::string& id) { return statements_->get(root_, id, 60s); }

  std::filesystem::path folder_;
  std::unique_ptr<db::Database> database_;
  std::unique_ptr<identity::Identity> identity_;
  std::unique_ptr<catalog::Catalog> catalog_;
  std::unique_ptr<Statements> statements_;
  identity::Principal root_, ann_;
};

// Runs for minutes unless it is stopped.
const char* const kLong = "SELECT sum(a.range * b.range % 7) FROM range(3000000) a, range(3000000) b";

TEST_F(StatementsTest, AResultIsReadAgainByItsSenderOnly) {
  const std::string id = submit("SELECT 42 AS n");
  for (int i = 0; i < 2; ++i) {
    const StatementView view = ended(id);
    ASSERT_EQ(view.state, StatementState::kSucceeded);
    EXPECT_EQ(view.result->rows.at(0).at(0), Json(42));
  }
  EXPECT_THROW(statements_->get(ann_, id), Error);
  EXPECT_THROW(statements_->cancel(ann_, id), Error);
  EXPECT_THROW(statements_->get(root_, "none"), Error);
}

TEST_F(StatementsTest, AFailureIsNoEmptySuccess) {
  const StatementView view = ended(submit("SELECT nothing FROM nowhere"));
  EXPECT_EQ(view.state, StatementState::kFailed);
  EXPECT_EQ(view.result, nullptr);
  EXPECT_TRUE(view.error.has_value());
}

TEST_F(StatementsTest, ARunningStatementIsCancelled) {
  const std::string id = submit(kLong);
  EXPECT_FALSE(statements_->get(root_, id, 50ms).ended());
  statements_->cancel(root_, id);
  EXPECT_EQ(ended(id).state, StatementState::kCanceled);
  statements_->cancel(root_, id);  // changes nothing
  EXPECT_EQ(ended(id).state, StatementState::kCanceled);
}

TEST_F(StatementsTest, AnAbandonedWaitReturns) {
  const std::string id = submit(kLong);
  std::stop_source gone;
  gone.request_stop();
  EXPECT_FALSE(statements_->get(root_, id, 3600s, gone.get_token()).ended());
  statements_->cancel(root_, id);
}

TEST_F(StatementsTest, WhatIsTooMuchIsRefusedAndStoppingEndsAll) {
  std::vector<std::string> ids;
  std::optional<ErrorCode> refused;
  for (std::size_t i = 0; i <= limits::kStatementThreads + limits::kStatementQueue + 1 && !refused; ++i) {
    try {
      ids.push_back(submit(kLong));
    } catch (const Error& error) {
      refused = error.code();
      EXPECT_TRUE(error.retry_after().has_value());
    }
  }
  EXPECT_EQ(refused, ErrorCode::kUnavailable);
  EXPECT_GE(ids.size(), limits::kStatementQueue);
  statements_->stop();
  for (const std::string& id : ids) EXPECT_EQ(statements_->get(root_, id).state, StatementState::kCanceled);
  EXPECT_THROW(submit("SELECT 1"), Error);
}

TEST_F(StatementsTest, TheOldestAreForgotten) {
  const std::string first = submit("SELECT 0");
  ended(first);
  for (std::size_t i = 1; i < limits::kStatementsKept; ++i) ended(submit("SELECT 1"));
  EXPECT_EQ(ended(first).state, StatementState::kSucceeded);
  const std::string last = submit("SELECT 2");
  ended(last);
  EXPECT_THROW(statements_->get(root_, first), Error);
  EXPECT_EQ(ended(last).state, StatementState::kSucceeded);
}

}  // namespace
}  // namespace lakeloop::api::databricks
