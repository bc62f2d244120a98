#pragma once

// The statement execution API, /api/2.0/sql/statements: results inline as JSON_ARRAY, in one chunk.

#include "api/databricks/statements.h"
#include "api/route.h"

namespace lakeloop::api::databricks {

Routes sql_routes(Statements& statements);

}  // namespace lakeloop::api::databricks
