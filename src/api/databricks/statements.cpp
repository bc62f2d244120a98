#include "api/databricks/statements.h"

#include <condition_variable>
#include <deque>
#include <mutex>

#include "base/id.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/thread_pool.h"

namespace lakeloop::api::databricks {
namespace {

struct Entry {
  std::string id, owner_id;
  StatementState state = StatementState::kPending;
  std::shared_ptr<const sql::StatementResult> result;
  std::optional<Error> error;
  std::size_t bytes = 0;  // of the result, about
  std::stop_source cancelled;
};

std::size_t bytes_of(const Json& cell) {
  if (cell.is_string()) return sizeof(Json) + cell.as_string().size();
  std::size_t bytes = sizeof(Json);
  if (cell.is_array()) {
    for (const Json& item : cell.items()) bytes += bytes_of(item);
  } else if (cell.is_object()) {
    for (const auto& [key, value] : cell.members()) bytes += key.size() + bytes_of(value);
  }
  return bytes;
}

std::size_t bytes_of(const sql::StatementResult& result) {
  std::size_t bytes = 0;
  for (const delta::Row& row : result.rows) {
    for (const Json& cell : row) bytes += bytes_of(cell);
  }
  return bytes;
}

}  // namespace

std::string_view to_string(StatementState state) {
  switch (state) {
    case StatementState::kPending:
      return "PENDING";
    case StatementState::kRunning:
      return "RUNNING";
    case StatementState::kSucceeded:
      return "SUCCEEDED";
    case StatementState::kFailed:
      return "FAILED";
    case StatementState::kCanceled:
      return "CANCELED";
  }
  return "";
}

struct Statements::Impl {
  explicit Impl(catalog::Catalog& c) : catalog(c) {}

  catalog::Catalog& catalog;
  std::mutex mutex;
  std::condition_variable_any changed;
  std::deque<std::shared_ptr<Entry>> entries;  // oldest first
  bool stopping = false;
  std::size_t waiters = 0;  // each holds a thread of the server
  ThreadPool pool{"sql", limits::kStatementThreads, limits::kStatementQueue};

  std::shared_ptr<Entry> find(const identity::Principal& who, std::string_view id) {  // holding the mutex
    for (const auto& entry : entries) {
      if (entry->id == id && entry->owner_id == who.id) return entry;
    }
    throw Error(ErrorCode::kNotFound, "statement {} does not exist, or its result is no longer kept",
                id.substr(0, 100));
  }

  // Forgets the oldest ended ones beyond the limits; what runs is never forgotten. Holding the mutex.
  void sweep() {
    std::size_t bytes = 0;
    std::size_t kept = 0;
    for (std::size_t i = entries.size(); i-- > 0;) {
      const Entry& entry = *entries[i];
      const bool ended = entry.state > StatementState::kRunning;
      // The newest result stays even when it is as large as the limit, or its own sender could never read it.
      if (ended &&
          (kept >= limits::kStatementsKept || (kept > 0 && bytes + entry.bytes > limits::kStatementBytesKept))) {
        entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(i));
        continue;
      }
      bytes += entry.bytes;
      ++kept;
    }
  }

  void finish(Entry& entry, StatementState state, std::shared_ptr<const sql::StatementResult> result,
              std::optional<Error> error) {
    const std::size_t bytes = result ? bytes_of(*result) : 0;
    const std::scoped_lock lock(mutex);
    if (entry.state > StatementState::kRunning) return;  // cancelled meanwhile
    entry.state = state;
    entry.result = std::move(result);
    entry.error = std::move(error);
    entry.bytes = bytes;
    sweep();
    changed.notify_all();
  }

  void run(Entry& entry, const identity::Principal& who, const StatementRequest& request) {
    {
      const std::scoped_lock lock(mutex);
      if (entry.state != StatementState::kPending) return;
      entry.state = StatementState::kRunning;
    }
    try {
      const auto resolver = catalog.resolver(who, request.catalog, request.schema);
      const auto deadline = Deadline::after(limits::kStatementTime, entry.cancelled.get_token());
      auto result =
          std::make_shared<sql::StatementResult>(sql::execute(request.statement, *resolver, request.options, deadline));
      finish(entry, StatementState::kSucceeded, std::move(result), {});
    } catch (const Error& error) {
      const bool canceled = entry.cancelled.stop_requested();
      finish(entry, canceled ? StatementState::kCanceled : StatementState::kFailed, {},
             canceled ? std::nullopt : std::optional<Error>(error));
    } catch (const std::exception& error) {
      log_error("unexpected_exception", {{"statement_id", entry.id}, {"what", error.what()}});
      finish(entry, StatementState::kFailed, {}, Error(ErrorCode::kInternal, "unexpected exception"));
    }
  }
};

Statements::Statements(catalog::Catalog& catalog) : impl_(std::make_unique<Impl>(catalog)) {}

Statements::~Statements() {
  stop();
}

std::string Statements::submit(const identity::Principal& who, StatementRequest request) {
  auto entry = std::make_shared<Entry>();
  entry->id = new_uuid();
  entry->owner_id = who.id;
  {
    const std::scoped_lock lock(impl_->mutex);
    if (impl_->stopping) throw Error(ErrorCode::kUnavailable, "the server is stopping");
    impl_->entries.push_back(entry);
  }
  const bool taken =
      impl_->pool.try_submit([this, entry, who, request = std::move(request)] { impl_->run(*entry, who, request); });
  if (!taken) {
    const std::scoped_lock lock(impl_->mutex);
    std::erase(impl_->entries, entry);
    throw Error(ErrorCode::kUnavailable, "{} SQL statements wait already; try again later", limits::kStatementQueue)
        .with_retry_after(std::chrono::seconds(1));
  }
  return entry->id;
}

StatementView Statements::get(const identity::Principal& who, std::string_view id, std::chrono::milliseconds wait,
                              const std::stop_token& gone) {
  std::unique_lock lock(impl_->mutex);
  const std::shared_ptr<Entry> entry = impl_->find(who, id);
  if (wait.count() > 0 && impl_->waiters < limits::kStatementWaiters) {
    ++impl_->waiters;
    impl_->changed.wait_for(lock, gone, wait,
                            [&] { return entry->state > StatementState::kRunning || impl_->stopping; });
    --impl_->waiters;
  }
  return {.id = entry->id, .state = entry->state, .result = entry->result, .error = entry->error};
}

void Statements::cancel(const identity::Principal& who, std::string_view id) {
  const std::scoped_lock lock(impl_->mutex);
  const std::shared_ptr<Entry> entry = impl_->find(who, id);
  if (entry->state > StatementState::kRunning) return;
  // A running one ends itself: it may be past the point where its commit can be stopped, and then it has succeeded.
  if (entry->state == StatementState::kPending) entry->state = StatementState::kCanceled;
  entry->cancelled.request_stop();
  impl_->changed.notify_all();
}

void Statements::stop() {
  {
    const std::scoped_lock lock(impl_->mutex);
    impl_->stopping = true;
    for (const auto& entry : impl_->entries) {
      if (entry->state == StatementState::kPending) entry->state = StatementState::kCanceled;
      entry->cancelled.request_stop();
    }
    impl_->changed.notify_all();
  }
  impl_->pool.stop();
}

}  // namespace lakeloop::api::databricks
