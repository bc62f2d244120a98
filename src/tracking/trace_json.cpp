#include "tracking/trace_json.h"

namespace lakeloop::tracking {
namespace {

Json from_map(const std::map<std::string, std::string>& map) {
  Json json = Json::object();
  for (const auto& [key, value] : map) json.set(key, value);
  return json;
}

std::map<std::string, std::string> to_map(const Json& json) {
  std::map<std::string, std::string> map;
  if (json.is_object()) {
    for (const auto& [key, value] : json.members()) map[key] = value.string_or("");
  }
  return map;
}

Json span_to_json(const Span& span) {
  Json events = Json::array();
  for (const SpanEvent& event : span.events) {
    events.push_back(Json::object({{"time", event.time_ns}, {"name", event.name}, {"attributes", event.attributes}}));
  }
  return Json::object({{"trace_id", span.trace_id},
                       {"span_id", span.span_id},
                       {"parent_id", span.parent_id},
                       {"name", span.name},
                       {"kind", span.kind},
                       {"start", span.start_ns},
                       {"end", span.end_ns},
                       {"status", span.status_code},
                       {"status_message", span.status_message},
                       {"attributes", span.attributes},
                       {"events", std::move(events)},
                       {"links", span.links}});
}

Span span_from_json(const Json& json) {
  Span span{.trace_id = json.str("trace_id"),
            .span_id = json.str("span_id"),
            .parent_id = json.str("parent_id"),
            .name = json.str("name"),
            .kind = static_cast<int>(json["kind"].int_or(1)),
            .start_ns = json["start"].int_or(0),
            .end_ns = json["end"].int_or(0),
            .status_code = static_cast<int>(json["status"].int_or(0)),
            .status_message = json.str("status_message"),
            .attributes = json["attributes"],
            .events = {},
            .links = json["links"]};
  if (json["events"].is_array()) {
    for (const Json& event : json["events"].items()) {
      span.events.push_back({event["time"].int_or(0), event.str("name"), event["attributes"]});
    }
  }
  return span;
}

}  // namespace

Json trace_to_json(const Trace& trace) {
  Json spans = Json::array();
  for (const Span& span : trace.spans) spans.push_back(span_to_json(span));
  const TraceInfo& info = trace.info;
  return Json::object({{"trace_id", info.trace_id},
                       {"experiment_id", info.experiment_id},
                       {"client_request_id", info.client_request_id},
                       {"request_preview", info.request_preview},
                       {"response_preview", info.response_preview},
                       {"request_time", info.request_time.micros},
                       {"execution_ms", info.execution_ms},
                       {"state", info.state},
                       {"metadata", from_map(info.metadata)},
                       {"tags", from_map(info.tags)},
                       {"spans", std::move(spans)}});
}

Trace trace_from_json(const Json& json) {
  Trace trace;
  trace.info = {.trace_id = json.str("trace_id"),
                .experiment_id = json.str("experiment_id"),
                .client_request_id = json.str("client_request_id"),
                .request_preview = json.str("request_preview"),
                .response_preview = json.str("response_preview"),
                .request_time = Timestamp{json["request_time"].int_or(0)},
                .execution_ms = json["execution_ms"].int_or(0),
                .state = json.str("state"),
                .metadata = to_map(json["metadata"]),
                .tags = to_map(json["tags"])};
  if (json["spans"].is_array()) {
    for (const Json& span : json["spans"].items()) trace.spans.push_back(span_from_json(span));
  }
  return trace;
}

}  // namespace lakeloop::tracking
