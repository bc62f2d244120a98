#pragma once

// All services of a server on one data folder, made in the order of the floors and ended in reverse.

#include <filesystem>
#include <memory>

#include "api/databricks/statements.h"
#include "api/route.h"
#include "app/data_folder.h"
#include "catalog/catalog.h"
#include "codec/seal.h"
#include "db/database.h"
#include "identity/identity.h"
#include "journal/journal.h"
#include "net/client.h"
#include "search/vector_search.h"
#include "serving/invocation_log.h"
#include "serving/serving.h"
#include "tracking/artifacts.h"
#include "tracking/registry.h"
#include "tracking/table_mirror.h"
#include "tracking/tracking.h"
#include "workflow/task_runner.h"

namespace lakeloop::app {

struct WorkspaceOptions {
  std::filesystem::path worker;  // lakeloop-llm
  bool allow_private_upstreams = false;
  int model_threads = 1;
};

class Workspace {
 public:
  Workspace(const DataFolder& folder, const WorkspaceOptions& options);
  ~Workspace();  // stop()
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  [[nodiscard]] api::Routes routes(const std::string& base_url);
  [[nodiscard]] identity::Identity& identity() { return identity_; }
  [[nodiscard]] catalog::Catalog& catalog() { return catalog_; }
  [[nodiscard]] identity::Principal admin();
  // Ends background work; what was acknowledged is durable already.
  void stop();

 private:
  std::unique_ptr<db::Database> database_;
  std::shared_ptr<storage::ObjectStore> store_;
  identity::Identity identity_;
  catalog::Catalog catalog_;
  tracking::Tracking tracking_;
  tracking::Registry registry_;
  tracking::Artifacts artifacts_;
  std::unique_ptr<journal::Journal> journal_;
  std::shared_ptr<net::Client> client_;
  serving::Serving serving_;
  search::VectorSearch search_;
  serving::InvocationLog invocations_;
  tracking::TableMirror mirror_;
  api::databricks::Statements statements_;
  workflow::TaskRunner tasks_;
  const WorkspaceOptions options_;
  const std::filesystem::path scratch_;
};

inline constexpr std::string_view kAdminName = "admin";

}  // namespace lakeloop::app
