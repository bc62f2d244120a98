#include "api/otlp/decode.h"
#include "base/text.h"
#include "codec/encoding.h"

namespace lakeloop::api::otlp {

namespace {

[[noreturn]] void malformed(std::string_view what) {
  throw Error(ErrorCode::kMalformedRequest, "Invalid OpenTelemetry format: {}", what);
}

// Either spelling of a name.
const Json& field(const Json& json, std::string_view camel, std::string_view snake) {
  const Json& value = json[camel];
  return value.is_null() ? json[snake] : value;
}

const Json::Array& list(const Json& value, std::string_view what) {
  static const Json::Array kNone;
  if (value.is_null()) return kNone;
  if (!value.is_array()) malformed(what);
  return value.items();
}

std::int64_t nanos(const Json& value) {
  if (value.is_null()) return 0;
  if (value.is_int()) return value.as_int();
  const auto number = value.is_string() ? parse_number<std::int64_t>(value.as_string()) : std::nullopt;
  if (!number)
    throw Error(ErrorCode::kInvalidArgument, "Cannot convert OpenTelemetry span to MLflow span: '{}' is not a time",
                value.dump().substr(0, 60));
  return *number;
}

Json any_value(const Json& json);

Json attributes_of(const Json& value) {
  Json attributes = Json::object();
  for (const Json& item : list(value, "attributes must be a list"))
    attributes.members().emplace_back(item.str("key"), any_value(item["value"]));
  return attributes;
}

// The parser has limited the depth already.
Json any_value(const Json& json) {
  if (!json.is_object()) return {};
  if (const Json& v = field(json, "stringValue", "string_value"); v.is_string()) return v;
  if (const Json& v = field(json, "boolValue", "bool_value"); v.is_bool()) return v;
  if (const Json& v = field(json, "intValue", "int_value"); !v.is_null()) {
    if (v.is_int()) return v;
    const auto number = v.is_string() ? parse_number<std::int64_t>(v.as_string()) : std::nullopt;
    if (!number) malformed("an intValue is no integer");
    return *number;
  }
  if (const Json& v = field(json, "doubleValue", "double_value"); !v.is_null()) {
    if (!v.is_number() && !v.is_string()) malformed("a doubleValue is no number");
    return v;
  }
  if (const Json& v = field(json, "arrayValue", "array_value"); v.is_object()) {
    Json values = Json::array();
    for (const Json& item : list(v["values"], "arrayValue.values must be a list")) values.push_back(any_value(item));
    return values;
  }
  if (const Json& v = field(json, "kvlistValue", "kvlist_value"); v.is_object()) return attributes_of(v["values"]);
  if (const Json& v = field(json, "bytesValue", "bytes_value"); v.is_string()) return v;
  return {};
}

std::string id_of(const Json& value, std::string_view what, std::size_t digits, bool optional) {
  return checked_id(what, ascii_lower(value.string_or("")), digits, optional);
}

int enum_of(const Json& value, std::initializer_list<std::string_view> names) {
  if (value.is_int()) return static_cast<int>(std::min<std::int64_t>(std::max<std::int64_t>(value.as_int(), 0), 100));
  int number = 0;
  for (const std::string_view name : names) {
    if (value.string_or("") == name) return number;
    ++number;
  }
  return 0;
}

tracking::Span span_of(const Json& json) {
  if (!json.is_object()) malformed("a span must be an object");
  tracking::Span span;
  span.trace_id = id_of(field(json, "traceId", "trace_id"), "trace_id", 32, false);
  span.span_id = id_of(field(json, "spanId", "span_id"), "span_id", 16, false);
  span.parent_id = id_of(field(json, "parentSpanId", "parent_span_id"), "parent_span_id", 16, true);
  span.name = json.str("name");
  span.kind = enum_of(json["kind"], {"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER",
                                     "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"});
  span.start_ns = nanos(field(json, "startTimeUnixNano", "start_time_unix_nano"));
  span.end_ns = nanos(field(json, "endTimeUnixNano", "end_time_unix_nano"));
  span.attributes = attributes_of(json["attributes"]);
  for (const Json& event : list(json["events"], "events must be a list")) {
    span.events.push_back(
        {nanos(field(event, "timeUnixNano", "time_unix_nano")), event.str("name"), attributes_of(event["attributes"])});
  }
  for (const Json& link : list(json["links"], "links must be a list")) {
    Json one = Json::object({{"trace_id", ascii_lower(field(link, "traceId", "trace_id").string_or(""))},
                             {"span_id", ascii_lower(field(link, "spanId", "span_id").string_or(""))}});
    if (Json attributes = attributes_of(link["attributes"]); attributes.size() > 0)
      one.set("attributes", std::move(attributes));
    span.links.push_back(std::move(one));
  }
  span.status_code = enum_of(json["status"]["code"], {"STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"});
  span.status_message = json["status"].str("message");
  return span;
}

}  // namespace

std::string checked_id(std::string_view what, std::string hex, std::size_t digits, bool optional) {
  if (optional && (hex.empty() || hex.find_first_not_of('0') == std::string::npos)) return {};
  if (hex.size() != digits || hex.find_first_not_of("0123456789abcdef") != std::string::npos ||
      hex.find_first_not_of('0') == std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument,
                "Cannot convert OpenTelemetry span to MLflow span: {} must be {} hex digits, not all zero", what,
                digits);
  }
  return hex;
}

std::string text_of_value(const Json& value) {
  return value.is_string() ? value.as_string() : value.dump();
}

std::vector<tracking::ResourceSpans> decode_json(std::string_view text) {
  Json request;
  try {
    request = Json::parse(text);
  } catch (const Error& error) {
    malformed(error.message());
  }
  if (!request.is_object()) malformed("the body must be an object");
  std::vector<tracking::ResourceSpans> result;
  for (const Json& item : list(field(request, "resourceSpans", "resource_spans"), "resourceSpans must be a list")) {
    tracking::ResourceSpans spans;
    const Json resource = attributes_of(item["resource"]["attributes"]);
    for (const auto& [key, value] : resource.members()) spans.resource[key] = text_of_value(value);
    for (const Json& scope : list(field(item, "scopeSpans", "scope_spans"), "scopeSpans must be a list")) {
      for (const Json& span : list(scope["spans"], "spans must be a list")) spans.spans.push_back(span_of(span));
    }
    result.push_back(std::move(spans));
  }
  return result;
}

}  // namespace lakeloop::api::otlp
