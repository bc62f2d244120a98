#include "base/error.h"
#include "base/text.h"
#include "codec/yaml.h"
#include "ingest/markdown_page.h"

namespace lakeloop::ingest {
namespace {

constexpr std::size_t kFrontMatterBytes = 64 * 1024;

struct Line {
  std::string_view text;  // without the line's end and blanks before it
  std::size_t next = 0;
};

Line line_at(std::string_view source, std::size_t begin) {
  const auto newline = source.find('\n', begin);
  const auto end = newline == std::string_view::npos ? source.size() : newline;
  auto text = source.substr(begin, end - begin);
  while (!text.empty() && (text.back() == '\r' || text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return {text, newline == std::string_view::npos ? source.size() : newline + 1};
}

// title = "..." of the top table; enough of TOML for this one key.
std::string toml_title(std::string_view body) {
  for (const auto whole : split(body, '\n')) {
    auto line = trim(whole);
    if (line.starts_with('[')) break;
    if (!line.starts_with("title")) continue;
    line = trim(line.substr(5));
    if (!line.starts_with('=')) continue;
    line = trim(line.substr(1));
    if (line.size() < 2 || (line[0] != '"' && line[0] != '\'')) continue;
    const char quote = line[0];
    std::string title;
    for (std::size_t i = 1; i < line.size() && line[i] != quote; ++i) {
      if (quote == '"' && line[i] == '\\' && i + 1 < line.size()) ++i;
      title += line[i];
    }
    return title;
  }
  return {};
}

}  // namespace

FrontMatter read_front_matter(std::string_view source) {
  const auto first = line_at(source, 0);
  const bool yaml = first.text == "---", toml = first.text == "+++";
  if (!yaml && !toml) return {};
  for (auto at = first.next; at < source.size() && at < kFrontMatterBytes;) {
    const auto line = line_at(source, at);
    if (line.text == first.text || (yaml && line.text == "...")) {
      const auto body = source.substr(first.next, at - first.next);
      if (toml) return {line.next, toml_title(body)};
      if (trim(body).empty()) return {line.next, {}};
      try {
        const auto values = codec::yaml_parse(body);
        if (!values.is_object()) return {};
        return {line.next, std::string(trim(values.str("title")))};
      } catch (const Error&) {
        return {};
      }
    }
    at = line.next;
  }
  return {};
}

}  // namespace lakeloop::ingest
