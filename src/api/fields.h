#pragma once

// Decoding of a request by its descriptor: query, body and path become one object of typed, checked fields.

#include "api/route.h"
#include "net/router.h"

namespace lakeloop::api {

// Throws kInvalidArgument or kMalformedRequest naming the field and the rule, in MLflow's words for its dialect.
Json decode_fields(const Route& route, const net::Request& request, const net::Router::Match& match);

}  // namespace lakeloop::api
