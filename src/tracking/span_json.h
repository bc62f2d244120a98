#pragma once

// A span as the JSON document that the store keeps, and back. 64-bit times stay integers.

#include "codec/json.h"
#include "tracking/trace.h"

namespace lakeloop::tracking {

Json json_of_span(const Span& span);
Span span_of_json(const Json& json);
std::string_view span_status(int status_code);  // "UNSET", "OK", "ERROR"

}  // namespace lakeloop::tracking
