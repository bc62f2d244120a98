#pragma once

// Compiles a JSON schema to a GBNF grammar (llama.cpp's grammar language), so that a local model can only answer with a
// document that fits. Supported: object (properties, required, additionalProperties false/true/schema), array (items,
// minItems, maxItems, prefixItems), string (enum, const, minLength, maxLength, format date, date-time, uuid; pattern is
// refused), integer and number (bounds are checked by the caller), boolean, null, enum, const, anyOf, oneOf, allOf of
// objects, $ref to $defs (recursion too), type lists. Output is compact: no white space runs that a weak model could
// loop in. kInvalidArgument names the unsupported keyword and its place.

#include <string>

#include "codec/json.h"

namespace lakeloop::gateway {

std::string grammar_of_schema(const Json& schema);
std::string grammar_of_any_json();  // response_format {"type": "json_object"}
// One alternative per text, exactly as given.
std::string grammar_of_choices(const std::vector<std::string>& choices);

}  // namespace lakeloop::gateway
