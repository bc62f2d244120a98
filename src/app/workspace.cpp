#include "app/workspace.h"

#include "api/app/routes.h"
#include "api/databricks/identity_routes.h"
#include "api/databricks/serving_routes.h"
#include "api/databricks/sql_routes.h"
#include "api/databricks/vector_search_routes.h"
#include "api/mlflow/routes.h"
#include "api/openai/routes.h"
#include "api/otlp/routes.h"
#include "api/unity/routes.h"
#include "base/log.h"

namespace lakeloop::app {
namespace {

std::vector<db::Migration> all_migrations() {
  std::vector<db::Migration> all;
  for (const auto& module : {identity::migrations(), catalog::migrations(), tracking::migrations(),
                             search::migrations(), serving::migrations()}) {
    all.insert(all.end(), module.begin(), module.end());
  }
  return all;
}

identity::Identity& with_admin(identity::Identity& identity) {
  identity.ensure_admin(kAdminName);
  return identity;
}

}  // namespace

Workspace::Workspace(const DataFolder& folder, const WorkspaceOptions& options)
    : database_(db::Database::open(folder / "metadata.sqlite", all_migrations())),
      store_(storage::open_local_store(folder / "objects")),
      identity_(*database_),
      catalog_(*database_, store_),
      tracking_(*database_, catalog_),
      registry_(tracking_, catalog_),
      artifacts_(tracking_, store_),
      journal_(journal::Journal::open(folder / "journal")),
      client_(std::make_shared<net::Client>()),
      serving_(*database_, with_admin(identity_), catalog_, tracking_, codec::Sealer::open(folder / "seal.key"),
               client_,
               {.worker = options.worker,
                .log_folder = folder / "logs",
                .model_threads = options.model_threads,
                .allow_private_upstreams = options.allow_private_upstreams}),
      search_(*database_, catalog_, serving_, folder / "indexes"),
      invocations_(*journal_, tracking_, catalog_, admin()),
      mirror_(tracking_, catalog_, admin()),
      statements_(catalog_),
      options_(options),
      scratch_(folder / "scratch") {
  std::filesystem::remove_all(scratch_);  // what an interrupted import left
  std::filesystem::create_directories(scratch_);
  catalog_.ensure_schema(admin(), "main", "default");
  serving_.connect(search_, invocations_);
}

Workspace::~Workspace() {
  stop();
}

identity::Principal Workspace::admin() {
  return identity_.find(kAdminName).value();
}

void Workspace::stop() {
  tasks_.stop();
  statements_.stop();
  if (!invocations_.drain(std::chrono::seconds(5))) log_warning("invocations_left_in_journal");
  invocations_.stop();
  serving_.stop();
}

api::Routes Workspace::routes(const std::string& base_url) {
  const api::app::Services services{catalog_, tracking_, search_, serving_, tasks_, options_.worker, scratch_};
  api::Routes routes;
  const auto add = [&](api::Routes more) {
    routes.insert(routes.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  add(api::app::operations_routes(LAKELOOP_VERSION));
  add(api::openai::routes(serving_));
  add(api::unity::routes(catalog_));
  add(api::databricks::discovery_routes(base_url, catalog_.metastore_id()));
  add(api::databricks::scim_routes(identity_, catalog_.metastore_id()));
  add(api::databricks::token_routes(identity_));
  add(api::databricks::sql_routes(statements_));
  add(api::databricks::serving_routes(serving_));
  add(api::databricks::vector_search_routes(search_, base_url));
  add(api::mlflow::routes({tracking_, registry_, artifacts_, catalog_}));
  add(api::otlp::routes(tracking_));
  add(api::app::task_routes(services));
  add(api::app::chain_routes(services));
  add(api::app::hub_routes(services));
  routes.push_back(api::app::openapi_route(routes, LAKELOOP_VERSION));
  return routes;
}

}  // namespace lakeloop::app
