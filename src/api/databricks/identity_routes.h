#pragma once

// Who is there: discovery (/.well-known/databricks-config), SCIM 2.0 (RFC 7643, 7644) for users, service principals and
// groups, and personal access tokens.

#include <string>

#include "api/route.h"
#include "identity/identity.h"

namespace lakeloop::api::databricks {

Routes scim_routes(identity::Identity& identity, const std::string& metastore_id);
Routes token_routes(identity::Identity& identity);
// Without authentication: where clients start.
Routes discovery_routes(const std::string& base_url, const std::string& metastore_id);

}  // namespace lakeloop::api::databricks
