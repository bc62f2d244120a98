#include "api/databricks/workspace_id.h"

#include <string>

#include "codec/hash.h"

namespace lakeloop::api::databricks {

std::int64_t workspace_id(std::string_view metastore_id) {
  const std::string digest = codec::sha256_hex(metastore_id).substr(0, 13);  // 52 bits
  std::int64_t number = 0;
  for (const char c : digest) number = number * 16 + (c >= 'a' ? c - 'a' + 10 : c - '0');
  return number + 1;
}

}  // namespace lakeloop::api::databricks
