#pragma once

// Pieces of GBNF, llama.cpp's grammar language, that stand for JSON (RFC 8259). White space is at most one blank, after
// a colon or comma; numbers and nesting are bounded: a weak model can loop in neither.

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace lakeloop::gateway::gbnf {

// A text as a literal, quoted and escaped.
std::string literal(std::string_view text);
// One code point inside a character class.
std::string in_class(std::string_view code_point);
std::size_t code_point_bytes(std::string_view text, std::size_t at);
// "~1" is '/', "~0" is '~' (RFC 6901), and percent escapes of a URI fragment.
std::string unescape_pointer(std::string_view text);
// Rule of a string format: "date" -> "date-string"; empty for an unknown one.
std::string_view format_rule(std::string_view format);

// The rules behind `names` and those that they need: value object array string char name-char integer
// integer-from-zero number number-from-zero boolean null comma colon date-string time-string date-time-string
// uuid-string.
std::vector<std::string> json_rules(const std::set<std::string>& names);

}  // namespace lakeloop::gateway::gbnf
