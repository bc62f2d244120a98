#pragma once

// Unity Catalog, /api/2.1/unity-catalog: catalogs, schemas, tables, registered models with versions and aliases,
// grants, the metastore. Names and fields are those of the API; times are milliseconds. Privileges are printed with
// underscores
// ("USE_CATALOG", as Databricks and its SDK do) and read in either spelling.

#include "api/route.h"
#include "catalog/catalog.h"

namespace lakeloop::api::unity {

Routes namespace_routes(catalog::Catalog& catalog);   // catalogs, schemas
Routes table_routes(catalog::Catalog& catalog);       // managed Delta tables
Routes model_routes(catalog::Catalog& catalog);       // registered models, versions, aliases
Routes permission_routes(catalog::Catalog& catalog);  // grants
Routes metastore_routes(catalog::Catalog& catalog);

// All of the above.
Routes routes(catalog::Catalog& catalog);

}  // namespace lakeloop::api::unity
