#include "tracking/trace_builder.h"

#include <algorithm>

#include "base/check.h"
#include "base/id.h"

namespace lakeloop::tracking {
namespace {

constexpr std::size_t kPreviewBytes = 1000;

std::int64_t now_ns() {
  return Timestamp::now().micros * 1000;
}

std::string preview_of(const Json& value) {
  std::string text = value.is_string() ? value.as_string() : value.dump();
  std::size_t size = std::min(text.size(), kPreviewBytes);
  while (size > 0 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  text.resize(size);
  return text;
}

}  // namespace

TraceBuilder::TraceBuilder(std::string name, std::string_view type, std::string experiment_id) {
  const std::string otel_id = random_hex(16);
  trace_.info.trace_id = "tr-" + otel_id;
  trace_.info.experiment_id = std::move(experiment_id);
  trace_.info.request_time = Timestamp::now();
  trace_.info.tags["mlflow.traceName"] = name;
  trace_.info.tags["mlflow.trace.spansLocation"] = "TRACKING_STORE";
  trace_.info.metadata["mlflow.trace_schema.version"] = "3";
  open(std::move(name), type);
}

std::size_t TraceBuilder::open(std::string name, std::string_view type) {
  Span span;
  span.trace_id = trace_.info.trace_id.substr(3);
  span.span_id = random_hex(8);
  for (std::size_t i = open_.size(); i-- > 0;) {
    if (open_[i]) {
      span.parent_id = trace_.spans[i].span_id;
      break;
    }
  }
  span.name = std::move(name);
  span.start_ns = now_ns();
  trace_.spans.push_back(std::move(span));
  open_.push_back(true);
  const std::size_t index = trace_.spans.size() - 1;
  set(index, "mlflow.spanType", type);
  set(index, "mlflow.traceRequestId", trace_.info.trace_id);
  return index;
}

void TraceBuilder::set(std::size_t span, std::string_view attribute, const Json& value) {
  trace_.spans.at(span).attributes.set(attribute, value.dump());
}

void TraceBuilder::token_usage(std::size_t span, std::int64_t input, std::int64_t output) {
  input_tokens_ += input;
  output_tokens_ += output;
  set(span, "mlflow.chat.tokenUsage",
      Json::object({{"input_tokens", input}, {"output_tokens", output}, {"total_tokens", input + output}}));
}

void TraceBuilder::end(std::size_t span) {
  LAKELOOP_CHECK(open_.at(span));
  open_[span] = false;
  Span& ended = trace_.spans[span];
  ended.end_ns = std::max(now_ns(), ended.start_ns + 1);
  if (ended.status_code == 0) ended.status_code = 1;
}

void TraceBuilder::fail(std::size_t span, std::string_view message) {
  Span& failed = trace_.spans.at(span);
  failed.status_code = 2;
  failed.status_message = message;
  const std::int64_t at = now_ns();
  failed.events.push_back(
      {at, "exception", Json::object({{"exception.message", message}, {"exception.type", "Error"}})});
  if (open_[span]) end(span);
}

Trace TraceBuilder::finish() {
  bool failed = false;
  for (std::size_t i = open_.size(); i-- > 0;) {
    if (open_[i]) end(i);
    failed = failed || trace_.spans[i].status_code == 2;
  }
  const Span& root = trace_.spans.front();
  trace_.info.state = root.status_code == 2 || failed ? "ERROR" : "OK";
  trace_.info.execution_ms = (root.end_ns - root.start_ns) / 1'000'000;
  const auto value_of = [&](std::string_view key) {
    return Json::try_parse(root.attributes.str(key)).value_or(Json());
  };
  if (trace_.info.request_preview.empty()) trace_.info.request_preview = preview_of(value_of("mlflow.spanInputs"));
  if (trace_.info.response_preview.empty()) trace_.info.response_preview = preview_of(value_of("mlflow.spanOutputs"));
  if (input_tokens_ + output_tokens_ > 0) {
    trace_.info.metadata["mlflow.trace.tokenUsage"] = Json::object({{"input_tokens", input_tokens_},
                                                                    {"output_tokens", output_tokens_},
                                                                    {"total_tokens", input_tokens_ + output_tokens_}})
                                                          .dump();
  }
  return std::move(trace_);
}

}  // namespace lakeloop::tracking
