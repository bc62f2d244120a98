#pragma once

// Identifiers. UUIDv7 (RFC 9562, section 5.7) sorts by creation time and is monotone within this process.

#include <cstddef>
#include <string>

namespace lakeloop {

// "0198c3f2-6f3a-7b1c-9d3e-1f2a3b4c5d6e"
std::string new_uuid();
// Random bytes from the operating system, as 2*n lower-case hex digits.
std::string random_hex(std::size_t bytes);

}  // namespace lakeloop
