#pragma once

// MLflow's JSON (protobuf's mapping with snake_case names): int64 as number or string, doubles that are not finite as
// texts, lists of {key, value} for maps, RFC 3339 times. Fields that are not set are left out.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/route.h"
#include "tracking/run.h"
#include "tracking/trace.h"

namespace lakeloop::api::mlflow {

using Tags = std::map<std::string, std::string>;

// "2.0/mlflow/runs/get" as /api/... and /ajax-api/...
void add(Routes& routes, net::Method method, std::string_view path, std::string_view name, std::string_view summary,
         std::vector<Field> fields, JsonHandler handler);
void add_raw(Routes& routes, net::Method method, std::string_view path, std::string_view name, std::string_view summary,
             std::vector<Field> fields, RawHandler handler, bool stream_body = false);

// --- reading
[[noreturn]] void missing(std::string_view path);
std::optional<std::int64_t> integer_of(const Json& value);   // a number, or its text
double number_of(const Json& value, std::string_view path);  // "NaN", "Infinity", "-Infinity" too
std::optional<std::int64_t> optional_integer(const Call& call, std::string_view name);
std::vector<std::string> strings_of(const Json& list, std::string_view name);
Tags pairs_of(const Json& list, std::string_view name);  // [{key, value}]
std::vector<std::pair<std::string, std::string>> pair_list_of(const Json& list, std::string_view name);
Tags map_of(const Json& object, std::string_view name);                 // {key: value}
Timestamp timestamp_of(const Json& value, std::string_view name);       // RFC 3339, or a number of milliseconds
std::int64_t duration_ms_of(const Json& value, std::string_view name);  // "1.5s"
tracking::ViewType view_of(const Call& call, std::string_view name);
std::string run_id_of(const Call& call);  // run_id, or run_uuid of old clients
tracking::Search search_of(const Call& call, std::int64_t default_results);
tracking::Metric metric_of(const Json& json, const std::string& path);

// --- writing
Json pairs_json(const Tags& tags);
Json map_json(const Tags& tags);
Json json_of(const tracking::Metric& metric);
Json trace_info_v3(const tracking::TraceInfo& info);
Json trace_info_v2(const tracking::TraceInfo& info);
Json otel_span(const tracking::Span& span);  // OTLP's JSON with base64 ids, as protobuf writes bytes
Json trace_json(const tracking::Trace& trace);
Json assessment_json(const tracking::Assessment& assessment);
tracking::Assessment assessment_of(const Json& json);
Json with_token(Json body, const std::string& next_page_token);
std::string duration_text(std::int64_t ms);  // "0.012s"

}  // namespace lakeloop::api::mlflow
