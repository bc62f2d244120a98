#pragma once

// Scalars of YAML's core schema (YAML 1.2.2, section 10.3): what a plain scalar means, and which strings need quotes.

#include <optional>
#include <string>
#include <string_view>

#include "codec/json.h"

namespace lakeloop::codec {

// null, booleans, integers (decimal, 0o17, 0x1F), floats, .inf, .nan; anything else is a string. Integers beyond 64
// bits are double, as in JSON.
Json resolve_plain(std::string_view text);
// The value under an explicit tag ("tag:yaml.org,2002:str", ...); nullopt when tag and text do not agree or the tag is
// unknown.
std::optional<Json> resolve_tagged(std::string_view tag, std::string_view text);

// A scalar on one line that both YAML 1.2 and 1.1 parsers (PyYAML) read back as the same value.
std::string scalar_text(const Json& scalar);
// One line, plain or in quotes.
std::string string_text(std::string_view text);

}  // namespace lakeloop::codec
