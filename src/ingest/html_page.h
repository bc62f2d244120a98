#pragma once

// HTML to readable text, by lexbor (the WHATWG algorithms): elements that show nothing (script, style, template, head,
// hidden) and navigation are dropped, blanks collapse outside <pre>, blocks are separated by an empty line, list items
// start with "- " or "1. ", the cells of a table row are joined by " | ".

#include <string>
#include <string_view>

#include "ingest/page.h"

namespace lakeloop::ingest {

// Bytes to UTF-8: by the byte order mark, else the character set that a <meta> declares (WHATWG's names), else as
// codec::decode_text does. kInvalidArgument names what does not fit.
std::string decode_html(std::string_view bytes);

// kTooLarge naming the limit where elements nest deeper than 512, a tag has more than 1000 attributes, or the
// document's tree outgrows its memory. Broken markup is read as browsers read it.
ParsedPage html_page(std::string_view utf8);

}  // namespace lakeloop::ingest
