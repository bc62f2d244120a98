#pragma once

// Lakeloop's own endpoints, where no API of the field has one: health and version, OpenAPI, ingest and chunking as
// tasks, chains and prompts, the walk from an answer back to its sources.

#include <filesystem>

#include "api/route.h"
#include "catalog/catalog.h"
#include "gateway/engine.h"
#include "search/vector_search.h"
#include "tracking/tracking.h"
#include "workflow/task_runner.h"

namespace lakeloop::api::app {

struct Services {
  catalog::Catalog& catalog;
  tracking::Tracking& tracking;
  search::VectorSearch& search;
  gateway::EngineDirectory& engines;
  workflow::TaskRunner& tasks;
  std::filesystem::path worker;   // lakeloop-llm
  std::filesystem::path scratch;  // for files in the making
};

// /health, /version, /metrics
Routes operations_routes(std::string version);
Routes task_routes(Services services);   // ingest, chunks, tasks
Routes chain_routes(Services services);  // prompts, chains, explain
Routes hub_routes(Services services);    // models in the box

// /openapi.json of all the others, which it is told last.
Route openapi_route(const Routes& described, std::string_view version);

}  // namespace lakeloop::api::app
