#include "sql/syntax_tree.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "delta/duck.h"

namespace lakeloop::sql {
namespace {

// DuckDB refuses expressions deeper than 1,000; each level of those is about three of JSON.
constexpr std::size_t kTreeDepth = 4000;

constexpr std::array<std::string_view, 7> kTableFunctions{"range",     "generate_series", "unnest",    "json_each",
                                                          "json_tree", "repeat",          "repeat_row"};

// Scalar functions that tell about the process, wait, or plan other statements.
constexpr std::array<std::string_view, 14> kRefusedFunctions{"current_setting",   "getenv",
                                                             "getvariable",       "sleep_ms",
                                                             "write_log",         "json_serialize_plan",
                                                             "current_query",     "nextval",
                                                             "currval",           "setval",
                                                             "setseed",           "in_search_path",
                                                             "duckdb_format_sql", "parse_duckdb_log_message"};
constexpr std::array<std::string_view, 4> kRefusedPrefixes{"pg_", "has_", "duckdb_", "pragma_"};

using Scope = std::vector<std::string>;

class Walker {
 public:
  explicit Walker(const Draft* draft) : draft_(draft) {}

  void walk(const Json& node, const Scope& scope) {
    if (node.is_array()) {
      for (const Json& item : node.items()) walk(item, scope);
      return;
    }
    if (!node.is_object()) return;
    const std::string type = node.str("type");
    if (type == "BASE_TABLE") return base_table(node, scope);
    if (type == "SHOW_REF") {
      throw Error(ErrorCode::kInvalidArgument,
                  "DESCRIBE, SHOW and SUMMARIZE are statements of their own, not parts of a query");
    }
    // Conditions run in the table's own commit, without this statement's limits: nothing that could run long.
    if (!draft_ && node.str("class") == "SUBQUERY") {
      throw Error(ErrorCode::kUnimplemented, "conditions and values of DELETE and UPDATE cannot hold subqueries");
    }
    if (type == "TABLE_FUNCTION") table_function(node);
    if (node.str("class") == "FUNCTION") function(node);
    if (type == "COLUMN_REF" && node["column_names"].size() >= 4) {
      places_.long_columns.push_back(static_cast<std::size_t>(node["query_location"].int_or(0)));
    }

    Scope inner = scope;
    if (type == "RECURSIVE_CTE_NODE") inner.push_back(node.str("cte_name"));
    // Each common table expression sees those before it, and the body sees all.
    for (const Json& entry : ctes(node)) {
      walk(entry["value"], inner);
      inner.push_back(entry.str("key"));
    }
    for (const auto& [key, value] : node.members()) {
      if (key != "cte_map") walk(value, inner);
    }
  }

  NamePlaces take() { return std::move(places_); }

 private:
  static Json::Array ctes(const Json& node) {
    const Json& map = node["cte_map"]["map"];
    return map.is_array() ? map.items() : Json::Array();
  }

  void base_table(const Json& node, const Scope& scope) {
    const std::string table = node.str("table_name");
    if (!draft_)
      throw Error(ErrorCode::kUnimplemented, "a condition on table rows cannot read other tables ('{}')", table);
    if (!node["at_clause"].is_null()) {
      throw Error(ErrorCode::kInvalidArgument,
                  "time travel is written '{} VERSION AS OF 3' or '{} TIMESTAMP AS OF ...'", table, table);
    }
    const std::int64_t offset = node["query_location"].int_or(-1);
    if (offset < 0) {
      throw Error(ErrorCode::kInvalidArgument,
                  "the table '{}' is named in a form that is not supported: write SELECT ... FROM {}", table, table);
    }
    const auto name = draft_->name_at(static_cast<std::size_t>(offset));
    if (!name) {
      throw Error(ErrorCode::kInvalidArgument,
                  "'{}' at position {} is no table: files are not read by SQL, register a table in the catalog", table,
                  draft_->source_of(static_cast<std::size_t>(offset)));
    }
    const bool is_cte = name->parts.size() == 1 &&
                        std::ranges::any_of(scope, [&](const std::string& cte) { return iequals(cte, table); });
    if (!is_cte) places_.tables.push_back(static_cast<std::size_t>(offset));
    if (is_cte && !name->as_of.newest()) {
      throw Error(ErrorCode::kInvalidArgument, "'{}' is a common table expression: it has no versions", table);
    }
  }

  static void table_function(const Json& node) {
    const std::string name = ascii_lower(node["function"].str("function_name"));
    if (std::ranges::find(kTableFunctions, name) == kTableFunctions.end()) {
      throw Error(ErrorCode::kPermissionDenied, "the table function '{}' is not allowed in statements", name);
    }
  }

  static void function(const Json& node) {
    const std::string name = ascii_lower(node.str("function_name"));
    const bool refused =
        std::ranges::find(kRefusedFunctions, name) != kRefusedFunctions.end() ||
        std::ranges::any_of(kRefusedPrefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
    if (refused) throw Error(ErrorCode::kPermissionDenied, "the function '{}' is not allowed in statements", name);
  }

  const Draft* draft_;
  NamePlaces places_;
};

}  // namespace

Json parse_query(const Draft& draft) {
  // Only the text is handed over, as a bound value: parsing runs nothing of it.
  delta::Duck duck;
  const Json parameters[] = {Json(draft.text())};
  const delta::Rows rows = duck.query("SELECT json_serialize_sql($1::VARCHAR)::VARCHAR", parameters);
  Json tree = Json::parse(rows.rows.at(0).at(0).string_or("{}"), kTreeDepth);
  if (tree["error"].bool_or(true)) {
    const std::string message = tree.str("error_message", "no cause given");
    if (message.starts_with("Only SELECT")) {
      throw Error(ErrorCode::kInvalidArgument,
                  "this kind of statement is not supported: SELECT, INSERT, UPDATE, DELETE, CREATE TABLE, "
                  "DROP TABLE, DESCRIBE, SHOW and EXPLAIN are");
    }
    const auto position = parse_number<std::size_t>(tree.str("position"));
    if (position) throw Error(ErrorCode::kInvalidArgument, "{} at position {}", message, draft.source_of(*position));
    throw Error(ErrorCode::kInvalidArgument, "{}", message);
  }
  if (tree["statements"].size() != 1)
    throw Error(ErrorCode::kInvalidArgument, "one statement at a time, not {}", tree["statements"].size());
  return tree;
}

NamePlaces find_names(const Json& tree, const Draft& draft) {
  Walker walker(&draft);
  walker.walk(tree["statements"], {});
  return walker.take();
}

void check_row_expression(const Json& tree, std::string_view what) {
  const Json& node = tree["statements"].at(0)["node"];
  // "1) FROM t WHERE (1" would close our bracket.
  const bool plain = node.str("type") == "SELECT_NODE" && node["select_list"].size() == 1 &&
                     node["where_clause"].is_null() && node["modifiers"].size() == 0 && node["having"].is_null() &&
                     node["qualify"].is_null() && node["sample"].is_null() && node["group_expressions"].size() == 0 &&
                     node["cte_map"]["map"].size() == 0 && node["from_table"].str("type") == "EMPTY";
  if (!plain) throw Error(ErrorCode::kInvalidArgument, "{} is not a single expression", what);
  Walker walker(nullptr);
  walker.walk(node, {});
}

}  // namespace lakeloop::sql
