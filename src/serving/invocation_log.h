#pragma once

// What happened to one request of an endpoint: one journal record on the request path, from which a consumer makes the
// trace and the row of the payload table, each exactly once (traces by id, rows by the Delta txn action).

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "catalog/catalog.h"
#include "journal/journal.h"
#include "tracking/tracking.h"

namespace lakeloop::serving {

// The columns of Databricks' inference tables (AI Gateway, first generation).
struct Payload {
  std::string databricks_request_id, client_request_id;
  Timestamp request_time;
  std::int64_t status_code = 0, execution_duration_ms = 0;
  std::string request, response;  // JSON text; dropped with a logging error code when larger than limits::kPayloadBytes
  std::string served_entity_id, requester;
};

delta::Schema payload_schema();

class InvocationLog {
 public:
  // `admin` makes payload tables in the owner's stead.
  InvocationLog(journal::Journal& journal, tracking::Tracking& tracking, catalog::Catalog& catalog,
                identity::Principal admin);
  ~InvocationLog();

  // Durable when it returns. `table`: full name of the payload table, or empty.
  void append(const Payload& payload, const std::string& table, const tracking::Trace& trace);
  // Waits until everything appended so far is in tables; for a clean stop and for tests.
  bool drain(std::chrono::milliseconds wait);
  void stop();

 private:
  void consume(const std::stop_token& stopped);
  void consume_batch(const std::vector<journal::Record>& records);

  journal::Journal& journal_;
  tracking::Tracking& tracking_;
  catalog::Catalog& catalog_;
  const identity::Principal admin_;
  std::jthread consumer_;
};

}  // namespace lakeloop::serving
