#pragma once

// Bytes as text and back. Decoders refuse what is not canonical; they never read past the input.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lakeloop::codec {

std::string base64_encode(std::string_view bytes);  // RFC 4648, padded
std::optional<std::string> base64_decode(std::string_view text);
std::string hex_encode(std::string_view bytes);  // lower case
std::optional<std::string> hex_decode(std::string_view text);
// application/x-www-form-urlencoded off: '+' stays '+'. Unreserved characters of RFC 3986 stay; '/' stays when asked.
std::string percent_encode(std::string_view text, bool keep_slash = false);
std::optional<std::string> percent_decode(std::string_view text);  // nullopt on a broken escape; decodes once

std::string z85_encode(std::string_view bytes);  // ZeroMQ 32; sizes of 4n
std::optional<std::string> z85_decode(std::string_view text);

}  // namespace lakeloop::codec
