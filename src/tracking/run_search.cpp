#include <cmath>
#include <limits>

#include "base/limits.h"
#include "base/text.h"
#include "tracking/impl.h"
#include "tracking/run_rows.h"

namespace lakeloop::tracking {

namespace {

using enum Comparator;

constexpr std::int64_t kMaxResults = 50'000;

enum class Entity : std::uint8_t { kAttribute, kMetric, kParam, kTag, kDataset };

Entity entity_of(std::string_view name) {
  if (name.empty() || name == "attribute" || name == "attributes" || name == "attr" || name == "run")
    return Entity::kAttribute;
  if (name == "metric" || name == "metrics") return Entity::kMetric;
  if (name == "parameter" || name == "parameters" || name == "param" || name == "params") return Entity::kParam;
  if (name == "tag" || name == "tags") return Entity::kTag;
  if (name == "dataset" || name == "datasets") return Entity::kDataset;
  throw Error(ErrorCode::kInvalidArgument,
              "Invalid entity type '{}'. Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']",
              name);
}

struct Attribute {
  std::string column;
  bool numeric = false;
  bool in_list = false;
  bool nullable = false;
};

Attribute attribute(std::string_view key) {
  if (key == "run_id") return {"r.run_id", false, true};
  if (key == "run_name" || key == "run name" || key == "Run name" || key == "Run Name") return {"r.name"};
  if (key == "status") return {"r.status"};
  if (key == "user_id" || key == "User") return {"r.user_id"};
  if (key == "artifact_uri") return {"r.artifact_uri"};
  if (key == "experiment_id") return {"r.experiment_id", true};
  if (key == "start_time" || key == "created" || key == "Created") return {"r.start_ms", true};
  if (key == "end_time") return {"r.end_ms", true, false, true};
  throw Error(ErrorCode::kInvalidArgument,
              "Invalid attribute key '{}' specified. Valid keys are run_id, run_name, status, user_id, artifact_uri, "
              "start_time, end_time, "
              "created.",
              key);
}

void pair_condition(SqlText& query, const Comparison& c, std::string_view table) {
  const std::string row =
      lakeloop::format("SELECT 1 FROM {} g WHERE g.run_id = r.run_id AND g.key = {}", table, query.bind(c.key));
  if (c.comparator == kIsNull || c.comparator == kIsNotNull) {
    query.append(lakeloop::format(" AND {} ({})", c.comparator == kIsNull ? "NOT EXISTS" : "EXISTS", row));
    return;
  }
  const std::string test = compare_text(query, "g.value", c, {kEqual, kNotEqual, kLike, kIlike});
  query.append(lakeloop::format(" AND EXISTS ({} AND {})", row, test));
}

void condition(SqlText& query, const Comparison& c) {
  switch (entity_of(c.entity)) {
    case Entity::kParam:
      pair_condition(query, c, "run_params");
      break;
    case Entity::kTag:
      pair_condition(query, c, "run_tags");
      break;
    case Entity::kMetric: {
      const std::string row = lakeloop::format(
          "SELECT 1 FROM run_latest_metrics g WHERE g.run_id = r.run_id AND g.is_nan = 0 AND g.key = {}",
          query.bind(c.key));
      const std::string test = compare_number(query, "g.value", c);
      query.append(lakeloop::format(" AND EXISTS ({} AND {})", row, test));
      break;
    }
    case Entity::kDataset: {
      if (c.key != "name" && c.key != "digest" && c.key != "context") {
        throw Error(ErrorCode::kInvalidArgument, "Invalid dataset key '{}'. Valid keys are name, digest, context.",
                    c.key);
      }
      const std::string test = compare_text(query, "d." + c.key, c, {kEqual, kNotEqual, kLike, kIlike, kIn, kNotIn});
      query.append(
          lakeloop::format(" AND EXISTS (SELECT 1 FROM run_datasets d WHERE d.run_id = r.run_id AND {})", test));
      break;
    }
    case Entity::kAttribute: {
      const Attribute a = attribute(c.key);
      std::string test;
      if (a.numeric) {
        test = compare_number(query, a.column, c);
      } else if (a.in_list) {
        test = compare_text(query, a.column, c, {kEqual, kNotEqual, kLike, kIlike, kIn, kNotIn});
      } else {
        test = compare_text(query, a.column, c, {kEqual, kNotEqual, kLike, kIlike});
      }
      query.append(" AND " + test);
      break;
    }
  }
}

// Runs without the key come last in both directions; for metrics NaN before them.
void sort_by(SqlText& query, const OrderBy& order, std::vector<SortKey>& keys) {
  const auto pair = [&](std::string_view table) {
    const std::string key = query.bind(order.key);
    const std::string value =
        lakeloop::format("(SELECT g.value FROM {} g WHERE g.run_id = r.run_id AND g.key = {})", table, key);
    keys.push_back({lakeloop::format("({} IS NULL)", value), true});
    keys.push_back({lakeloop::format("COALESCE({}, '')", value), order.ascending});
  };
  switch (entity_of(order.entity)) {
    case Entity::kParam:
      pair("run_params");
      break;
    case Entity::kTag:
      pair("run_tags");
      break;
    case Entity::kMetric: {
      const std::string from =
          lakeloop::format("FROM run_latest_metrics g WHERE g.run_id = r.run_id AND g.key = {}", query.bind(order.key));
      keys.push_back({lakeloop::format("COALESCE((SELECT g.is_nan {}), 2)", from), true});
      keys.push_back({lakeloop::format("COALESCE((SELECT g.value {}), 0.0)", from), order.ascending});
      break;
    }
    case Entity::kDataset:
      throw Error(ErrorCode::kInvalidArgument, "Invalid order_by entity 'dataset'");
    case Entity::kAttribute: {
      const Attribute a = attribute(order.key);
      if (a.nullable) {
        keys.push_back({lakeloop::format("({} IS NULL)", a.column), true});
        keys.push_back({lakeloop::format("COALESCE({}, 0)", a.column), order.ascending});
      } else {
        keys.push_back({a.column, order.ascending});
      }
      break;
    }
  }
}

}  // namespace

Metric metric_of_row(const db::Row& row, std::string key, std::string run_id, std::size_t first) {
  return {.key = std::move(key),
          .value = row.integer(first + 1) != 0 ? std::numeric_limits<double>::quiet_NaN() : row.real(first),
          .timestamp = row.integer(first + 2),
          .step = row.integer(first + 3),
          .model_id = row.text(first + 4),
          .dataset_name = row.text(first + 5),
          .dataset_digest = row.text(first + 6),
          .run_id = std::move(run_id)};
}

std::optional<Run> read_run(db::Transaction& t, std::string_view run_id) {
  auto info = read_run_info(t, run_id);
  if (!info) return std::nullopt;
  Run run;
  run.info = std::move(*info);
  const std::string& id = run.info.run_id;
  run.tags = read_pairs(t, "run_tags", "run_id", id);
  run.params = read_pairs(t, "run_params", "run_id", id);
  for (const db::Row& row :
       t.query("SELECT key, value, is_nan, timestamp_ms, step, model_id, dataset_name, dataset_digest "
               "FROM run_latest_metrics WHERE run_id = $1 ORDER BY key",
               {id})) {
    run.metrics.push_back(metric_of_row(row, row.text(0), id, 1));
  }
  for (const db::Row& row :
       t.query("SELECT name, digest, source_type, source, schema_text, profile, tags FROM run_datasets "
               "WHERE run_id = $1 ORDER BY name, digest",
               {id})) {
    run.datasets.push_back(
        {row.text(0), row.text(1), row.text(2), row.text(3), row.text(4), row.text(5), map_of_json(row.text(6))});
  }
  for (const db::Row& row :
       t.query("SELECT model_id, direction, step FROM run_models WHERE run_id = $1 ORDER BY model_id", {id})) {
    (row.text(1) == "input" ? run.model_inputs : run.model_outputs).push_back({row.text(0), row.integer(2)});
  }
  return run;
}

Found<Run> Tracking::search_runs(const Principal& who, const Search& search) {
  const std::int64_t limit = checked_max_results(search.page.max_results, kMaxResults);
  const std::vector<Comparison> comparisons = parse_filter(search.filter);
  const std::vector<std::int64_t> experiments = impl_->readable(who, search.experiment_ids);
  if (search.order_by.size() > limits::kOrderByKeys) {
    throw Error(ErrorCode::kInvalidArgument, "order_by takes at most {} keys", limits::kOrderByKeys);
  }
  SqlText query;
  std::vector<SortKey> keys;
  std::string text =
      lakeloop::format("runs {} {} {}", join(search.experiment_ids, ","), search.filter, static_cast<int>(search.view));
  std::set<std::string> seen;
  for (const std::string& item : search.order_by) {
    const OrderBy order = parse_order_by(item);
    if (!seen.insert(lakeloop::format("{}.{}", static_cast<int>(entity_of(order.entity)), order.key)).second) {
      throw Error(ErrorCode::kInvalidArgument, "`order_by` contains duplicate fields: {}", item);
    }
    sort_by(query, order, keys);
    text += " | " + item;
  }
  keys.push_back({"r.start_ms", false});
  keys.push_back({"r.run_id", true});

  query.append("SELECT r.run_id");
  for (const SortKey& key : keys) query.append(", " + key.expression);
  query.append(lakeloop::format(" FROM runs r WHERE r.experiment_id IN ({})", placeholders(query, experiments)));
  if (search.view != ViewType::kAll) {
    query.append(search.view == ViewType::kActiveOnly ? " AND r.lifecycle_stage = 'active'"
                                                      : " AND r.lifecycle_stage = 'deleted'");
  }
  for (const Comparison& c : comparisons) condition(query, c);
  if (!search.page.page_token.empty()) {
    query.append(" AND " + after_sql(query, keys, parse_page_token(text, search.page.page_token, keys.size())));
  }
  query.append(" ORDER BY " + order_by_sql(keys) + " LIMIT " + query.bind(limit + 1));

  Found<Run> found;
  if (experiments.empty()) return found;
  impl_->db.read([&](db::Transaction& t) {
    const std::vector<db::Row> rows = t.query(query.sql, query.values);
    for (std::size_t i = 0; i < rows.size() && static_cast<std::int64_t>(i) < limit; ++i) {
      if (auto run = read_run(t, rows[i].text(0))) found.first.push_back(std::move(*run));
    }
    if (static_cast<std::int64_t>(rows.size()) > limit) {
      std::vector<db::Value> last;
      for (std::size_t k = 0; k < keys.size(); ++k)
        last.push_back(rows[static_cast<std::size_t>(limit) - 1].value(k + 1));
      found.second = page_token(text, last);
    }
  });
  return found;
}

}  // namespace lakeloop::tracking
