#pragma once

// Deletion vectors (PROTOCOL.md, "Deletion Vectors"): which rows of a file are deleted, by position in the file.

#include <cstdint>
#include <string_view>
#include <vector>

#include "delta/log.h"

namespace lakeloop::delta {

using DeletedRows = std::vector<std::uint64_t>;  // ascending

// `descriptor`: the action's deletionVector; null gives no rows. kDataLoss when sizes, checksum or cardinality differ.
DeletedRows read_deletion_vector(const Log& log, const Json& descriptor);
// The serialized bitmap: magic number, then a portable 64-bit Roaring bitmap.
DeletedRows decode_deletion_vector(std::string_view bytes);

}  // namespace lakeloop::delta
