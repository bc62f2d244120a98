#pragma once

// Heads of answers as bytes (RFC 9112). A head that would let a value break out of its line is never written.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace lakeloop::net {

// A field name is a token; a value holds no control character but the tab.
bool valid_header(std::string_view name, std::string_view value);
bool valid_headers(const Headers& headers);

struct HeadFraming {
  bool http_1_1 = true;  // of the request
  bool keep_alive = true;
  bool chunked = false;
  std::optional<std::size_t> content_length;  // neither this nor chunked: the body ends with the connection
};

// Headers that belong to the connection (Connection, Content-Length, Transfer-Encoding, Keep-Alive, Server, Date) are
// ours and left out of `headers`. The headers must be valid.
std::string render_head(int status, const Headers& headers, const HeadFraming& framing);

// A body of exactly no byte by the status alone.
bool status_forbids_body(int status);

// Appends "SIZE CRLF bytes CRLF"; nothing for no bytes (that would end the body).
void append_chunk(std::string& out, std::string_view bytes);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

// An answer of the server itself, in the JSON form of errors. `reason` is static text without quotes.
Response refusal(int status, std::string_view reason);

}  // namespace lakeloop::net
