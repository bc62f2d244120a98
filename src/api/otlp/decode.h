#pragma once

// ExportTraceServiceRequest (opentelemetry-proto 1.x) to spans. kMalformedRequest for bytes that are no such request,
// kInvalidArgument for a span that is none: a missing or odd id, a time beyond 64 bits.

#include <string_view>
#include <vector>

#include "tracking/trace.h"

namespace lakeloop::api::otlp {

std::vector<tracking::ResourceSpans> decode_protobuf(std::string_view bytes);
// OTLP's JSON: hex ids, lowerCamelCase (snake_case is taken too), 64-bit integers as text or number, enums as number or
// name.
std::vector<tracking::ResourceSpans> decode_json(std::string_view text);

// Shared: ids as lower-case hex of the right length; "" where `optional` and empty.
std::string checked_id(std::string_view what, std::string hex, std::size_t digits, bool optional);
std::string text_of_value(const Json& value);

}  // namespace lakeloop::api::otlp
