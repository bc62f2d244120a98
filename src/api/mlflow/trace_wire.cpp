#include <algorithm>

#include "api/mlflow/wire.h"
#include "codec/encoding.h"

namespace lakeloop::api::mlflow {

namespace {

using tracking::Assessment;

std::string base64_of_hex(std::string_view hex) {
  const auto bytes = codec::hex_decode(hex);
  return bytes ? codec::base64_encode(*bytes) : std::string();
}

Json any_value(const Json& value) {
  if (value.is_bool()) return Json::object({{"bool_value", value}});
  if (value.is_int()) return Json::object({{"int_value", value}});
  if (value.is_double()) return Json::object({{"double_value", value}});
  if (value.is_string()) return Json::object({{"string_value", value}});
  if (value.is_array()) {
    Json values = Json::array();
    for (const Json& item : value.items()) values.push_back(any_value(item));
    return Json::object({{"array_value", Json::object({{"values", std::move(values)}})}});
  }
  if (value.is_object()) {
    Json values = Json::array();
    for (const auto& [key, item] : value.members())
      values.push_back(Json::object({{"key", key}, {"value", any_value(item)}}));
    return Json::object({{"kvlist_value", Json::object({{"values", std::move(values)}})}});
  }
  return Json::object();  // null: no value set
}

Json attributes_json(const Json& attributes) {
  Json list = Json::array();
  for (const auto& [key, value] : attributes.members())
    list.push_back(Json::object({{"key", key}, {"value", any_value(value)}}));
  return list;
}

std::string_view status_code(int code) {
  return code == 1 ? "STATUS_CODE_OK" : code == 2 ? "STATUS_CODE_ERROR" : "STATUS_CODE_UNSET";
}

Json location_of(const std::string& experiment_id) {
  return Json::object(
      {{"type", "MLFLOW_EXPERIMENT"}, {"mlflow_experiment", Json::object({{"experiment_id", experiment_id}})}});
}

}  // namespace

Json otel_span(const tracking::Span& span) {
  Json json = Json::object({{"trace_id", base64_of_hex(span.trace_id)},
                            {"span_id", base64_of_hex(span.span_id)},
                            {"name", span.name},
                            {"start_time_unix_nano", span.start_ns},
                            {"end_time_unix_nano", span.end_ns},
                            {"attributes", attributes_json(span.attributes)}});
  if (!span.parent_id.empty()) json.set("parent_span_id", base64_of_hex(span.parent_id));
  Json status = Json::object({{"code", status_code(span.status_code)}});
  if (!span.status_message.empty()) status.set("message", span.status_message);
  json.set("status", std::move(status));
  Json events = Json::array();
  for (const tracking::SpanEvent& event : span.events) {
    events.push_back(Json::object(
        {{"time_unix_nano", event.time_ns}, {"name", event.name}, {"attributes", attributes_json(event.attributes)}}));
  }
  if (events.size() > 0) json.set("events", std::move(events));
  if (span.links.is_array()) {
    Json links = Json::array();
    for (const Json& link : span.links.items()) {
      Json one = Json::object(
          {{"trace_id", base64_of_hex(link.str("trace_id"))}, {"span_id", base64_of_hex(link.str("span_id"))}});
      if (link["attributes"].is_object()) one.set("attributes", attributes_json(link["attributes"]));
      links.push_back(std::move(one));
    }
    json.set("links", std::move(links));
  }
  return json;
}

Json assessment_json(const Assessment& a) {
  Json json = Json::object({{"assessment_id", a.assessment_id},
                            {"assessment_name", a.name},
                            {"trace_id", a.trace_id},
                            {"source", Json::object({{"source_type", a.source_type}, {"source_id", a.source_id}})},
                            {"create_time", format_rfc3339(Timestamp::from_millis(a.created.millis()))},
                            {"last_update_time", format_rfc3339(Timestamp::from_millis(a.updated.millis()))}});
  if (!a.span_id.empty()) json.set("span_id", a.span_id);
  if (a.kind == "feedback") {
    Json feedback = Json::object();
    if (!a.value.is_null()) feedback.set("value", a.value);
    if (!a.error.is_null()) feedback.set("error", a.error);
    json.set("feedback", std::move(feedback));
  } else if (a.kind == "expectation") {
    // protobuf's Value turns 1 into 1.0 inside lists and objects; as text it stays what it was.
    const bool plain = !a.value.is_array() && !a.value.is_object();
    json.set("expectation",
             plain ? Json::object({{"value", a.value}})
                   : Json::object({{"serialized_value", Json::object({{"serialization_format", "JSON_FORMAT"},
                                                                      {"value", a.value.dump()}})}}));
  } else {
    json.set("issue", Json::object({{"issue_name", a.value.is_string() ? a.value : Json(a.name)}}));
  }
  if (!a.rationale.empty()) json.set("rationale", a.rationale);
  if (!a.metadata.empty()) json.set("metadata", map_json(a.metadata));
  if (!a.overrides.empty()) json.set("overrides", a.overrides);
  json.set("valid", a.valid);
  return json;
}

Assessment assessment_of(const Json& json) {
  Assessment a;
  a.assessment_id = json.str("assessment_id");
  a.trace_id = json.str("trace_id");
  a.span_id = json.str("span_id");
  a.name = json.str("assessment_name");
  const Json& source = json["source"];
  a.source_type = source.str("source_type", "SOURCE_TYPE_UNSPECIFIED");
  a.source_id = source.str("source_id");
  const int kinds = static_cast<int>(json["feedback"].is_object()) + static_cast<int>(json["expectation"].is_object()) +
                    static_cast<int>(json["issue"].is_object());
  if (kinds > 1) {
    throw Error(ErrorCode::kInvalidArgument,
                "assessment '{}' is exactly one of feedback, expectation and issue, not several", a.name);
  }
  if (json["feedback"].is_object()) {
    a.kind = "feedback";
    a.value = json["feedback"]["value"];
    a.error = json["feedback"]["error"].is_null() ? json["error"] : json["feedback"]["error"];
  } else if (json["expectation"].is_object()) {
    a.kind = "expectation";
    const Json& expectation = json["expectation"];
    a.value = expectation["serialized_value"].is_object()
                  ? Json::parse(expectation["serialized_value"].str("value", "null"))
                  : expectation["value"];
    a.error = json["error"];
  } else if (json["issue"].is_object()) {
    a.kind = "issue";
    a.value = json["issue"].str("issue_name");
  } else {
    a.kind = "";
  }
  a.rationale = json.str("rationale");
  a.metadata = map_of(json["metadata"], "assessment.metadata");
  a.overrides = json.str("overrides");
  a.valid = json["valid"].bool_or(true);
  a.created = timestamp_of(json["create_time"], "assessment.create_time");
  a.updated = timestamp_of(json["last_update_time"], "assessment.last_update_time");
  return a;
}

Json trace_info_v3(const tracking::TraceInfo& info) {
  Json json = Json::object({{"trace_id", info.trace_id},
                            {"trace_location", location_of(info.experiment_id)},
                            {"request_time", format_rfc3339(info.request_time)},
                            {"execution_duration", duration_text(info.execution_ms)},
                            {"state", info.state},
                            {"trace_metadata", map_json(info.metadata)},
                            {"tags", map_json(info.tags)}});
  if (!info.client_request_id.empty()) json.set("client_request_id", info.client_request_id);
  if (!info.request_preview.empty()) json.set("request_preview", info.request_preview);
  if (!info.response_preview.empty()) json.set("response_preview", info.response_preview);
  if (!info.assessments.empty()) {
    Json list = Json::array();
    for (const Assessment& a : info.assessments) list.push_back(assessment_json(a));
    json.set("assessments", std::move(list));
  }
  return json;
}

Json trace_info_v2(const tracking::TraceInfo& info) {
  return Json::object(
      {{"request_id", info.trace_id},
       {"experiment_id", info.experiment_id},
       {"timestamp_ms", info.request_time.millis()},
       {"execution_time_ms", info.execution_ms},
       {"status", info.state == "STATE_UNSPECIFIED" ? "TRACE_STATUS_UNSPECIFIED" : std::string_view(info.state)},
       {"request_metadata", pairs_json(info.metadata)},
       {"tags", pairs_json(info.tags)}});
}

Json trace_json(const tracking::Trace& trace) {
  Json spans = Json::array();
  for (const tracking::Span& span : trace.spans) spans.push_back(otel_span(span));
  return Json::object({{"trace_info", trace_info_v3(trace.info)}, {"spans", std::move(spans)}});
}

}  // namespace lakeloop::api::mlflow
