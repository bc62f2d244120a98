#include "ingest/parser.h"

#include "base/error.h"
#include "base/text.h"
#include "codec/unicode.h"
#include "ingest/html_page.h"
#include "ingest/markdown_page.h"
#include "ingest/text_page.h"

namespace lakeloop::ingest {
namespace {

std::string_view extension_of(std::string_view file_name) {
  if (const auto slash = file_name.rfind('/'); slash != std::string_view::npos) file_name.remove_prefix(slash + 1);
  const auto dot = file_name.rfind('.');
  return dot == std::string_view::npos || dot == 0 ? std::string_view() : file_name.substr(dot);
}

}  // namespace

const std::vector<ParserInfo>& parsers() {
  static const std::vector<ParserInfo> all = {
      {"markdown", "1", "text/markdown", {".md", ".markdown"}},
      {"html", "1", "text/html", {".html", ".htm"}},
      {"text", "1", "text/plain", {".txt", ".text", ".rst"}},
  };
  return all;
}

const ParserInfo* parser_for(std::string_view file_name) {
  const auto extension = extension_of(file_name);
  if (extension.empty()) return nullptr;
  for (const auto& parser : parsers()) {
    for (const auto& known : parser.extensions) {
      if (iequals(known, extension)) return &parser;
    }
  }
  return nullptr;
}

ParsedPage parse_page(std::string_view bytes, std::string_view media_type, std::string_view file_name) {
  const auto text = [&] {
    auto decoded = codec::decode_text(bytes);
    if (!decoded) throw decoded.error();
    return std::move(*decoded);
  };
  ParsedPage page;
  if (media_type == "text/markdown") {
    page = markdown_page(text());
  } else if (media_type == "text/html") {
    page = html_page(decode_html(bytes));
  } else if (media_type == "text/plain") {
    page = text_page(text());
  } else {
    throw Error(ErrorCode::kUnsupportedMediaType, "no parser for the media type \"{}\"", media_type);
  }
  if (page.title.empty()) page.title = file_name.substr(file_name.rfind('/') + 1);
  return page;
}

}  // namespace lakeloop::ingest
