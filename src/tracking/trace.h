#pragma once

// A trace as data: what OTLP brings and MLflow shows.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "codec/json.h"

namespace lakeloop::tracking {

struct SpanEvent {
  std::int64_t time_ns = 0;
  std::string name;
  Json attributes = Json::object();
};

struct Span {
  std::string trace_id;   // 32 hex digits
  std::string span_id;    // 16 hex digits
  std::string parent_id;  // empty for the root
  std::string name;
  int kind = 1;  // OTLP SpanKind, 1 = internal
  std::int64_t start_ns = 0, end_ns = 0;
  int status_code = 0;  // OTLP: 0 unset, 1 ok, 2 error
  std::string status_message;
  // Values as JSON. Writers of MLflow's kind hold each value as JSON text inside a string (they can be told by a quoted
  // "mlflow.traceRequestId"); what is stored and read back is the value itself.
  Json attributes = Json::object();
  std::vector<SpanEvent> events;
  Json links;  // array or null
};

// Spans and what made them: one ResourceSpans of OTLP.
struct ResourceSpans {
  std::vector<Span> spans;
  std::map<std::string, std::string> resource;  // "service.name"
};

struct Assessment {
  std::string assessment_id;  // "a-..."
  std::string trace_id, span_id;
  std::string name;
  std::string source_type = "HUMAN";  // HUMAN, LLM_JUDGE, CODE
  std::string source_id;
  std::string kind = "feedback";  // feedback, expectation, issue
  Json value;                     // 0 and false are values; null is "no value"
  Json error;                     // {error_code, error_message, stack_trace} or null
  std::string rationale;
  std::map<std::string, std::string> metadata;
  std::string overrides;  // id of the assessment that this one supersedes
  bool valid = true;
  Timestamp created, updated;
};

struct TraceInfo {
  std::string trace_id;  // "tr-" + 32 hex digits
  std::string experiment_id;
  std::string client_request_id;
  std::string request_preview, response_preview;
  Timestamp request_time;
  std::int64_t execution_ms = 0;
  std::string state = "OK";  // OK, ERROR, IN_PROGRESS, STATE_UNSPECIFIED
  std::map<std::string, std::string> metadata;
  std::map<std::string, std::string> tags;
  std::vector<Assessment> assessments;  // read with the info: those that are not deleted, oldest first
};

struct Trace {
  TraceInfo info;
  std::vector<Span> spans;  // by start
};

}  // namespace lakeloop::tracking
