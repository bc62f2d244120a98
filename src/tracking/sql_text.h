#pragma once

// SQL that grows clause by clause with bound values, and MLflow's text comparisons over it. Values never enter the
// text.

#include <string>
#include <string_view>
#include <vector>

#include "base/format.h"
#include "codec/json.h"
#include "db/database.h"
#include "tracking/filter.h"

namespace lakeloop::tracking {

struct SqlText {
  std::string sql;
  std::vector<db::Value> values;

  // "$3"
  std::string bind(db::Value value) {
    values.push_back(std::move(value));
    return lakeloop::format("${}", values.size());
  }
  void append(std::string_view more) { sql += more; }
};

// LIKE's pattern for SQLite's GLOB, which looks at the case of letters as MLflow's LIKE does.
std::string glob_of_like(std::string_view pattern);

// `expression` compared with the literal of `c`, for = != LIKE ILIKE IN NOT IN and the order of texts; kInvalidArgument
// for a comparator that `allowed` does not hold, or a value that is not quoted.
std::string compare_text(SqlText& query, const std::string& expression, const Comparison& c,
                         std::initializer_list<Comparator> allowed);
// For numbers: = != < <= > >=.
std::string compare_number(SqlText& query, const std::string& expression, const Comparison& c);
[[noreturn]] void invalid_comparator(const Comparison& c);

// Keyset paging. A sort key is an SQL expression that is never NULL; the last one is unique.
struct SortKey {
  std::string expression;
  bool ascending = true;
};
std::string order_by_sql(const std::vector<SortKey>& keys);
// "the rows after the one whose keys are `last`".
std::string after_sql(SqlText& query, const std::vector<SortKey>& keys, const std::vector<db::Value>& last);

// A token holds the keys of the last row, and a digest of the search: one of another search is kInvalidArgument.
std::string page_token(std::string_view search_text, const std::vector<db::Value>& last);
std::vector<db::Value> parse_page_token(std::string_view search_text, std::string_view token, std::size_t keys);
// `max_results` within 1..cap, else kInvalidArgument in MLflow's words.
std::int64_t checked_max_results(std::int64_t max_results, std::int64_t cap);

}  // namespace lakeloop::tracking
