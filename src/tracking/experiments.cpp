#include "base/text.h"
#include "tracking/impl.h"
#include "tracking/validation.h"

namespace lakeloop::tracking {

namespace {

constexpr std::int64_t kMaxResults = 50'000;

[[noreturn]] void exists(std::string_view name) {
  throw Error(ErrorCode::kAlreadyExists,
              "Experiment(name={}) already exists. Error: the name is taken, maybe by a deleted experiment", name);
}

struct Key {
  std::string expression;
  bool numeric = false;
};

Key attribute(std::string_view entity, std::string_view key) {
  if (entity.empty() || entity == "attribute" || entity == "attributes" || entity == "attr") {
    if (key == "name") return {"e.name"};
    if (key == "experiment_id") return {"e.experiment_id", true};
    if (key == "creation_time") return {"e.created_ms", true};
    if (key == "last_update_time") return {"e.updated_ms", true};
    throw Error(
        ErrorCode::kInvalidArgument,
        "Invalid attribute key '{}' specified. Valid keys are name, experiment_id, creation_time, last_update_time.",
        key);
  }
  throw Error(ErrorCode::kInvalidArgument, "Invalid entity type '{}'. Valid values are attribute and tag.", entity);
}

void condition(SqlText& query, const Comparison& c) {
  using enum Comparator;
  if (c.entity == "tag" || c.entity == "tags") {
    const std::string row = lakeloop::format(
        "SELECT 1 FROM experiment_tags g WHERE g.experiment_id = e.experiment_id AND g.key = {}", query.bind(c.key));
    if (c.comparator == kIsNull || c.comparator == kIsNotNull) {
      query.append(lakeloop::format(" AND {} ({})", c.comparator == kIsNull ? "NOT EXISTS" : "EXISTS", row));
    } else {
      const std::string test = compare_text(query, "g.value", c, {kEqual, kNotEqual, kLike, kIlike});
      query.append(lakeloop::format(" AND EXISTS ({} AND {})", row, test));
    }
    return;
  }
  const Key key = attribute(c.entity, c.key);
  const std::string test = key.numeric ? compare_number(query, key.expression, c)
                                       : compare_text(query, key.expression, c, {kEqual, kNotEqual, kLike, kIlike});
  query.append(" AND " + test);
}

}  // namespace

Experiment Tracking::create_experiment(const Principal& who, std::string_view name, std::string_view artifact_location,
                                       const std::map<std::string, std::string>& tags) {
  check_experiment_name(name);
  check_artifact_location(artifact_location);
  for (const auto& [key, value] : tags) {
    check_key("tags.key", key);
    check_length("tags.value", value, kExperimentTagLength);
  }
  const auto check_free = [&](db::Transaction& t) {
    if (t.query_one("SELECT 1 FROM experiments WHERE name = $1", {std::string(name)})) exists(name);
  };
  // The owner is entered before the experiment can be seen: a crash in between leaves a number without a use, never an
  // experiment without an owner.
  const std::int64_t id = impl_->db.writing([&](db::Transaction& t) {
    check_free(t);
    return next_number(t, "experiment");
  });
  impl_->catalog.register_securable(catalog::SecurableType::kExperiment, lakeloop::format("{}", id), who.name);
  const std::int64_t now = Timestamp::now().millis();
  const auto insert = [&](db::Transaction& t) {
    check_free(t);
    const std::string location =
        artifact_location.empty() ? lakeloop::format("mlflow-artifacts:/{}", id) : std::string(artifact_location);
    t.execute(
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, created_ms, updated_ms) "
        "VALUES ($1, $2, $3, 'active', $4, $4)",
        {id, std::string(name), location, now});
    for (const auto& [key, value] : tags) write_pair(t, "experiment_tags", "experiment_id", id, key, value);
  };
  try {
    impl_->db.write(insert);
  } catch (...) {
    impl_->catalog.unregister_securable(catalog::SecurableType::kExperiment, lakeloop::format("{}", id));
    throw;
  }
  return get_experiment(who, lakeloop::format("{}", id));
}

Experiment Tracking::get_experiment(const Principal& who, std::string_view experiment_id) {
  return impl_->experiment_for(who, Privilege::kSelect, experiment_id);
}

std::optional<Experiment> Tracking::find_experiment(const Principal& who, std::string_view name) {
  const auto row = impl_->db.reading([&](db::Transaction& t) {
    return t.query_one("SELECT experiment_id FROM experiments WHERE name = $1", {std::string(name)});
  });
  if (!row) return std::nullopt;
  return get_experiment(who, lakeloop::format("{}", row->integer(0)));
}

Found<Experiment> Tracking::search_experiments(const Principal& who, const Search& search) {
  const std::int64_t limit = checked_max_results(search.page.max_results, kMaxResults);
  const std::vector<Comparison> comparisons = parse_filter(search.filter);
  std::vector<SortKey> keys;
  std::string text = lakeloop::format("experiments {} {}", search.filter, static_cast<int>(search.view));
  for (const std::string& item : search.order_by) {
    const OrderBy order = parse_order_by(item);
    keys.push_back({attribute(order.entity, order.key).expression, order.ascending});
    text += " | " + item;
  }
  if (keys.empty()) keys.push_back({"e.created_ms", false});
  keys.push_back({"e.experiment_id", true});

  Found<Experiment> found;
  std::vector<db::Value> last;
  if (!search.page.page_token.empty()) last = parse_page_token(text, search.page.page_token, keys.size());
  // What the caller may not see is passed over, and the page filled up with what follows.
  while (true) {
    SqlText query{.sql = "SELECT e.experiment_id", .values = {}};
    for (const SortKey& key : keys) query.append(", " + key.expression);
    query.append(" FROM experiments e WHERE 1 = 1");
    if (search.view != ViewType::kAll) {
      query.append(search.view == ViewType::kActiveOnly ? " AND e.lifecycle_stage = 'active'"
                                                        : " AND e.lifecycle_stage = 'deleted'");
    }
    for (const Comparison& c : comparisons) condition(query, c);
    if (!last.empty()) query.append(" AND " + after_sql(query, keys, last));
    query.append(" ORDER BY " + order_by_sql(keys) + " LIMIT " + query.bind(limit + 1));
    const std::vector<db::Row> rows =
        impl_->db.reading([&](db::Transaction& t) { return t.query(query.sql, query.values); });
    for (const db::Row& row : rows) {
      const std::int64_t id = row.integer(0);
      const bool seen = impl_->may_read(who, id);
      if (seen && static_cast<std::int64_t>(found.first.size()) == limit) {
        found.second = page_token(text, last);
        return found;
      }
      if (seen) {
        if (auto experiment = impl_->db.reading([&](db::Transaction& t) { return read_experiment(t, id); })) {
          found.first.push_back(std::move(*experiment));
        }
      }
      last.clear();
      for (std::size_t i = 0; i < keys.size(); ++i) last.push_back(row.value(i + 1));
    }
    if (static_cast<std::int64_t>(rows.size()) <= limit) return found;
  }
}

void Tracking::rename_experiment(const Principal& who, std::string_view experiment_id, std::string_view new_name) {
  check_experiment_name(new_name);
  const Experiment experiment = impl_->experiment_for(who, Privilege::kManage, experiment_id);
  check_active(experiment);
  impl_->db.write([&](db::Transaction& t) {
    const auto taken = t.query_one("SELECT experiment_id FROM experiments WHERE name = $1", {std::string(new_name)});
    if (taken && lakeloop::format("{}", taken->integer(0)) != experiment.experiment_id) exists(new_name);
    t.execute("UPDATE experiments SET name = $1, updated_ms = $2 WHERE experiment_id = $3",
              {std::string(new_name), Timestamp::now().millis(), parse_experiment_id(experiment_id)});
  });
}

void Tracking::delete_experiment(const Principal& who, std::string_view experiment_id) {
  const Experiment experiment = impl_->experiment_for(who, Privilege::kManage, experiment_id);
  const std::int64_t id = parse_experiment_id(experiment_id);
  if (experiment.lifecycle_stage != "active") throw Error(ErrorCode::kNotFound, "No Experiment with id={} exists", id);
  impl_->db.write([&](db::Transaction& t) {
    t.execute("UPDATE experiments SET lifecycle_stage = 'deleted', updated_ms = $1 WHERE experiment_id = $2",
              {Timestamp::now().millis(), id});
    t.execute("UPDATE runs SET lifecycle_stage = 'deleted' WHERE experiment_id = $1", {id});
  });
}

void Tracking::restore_experiment(const Principal& who, std::string_view experiment_id) {
  const Experiment experiment = impl_->experiment_for(who, Privilege::kManage, experiment_id);
  const std::int64_t id = parse_experiment_id(experiment_id);
  if (experiment.lifecycle_stage == "active") return;  // a retry
  impl_->db.write([&](db::Transaction& t) {
    t.execute("UPDATE experiments SET lifecycle_stage = 'active', updated_ms = $1 WHERE experiment_id = $2",
              {Timestamp::now().millis(), id});
    t.execute("UPDATE runs SET lifecycle_stage = 'active' WHERE experiment_id = $1", {id});
  });
}

void Tracking::set_experiment_tag(const Principal& who, std::string_view experiment_id, std::string_view key,
                                  std::string_view value) {
  check_key("key", key);
  check_length("value", value, kExperimentTagLength);
  check_active(impl_->experiment_for(who, Privilege::kModify, experiment_id));
  impl_->db.write([&](db::Transaction& t) {
    write_pair(t, "experiment_tags", "experiment_id", parse_experiment_id(experiment_id), key, value);
  });
}

void Tracking::delete_experiment_tag(const Principal& who, std::string_view experiment_id, std::string_view key) {
  check_active(impl_->experiment_for(who, Privilege::kModify, experiment_id));
  const std::int64_t changed = impl_->db.writing([&](db::Transaction& t) {
    return t.execute("DELETE FROM experiment_tags WHERE experiment_id = $1 AND key = $2",
                     {parse_experiment_id(experiment_id), std::string(key)});
  });
  if (changed == 0)
    throw Error(ErrorCode::kNotFound, "No tag with name: {} in experiment with id {}", key, experiment_id);
}

}  // namespace lakeloop::tracking
