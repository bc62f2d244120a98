#pragma once

// /api/2.0/vector-search, in the forms of databricks-sdk (POST query) and databricks-vectorsearch (GET with a body,
// indexes below endpoints).

#include "api/route.h"
#include "search/vector_search.h"

namespace lakeloop::api::databricks {

Routes vector_search_routes(search::VectorSearch& search, std::string base_url);

}  // namespace lakeloop::api::databricks
