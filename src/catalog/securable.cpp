#include "catalog/securable.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/limits.h"
#include "base/text.h"
#include "codec/unicode.h"

namespace lakeloop::catalog {
namespace {

constexpr std::array<std::pair<SecurableType, std::string_view>, 14> kTypes{{
    {SecurableType::kMetastore, "metastore"},
    {SecurableType::kCatalog, "catalog"},
    {SecurableType::kSchema, "schema"},
    {SecurableType::kTable, "table"},
    {SecurableType::kVolume, "volume"},
    {SecurableType::kFunction, "function"},
    {SecurableType::kModel, "registered_model"},
    {SecurableType::kEndpoint, "serving_endpoint"},
    {SecurableType::kExperiment, "experiment"},
    // Read, not printed.
    {SecurableType::kModel, "model"},
    {SecurableType::kModel, "registered_models"},
    {SecurableType::kEndpoint, "endpoint"},
    {SecurableType::kEndpoint, "serving_endpoints"},
    {SecurableType::kExperiment, "experiments"},
}};

constexpr std::array<std::pair<Privilege, std::string_view>, 16> kPrivileges{{
    {Privilege::kUseCatalog, "USE CATALOG"},
    {Privilege::kUseSchema, "USE SCHEMA"},
    {Privilege::kSelect, "SELECT"},
    {Privilege::kModify, "MODIFY"},
    {Privilege::kExecute, "EXECUTE"},
    {Privilege::kCreateCatalog, "CREATE CATALOG"},
    {Privilege::kCreateSchema, "CREATE SCHEMA"},
    {Privilege::kCreateTable, "CREATE TABLE"},
    {Privilege::kCreateModel, "CREATE MODEL"},
    {Privilege::kCreateVolume, "CREATE VOLUME"},
    {Privilege::kCreateFunction, "CREATE FUNCTION"},
    {Privilege::kReadVolume, "READ VOLUME"},
    {Privilege::kWriteVolume, "WRITE VOLUME"},
    {Privilege::kBrowse, "BROWSE"},
    {Privilege::kManage, "MANAGE"},
    {Privilege::kAllPrivileges, "ALL PRIVILEGES"},
}};

std::string replaced(std::string_view text, std::string_view from, char to) {
  std::string result(text);
  std::ranges::replace_if(result, [&](char c) { return from.contains(c); }, to);
  return result;
}

// Characters that would make two names look alike, or that a path, a URL or a line could not carry.
bool is_refused(std::string_view c) {
  if (c.size() == 1)
    return static_cast<unsigned char>(c[0]) <= 0x20 || c[0] == 0x7f || c[0] == '/' || c[0] == '`' || c[0] == '\\';
  if (c.size() == 2) return c[0] == '\xc2' && static_cast<unsigned char>(c[1]) <= 0xa0;  // C1 controls, no-break space
  if (c == "\xe1\x9a\x80" || c == "\xe3\x80\x80" || c == "\xef\xbb\xbf") return true;    // ogham and wide blank, BOM
  if (!c.starts_with("\xe2\x80") && !c.starts_with("\xe2\x81")) return false;
  const auto last = static_cast<unsigned char>(c[2]);
  if (c[1] == '\x80') return last <= 0x8f || (last >= 0xa8 && last <= 0xaf);  // blanks, joiners, marks of direction
  return last >= 0x9f && last <= 0xaf;
}

std::size_t width_of(unsigned char first) {
  return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

std::vector<std::string> parse_parts(std::string_view text, std::size_t count) {
  auto parts = split_full_name(text);
  if (parts.size() != count) {
    throw Error(ErrorCode::kInvalidArgument, "name '{}' has {} parts, not {}: write {}",
                codec::truncate_utf8(text, 1024), parts.size(), count,
                count == 3   ? "catalog.schema.name"
                : count == 2 ? "catalog.schema"
                             : "one name");
  }
  return parts;
}

}  // namespace

std::string_view to_string(SecurableType type) {
  return std::ranges::find(kTypes, type, &std::pair<SecurableType, std::string_view>::first)->second;
}

std::optional<SecurableType> parse_securable_type(std::string_view text) {
  const std::string wanted = replaced(ascii_lower(text), " -", '_');
  for (const auto& [type, name] : kTypes) {
    if (name == wanted) return type;
  }
  return std::nullopt;
}

std::string_view to_string(Privilege privilege) {
  return std::ranges::find(kPrivileges, privilege, &std::pair<Privilege, std::string_view>::first)->second;
}

std::optional<Privilege> parse_privilege(std::string_view text) {
  const std::string wanted = replaced(ascii_upper(text), "_", ' ');
  for (const auto& [privilege, name] : kPrivileges) {
    if (name == wanted) return privilege;
  }
  return std::nullopt;
}

std::string checked_name(std::string_view name) {
  if (name.empty()) throw Error(ErrorCode::kInvalidArgument, "a name has an empty part");
  if (!codec::is_valid_utf8(name)) throw Error(ErrorCode::kInvalidArgument, "a name is not valid UTF-8");
  if (codec::count_code_points(name) > limits::kNameCharacters) {
    throw Error(ErrorCode::kInvalidArgument, "name '{}...' has more than {} characters", codec::truncate_utf8(name, 80),
                limits::kNameCharacters);
  }
  for (std::size_t i = 0; i < name.size();) {
    const std::size_t width = width_of(static_cast<unsigned char>(name[i]));
    if (is_refused(name.substr(i, width))) {
      throw Error(
          ErrorCode::kInvalidArgument,
          "name '{}' holds a blank, a control character, '/', '\\' or a back-quote at byte {}: choose another name",
          name, i);
    }
    i += width;
  }
  return codec::normalize_nfc(name);
}

std::string name_key(std::string_view name) {
  return codec::fold_case(codec::normalize_nfc(name));
}

std::vector<std::string> split_full_name(std::string_view text) {
  constexpr std::size_t kLongest = 4 * (4 * limits::kNameCharacters + 3);
  if (text.size() > kLongest) throw Error(ErrorCode::kInvalidArgument, "a name has more than {} bytes", kLongest);
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (true) {
    std::size_t end;
    if (at < text.size() && text[at] == '`') {
      end = text.find('`', at + 1);
      if (end == std::string_view::npos)
        throw Error(ErrorCode::kInvalidArgument, "name '{}' has an open back-quote", text);
      parts.push_back(checked_name(text.substr(at + 1, end - at - 1)));
      ++end;
      if (end < text.size() && text[end] != '.') {
        throw Error(ErrorCode::kInvalidArgument, "name '{}' goes on after a back-quoted part without a dot", text);
      }
    } else {
      end = std::min(text.find('.', at), text.size());
      parts.push_back(checked_name(text.substr(at, end - at)));
    }
    if (end >= text.size()) return parts;
    at = end + 1;
  }
}

std::string join_full_name(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += '.';
    if (part.contains('.')) {
      text.append("`").append(part).append("`");
    } else {
      text += part;
    }
  }
  return text;
}

FullName parse_full_name(std::string_view text) {
  auto parts = parse_parts(text, 3);
  return {.catalog = std::move(parts[0]), .schema = std::move(parts[1]), .name = std::move(parts[2])};
}

FullName parse_schema_name(std::string_view text) {
  auto parts = parse_parts(text, 2);
  return {.catalog = std::move(parts[0]), .schema = std::move(parts[1]), .name = {}};
}

}  // namespace lakeloop::catalog
