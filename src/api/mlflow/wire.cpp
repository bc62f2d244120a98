#include "api/mlflow/wire.h"

#include <cmath>
#include <limits>

#include "base/format.h"
#include "base/text.h"

namespace lakeloop::api::mlflow {

namespace {

[[noreturn]] void invalid(std::string_view path, const Json& value, std::string_view why) {
  throw Error(ErrorCode::kInvalidArgument,
              "Invalid value {} for parameter '{}' supplied: {}. See the API docs for more information about request "
              "parameters.",
              value.dump().substr(0, 200), path, why)
      .with_param(std::string(path));
}

Route route_of(net::Method method, std::string_view path, std::string_view name, std::string_view summary,
               std::vector<Field> fields) {
  return {.method = method,
          .path = lakeloop::format("/api/{}", path),
          .scope = Scope::authenticated(),
          .name = lakeloop::format("mlflow.{}", name),
          .summary = std::string(summary),
          .dialect = Dialect::kMlflow,
          .request = std::move(fields),
          .handler = JsonHandler()};
}

}  // namespace

void add(Routes& routes, net::Method method, std::string_view path, std::string_view name, std::string_view summary,
         std::vector<Field> fields, JsonHandler handler) {
  Route route = route_of(method, path, name, summary, std::move(fields));
  route.handler = std::move(handler);
  add_with_twin(routes, std::move(route), "/api", "/ajax-api");
}

void add_raw(Routes& routes, net::Method method, std::string_view path, std::string_view name, std::string_view summary,
             std::vector<Field> fields, RawHandler handler, bool stream_body) {
  Route route = route_of(method, path, name, summary, std::move(fields));
  route.handler = std::move(handler);
  route.stream_body = stream_body;
  if (stream_body) route.body_limit = limits::kUploadBytes;
  add_with_twin(routes, std::move(route), "/api", "/ajax-api");
}

void missing(std::string_view path) {
  throw Error(
      ErrorCode::kInvalidArgument,
      "Missing value for required parameter '{}'. See the API docs for more information about request parameters.",
      path)
      .with_param(std::string(path));
}

std::optional<std::int64_t> integer_of(const Json& value) {
  if (value.is_int()) return value.as_int();
  if (value.is_string()) return parse_number<std::int64_t>(value.as_string());
  if (value.is_double() && std::abs(value.as_double()) < 9e15 && value.as_double() == std::floor(value.as_double())) {
    return static_cast<std::int64_t>(value.as_double());
  }
  return std::nullopt;
}

double number_of(const Json& value, std::string_view path) {
  if (value.is_number()) return value.as_double();
  if (value.is_string()) {
    const std::string& text = value.as_string();
    if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
    if (text == "Infinity") return std::numeric_limits<double>::infinity();
    if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  }
  invalid(path, value, "it must be a number");
}

std::optional<std::int64_t> optional_integer(const Call& call, std::string_view name) {
  const Json& value = call.fields[name];
  if (value.is_null()) return std::nullopt;
  const auto number = integer_of(value);
  if (!number) invalid(name, value, "it must be an integer");
  return number;
}

std::vector<std::string> strings_of(const Json& list, std::string_view name) {
  std::vector<std::string> texts;
  if (list.is_null()) return texts;
  if (!list.is_array()) invalid(name, list, "it must be a list of strings");
  for (const Json& item : list.items()) {
    if (item.is_string()) {
      texts.push_back(item.as_string());
    } else if (item.is_int()) {
      texts.push_back(item.dump());
    } else {
      invalid(name, item, "it must be a list of strings");
    }
  }
  return texts;
}

std::vector<std::pair<std::string, std::string>> pair_list_of(const Json& list, std::string_view name) {
  std::vector<std::pair<std::string, std::string>> pairs;
  if (list.is_null()) return pairs;
  if (!list.is_array()) invalid(name, list, "it must be a list");
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Json& item = list.at(i);
    const Json& key = item["key"];
    if (key.is_null()) missing(lakeloop::format("{}[{}].key", name, i));
    if (!key.is_string()) invalid(lakeloop::format("{}[{}].key", name, i), key, "it must be a string");
    const Json& value = item["value"];
    if (!value.is_null() && !value.is_string())
      invalid(lakeloop::format("{}[{}].value", name, i), value, "it must be a string");
    pairs.emplace_back(key.as_string(), value.string_or(""));
  }
  return pairs;
}

Tags pairs_of(const Json& list, std::string_view name) {
  Tags tags;
  for (auto& [key, value] : pair_list_of(list, name)) tags[key] = std::move(value);
  return tags;
}

Tags map_of(const Json& object, std::string_view name) {
  Tags tags;
  if (object.is_null()) return tags;
  if (!object.is_object()) invalid(name, object, "it must be an object");
  for (const auto& [key, value] : object.members()) {
    if (!value.is_string()) invalid(lakeloop::format("{}.{}", name, key), value, "it must be a string");
    tags[key] = value.as_string();
  }
  return tags;
}

Timestamp timestamp_of(const Json& value, std::string_view name) {
  if (value.is_null()) return {};
  if (value.is_int()) return Timestamp::from_millis(value.as_int());
  const auto at = value.is_string() ? parse_timestamp(value.as_string()) : std::nullopt;
  if (!at) invalid(name, value, "it must be a time as in RFC 3339");
  return *at;
}

std::int64_t duration_ms_of(const Json& value, std::string_view name) {
  if (value.is_null()) return 0;
  if (value.is_int()) return value.as_int();
  if (value.is_string() && value.as_string().ends_with('s')) {
    const auto seconds =
        parse_number<double>(std::string_view(value.as_string()).substr(0, value.as_string().size() - 1));
    if (seconds && std::abs(*seconds) < 1e12) return std::llround(*seconds * 1000);
  }
  invalid(name, value, "it must be a duration as \"1.5s\"");
}

tracking::ViewType view_of(const Call& call, std::string_view name) {
  const Json& value = call.fields[name];
  const std::string text = value.is_int() ? value.dump() : value.string_or("");
  if (text.empty() || text == "ACTIVE_ONLY" || text == "1") return tracking::ViewType::kActiveOnly;
  if (text == "DELETED_ONLY" || text == "2") return tracking::ViewType::kDeletedOnly;
  if (text == "ALL" || text == "3") return tracking::ViewType::kAll;
  invalid(name, value, "it must be ACTIVE_ONLY, DELETED_ONLY or ALL");
}

std::string run_id_of(const Call& call) {
  std::string id = call.str("run_id");
  if (id.empty()) id = call.str("run_uuid");
  if (id.empty()) missing("run_id");
  return id;
}

tracking::Search search_of(const Call& call, std::int64_t default_results) {
  tracking::Search search;
  search.experiment_ids = strings_of(call.fields["experiment_ids"], "experiment_ids");
  search.filter = call.str("filter");
  search.order_by = strings_of(call.fields["order_by"], "order_by");
  search.page = {.max_results = optional_integer(call, "max_results").value_or(default_results),
                 .page_token = call.str("page_token")};
  return search;
}

tracking::Metric metric_of(const Json& json, const std::string& path) {
  const auto at = [&](std::string_view name) {
    return path.empty() ? std::string(name) : lakeloop::format("{}.{}", path, name);
  };
  tracking::Metric metric;
  if (!json["key"].is_string()) missing(at("key"));
  metric.key = json.str("key");
  if (json["value"].is_null()) missing(at("value"));
  metric.value = number_of(json["value"], at("value"));
  if (json["timestamp"].is_null()) missing(at("timestamp"));
  const auto timestamp = integer_of(json["timestamp"]);
  if (!timestamp) invalid(at("timestamp"), json["timestamp"], "it must be an integer");
  metric.timestamp = *timestamp;
  if (!json["step"].is_null()) {
    const auto step = integer_of(json["step"]);
    if (!step) invalid(at("step"), json["step"], "it must be an integer");
    metric.step = *step;
  }
  metric.model_id = json.str("model_id");
  metric.dataset_name = json.str("dataset_name");
  metric.dataset_digest = json.str("dataset_digest");
  return metric;
}

Json pairs_json(const Tags& tags) {
  Json list = Json::array();
  for (const auto& [key, value] : tags) list.push_back(Json::object({{"key", key}, {"value", value}}));
  return list;
}

Json map_json(const Tags& tags) {
  Json map = Json::object();
  for (const auto& [key, value] : tags) map.set(key, value);
  return map;
}

Json json_of(const tracking::Metric& metric) {
  Json json = Json::object(
      {{"key", metric.key}, {"value", metric.value}, {"timestamp", metric.timestamp}, {"step", metric.step}});
  if (!metric.dataset_name.empty()) json.set("dataset_name", metric.dataset_name);
  if (!metric.dataset_digest.empty()) json.set("dataset_digest", metric.dataset_digest);
  if (!metric.model_id.empty()) json.set("model_id", metric.model_id);
  if (!metric.run_id.empty()) json.set("run_id", metric.run_id);
  return json;
}

Json with_token(Json body, const std::string& next_page_token) {
  if (!next_page_token.empty()) body.set("next_page_token", next_page_token);
  return body;
}

std::string duration_text(std::int64_t ms) {
  const std::int64_t whole = ms / 1000;
  return lakeloop::format("{}.{:03}s", whole, std::abs(ms % 1000));
}

}  // namespace lakeloop::api::mlflow
