#pragma once

// A catalog and a tracking service on a folder of their own, for the tests of this module.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "base/format.h"
#include "base/id.h"
#include "tracking/tracking.h"

namespace lakeloop::tracking {

template <typename F>
ErrorCode code_of(F&& work, std::string* message = nullptr) {
  try {
    work();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.message();
    return error.code();
  }
  ADD_FAILURE() << "no error was thrown";
  return ErrorCode::kInternal;
}

class TrackingTest : public testing::Test {
 protected:
  TrackingTest() : folder_(std::filesystem::temp_directory_path() / ("tracking_test_" + random_hex(8))) {
    std::filesystem::create_directories(folder_);
    admin_ = {.id = "1", .name = "root@example.com", .display_name = "", .admin = true, .groups = {}};
    ann_ = {.id = "2", .name = "ann@example.com", .display_name = "", .groups = {}};
    bob_ = {.id = "3", .name = "bob@example.com", .display_name = "", .groups = {}};
    open();
  }
  ~TrackingTest() override {
    close();
    std::filesystem::remove_all(folder_);
  }

  void open() {
    std::vector<db::Migration> all;
    for (const auto& part : {identity::migrations(), catalog::migrations(), migrations()})
      all.insert(all.end(), part.begin(), part.end());
    database_ = db::Database::open(folder_ / "meta.db", all);
    store_ = storage::open_local_store(folder_ / "objects");
    catalog_ = std::make_unique<catalog::Catalog>(*database_, store_);
    tracking_ = std::make_unique<Tracking>(*database_, *catalog_);
  }
  void close() {
    tracking_.reset();
    catalog_.reset();
    store_.reset();
    database_.reset();
  }

  std::string experiment(const Principal& who, std::string_view name) {
    return tracking_->create_experiment(who, name, "", {}).experiment_id;
  }
  void grant(std::string_view experiment_id, const Principal& to, catalog::Privilege privilege) {
    catalog_->change_grants(admin_, {.type = catalog::SecurableType::kExperiment, .name = std::string(experiment_id)},
                            {{.principal = to.name, .add = {privilege}, .remove = {}}});
  }

  // A trace id of 32 hex digits out of a number.
  static std::string id32(int number) { return lakeloop::format("{:032x}", number + 1); }
  static Span span(int trace, int number, int parent = -1) {
    Span s;
    s.trace_id = id32(trace);
    s.span_id = lakeloop::format("{:016x}", number + 1);
    if (parent >= 0) s.parent_id = lakeloop::format("{:016x}", parent + 1);
    s.name = lakeloop::format("span-{}", number);
    s.start_ns = 1'700'000'000'000'000'000 + number * 1'000'000LL;
    s.end_ns = s.start_ns + 5'000'000;
    s.status_code = 1;
    return s;
  }
  // One root span.
  std::string trace(const Principal& who, std::string_view experiment_id, int number) {
    Span s = span(number, 0);
    s.start_ns += number * 1'000'000'000LL;
    s.end_ns = s.start_ns + 7'000'000;
    tracking_->log_spans(who, experiment_id, {s}, {});
    return "tr-" + s.trace_id;
  }

  std::filesystem::path folder_;
  Principal admin_, ann_, bob_;
  std::unique_ptr<db::Database> database_;
  std::shared_ptr<storage::ObjectStore> store_;
  std::unique_ptr<catalog::Catalog> catalog_;
  std::unique_ptr<Tracking> tracking_;
};

}  // namespace lakeloop::tracking
