#pragma once

// A trace as one JSON document: how the journal carries it.

#include "codec/json.h"
#include "tracking/trace.h"

namespace lakeloop::tracking {

Json trace_to_json(const Trace& trace);
Trace trace_from_json(const Json& json);

}  // namespace lakeloop::tracking
