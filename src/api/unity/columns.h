#pragma once

// ColumnInfo of Unity Catalog: the same column as Spark's text, as a type name and as the JSON of Delta's schema.

#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"
#include "delta/table.h"

namespace lakeloop::api::unity {

std::string_view type_name(delta::TypeKind kind);  // "LONG"

Json columns_json(const delta::Schema& schema);

// The columns of a create request; type_json counts before type_text before type_name. kInvalidArgument names the
// column. `partition_columns` gets those with a partition_index, in its order.
delta::Schema columns_of(const Json& columns, std::vector<std::string>& partition_columns);

}  // namespace lakeloop::api::unity
