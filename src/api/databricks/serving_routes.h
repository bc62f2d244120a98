#pragma once

// /api/2.0/serving-endpoints and /serving-endpoints/{name}/invocations, as databricks-sdk and mlflow.deployments call
// them.

#include "api/route.h"
#include "serving/serving.h"

namespace lakeloop::api::databricks {

Routes serving_routes(serving::Serving& serving);

}  // namespace lakeloop::api::databricks
