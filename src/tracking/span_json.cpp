#include "tracking/span_json.h"

namespace lakeloop::tracking {

std::string_view span_status(int status_code) {
  return status_code == 1 ? "OK" : status_code == 2 ? "ERROR" : "UNSET";
}

Json json_of_span(const Span& span) {
  Json json = Json::object({{"trace_id", span.trace_id},
                            {"span_id", span.span_id},
                            {"parent_span_id", span.parent_id},
                            {"name", span.name},
                            {"kind", span.kind},
                            {"start_time_unix_nano", span.start_ns},
                            {"end_time_unix_nano", span.end_ns},
                            {"status", Json::object({{"code", span.status_code}, {"message", span.status_message}})},
                            {"attributes", span.attributes}});
  Json events = Json::array();
  for (const SpanEvent& event : span.events) {
    events.push_back(
        Json::object({{"name", event.name}, {"time_unix_nano", event.time_ns}, {"attributes", event.attributes}}));
  }
  if (events.size() > 0) json.set("events", std::move(events));
  json.set_if("links", span.links);
  return json;
}

Span span_of_json(const Json& json) {
  Span span;
  span.trace_id = json.str("trace_id");
  span.span_id = json.str("span_id");
  span.parent_id = json.str("parent_span_id");
  span.name = json.str("name");
  span.kind = static_cast<int>(json["kind"].int_or(1));
  span.start_ns = json["start_time_unix_nano"].int_or(0);
  span.end_ns = json["end_time_unix_nano"].int_or(0);
  span.status_code = static_cast<int>(json["status"]["code"].int_or(0));
  span.status_message = json["status"].str("message");
  if (json["attributes"].is_object()) span.attributes = json["attributes"];
  if (json["events"].is_array()) {
    for (const Json& event : json["events"].items()) {
      span.events.push_back({event["time_unix_nano"].int_or(0), event.str("name"),
                             event["attributes"].is_object() ? event["attributes"] : Json::object()});
    }
  }
  span.links = json["links"];
  return span;
}

}  // namespace lakeloop::tracking
