#pragma once

// Builds the trace of one request of this server, span by span, in MLflow's conventions: attribute values are JSON text
// ("mlflow.spanType" is "\"RETRIEVER\""). Belongs to one thread.

#include <string>
#include <string_view>
#include <vector>

#include "tracking/trace.h"

namespace lakeloop::tracking {

class TraceBuilder {
 public:
  // `type`: MLflow's span type, "CHAIN", "CHAT_MODEL", ...
  TraceBuilder(std::string name, std::string_view type, std::string experiment_id);

  [[nodiscard]] const std::string& trace_id() const { return trace_.info.trace_id; }

  // An open span; ends when end() is called or, as an error, when the builder finishes. Spans nest by order of opening.
  std::size_t open(std::string name, std::string_view type);
  void set(std::size_t span, std::string_view attribute, const Json& value);
  void inputs(std::size_t span, const Json& value) { set(span, "mlflow.spanInputs", value); }
  void outputs(std::size_t span, const Json& value) { set(span, "mlflow.spanOutputs", value); }
  void token_usage(std::size_t span, std::int64_t input, std::int64_t output);
  void end(std::size_t span);
  void fail(std::size_t span, std::string_view message);
  static constexpr std::size_t kRoot = 0;

  TraceInfo& info() { return trace_.info; }
  // Ends everything and gives the trace away: state, times, previews, summed token usage.
  Trace finish();

 private:
  Trace trace_;
  std::vector<bool> open_;
  std::int64_t input_tokens_ = 0, output_tokens_ = 0;
};

}  // namespace lakeloop::tracking
