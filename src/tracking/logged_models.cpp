#include "base/id.h"
#include "base/limits.h"
#include "base/text.h"
#include "tracking/impl.h"
#include "tracking/run_rows.h"
#include "tracking/validation.h"

namespace lakeloop::tracking {

namespace {

using enum Comparator;

constexpr std::int64_t kMaxResults = 1000;

[[noreturn]] void no_such_model(std::string_view model_id) {
  throw Error(ErrorCode::kNotFound, "Logged model with ID '{}' not found.", model_id);
}

std::optional<LoggedModel> read_model(db::Transaction& t, std::string_view model_id) {
  const auto row = t.query_one(
      "SELECT model_id, experiment_id, name, status, model_type, source_run_id, artifact_uri, created_ms, updated_ms "
      "FROM logged_models "
      "WHERE model_id = $1 AND deleted = 0",
      {std::string(model_id)});
  if (!row) return std::nullopt;
  LoggedModel model;
  model.model_id = row->text(0);
  model.experiment_id = lakeloop::format("{}", row->integer(1));
  model.name = row->text(2);
  model.status = row->text(3);
  model.model_type = row->text(4);
  model.source_run_id = row->text(5);
  model.artifact_uri = row->text(6);
  model.created = row->integer(7);
  model.updated = row->integer(8);
  model.tags = read_pairs(t, "logged_model_tags", "model_id", model.model_id);
  model.params = read_pairs(t, "logged_model_params", "model_id", model.model_id);
  for (const db::Row& metric :
       t.query("SELECT key, run_id, value, is_nan, timestamp_ms, step, model_id, dataset_name, dataset_digest "
               "FROM run_metrics WHERE model_id = $1 ORDER BY key, timestamp_ms, step",
               {model.model_id})) {
    model.metrics.push_back(metric_of_row(metric, metric.text(0), metric.text(1), 2));
  }
  return model;
}

void check_params(const std::map<std::string, std::string>& params) {
  if (params.size() > 100)
    throw Error(ErrorCode::kInvalidArgument, "at most 100 params can be logged in one request, got {}", params.size());
  for (const auto& [key, value] : params) {
    check_key("params.key", key);
    check_length("params.value", value, kParamLength);
  }
}

void write_params(db::Transaction& t, const std::string& model_id, const std::map<std::string, std::string>& params) {
  for (const auto& [key, value] : params) {
    const auto old =
        t.query_one("SELECT value FROM logged_model_params WHERE model_id = $1 AND key = $2", {model_id, key});
    if (old && old->text(0) != value) {
      throw Error(ErrorCode::kInvalidArgument, "Changing param values is not allowed: '{}' of model {} is '{}'", key,
                  model_id, old->text(0));
    }
    if (!old) write_pair(t, "logged_model_params", "model_id", model_id, key, value);
  }
}

struct Key {
  std::string expression;
  bool numeric = false;
};

Key attribute(std::string_view key) {
  if (key == "name" || key == "model_id" || key == "model_type" || key == "status" || key == "source_run_id") {
    return {lakeloop::format("m.{}", key)};
  }
  if (key == "creation_timestamp" || key == "creation_time") return {"m.created_ms", true};
  if (key == "last_updated_timestamp" || key == "last_updated_time") return {"m.updated_ms", true};
  throw Error(ErrorCode::kInvalidArgument, "Invalid attribute key '{}' for logged models", key);
}

std::string metric_value(SqlText& query, const std::string& key) {
  return lakeloop::format(
      "(SELECT g.value FROM run_metrics g WHERE g.model_id = m.model_id AND g.is_nan = 0 AND g.key = {} "
      "ORDER BY g.timestamp_ms DESC, g.step DESC LIMIT 1)",
      query.bind(key));
}

void condition(SqlText& query, const Comparison& c) {
  const auto pair = [&](std::string_view table) {
    const std::string row =
        lakeloop::format("SELECT 1 FROM {} g WHERE g.model_id = m.model_id AND g.key = {}", table, query.bind(c.key));
    if (c.comparator == kIsNull || c.comparator == kIsNotNull) {
      query.append(lakeloop::format(" AND {} ({})", c.comparator == kIsNull ? "NOT EXISTS" : "EXISTS", row));
      return;
    }
    const std::string test = compare_text(query, "g.value", c, {kEqual, kNotEqual, kLike, kIlike, kIn, kNotIn});
    query.append(lakeloop::format(" AND EXISTS ({} AND {})", row, test));
  };
  if (c.entity == "params") return pair("logged_model_params");
  if (c.entity == "tags") return pair("logged_model_tags");
  if (c.entity == "metrics") {
    query.append(" AND " + compare_number(query, metric_value(query, c.key), c));
    return;
  }
  if (!c.entity.empty() && c.entity != "attributes") {
    throw Error(ErrorCode::kInvalidArgument,
                "Invalid entity type '{}'. Expected one of attributes, metrics, params, tags.", c.entity);
  }
  const Key key = attribute(c.key);
  query.append(" AND " +
               (key.numeric ? compare_number(query, key.expression, c)
                            : compare_text(query, key.expression, c, {kEqual, kNotEqual, kLike, kIlike, kIn, kNotIn})));
}

}  // namespace

LoggedModel Tracking::create_logged_model(const Principal& who, const LoggedModel& given) {
  check_params(given.params);
  std::string name = given.name.empty() ? "model-" + random_hex(4) : given.name;
  if (name.find_first_of("/:.%\"'") != std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument, "Invalid model name ({}): it must not contain any of / : . % \" '", name);
  }
  const Experiment experiment = impl_->experiment_for(who, Privilege::kModify, given.experiment_id);
  check_active(experiment);
  const std::string model_id = "m-" + random_hex(16);
  const std::int64_t now = Timestamp::now().millis();
  return impl_->db.writing([&](db::Transaction& t) {
    t.execute(
        "INSERT INTO logged_models (model_id, experiment_id, name, status, model_type, source_run_id, artifact_uri, "
        "created_ms, "
        "updated_ms, deleted) VALUES ($1, $2, $3, 'LOGGED_MODEL_PENDING', $4, $5, $6, $7, $7, 0)",
        {model_id, parse_experiment_id(experiment.experiment_id), name, given.model_type, given.source_run_id,
         lakeloop::format("{}/models/{}/artifacts", experiment.artifact_location, model_id), now});
    for (const auto& [key, value] : given.tags) write_pair(t, "logged_model_tags", "model_id", model_id, key, value);
    write_params(t, model_id, given.params);
    return *read_model(t, model_id);
  });
}

LoggedModel Tracking::get_logged_model(const Principal& who, std::string_view model_id) {
  auto model = impl_->db.reading([&](db::Transaction& t) { return read_model(t, model_id); });
  if (!model) no_such_model(model_id);
  impl_->authorize(who, Privilege::kSelect, parse_experiment_id(model->experiment_id));
  return std::move(*model);
}

namespace {

template <typename Work>
LoggedModel change_model(Tracking::Impl& impl, const Principal& who, std::string_view model_id, const Work& work) {
  const auto model = impl.db.reading([&](db::Transaction& t) { return read_model(t, model_id); });
  if (!model) no_such_model(model_id);
  impl.authorize(who, Privilege::kModify, parse_experiment_id(model->experiment_id));
  return impl.db.writing([&](db::Transaction& t) {
    work(t, model->model_id);
    t.execute("UPDATE logged_models SET updated_ms = $1 WHERE model_id = $2",
              {Timestamp::now().millis(), model->model_id});
    return read_model(t, model->model_id).value_or(*model);
  });
}

}  // namespace

LoggedModel Tracking::finalize_logged_model(const Principal& who, std::string_view model_id, std::string_view status) {
  if (status != "LOGGED_MODEL_READY" && status != "LOGGED_MODEL_UPLOAD_FAILED" && status != "LOGGED_MODEL_PENDING") {
    throw Error(ErrorCode::kInvalidArgument,
                "Invalid value \"{}\" for parameter 'status' supplied: it must be LOGGED_MODEL_READY or "
                "LOGGED_MODEL_UPLOAD_FAILED",
                status);
  }
  return change_model(*impl_, who, model_id, [&](db::Transaction& t, const std::string& id) {
    t.execute("UPDATE logged_models SET status = $1 WHERE model_id = $2", {std::string(status), id});
  });
}

void Tracking::delete_logged_model(const Principal& who, std::string_view model_id) {
  change_model(*impl_, who, model_id, [&](db::Transaction& t, const std::string& id) {
    t.execute("UPDATE logged_models SET deleted = 1 WHERE model_id = $1", {id});
  });
}

LoggedModel Tracking::set_logged_model_tags(const Principal& who, std::string_view model_id,
                                            const std::map<std::string, std::string>& tags) {
  for (const auto& [key, value] : tags) {
    check_key("tags.key", key);
    check_length("tags.value", value, kRunTagLength);
  }
  return change_model(*impl_, who, model_id, [&](db::Transaction& t, const std::string& id) {
    for (const auto& [key, value] : tags) write_pair(t, "logged_model_tags", "model_id", id, key, value);
  });
}

void Tracking::delete_logged_model_tag(const Principal& who, std::string_view model_id, std::string_view key) {
  change_model(*impl_, who, model_id, [&](db::Transaction& t, const std::string& id) {
    if (t.execute("DELETE FROM logged_model_tags WHERE model_id = $1 AND key = $2", {id, std::string(key)}) == 0) {
      throw Error(ErrorCode::kNotFound, "No tag with key {} for model with ID {}", key, id);
    }
  });
}

void Tracking::log_model_params(const Principal& who, std::string_view model_id,
                                const std::map<std::string, std::string>& params) {
  check_params(params);
  change_model(*impl_, who, model_id, [&](db::Transaction& t, const std::string& id) { write_params(t, id, params); });
}

Found<LoggedModel> Tracking::search_logged_models(const Principal& who, const Search& search) {
  const std::int64_t limit = checked_max_results(search.page.max_results, kMaxResults);
  const std::vector<Comparison> comparisons = parse_filter(search.filter);
  const std::vector<std::int64_t> experiments = impl_->readable(who, search.experiment_ids);
  SqlText query;
  std::vector<SortKey> keys;
  for (const std::string& item : search.order_by) {
    const OrderBy order = parse_order_by(item);
    if (order.entity == "metrics") {
      const std::string value = metric_value(query, order.key);
      keys.push_back({lakeloop::format("({} IS NULL)", value), true});
      keys.push_back({lakeloop::format("COALESCE({}, 0.0)", value), order.ascending});
    } else {
      keys.push_back({attribute(order.key).expression, order.ascending});
    }
    if (keys.size() > limits::kOrderByKeys) throw Error(ErrorCode::kInvalidArgument, "order_by has too many keys");
  }
  if (keys.empty()) keys.push_back({"m.created_ms", false});
  keys.push_back({"m.model_id", true});
  const std::string text =
      lakeloop::format("models {} {} {}", join(search.experiment_ids, ","), search.filter, join(search.order_by, "|"));
  query.append("SELECT m.model_id");
  for (const SortKey& key : keys) query.append(", " + key.expression);
  query.append(lakeloop::format(" FROM logged_models m WHERE m.deleted = 0 AND m.experiment_id IN ({})",
                                placeholders(query, experiments)));
  for (const Comparison& c : comparisons) condition(query, c);
  if (!search.page.page_token.empty()) {
    query.append(" AND " + after_sql(query, keys, parse_page_token(text, search.page.page_token, keys.size())));
  }
  query.append(" ORDER BY " + order_by_sql(keys) + " LIMIT " + query.bind(limit + 1));
  Found<LoggedModel> found;
  if (experiments.empty()) return found;
  impl_->db.read([&](db::Transaction& t) {
    const std::vector<db::Row> rows = t.query(query.sql, query.values);
    for (const db::Row& row : rows) {
      if (static_cast<std::int64_t>(found.first.size()) == limit) {
        const db::Row& last = rows[static_cast<std::size_t>(limit) - 1];
        std::vector<db::Value> after;
        for (std::size_t k = 0; k < keys.size(); ++k) after.push_back(last.value(k + 1));
        found.second = page_token(text, after);
        return;
      }
      if (auto model = read_model(t, row.text(0))) found.first.push_back(std::move(*model));
    }
  });
  return found;
}

}  // namespace lakeloop::tracking
