#include "api/otlp/routes.h"

#include "api/otlp/decode.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/compress.h"

namespace lakeloop::api::otlp {

namespace {

constexpr std::string_view kProtobuf = "application/x-protobuf";
constexpr std::string_view kJson = "application/json";

net::Response unprocessable(Json detail) {
  return net::Response::json(422, Json::object({{"detail", std::move(detail)}}).dump());
}

std::string body_of(const net::Request& request) {
  const std::string encoding = ascii_lower(trim(request.headers.get("content-encoding")));
  if (encoding.empty() || encoding == "identity") return request.body;
  try {
    if (encoding == "gzip") return codec::gunzip(request.body, limits::kOtlpBodyBytes);
    if (encoding == "deflate") return codec::inflate_any(request.body, limits::kOtlpBodyBytes);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kTooLarge) throw;
    throw Error(ErrorCode::kMalformedRequest, "Failed to decompress {} payload", encoding);
  }
  throw Error(ErrorCode::kMalformedRequest, "Unsupported Content-Encoding: {}. Expected: gzip or deflate", encoding);
}

void link_to_run(tracking::Tracking& tracking, Call& call, const std::vector<tracking::ResourceSpans>& batches) {
  const std::string run_id(call.http.headers.get("x-mlflow-run-id"));
  if (run_id.empty()) return;
  std::vector<std::string> ended;
  for (const auto& batch : batches) {
    for (const auto& span : batch.spans) {
      if (span.parent_id.empty()) ended.push_back("tr-" + span.trace_id);
    }
  }
  // The spans are stored: a run that is gone or not the caller's must not make the exporter send them again.
  try {
    for (std::size_t at = 0; at < ended.size(); at += 100) {
      tracking.link_traces_to_run(call.who,
                                  {ended.begin() + static_cast<std::ptrdiff_t>(at),
                                   ended.begin() + static_cast<std::ptrdiff_t>(std::min(at + 100, ended.size()))},
                                  run_id);
    }
  } catch (const Error& error) {
    log_warning("otlp_traces_not_linked", {{"request_id", call.request_id}, {"error", error.message()}});
  }
}

void export_traces(tracking::Tracking& tracking, Call& call, net::ResponseWriter& writer) {
  const std::string_view content_type = call.http.headers.get("content-type");
  const std::string media_type = ascii_lower(trim(content_type.substr(0, content_type.find(';'))));
  const std::string experiment_id(call.http.headers.get("x-mlflow-experiment-id"));
  if (experiment_id.empty()) {
    // FastAPI's shape.
    return writer.send(
        unprocessable(Json::array({Json::object({{"type", "missing"},
                                                 {"loc", Json::array({"header", "x-mlflow-experiment-id"})},
                                                 {"msg", "Field required"},
                                                 {"input", nullptr}})})));
  }
  if (media_type != kProtobuf && media_type != kJson) {
    throw Error(ErrorCode::kMalformedRequest,
                "Invalid Content-Type: {}. Expected: application/x-protobuf or application/json", content_type);
  }
  const std::string body = body_of(call.http);
  std::vector<tracking::ResourceSpans> batches;
  try {
    batches = media_type == kJson ? decode_json(body) : decode_protobuf(body);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidArgument) throw;
    return writer.send(unprocessable(error.message()));
  }
  if (batches.empty()) throw Error(ErrorCode::kMalformedRequest, "Invalid OpenTelemetry format - no spans found");
  tracking.log_spans(call.who, experiment_id, batches);
  link_to_run(tracking, call, batches);
  net::Response response;
  response.headers.set("content-type", media_type);
  if (media_type == kJson)
    response.body = "{}";  // ExportTraceServiceResponse without partial_success, in both encodings
  writer.send(std::move(response));
}

}  // namespace

Routes routes(tracking::Tracking& tracking) {
  return {{.method = net::Method::kPost,
           .path = "/v1/traces",
           .scope = Scope::authenticated(),
           .name = "otlp.exportTraces",
           .summary = "Take spans of OpenTelemetry exporters; header x-mlflow-experiment-id",
           .dialect = Dialect::kOtlp,
           .handler = [&tracking](Call& call, net::ResponseWriter& writer) { export_traces(tracking, call, writer); },
           .raw_body = true,
           .body_limit = limits::kOtlpBodyBytes}};
}

}  // namespace lakeloop::api::otlp
