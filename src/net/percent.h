#pragma once

// Percent-decoding of a URL component (RFC 3986, section 2.1), once.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lakeloop::net {

enum class PlusSign : std::uint8_t { kLiteral, kBlank };

// nullopt on a broken escape ("%", "%4", "%zz").
std::optional<std::string> decode_component(std::string_view text, PlusSign plus = PlusSign::kLiteral);

}  // namespace lakeloop::net
