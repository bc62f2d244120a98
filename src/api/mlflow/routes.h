#pragma once

// MLflow's tracking server and model registry (mlflow 3.17's RestStore is the client): /api/2.0|3.0/mlflow/..., each
// with its twin under /ajax-api, and the artifact proxy. What MLflow has and Lakeloop has not is no route: 404, on
// which the client falls back.

#include "api/route.h"
#include "tracking/artifacts.h"
#include "tracking/registry.h"
#include "tracking/tracking.h"

namespace lakeloop::api::mlflow {

struct Services {
  tracking::Tracking& tracking;
  tracking::Registry& registry;
  tracking::Artifacts& artifacts;
  catalog::Catalog& catalog;
};

// All of the below. The services must outlive the routes.
Routes routes(const Services& services);

void add_experiment_routes(Routes& routes, tracking::Tracking& tracking);
void add_run_routes(Routes& routes, tracking::Tracking& tracking);
void add_logged_model_routes(Routes& routes, tracking::Tracking& tracking);
void add_trace_routes(Routes& routes, tracking::Tracking& tracking);
void add_assessment_routes(Routes& routes, tracking::Tracking& tracking);
void add_registered_model_routes(Routes& routes, const Services& services);
void add_artifact_routes(Routes& routes, const Services& services);
void add_server_routes(Routes& routes);

}  // namespace lakeloop::api::mlflow
