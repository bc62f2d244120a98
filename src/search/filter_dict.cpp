// The dict grammar of standard endpoints ("filters_json").

#include <array>
#include <utility>

#include "base/error.h"
#include "base/format.h"
#include "base/text.h"
#include "search/filter_value.h"

namespace lakeloop::search {

namespace {

enum class Operator : std::uint8_t { kEquals, kNot, kLess, kLessEqual, kGreater, kGreaterEqual, kLike, kNotLike };

constexpr std::array<std::pair<std::string_view, Operator>, 7> kOperators = {{{" <=", Operator::kLessEqual},
                                                                              {" >=", Operator::kGreaterEqual},
                                                                              {" <", Operator::kLess},
                                                                              {" >", Operator::kGreater},
                                                                              {" NOT LIKE", Operator::kNotLike},
                                                                              {" NOT", Operator::kNot},
                                                                              {" LIKE", Operator::kLike}}};

Condition leaf(Condition::Kind kind, std::size_t column) {
  Condition condition;
  condition.kind = kind;
  condition.column = column;
  return condition;
}

Condition inverse(Condition condition) {
  Condition result;
  result.kind = Condition::Kind::kNot;
  result.parts.push_back(std::move(condition));
  return result;
}

class DictCompiler {
 public:
  explicit DictCompiler(const delta::Schema& schema) : schema_(schema) {}

  Condition object(const Json& filters) {
    Condition result;
    for (const auto& [key, value] : filters.members()) {
      if (++conditions_ > kFilterConditions)
        throw Error(ErrorCode::kInvalidArgument, "a filter has at most {} conditions", kFilterConditions);
      result.parts.push_back(member(key, value));
    }
    return result;
  }

 private:
  // A name that is a column is that column, whatever it looks like; only then operators are looked for.
  Condition member(std::string_view key, const Json& value) {
    if (const auto column = delta::find_column(schema_, key)) return clause(*column, Operator::kEquals, value, key);
    if (key.find(" OR ") != std::string_view::npos) return any_of(key, value);
    return single(key, value, key);
  }

  Condition single(std::string_view key, const Json& value, std::string_view whole) {
    if (const auto column = delta::find_column(schema_, trim(key)))
      return clause(*column, Operator::kEquals, value, whole);
    for (const auto& [suffix, op] : kOperators) {
      if (key.size() <= suffix.size() || !iequals(key.substr(key.size() - suffix.size()), suffix)) continue;
      const std::string_view name = trim(key.substr(0, key.size() - suffix.size()));
      if (const auto column = delta::find_column(schema_, name)) return clause(*column, op, value, whole);
      throw Error(ErrorCode::kInvalidArgument, "filter \"{}\": the index has no column \"{}\"", whole, name);
    }
    throw Error(ErrorCode::kInvalidArgument,
                "filter \"{}\": neither a column of the index nor a column followed by NOT, <, <=, >, >= or LIKE",
                whole);
  }

  Condition any_of(std::string_view key, const Json& value) {
    std::vector<std::string_view> names;
    for (std::size_t from = 0;;) {
      const std::size_t at = key.find(" OR ", from);
      names.push_back(key.substr(from, at == std::string_view::npos ? at : at - from));
      if (at == std::string_view::npos) break;
      from = at + 4;
    }
    if (!value.is_array() || value.size() != names.size()) {
      throw Error(ErrorCode::kInvalidArgument, "filter \"{}\": give a list of {} values, one for each part", key,
                  names.size());
    }
    Condition result;
    result.kind = Condition::Kind::kOr;
    for (std::size_t i = 0; i < names.size(); ++i) result.parts.push_back(single(names[i], value.at(i), key));
    return result;
  }

  Condition clause(std::size_t column, Operator op, const Json& value, std::string_view key) {
    const std::string where = format(" (filter \"{}\")", key);
    const delta::Field& field = schema_[column];
    switch (op) {
      case Operator::kEquals:
        return equals(column, value, where);
      case Operator::kNot:
        return inverse(equals(column, value, where));
      case Operator::kLike:
        return like(column, value, where);
      case Operator::kNotLike:
        return inverse(like(column, value, where));
      default:
        break;
    }
    require_order(field, where);
    Condition result = leaf(Condition::Kind::kCompare, column);
    result.comparison = op == Operator::kLess        ? Comparison::kLess
                        : op == Operator::kLessEqual ? Comparison::kLessEqual
                        : op == Operator::kGreater   ? Comparison::kGreater
                                                     : Comparison::kGreaterEqual;
    result.values.push_back(filter_value(field, value, where));
    return result;
  }

  Condition equals(std::size_t column, const Json& value, std::string_view where) {
    if (value.is_null()) return leaf(Condition::Kind::kIsNull, column);
    if (!value.is_array()) {
      Condition result = leaf(Condition::Kind::kCompare, column);
      result.values.push_back(filter_value(schema_[column], value, where));
      return result;
    }
    if (value.size() > kFilterValues)
      throw Error(ErrorCode::kInvalidArgument, "a list has at most {} values{}", kFilterValues, where);
    Condition result = leaf(Condition::Kind::kOneOf, column);
    for (const Json& item : value.items()) {
      if (item.is_null()) {
        result.list_has_null = true;
      } else {
        result.values.push_back(filter_value(schema_[column], item, where));
      }
    }
    return result;
  }

  Condition like(std::size_t column, const Json& value, std::string_view where) {
    if (value.is_array()) {
      if (value.size() > kFilterValues)
        throw Error(ErrorCode::kInvalidArgument, "a list has at most {} values{}", kFilterValues, where);
      Condition any;
      any.kind = Condition::Kind::kOr;
      for (const Json& item : value.items()) any.parts.push_back(like(column, item.is_array() ? Json() : item, where));
      return any;
    }
    const bool pattern = value.is_string() && value.as_string().find('%') != std::string::npos;
    Condition result = leaf(pattern ? Condition::Kind::kPattern : Condition::Kind::kWords, column);
    result.values.emplace_back(filter_pattern(schema_[column], value, pattern, where));
    return result;
  }

  const delta::Schema& schema_;
  std::size_t conditions_ = 0;
};

}  // namespace

Condition compile_filters(const Json& filters, const delta::Schema& schema) {
  if (filters.is_null()) return {};
  DictCompiler compiler(schema);
  if (filters.is_object()) return compiler.object(filters);
  Condition all;
  if (filters.is_array()) {
    for (const Json& part : filters.items()) {
      if (!part.is_object())
        throw Error(ErrorCode::kInvalidArgument, "filters: a list must hold objects, not a {}", part.type_name());
      all.parts.push_back(compiler.object(part));
    }
    return all;
  }
  throw Error(ErrorCode::kInvalidArgument, "filters must be an object or a list of objects, not a {}",
              filters.type_name());
}

}  // namespace lakeloop::search
