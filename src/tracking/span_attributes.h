#pragma once

// From the attributes that OpenTelemetry instrumentations write to MLflow's: span type, inputs, outputs, token usage
// (mlflow/tracing/otel/translation). Conventions known: MLflow, OpenTelemetry GenAI (and its retired names),
// OpenInference, Traceloop, Vercel AI, Google ADK, Langfuse.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "codec/json.h"
#include "tracking/trace.h"

namespace lakeloop::tracking {

// The span with values instead of JSON text in strings (where it was written so), and MLflow's attributes filled in.
Span with_mlflow_attributes(Span span);

struct TokenUsage {
  std::int64_t input = 0, output = 0, total = 0;
  std::optional<std::int64_t> cache_read, cache_creation;
  void add(const TokenUsage& other);
  [[nodiscard]] Json json() const;
  static std::optional<TokenUsage> from_json(const Json& json);
};
std::optional<TokenUsage> token_usage_of(const Span& span);

std::string span_type_of(const Span& span);  // "UNKNOWN" when not said
std::string session_of(const Span& span);    // empty when not said
std::string user_of(const Span& span);
std::map<std::string, std::string> trace_tags_of(const Span& root);  // "mlflow.traceTag.*"

// Python's json.dumps(value, ensure_ascii=False): blanks after ',' and ':'. Previews are compared with what the client
// makes.
std::string python_json(const Json& value);
// The first 1000 characters of what went in or came out: the last message of `role` where the value is a chat.
std::string preview_of(const Json& value, std::string_view role);

}  // namespace lakeloop::tracking
