#include "tracking/sql_text.h"

#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "codec/encoding.h"
#include "codec/hash.h"

namespace lakeloop::tracking {

std::string glob_of_like(std::string_view pattern) {
  std::string glob;
  for (const char c : pattern) {
    switch (c) {
      case '%':
        glob += '*';
        break;
      case '_':
        glob += '?';
        break;
      case '*':
        glob += "[*]";
        break;
      case '?':
        glob += "[?]";
        break;
      case '[':
        glob += "[[]";
        break;
      default:
        glob += c;
    }
  }
  return glob;
}

void invalid_comparator(const Comparison& c) {
  throw Error(ErrorCode::kInvalidArgument, "Invalid comparator '{}' in '{}': it cannot be used with this key",
              to_string(c.comparator), c.text);
}

std::string compare_text(SqlText& query, const std::string& expression, const Comparison& c,
                         std::initializer_list<Comparator> allowed) {
  if (std::ranges::find(allowed, c.comparator) == allowed.end()) invalid_comparator(c);
  if (!c.quoted) {
    throw Error(ErrorCode::kInvalidArgument,
                "Expected a quoted string value for '{}', got value {}. Put the value in single or double quotes.",
                c.key, c.value);
  }
  switch (c.comparator) {
    case Comparator::kEqual:
      return lakeloop::format("{} = {}", expression, query.bind(c.value));
    case Comparator::kNotEqual:
      return lakeloop::format("{} <> {}", expression, query.bind(c.value));
    case Comparator::kLike:
      return lakeloop::format("{} GLOB {}", expression, query.bind(glob_of_like(c.value)));
    case Comparator::kIlike:
      return lakeloop::format("lower({}) LIKE lower({})", expression, query.bind(c.value));
    case Comparator::kIn:
    case Comparator::kNotIn: {
      std::string list;
      for (const std::string& value : c.values) {
        if (!list.empty()) list += ", ";
        list += query.bind(value);
      }
      return lakeloop::format("{} {} ({})", expression, c.comparator == Comparator::kIn ? "IN" : "NOT IN", list);
    }
    default:
      return lakeloop::format("{} {} {}", expression, to_string(c.comparator), query.bind(c.value));
  }
}

std::string compare_number(SqlText& query, const std::string& expression, const Comparison& c) {
  switch (c.comparator) {
    case Comparator::kEqual:
    case Comparator::kNotEqual:
    case Comparator::kLess:
    case Comparator::kLessEqual:
    case Comparator::kGreater:
    case Comparator::kGreaterEqual:
      break;
    default:
      invalid_comparator(c);
  }
  if (c.quoted) {
    throw Error(ErrorCode::kInvalidArgument, "Expected numeric value type for numeric attribute: {}. Found '{}'", c.key,
                c.value);
  }
  db::Value value;
  if (const auto integer = parse_number<std::int64_t>(c.value)) {
    value = *integer;
  } else if (const auto real = parse_number<double>(c.value); real && *real == *real) {
    value = *real;
  } else {
    throw Error(ErrorCode::kInvalidArgument, "Expected numeric value type for '{}'. Found {}", c.key, c.value);
  }
  return lakeloop::format("{} {} {}", expression,
                          c.comparator == Comparator::kNotEqual ? "<>" : to_string(c.comparator),
                          query.bind(std::move(value)));
}

std::string order_by_sql(const std::vector<SortKey>& keys) {
  std::string sql;
  for (const SortKey& key : keys) {
    if (!sql.empty()) sql += ", ";
    sql += key.expression + (key.ascending ? " ASC" : " DESC");
  }
  return sql;
}

std::string after_sql(SqlText& query, const std::vector<SortKey>& keys, const std::vector<db::Value>& last) {
  std::string sql;
  std::string equal;  // the keys before this one are the same
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::string value = query.bind(last[i]);
    if (!sql.empty()) sql += " OR ";
    sql += lakeloop::format("({}{} {} {})", equal, keys[i].expression, keys[i].ascending ? ">" : "<", value);
    equal += lakeloop::format("{} = {} AND ", keys[i].expression, value);
  }
  return lakeloop::format("({})", sql);
}

namespace {

std::string digest_of(std::string_view search_text) {
  return codec::sha256_hex(search_text).substr(0, 12);
}

[[noreturn]] void invalid_token() {
  throw Error(ErrorCode::kInvalidArgument,
              "Invalid page token: it does not belong to this search. Start again without page_token.");
}

}  // namespace

std::string page_token(std::string_view search_text, const std::vector<db::Value>& last) {
  Json keys = Json::array();
  for (const db::Value& value : last) {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      keys.push_back(*integer);
    } else if (const auto* real = std::get_if<double>(&value)) {
      keys.push_back(lakeloop::format("d{:a}", *real));  // exact, and infinities have no JSON number
    } else {
      keys.push_back("s" + std::get<std::string>(value));
    }
  }
  return codec::base64_encode(Json::object({{"search", digest_of(search_text)}, {"after", std::move(keys)}}).dump());
}

std::vector<db::Value> parse_page_token(std::string_view search_text, std::string_view token, std::size_t keys) {
  const auto bytes = codec::base64_decode(token);
  const auto json = bytes ? Json::try_parse(*bytes) : std::nullopt;
  if (!json || json->str("search") != digest_of(search_text) || (*json)["after"].size() != keys) invalid_token();
  std::vector<db::Value> last;
  for (const Json& key : (*json)["after"].items()) {
    if (key.is_int()) {
      last.emplace_back(key.as_int());
      continue;
    }
    if (!key.is_string() || key.as_string().empty()) invalid_token();
    const std::string& text = key.as_string();
    if (text[0] == 's') {
      last.emplace_back(text.substr(1));
    } else if (text[0] == 'd') {
      char* end = nullptr;
      const double real = std::strtod(text.c_str() + 1, &end);
      if (end != text.c_str() + text.size() || real != real) invalid_token();
      last.emplace_back(real);
    } else {
      invalid_token();
    }
  }
  return last;
}

std::int64_t checked_max_results(std::int64_t max_results, std::int64_t cap) {
  if (max_results < 1 || max_results > cap) {
    throw Error(ErrorCode::kInvalidArgument,
                "Invalid value {} for parameter 'max_results' supplied: It must be a positive integer of at most {}.",
                max_results, cap);
  }
  return max_results;
}

}  // namespace lakeloop::tracking
