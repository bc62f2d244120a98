#include "api/databricks/sql_routes.h"

#include <algorithm>

#include "api/unity/columns.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

namespace lakeloop::api::databricks {
namespace {

using net::Method;

constexpr const char* kBase = "/api/2.0/sql/statements";

// ServiceErrorCode of the API, where it has one.
std::string_view error_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kMalformedRequest:
    case ErrorCode::kUnsupportedFeature:
    case ErrorCode::kUnimplemented:
    case ErrorCode::kTooLarge:
      return "BAD_REQUEST";
    case ErrorCode::kNotFound:
      return "NOT_FOUND";
    case ErrorCode::kAlreadyExists:
      return "ALREADY_EXISTS";
    case ErrorCode::kConflict:
      return "ABORTED";
    case ErrorCode::kRateLimited:
    case ErrorCode::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case ErrorCode::kDataLoss:
      return "IO_ERROR";
    default:
      return info(code).wire;
  }
}

Json error_json(const Error& error, const std::string& statement_id) {
  std::string message = error.message();
  if (error.code() == ErrorCode::kInternal) {
    log_error("internal_error", {{"statement_id", statement_id}, {"message", message}});
    message = "internal error; the server's log has more under statement id " + statement_id;
  }
  return Json::object({{"error_code", error_code(error.code())}, {"message", message}});
}

Json manifest_json(const sql::StatementResult& result) {
  Json columns = unity::columns_json(result.schema);
  for (Json& column : columns.items()) {
    column.set("type_text", ascii_upper(column.str("type_text")));
    for (const char* other : {"type_json", "nullable", "comment"}) column.erase(other);
    if (column.str("type_name") != "DECIMAL") {
      column.erase("type_precision");
      column.erase("type_scale");
    }
  }
  const std::size_t rows = result.rows.size();
  return Json::object(
      {{"format", "JSON_ARRAY"},
       {"schema", Json::object({{"column_count", result.schema.size()}, {"columns", std::move(columns)}})},
       {"total_chunk_count", 1},
       {"chunks", Json::array({Json::object({{"chunk_index", 0}, {"row_offset", 0}, {"row_count", rows}})})},
       {"total_row_count", rows},
       {"truncated", result.truncated}});
}

Json chunk_json(const sql::StatementResult& result) {
  Json rows = Json::array();
  for (const delta::Row& row : result.rows) {
    Json cells = Json::array();
    for (std::size_t i = 0; i < row.size(); ++i) cells.push_back(sql::cell_text(row[i], result.schema[i].type));
    rows.push_back(std::move(cells));
  }
  return Json::object(
      {{"chunk_index", 0}, {"row_offset", 0}, {"row_count", result.rows.size()}, {"data_array", std::move(rows)}});
}

Json answer(const StatementView& statement) {
  Json status = Json::object({{"state", to_string(statement.state)}});
  if (statement.error) status.set("error", error_json(*statement.error, statement.id));
  Json json = Json::object({{"statement_id", statement.id}, {"status", std::move(status)}});
  if (statement.result) {
    json.set("manifest", manifest_json(*statement.result));
    json.set("result", chunk_json(*statement.result));
  }
  return json;
}

std::chrono::seconds wait_timeout_of(const Call& call) {
  const std::string text = call.fields["wait_timeout"].string_or("10s");
  const auto seconds =
      text.ends_with('s') ? parse_number<int>(std::string_view(text).substr(0, text.size() - 1)) : std::nullopt;
  if (!seconds || (*seconds != 0 && (*seconds < 5 || *seconds > 50))) {
    throw Error(ErrorCode::kInvalidArgument, "wait_timeout must be 0s or from 5s to 50s, got {}", text.substr(0, 100))
        .with_param("wait_timeout");
  }
  return std::chrono::seconds(*seconds);
}

void check_choice(const Call& call, std::string_view field, std::string_view only) {
  const std::string value = call.fields[field].string_or(only);
  if (!iequals(value, only)) {
    throw Error(ErrorCode::kUnimplemented, "{} {} is not supported: only {}", field, value.substr(0, 100), only)
        .with_param(std::string(field));
  }
}

bool cancel_when_late(const Call& call) {
  const std::string choice = call.fields["on_wait_timeout"].string_or("CONTINUE");
  if (iequals(choice, "CONTINUE")) return false;
  if (iequals(choice, "CANCEL")) return true;
  throw Error(ErrorCode::kInvalidArgument, "on_wait_timeout must be CONTINUE or CANCEL, got {}", choice.substr(0, 100))
      .with_param("on_wait_timeout");
}

std::int64_t limit_of(const Call& call, std::string_view field, std::size_t most) {
  const auto largest = static_cast<std::int64_t>(most);
  const std::int64_t limit = call.integer(field, largest);
  if (limit <= 0) {
    throw Error(ErrorCode::kInvalidArgument, "{} must be positive, got {}", field, limit)
        .with_param(std::string(field));
  }
  return std::min(limit, largest);
}

std::vector<sql::Parameter> parameters_of(const Json& list) {
  std::vector<sql::Parameter> parameters;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Json& item = list.at(i);
    const auto refuse = [&](std::string_view field, std::string_view rule) {
      throw Error(ErrorCode::kInvalidArgument, "parameters[{}].{} {}", i, field, rule).with_param("parameters");
    };
    if (item.str("name").empty()) refuse("name", "is required");
    const Json& value = item["value"];
    if (!value.is_null() && !value.is_string()) refuse("value", "must be a string or null; say what it is in type");
    if (!item["type"].is_null() && !item["type"].is_string()) refuse("type", "must be a string");
    sql::Parameter parameter{.name = item.str("name"), .value = {}};
    if (value.is_string()) parameter.value = value.as_string();
    if (!item.str("type").empty()) parameter.type = item.str("type");
    parameters.push_back(std::move(parameter));
  }
  return parameters;
}

Json execute(Statements& statements, Call& call) {
  check_choice(call, "disposition", "INLINE");
  check_choice(call, "format", "JSON_ARRAY");
  const auto wait = wait_timeout_of(call);
  const bool cancel = cancel_when_late(call);
  StatementRequest request;
  request.statement = call.str("statement");
  request.catalog = call.str("catalog").empty() ? "main" : call.str("catalog");
  request.schema = call.str("schema").empty() ? "default" : call.str("schema");
  request.options.parameters = parameters_of(call.fields["parameters"]);
  request.options.row_limit = limit_of(call, "row_limit", limits::kStatementRows);
  request.options.byte_limit = limit_of(call, "byte_limit", limits::kStatementBytes);
  request.options.user = call.who.name;
  const std::string id = statements.submit(call.who, std::move(request));
  StatementView view = statements.get(call.who, id, wait, call.deadline.cancelled());
  if (view.ended() || wait.count() == 0) return answer(view);
  // Nobody knows the id of a statement whose sender has left.
  const bool left = call.deadline.cancelled().stop_requested();
  if (cancel || left) {
    statements.cancel(call.who, id);
    view = statements.get(call.who, id, std::chrono::seconds(left ? 0 : 5));
  }
  return answer(view);
}

Json chunk(Statements& statements, Call& call) {
  const StatementView view = statements.get(call.who, call.str("statement_id"));
  if (!view.result) {
    throw Error(ErrorCode::kNotFound, "statement {} is {} and has no result", view.id, to_string(view.state));
  }
  if (call.integer("chunk_index") != 0) {
    throw Error(ErrorCode::kNotFound, "statement {} has one chunk, number 0; there is no chunk {}", view.id,
                call.integer("chunk_index"));
  }
  return chunk_json(*view.result);
}

}  // namespace

Routes sql_routes(Statements& statements) {
  Routes routes;
  const std::string base = kBase;
  routes.push_back({.method = Method::kPost,
                    .path = base,
                    .scope = Scope::authenticated(),
                    .name = "sql.executeStatement",
                    .summary = "Run a SQL statement; its result, or its state when it takes longer than wait_timeout",
                    .request = {{"statement", FieldType::kString, true, "One statement"},
                                {"warehouse_id", FieldType::kString, false, "Any: there is one engine"},
                                {"catalog", FieldType::kString, false, "Completes short names; main"},
                                {"schema", FieldType::kString, false, "Completes short names; default"},
                                {"parameters", FieldType::kArray, false, "[{name, value, type}] for :name"},
                                {"wait_timeout", FieldType::kString, false, "0s, or 5s to 50s; 10s"},
                                {"on_wait_timeout", FieldType::kString, false, "CONTINUE or CANCEL"},
                                {"disposition", FieldType::kString, false, "INLINE"},
                                {"format", FieldType::kString, false, "JSON_ARRAY"},
                                {"row_limit", FieldType::kInteger, false, "Rows at most"},
                                {"byte_limit", FieldType::kInteger, false, "Bytes at most"}},
                    .handler = [&statements](Call& call) { return execute(statements, call); }});
  routes.push_back(
      {.method = Method::kGet,
       .path = base + "/{statement_id}",
       .scope = Scope::authenticated(),
       .name = "sql.getStatement",
       .summary = "State and result of a statement of one's own",
       .handler = [&statements](Call& call) { return answer(statements.get(call.who, call.str("statement_id"))); }});
  routes.push_back({.method = Method::kPost,
                    .path = base + "/{statement_id}/cancel",
                    .scope = Scope::authenticated(),
                    .name = "sql.cancelExecution",
                    .summary = "Ask a statement to end; its state tells whether it did",
                    .handler = [&statements](Call& call) {
                      statements.cancel(call.who, call.str("statement_id"));
                      return Json::object();
                    }});
  routes.push_back({.method = Method::kGet,
                    .path = base + "/{statement_id}/result/chunks/{chunk_index}",
                    .scope = Scope::authenticated(),
                    .name = "sql.getStatementResultChunk",
                    .summary = "One chunk of a result",
                    .request = {{"chunk_index", FieldType::kInteger, true, "0"}},
                    .handler = [&statements](Call& call) { return chunk(statements, call); }});
  return routes;
}

}  // namespace lakeloop::api::databricks
