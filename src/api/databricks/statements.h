#pragma once

// SQL statements that outlive their request: they run on a few threads behind a bounded queue; results of the newest
// ones are kept in memory for whoever sent them. A stop of the server ends what runs and forgets all. Thread-safe.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "catalog/catalog.h"
#include "identity/identity.h"
#include "sql/statement.h"

namespace lakeloop::api::databricks {

enum class StatementState : std::uint8_t { kPending, kRunning, kSucceeded, kFailed, kCanceled };
std::string_view to_string(StatementState state);  // "SUCCEEDED"

struct StatementRequest {
  std::string statement;
  std::string catalog, schema;  // complete shorter names
  sql::StatementOptions options;
};

// How a statement stands.
struct StatementView {
  std::string id;
  StatementState state = StatementState::kPending;
  std::shared_ptr<const sql::StatementResult> result;  // of a succeeded one
  std::optional<Error> error;                          // of a failed one
  [[nodiscard]] bool ended() const { return state > StatementState::kRunning; }
};

class Statements {
 public:
  explicit Statements(catalog::Catalog& catalog);
  ~Statements();
  Statements(const Statements&) = delete;
  Statements& operator=(const Statements&) = delete;

  // The statement's id. kUnavailable with Retry-After when too many wait.
  std::string submit(const identity::Principal& who, StatementRequest request);
  // kNotFound for one of somebody else's, or one that is no longer kept. With `wait` until it ends, at most so long; at
  // once when the wait is abandoned (`gone`) or limits::kStatementWaiters wait already.
  StatementView get(const identity::Principal& who, std::string_view id, std::chrono::milliseconds wait = {},
                    const std::stop_token& gone = {});
  // Of one that has ended already: changes nothing.
  void cancel(const identity::Principal& who, std::string_view id);
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::api::databricks
