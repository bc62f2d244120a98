#pragma once

// Markdown (CommonMark with tables, by md4c). The page's text is the source; what is no text to a reader, front matter
// and HTML comments outside code, becomes blanks of the same number of code points. Blocks are whole lines of the top
// level: a list with all that is nested in it is one block. Headings inside quotes and lists open no section.

#include <optional>
#include <string>
#include <string_view>

#include "ingest/page.h"

namespace lakeloop::ingest {

ParsedPage markdown_page(std::string source);

// Metadata before a Markdown text: "---" YAML "---" or "+++" TOML "+++" from the first line on. Lines between "---"
// that are no YAML mapping are text between two rules, not front matter.
struct FrontMatter {
  std::size_t size = 0;  // bytes with both marks and the last line's end; 0: none
  std::string title;
};
FrontMatter read_front_matter(std::string_view source);

}  // namespace lakeloop::ingest
