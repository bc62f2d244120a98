#pragma once

// From a file's bytes to a page. Parsers know a file by the end of its name:
//   .md .markdown  the page text is the source itself; front matter and HTML comments are blanked out code point by
//   code point,
//                  so an offset in the page is the same offset in the decoded file
//   .html .htm     the readable text: no scripts, styles, navigation or hidden elements
//   .txt .text .rst  the text itself, in paragraphs
// Bytes are decoded before anything is cut (codec/unicode.h); an HTML file may declare another character set. Pure
// functions, safe from any thread. The input is untrusted: depth, attributes and memory have limits, time is linear in
// the size.

#include <string>
#include <string_view>
#include <vector>

#include "ingest/page.h"

namespace lakeloop::ingest {

struct ParserInfo {
  std::string_view name;                     // "markdown"
  std::string_view version;                  // changes whenever the same bytes give another page
  std::string_view media_type;               // "text/markdown"
  std::vector<std::string_view> extensions;  // ".md", lower case
};

const std::vector<ParserInfo>& parsers();
// nullptr when no parser knows the name's extension (compared without case).
const ParserInfo* parser_for(std::string_view file_name);

// `file_name` is the title of a page that names none. Throws kInvalidArgument with the reason when the bytes are not
// text, kUnsupportedMediaType for an unknown media type, kTooLarge for HTML beyond the limits.
ParsedPage parse_page(std::string_view bytes, std::string_view media_type, std::string_view file_name);

}  // namespace lakeloop::ingest
