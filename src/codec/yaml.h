#pragma once

// YAML 1.2 to and from Json (libfyaml): MLmodel files, chain files, bundles. Anchors are resolved within a limit of 1
// MiB and the depth of JSON; a quoted scalar stays a string; dates stay strings.

#include <string>
#include <string_view>

#include "codec/json.h"

namespace lakeloop::codec {

Json yaml_parse(std::string_view text);   // throws kMalformedRequest with line and column
std::string yaml_dump(const Json& json);  // block style, keys in order, strings quoted where needed

}  // namespace lakeloop::codec
