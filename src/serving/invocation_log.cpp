#include "serving/invocation_log.h"

#include <map>

#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "tracking/trace_json.h"

namespace lakeloop::serving {
namespace {

constexpr std::string_view kConsumer = "invocations";
constexpr std::size_t kBatchRecords = 500;
constexpr std::size_t kBatchBytes = 32 * 1024 * 1024;

Gauge lag("lakeloop_invocation_log_lag", "Requests in the journal that are not in tables yet.");
Counter failures("lakeloop_invocation_log_failures_total",
                 "Batches that could not be written to tables and are tried again.");

Json to_json(const Payload& payload) {
  Json codes = Json::array();
  const auto kept = [&](const std::string& text, const char* code) -> Json {
    if (text.size() <= limits::kPayloadBytes) return text;
    codes.push_back(code);
    return {};
  };
  Json json =
      Json::object({{"databricks_request_id", payload.databricks_request_id},
                    {"client_request_id", payload.client_request_id.empty() ? Json() : Json(payload.client_request_id)},
                    {"request_time", payload.request_time.micros},
                    {"status_code", payload.status_code},
                    {"execution_duration_ms", payload.execution_duration_ms},
                    {"served_entity_id", payload.served_entity_id},
                    {"requester", payload.requester}});
  json.set("request", kept(payload.request, "MAX_REQUEST_SIZE_EXCEEDED"));
  json.set("response", kept(payload.response, "MAX_RESPONSE_SIZE_EXCEEDED"));
  json.set("logging_error_codes", std::move(codes));
  return json;
}

delta::Row to_row(const Json& payload) {
  const std::int64_t at = payload["request_time"].int_or(0);
  return {payload["databricks_request_id"],
          days_since_epoch(Timestamp{at}),
          payload["client_request_id"],
          at,
          payload["status_code"],
          1.0,
          payload["execution_duration_ms"],
          payload["request"],
          payload["response"],
          payload["logging_error_codes"],
          payload["served_entity_id"],
          payload["requester"]};
}

}  // namespace

delta::Schema payload_schema() {
  using delta::TypeKind;
  return {{"databricks_request_id", TypeKind::kString},
          {"request_date", TypeKind::kDate},
          {"client_request_id", TypeKind::kString},
          {"request_time", TypeKind::kTimestamp},
          {"status_code", TypeKind::kInteger},
          {"sampling_fraction", TypeKind::kDouble},
          {"execution_duration_ms", TypeKind::kLong},
          {"request", TypeKind::kString},
          {"response", TypeKind::kString},
          {"logging_error_codes", delta::DataType::array(TypeKind::kString)},
          {"served_entity_id", TypeKind::kString},
          {"requester", TypeKind::kString}};
}

InvocationLog::InvocationLog(journal::Journal& journal, tracking::Tracking& tracking, catalog::Catalog& catalog,
                             identity::Principal admin)
    : journal_(journal), tracking_(tracking), catalog_(catalog), admin_(std::move(admin)) {
  journal_.register_consumer(kConsumer);
  consumer_ = std::jthread([this](const std::stop_token& stopped) { consume(stopped); });
}

InvocationLog::~InvocationLog() {
  stop();
}

void InvocationLog::stop() {
  consumer_.request_stop();
  if (consumer_.joinable()) consumer_.join();
}

void InvocationLog::append(const Payload& payload, const std::string& table, const tracking::Trace& trace) {
  Json record = Json::object({{"kind", "invocation"}});
  if (!table.empty()) {
    record.set("table", table);
    record.set("payload", to_json(payload));
  }
  record.set("trace", tracking::trace_to_json(trace));
  journal_.append(record.dump());
}

bool InvocationLog::drain(std::chrono::milliseconds wait) {
  const std::uint64_t end = journal_.end();
  const auto until = Steady::now() + wait;
  while (journal_.offset(kConsumer) < end) {
    if (Steady::now() >= until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

void InvocationLog::consume(const std::stop_token& stopped) {
  std::chrono::milliseconds backoff(100);
  while (!stopped.stop_requested()) {
    const std::uint64_t from = journal_.offset(kConsumer);
    lag.set(static_cast<double>(journal_.end() - from));
    if (!journal_.wait(from, std::chrono::milliseconds(200))) continue;
    try {
      const std::vector<journal::Record> records = journal_.read(from, kBatchRecords, kBatchBytes);
      if (records.empty()) continue;
      consume_batch(records);
      journal_.commit_offset(kConsumer, records.back().position + 1);
      backoff = std::chrono::milliseconds(100);
    } catch (const Error& error) {
      failures.add();
      log_error("invocation_log_retry", {{"message", error.message()}, {"position", from}});
      const auto until = Steady::now() + backoff;
      while (!stopped.stop_requested() && Steady::now() < until)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      backoff = std::min(backoff * 2, std::chrono::milliseconds(5000));
    }
  }
}

void InvocationLog::consume_batch(const std::vector<journal::Record>& records) {
  struct Placed {
    std::int64_t position = 0;
    delta::Row row;
  };
  std::map<std::string, std::vector<Placed>> tables;
  for (const journal::Record& record : records) {
    const Json json = Json::parse(record.bytes);
    if (json["trace"].is_object()) tracking_.record_trace(tracking::trace_from_json(json["trace"]));
    if (json["table"].is_string()) {
      tables[json["table"].as_string()].push_back(
          {static_cast<std::int64_t>(record.position), to_row(json["payload"])});
    }
  }
  for (auto& [name, rows] : tables) {
    delta::Table table = catalog_.open_or_create_table(admin_, name,
                                                       {.schema = payload_schema(),
                                                        .partition_columns = {},
                                                        .properties = {},
                                                        .name = {},
                                                        .description = "Requests and answers"});
    // A batch that is read again after a crash begins at the same offset but may reach further: rows that are in
    // already are told by the position that the table's txn action holds.
    const auto transactions = table.snapshot().transactions;
    const auto done = transactions.find("invocations");
    std::vector<delta::Row> fresh;
    for (Placed& placed : rows) {
      if (done == transactions.end() || placed.position > done->second) fresh.push_back(std::move(placed.row));
    }
    if (fresh.empty()) continue;
    table.append(fresh, {.operation = "WRITE",
                         .parameters = Json::object({{"mode", "Append"}}),
                         .user = admin_.name,
                         .app_id = "invocations",
                         .app_version = rows.back().position});
  }
}

}  // namespace lakeloop::serving
