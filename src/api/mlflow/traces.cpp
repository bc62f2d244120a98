#include "api/mlflow/routes.h"
#include "api/mlflow/wire.h"

namespace lakeloop::api::mlflow {

namespace {

using net::Method;
using tracking::TraceInfo;

std::string experiment_of(const Json& location) {
  return location["mlflow_experiment"].str("experiment_id");
}

// TraceInfoV3 as StartTraceV3 brings it.
TraceInfo info_of(const Json& json) {
  TraceInfo info;
  info.trace_id = json.str("trace_id");
  if (info.trace_id.empty()) missing("trace.trace_info.trace_id");
  info.experiment_id = experiment_of(json["trace_location"]);
  if (info.experiment_id.empty()) missing("trace.trace_info.trace_location.mlflow_experiment.experiment_id");
  info.client_request_id = json.str("client_request_id");
  info.request_preview = json.str("request_preview", json.str("request"));
  info.response_preview = json.str("response_preview", json.str("response"));
  info.request_time = timestamp_of(json["request_time"], "trace.trace_info.request_time");
  info.execution_ms = duration_ms_of(json["execution_duration"], "trace.trace_info.execution_duration");
  info.state = json.str("state", "STATE_UNSPECIFIED");
  info.metadata = map_of(json["trace_metadata"], "trace.trace_info.trace_metadata");
  info.tags = map_of(json["tags"], "trace.trace_info.tags");
  return info;
}

// A trace may bring assessments along.
Json start_v3(tracking::Tracking& tracking, const identity::Principal& who, const Json& json) {
  TraceInfo stored = tracking.start_trace(who, info_of(json));
  if (json["assessments"].size() > 0) {
    for (const Json& item : json["assessments"].items()) {
      tracking::Assessment a = assessment_of(item);
      a.trace_id = stored.trace_id;
      tracking.create_assessment(who, std::move(a));
    }
    stored = tracking.get_trace_info(who, stored.trace_id);
  }
  return Json::object({{"trace", Json::object({{"trace_info", trace_info_v3(stored)}})}});
}

std::string state_of_v2(const std::string& status) {
  return status.empty() || status == "TRACE_STATUS_UNSPECIFIED" ? "STATE_UNSPECIFIED" : status;
}

void add_v2_lifecycle(Routes& routes, tracking::Tracking& tracking) {
  add(routes, Method::kPost, "2.0/mlflow/traces", "startTrace", "Begin a trace (old clients)",
      {{"experiment_id", FieldType::kString, true, "Where it belongs"},
       {"timestamp_ms", FieldType::kInteger, false, "Begin"},
       {"request_metadata", FieldType::kArray, false, "[{key, value}]"},
       {"tags", FieldType::kArray, false, "[{key, value}]"}},
      [&tracking](Call& call) {
        TraceInfo info;
        info.experiment_id = call.str("experiment_id");
        info.request_time = Timestamp::from_millis(call.integer("timestamp_ms"));
        info.state = "IN_PROGRESS";
        info.metadata = pairs_of(call.fields["request_metadata"], "request_metadata");
        info.tags = pairs_of(call.fields["tags"], "tags");
        return Json::object({{"trace_info", trace_info_v2(tracking.start_trace(call.who, info))}});
      });
  add(routes, Method::kPatch, "2.0/mlflow/traces/{request_id}", "endTrace", "End a trace (old clients)",
      {{"request_id", FieldType::kString, true, "Id of the trace"},
       {"timestamp_ms", FieldType::kInteger, false, "End"},
       {"status", FieldType::kString, false, "OK, ERROR"},
       {"request_metadata", FieldType::kArray, false, "[{key, value}]"},
       {"tags", FieldType::kArray, false, "[{key, value}]"}},
      [&tracking](Call& call) {
        TraceInfo info = tracking.get_trace_info(call.who, call.str("request_id"));
        info.execution_ms = call.integer("timestamp_ms") - info.request_time.millis();
        info.state = state_of_v2(call.str("status"));
        for (const auto& [key, value] : pairs_of(call.fields["request_metadata"], "request_metadata"))
          info.metadata[key] = value;
        for (const auto& [key, value] : pairs_of(call.fields["tags"], "tags")) info.tags[key] = value;
        return Json::object({{"trace_info", trace_info_v2(tracking.start_trace(call.who, info))}});
      });
  add(routes, Method::kGet, "2.0/mlflow/traces/{request_id}/info", "getTraceInfo", "Read a trace (old clients)",
      {{"request_id", FieldType::kString, true, "Id of the trace"}}, [&tracking](Call& call) {
        return Json::object({{"trace_info", trace_info_v2(tracking.get_trace_info(call.who, call.str("request_id")))}});
      });
  add(routes, Method::kGet, "2.0/mlflow/traces", "searchTracesV2", "Search traces (old clients)",
      {{"experiment_ids", FieldType::kArray, true, "Where to search"},
       {"filter", FieldType::kString, false, "MLflow's grammar"},
       {"max_results", FieldType::kInteger, false, "1 to 500"},
       {"order_by", FieldType::kArray, false, "\"timestamp_ms DESC\""},
       {"page_token", FieldType::kString, false, "Of the previous answer"}},
      [&tracking](Call& call) {
        const auto [found, token] = tracking.search_traces(call.who, search_of(call, 100));
        Json list = Json::array();
        for (const TraceInfo& info : found) list.push_back(trace_info_v2(info));
        return with_token(Json::object({{"traces", std::move(list)}}), token);
      });
}

void add_reading(Routes& routes, tracking::Tracking& tracking) {
  const Field id{"trace_id", FieldType::kString, true, "Id of the trace"};
  const Field ids{"trace_ids", FieldType::kArray, true, "Ids of traces"};
  add(routes, Method::kGet, "3.0/mlflow/traces/{trace_id}", "getTraceInfoV3", "Read a trace without its spans", {id},
      [&tracking](Call& call) {
        return Json::object(
            {{"trace",
              Json::object({{"trace_info", trace_info_v3(tracking.get_trace_info(call.who, call.str("trace_id")))}})}});
      });
  add(routes, Method::kGet, "3.0/mlflow/traces/get", "getTrace", "Read a trace with its spans",
      {id, {"allow_partial", FieldType::kBoolean, false, "Do not wait for spans that are under way"}},
      [&tracking](Call& call) {
        const std::string trace_id = call.str("trace_id");
        const auto trace = call.flag("allow_partial") ? tracking.get_trace(call.who, trace_id)
                                                      : tracking.get_complete_trace(call.who, trace_id, call.deadline);
        return Json::object({{"trace", trace_json(trace)}});
      });
  add(routes, Method::kGet, "3.0/mlflow/traces/batchGet", "batchGetTraces", "Read several traces with their spans",
      {ids}, [&tracking](Call& call) {
        Json list = Json::array();
        for (const auto& trace : tracking.get_traces(call.who, strings_of(call.fields["trace_ids"], "trace_ids"), true))
          list.push_back(trace_json(trace));
        return Json::object({{"traces", std::move(list)}});
      });
  add(routes, Method::kPost, "3.0/mlflow/traces/batchGetInfos", "batchGetTraceInfos",
      "Read several traces without their spans", {ids}, [&tracking](Call& call) {
        Json list = Json::array();
        for (const auto& trace :
             tracking.get_traces(call.who, strings_of(call.fields["trace_ids"], "trace_ids"), false)) {
          list.push_back(trace_info_v3(trace.info));
        }
        return Json::object({{"trace_infos", std::move(list)}});
      });
  add(routes, Method::kPost, "3.0/mlflow/traces/search", "searchTraces", "Search traces",
      {{"locations", FieldType::kArray, false, "[{mlflow_experiment: {experiment_id}}]"},
       {"filter", FieldType::kString, false,
        "MLflow's grammar: attributes, tags, metadata, span, feedback, expectation"},
       {"max_results", FieldType::kInteger, false, "1 to 500"},
       {"order_by", FieldType::kArray, false, "\"timestamp_ms DESC\""},
       {"page_token", FieldType::kString, false, "Of the previous answer"}},
      [&tracking](Call& call) {
        tracking::Search search = search_of(call, 100);
        const Json& locations = call.fields["locations"];
        if (locations.is_array()) {
          search.experiment_ids.clear();
          for (const Json& location : locations.items()) {
            const std::string experiment = experiment_of(location);
            if (experiment.empty())
              throw Error(ErrorCode::kInvalidArgument, "Locations must be a list of experiment IDs");
            search.experiment_ids.push_back(experiment);
          }
        }
        const auto [found, token] = tracking.search_traces(call.who, search);
        Json list = Json::array();
        for (const TraceInfo& info : found) list.push_back(trace_info_v3(info));
        return with_token(Json::object({{"traces", std::move(list)}}), token);
      });
}

void add_changing(Routes& routes, tracking::Tracking& tracking) {
  add(routes, Method::kPost, "3.0/mlflow/traces", "startTraceV3",
      "Say what a finished trace was; its spans come by /v1/traces",
      {{"trace", FieldType::kObject, true, "{trace_info}"}},
      [&tracking](Call& call) { return start_v3(tracking, call.who, call.fields["trace"]["trace_info"]); });

  const Field key{"key", FieldType::kString, true, "Tag"};
  for (const auto& [version, name] : {std::pair<std::string, std::string>{"2.0", "request_id"}, {"3.0", "trace_id"}}) {
    const std::string path = version + "/mlflow/traces/{" + name + "}/tags";
    const std::string suffix = version == "3.0" ? "V3" : "";
    const Field id{name, FieldType::kString, true, "Id of the trace"};
    add(routes, Method::kPatch, path, "setTraceTag" + suffix, "Set a tag of a trace",
        {id, key, {"value", FieldType::kString, false, "Value"}}, [&tracking, name](Call& call) {
          tracking.set_trace_tag(call.who, call.str(name), call.str("key"), call.str("value"));
          return Json::object();
        });
    add(routes, Method::kDelete, path, "deleteTraceTag" + suffix, "Take a tag of a trace away", {id, key},
        [&tracking, name](Call& call) {
          tracking.delete_trace_tag(call.who, call.str(name), call.str("key"));
          return Json::object();
        });
    add(routes, Method::kPost, version + "/mlflow/traces/delete-traces", "deleteTraces" + suffix,
        "Delete traces by age or by id",
        {{"experiment_id", FieldType::kString, true, "Whose traces"},
         {"max_timestamp_millis", FieldType::kInteger, false, "All up to this time"},
         {"max_traces", FieldType::kInteger, false, "At most so many, the oldest first"},
         {"request_ids", FieldType::kArray, false, "Or these"}},
        [&tracking](Call& call) {
          const auto deleted =
              tracking.delete_traces(call.who, {.experiment_id = call.str("experiment_id"),
                                                .max_timestamp_ms = optional_integer(call, "max_timestamp_millis"),
                                                .max_traces = optional_integer(call, "max_traces"),
                                                .trace_ids = strings_of(call.fields["request_ids"], "request_ids")});
          return Json::object({{"traces_deleted", deleted}});
        });
  }
  add(routes, Method::kPost, "2.0/mlflow/traces/link-to-run", "linkTracesToRun", "Say that traces belong to a run",
      {{"trace_ids", FieldType::kArray, true, "At most 100"}, {"run_id", FieldType::kString, true, "Id of the run"}},
      [&tracking](Call& call) {
        tracking.link_traces_to_run(call.who, strings_of(call.fields["trace_ids"], "trace_ids"), call.str("run_id"));
        return Json::object();
      });
  add(routes, Method::kPost, "2.0/mlflow/traces/link-prompts", "linkPromptsToTrace",
      "Say which prompt versions a trace used",
      {{"trace_id", FieldType::kString, true, "Id of the trace"},
       {"prompt_versions", FieldType::kArray, true, "[{name, version}]"}},
      [&tracking](Call& call) {
        std::vector<std::pair<std::string, std::string>> versions;
        for (const Json& item : call.fields["prompt_versions"].items()) {
          versions.emplace_back(item.str("name"),
                                item["version"].is_int() ? item["version"].dump() : item.str("version"));
        }
        tracking.link_prompts(call.who, call.str("trace_id"), versions);
        return Json::object();
      });
}

}  // namespace

void add_trace_routes(Routes& routes, tracking::Tracking& tracking) {
  add_v2_lifecycle(routes, tracking);
  add_reading(routes, tracking);
  add_changing(routes, tracking);
}

}  // namespace lakeloop::api::mlflow
