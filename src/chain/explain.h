#pragma once

// Walks from an answer back to where it came from: trace -> model and prompt version -> index version -> chunk (in the
// table version that was searched) -> page (in the table version that the chunk was cut from) -> file and Git commit. A
// step that is gone (vacuumed, deleted, not permitted) is named as such; the walk goes on where it can.

#include <string>

#include "catalog/catalog.h"
#include "codec/json.h"
#include "search/vector_search.h"
#include "tracking/tracking.h"

namespace lakeloop::chain {

Json explain(tracking::Tracking& tracking, catalog::Catalog& catalog, search::VectorSearch& search,
             const catalog::Principal& who, std::string_view trace_id);

}  // namespace lakeloop::chain
