#include "codec/yaml_scalar.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/format.h"
#include "base/text.h"
#include "codec/unicode.h"

namespace lakeloop::codec {
namespace {

constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";

bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, digit);
}

bool is_null(std::string_view text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

std::optional<bool> boolean(std::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return std::nullopt;
}

std::string_view without_sign(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  return text;
}

// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
bool has_float_form(std::string_view text) {
  text = without_sign(text);
  std::size_t whole = 0;
  while (whole < text.size() && digit(text[whole])) ++whole;
  text.remove_prefix(whole);
  if (text.starts_with('.')) {
    std::size_t fraction = 1;
    while (fraction < text.size() && digit(text[fraction])) ++fraction;
    if (whole == 0 && fraction == 1) return false;
    text.remove_prefix(fraction);
  } else if (whole == 0) {
    return false;
  }
  if (text.empty()) return true;
  if (text[0] != 'e' && text[0] != 'E') return false;
  return all_digits(without_sign(text.substr(1)));
}

double to_double(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) {
    // from_chars does not say whether it was too large or too small; the exponent's sign does.
    const std::size_t exponent = text.find_first_of("eE");
    const bool tiny = exponent != std::string_view::npos && text.substr(exponent + 1).starts_with('-');
    value = tiny ? 0.0 : std::numeric_limits<double>::infinity();
    return text.starts_with('-') ? -value : value;
  }
  return value;
}

std::optional<Json> integer(std::string_view text) {
  int base = 10;
  std::string_view digits = without_sign(text);
  if (text.starts_with("0x") || text.starts_with("0o")) {
    base = text[1] == 'x' ? 16 : 8;
    digits = text.substr(2);
  } else if (!all_digits(digits)) {
    return std::nullopt;
  }
  if (digits.empty()) return std::nullopt;
  std::uint64_t magnitude = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, base);
  if (end != digits.data() + digits.size()) return std::nullopt;
  const bool negative = text.starts_with('-');
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (error == std::errc() && magnitude <= kMax) {
    return Json(negative ? -static_cast<std::int64_t>(magnitude) : static_cast<std::int64_t>(magnitude));
  }
  if (error == std::errc() && negative && magnitude == kMax + 1) return Json(std::numeric_limits<std::int64_t>::min());
  if (base == 10) return Json(to_double(text));
  double value = 0;
  for (const char c : digits) value = value * base + (digit(c) ? c - '0' : (c | 32) - 'a' + 10);
  return Json(value);
}

std::optional<double> special_float(std::string_view text) {
  const std::string_view name = without_sign(text);
  if (name == ".inf" || name == ".Inf" || name == ".INF") {
    const double infinity = std::numeric_limits<double>::infinity();
    return text.starts_with('-') ? -infinity : infinity;
  }
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

std::string float_text(double value) {
  if (std::isnan(value)) return ".nan";
  if (std::isinf(value)) return value > 0 ? ".inf" : "-.inf";
  std::string text = format("{}", value);
  // YAML 1.1 takes "1e+20" for a string: it wants the point.
  if (!text.contains('.')) text.insert(std::min(text.find('e'), text.size()), ".0");
  return text;
}

// Words that one of the YAML versions reads as something else than text.
bool reserved(std::string_view text) {
  static constexpr std::string_view kWords[] = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"};
  return std::ranges::any_of(kWords, [&](std::string_view word) { return iequals(word, text); });
}

// A careful subset: never a number, a date, an indicator, a key or a comment, in any version of YAML.
bool may_be_plain(std::string_view text) {
  if (text.empty() || text.size() > 120 || reserved(text)) return false;
  if (!letter(text.front()) && text.front() != '_' && text.front() != '/') return false;
  if (text.back() == ' ' || text.back() == ':') return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool colon_inside = c == ':' && text[i + 1] != ' ';  // the last character is no colon
    if (!letter(c) && !digit(c) && std::string_view(" _-./+()@=,;").find(c) == std::string_view::npos && !colon_inside)
      return false;
  }
  return true;
}

std::string double_quoted(std::string_view text) {
  if (!is_valid_utf8(text)) throw Error(ErrorCode::kInvalidArgument, "a text for YAML is not valid UTF-8");
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    switch (c) {
      case '"':
        out += "\\\"";
        continue;
      case '\\':
        out += "\\\\";
        continue;
      case '\n':
        out += "\\n";
        continue;
      case '\r':
        out += "\\r";
        continue;
      case '\t':
        out += "\\t";
        continue;
      default:
        break;
    }
    if (c < 0x20 || c == 0x7F) {
      out += format("\\x{:02x}", c);
      continue;
    }
    // Characters that YAML counts as line ends or does not count as printable: C1 controls, U+2028, U+2029, U+FEFF,
    // U+FFFE and U+FFFF.
    const std::string_view rest = text.substr(i);
    if (c == 0xC2 && static_cast<unsigned char>(rest[1]) < 0xA0) {
      out += format("\\x{:02x}", static_cast<unsigned char>(rest[1]));
      i += 1;
    } else if (rest.starts_with("\u2028") || rest.starts_with("\u2029")) {
      out += rest.starts_with("\u2028") ? "\\u2028" : "\\u2029";
      i += 2;
    } else if (rest.starts_with("\uFEFF")) {
      out += "\\uFEFF";
      i += 2;
    } else if (rest.starts_with("\uFFFE") || rest.starts_with("\uFFFF")) {
      out += rest.starts_with("\uFFFE") ? "\\uFFFE" : "\\uFFFF";
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out + '"';
}

}  // namespace

Json resolve_plain(std::string_view text) {
  if (is_null(text)) return nullptr;
  if (const auto value = boolean(text)) return *value;
  if (auto value = integer(text)) return std::move(*value);
  if (const auto value = special_float(text)) return *value;
  if (has_float_form(text)) return to_double(text);
  return text;
}

std::optional<Json> resolve_tagged(std::string_view tag, std::string_view text) {
  if (tag == "!") return Json(text);
  if (!tag.starts_with(kTagPrefix)) return std::nullopt;
  tag.remove_prefix(kTagPrefix.size());
  if (tag == "str") return Json(text);
  Json value = resolve_plain(text);
  const bool fits = (tag == "null" && value.is_null()) || (tag == "bool" && value.is_bool()) ||
                    (tag == "int" && value.is_int()) || (tag == "float" && value.is_number());
  if (!fits) return std::nullopt;
  if (tag == "float") return Json(value.as_double());
  return value;
}

std::string scalar_text(const Json& scalar) {
  if (scalar.is_null()) return "null";
  if (scalar.is_bool()) return scalar.as_bool() ? "true" : "false";
  if (scalar.is_int()) return format("{}", scalar.as_int());
  if (scalar.is_double()) return float_text(scalar.as_double());
  return string_text(scalar.as_string());
}

std::string string_text(std::string_view text) {
  return may_be_plain(text) ? std::string(text) : double_quoted(text);
}

}  // namespace lakeloop::codec
