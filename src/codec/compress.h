#pragma once

// gzip (RFC 1952), zlib (RFC 1950) and raw deflate. Decompression stops at `limit` bytes with kTooLarge: a small body
// must not become a huge one.

#include <cstddef>
#include <string>
#include <string_view>

namespace lakeloop::codec {

std::string gzip(std::string_view bytes);
std::string gunzip(std::string_view bytes, std::size_t limit);
std::string inflate_any(std::string_view bytes, std::size_t limit);  // zlib header or raw deflate

}  // namespace lakeloop::codec
