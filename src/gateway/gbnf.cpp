#include "gateway/gbnf.h"

#include <algorithm>
#include <map>

#include "base/check.h"
#include "base/format.h"

namespace lakeloop::gateway::gbnf {

namespace {

// Values in free JSON nest so deep; readers refuse more than limits::kJsonDepth.
constexpr int kFreeDepth = 12;

struct Rule {
  std::string body;
  std::vector<std::string> needs;
};

const std::map<std::string, Rule, std::less<>>& table() {
  static const std::map<std::string, Rule, std::less<>> kRules = [] {
    std::map<std::string, Rule, std::less<>> rules = {
        {"comma", {R"("," " "?)", {}}},
        {"colon", {R"(":" " "?)", {}}},
        {"null", {R"("null")", {}}},
        {"boolean", {R"("true" | "false")", {}}},
        // Only what must be escaped is, and the short escapes: one code point is one char, and no half surrogate comes.
        {"char", {R"([^"\\\x00-\x1F\x7F] | "\\" (["\\/bfnrt] | "u00" ("0" [1-9a-f] | "1" [0-9a-f])))", {}}},
        {"name-char", {R"([^"\\\x00-\x1F\x7F])", {}}},
        {"string", {R"("\"" char* "\"")", {"char"}}},
        {"integer-from-zero", {R"("0" | [1-9] [0-9]{0,15})", {}}},
        {"integer", {R"("-"? integer-from-zero)", {"integer-from-zero"}}},
        {"number-from-zero",
         {R"(integer-from-zero ("." [0-9]{1,15})? ([eE] [-+]? [1-9] [0-9]?)?)", {"integer-from-zero"}}},
        {"number", {R"("-"? number-from-zero)", {"number-from-zero"}}},
        // February ends on its 28th: no calendar is needed, and every such date exists.
        {"date",
         {R"([0-9]{4} "-" (("01" | "03" | "05" | "07" | "08" | "10" | "12") "-" ("0" [1-9] | [12] [0-9] | "3" [01]) | ("04" | "06" | "09" | "11") "-" ("0" [1-9] | [12] [0-9] | "30") | "02-" ("0" [1-9] | "1" [0-9] | "2" [0-8])))",
          {}}},
        {"time",
         {R"(([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,6})? ("Z" | [+-] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9]))",
          {}}},
        {"date-string", {R"("\"" date "\"")", {"date"}}},
        {"time-string", {R"("\"" time "\"")", {"time"}}},
        {"date-time-string", {R"("\"" date "T" time "\"")", {"date", "time"}}},
        {"uuid-string",
         {R"("\"" [0-9a-f]{8} "-" [0-9a-f]{4} "-" [0-9a-f]{4} "-" [0-9a-f]{4} "-" [0-9a-f]{12} "\"")", {}}},
        {"scalar", {"string | number | boolean | null", {"string", "number", "boolean", "null"}}},
        {"value-0", {"scalar", {"scalar"}}},
    };
    for (int depth = 1; depth <= kFreeDepth; ++depth) {
      const std::string inner = lakeloop::format("value-{}", depth - 1), object = lakeloop::format("object-{}", depth),
                        array = lakeloop::format("array-{}", depth);
      rules[object] = {lakeloop::format(R"("{{" (string colon {0} (comma string colon {0})*)? "}}")", inner),
                       {"string", "colon", "comma", inner}};
      rules[array] = {lakeloop::format(R"("[" ({0} (comma {0})*)? "]")", inner), {"comma", inner}};
      rules[lakeloop::format("value-{}", depth)] = {lakeloop::format("scalar | {} | {}", object, array),
                                                    {"scalar", object, array}};
    }
    rules["value"] = {lakeloop::format("value-{}", kFreeDepth), {lakeloop::format("value-{}", kFreeDepth)}};
    rules["object"] = {lakeloop::format("object-{}", kFreeDepth), {lakeloop::format("object-{}", kFreeDepth)}};
    rules["array"] = {lakeloop::format("array-{}", kFreeDepth), {lakeloop::format("array-{}", kFreeDepth)}};
    return rules;
  }();
  return kRules;
}

void collect(const std::string& name, std::set<std::string>& seen, std::vector<std::string>& out) {
  if (!seen.insert(name).second) return;
  const auto found = table().find(name);
  LAKELOOP_CHECK(found != table().end());
  out.push_back(name + " ::= " + found->second.body);
  for (const std::string& need : found->second.needs) collect(need, seen, out);
}

}  // namespace

std::string literal(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      (out += '\\') += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += lakeloop::format("\\x{:02X}", byte);
    } else {
      out += c;
    }
  }
  return out += '"';
}

std::string in_class(std::string_view code_point) {
  if (code_point == "]" || code_point == "[" || code_point == "\\") return "\\" + std::string(code_point);
  if (code_point == "-" || code_point == "^")
    return lakeloop::format("\\x{:02X}", static_cast<unsigned char>(code_point[0]));
  return std::string(code_point);
}

std::size_t code_point_bytes(std::string_view text, std::size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  const std::size_t size = byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
  return std::min(size, text.size() - at);
}

std::string unescape_pointer(std::string_view text) {
  const auto hex = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
  };
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      plain += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else {
      plain += text[i];
    }
  }
  std::string out;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    if (plain[i] == '~' && i + 1 < plain.size() && (plain[i + 1] == '0' || plain[i + 1] == '1')) {
      out += plain[++i] == '0' ? '~' : '/';
    } else {
      out += plain[i];
    }
  }
  return out;
}

std::string_view format_rule(std::string_view format) {
  if (format == "date") return "date-string";
  if (format == "time") return "time-string";
  if (format == "date-time") return "date-time-string";
  if (format == "uuid") return "uuid-string";
  return {};
}

std::vector<std::string> json_rules(const std::set<std::string>& names) {
  std::set<std::string> seen;
  std::vector<std::string> out;
  for (const std::string& name : names) collect(name, seen, out);
  return out;
}

}  // namespace lakeloop::gateway::gbnf
