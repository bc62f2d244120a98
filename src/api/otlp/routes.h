#pragma once

// POST /v1/traces: OTLP over HTTP, protobuf or JSON, plain, gzip or deflate. Header x-mlflow-experiment-id says where
// the spans belong. One request is stored as a whole or not at all; there is no partial success. Errors as {"detail"}:
// 400 for what cannot be read, 422 for a missing header and for spans that are none.

#include "api/route.h"
#include "tracking/tracking.h"

namespace lakeloop::api::otlp {

Routes routes(tracking::Tracking& tracking);

}  // namespace lakeloop::api::otlp
