#pragma once

// Databricks' clients know a workspace by a number. Ours is made from the metastore's id, so it never changes.

#include <cstdint>
#include <string_view>

namespace lakeloop::api::databricks {

// Positive, below 2^53: exact in every client's numbers.
std::int64_t workspace_id(std::string_view metastore_id);

}  // namespace lakeloop::api::databricks
