#include "tracking/impl.h"

#include <algorithm>

#include "base/text.h"
#include "codec/json.h"

namespace lakeloop::tracking {

void Tracking::Impl::signal() {
  {
    const std::lock_guard lock(mutex);
    ++changes;
  }
  changed.notify_all();
}

namespace {

catalog::Securable securable(std::int64_t experiment_id) {
  return {.type = catalog::SecurableType::kExperiment, .name = lakeloop::format("{}", experiment_id)};
}

}  // namespace

void Tracking::Impl::authorize(const Principal& who, Privilege privilege, std::int64_t experiment_id) {
  catalog.authorize(who, privilege, securable(experiment_id));
}

bool Tracking::Impl::may_read(const Principal& who, std::int64_t experiment_id) {
  return catalog.allowed(who, Privilege::kSelect, securable(experiment_id));
}

std::vector<std::int64_t> Tracking::Impl::readable(const Principal& who,
                                                   const std::vector<std::string>& experiment_ids) {
  std::set<std::int64_t> wanted;
  for (const std::string& id : experiment_ids) wanted.insert(parse_experiment_id(id));
  std::vector<std::int64_t> existing;
  db.read([&](db::Transaction& t) {
    for (const std::int64_t id : wanted) {
      if (read_experiment(t, id)) existing.push_back(id);
    }
  });
  for (const std::int64_t id : existing) authorize(who, Privilege::kSelect, id);
  return existing;
}

Experiment Tracking::Impl::experiment_for(const Principal& who, Privilege privilege, std::string_view experiment_id) {
  const std::int64_t id = parse_experiment_id(experiment_id);
  auto experiment = db.reading([&](db::Transaction& t) { return read_experiment(t, id); });
  if (!experiment) throw Error(ErrorCode::kNotFound, "No Experiment with id={} exists", id);
  authorize(who, privilege, id);
  return std::move(*experiment);
}

RunInfo Tracking::Impl::run_for(const Principal& who, Privilege privilege, std::string_view run_id) {
  auto run = db.reading([&](db::Transaction& t) { return read_run_info(t, run_id); });
  if (!run) throw Error(ErrorCode::kNotFound, "Run '{}' not found", run_id);
  authorize(who, privilege, parse_experiment_id(run->experiment_id));
  return std::move(*run);
}

std::int64_t Tracking::Impl::trace_experiment_for(const Principal& who, Privilege privilege,
                                                  std::string_view trace_id) {
  const std::string id = checked_trace_id(trace_id);
  const auto row = db.reading(
      [&](db::Transaction& t) { return t.query_one("SELECT experiment_id FROM traces WHERE trace_id = $1", {id}); });
  if (!row) no_such_trace(trace_id);
  authorize(who, privilege, row->integer(0));
  return row->integer(0);
}

std::int64_t parse_experiment_id(std::string_view text) {
  const auto id = parse_number<std::int64_t>(text);
  if (!id || *id < 0)
    throw Error(ErrorCode::kInvalidArgument, "Invalid experiment ID '{}'. Experiment ID must be a valid integer.",
                text);
  return *id;
}

std::string checked_trace_id(std::string_view trace_id) {
  const bool plain = !trace_id.empty() && trace_id.size() <= 100 && std::ranges::all_of(trace_id, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  });
  if (!plain) {
    throw Error(ErrorCode::kInvalidArgument, "Invalid trace ID '{}': it must be 1 to 100 letters, digits, '-' or '_'",
                trace_id.substr(0, 120));
  }
  return std::string(trace_id);
}

void no_such_trace(std::string_view trace_id) {
  throw Error(ErrorCode::kNotFound, "Trace with ID '{}' not found.", trace_id);
}

std::int64_t next_numbers(db::Transaction& t, std::string_view counter, std::size_t count) {
  const auto size = static_cast<std::int64_t>(count);
  t.execute("UPDATE tracking_counters SET value = value + $1 WHERE name = $2", {size, std::string(counter)});
  return t.query_one("SELECT value FROM tracking_counters WHERE name = $1", {std::string(counter)})->integer(0) - size +
         1;
}

std::optional<Experiment> read_experiment(db::Transaction& t, std::int64_t experiment_id) {
  const auto row = t.query_one(
      "SELECT name, artifact_location, lifecycle_stage, created_ms, updated_ms FROM experiments WHERE experiment_id = "
      "$1",
      {experiment_id});
  if (!row) return std::nullopt;
  return Experiment{.experiment_id = lakeloop::format("{}", experiment_id),
                    .name = row->text(0),
                    .artifact_location = row->text(1),
                    .lifecycle_stage = row->text(2),
                    .created = Timestamp::from_millis(row->integer(3)),
                    .updated = Timestamp::from_millis(row->integer(4)),
                    .tags = read_pairs(t, "experiment_tags", "experiment_id", experiment_id)};
}

std::optional<RunInfo> read_run_info(db::Transaction& t, std::string_view run_id) {
  const auto row = t.query_one(
      "SELECT run_id, name, experiment_id, user_id, status, artifact_uri, lifecycle_stage, start_ms, end_ms FROM runs "
      "WHERE run_id = $1",
      {std::string(run_id)});
  if (!row) return std::nullopt;
  return RunInfo{.run_id = row->text(0),
                 .name = row->text(1),
                 .experiment_id = lakeloop::format("{}", row->integer(2)),
                 .user_id = row->text(3),
                 .status = row->text(4),
                 .artifact_uri = row->text(5),
                 .lifecycle_stage = row->text(6),
                 .start_time = row->integer(7),
                 .end_time = row->maybe_integer(8)};
}

void check_active(const RunInfo& run) {
  if (run.lifecycle_stage != "active") {
    throw Error(ErrorCode::kInvalidArgument, "The run {} must be in the 'active' state. Current state is {}.",
                run.run_id, run.lifecycle_stage);
  }
}

void check_active(const Experiment& experiment) {
  if (experiment.lifecycle_stage != "active") {
    throw Error(ErrorCode::kInvalidArgument, "The experiment {} must be in the 'active' state. Current state is {}.",
                experiment.experiment_id, experiment.lifecycle_stage);
  }
}

Tags read_pairs(db::Transaction& t, std::string_view table, std::string_view column, const db::Value& id) {
  Tags pairs;
  for (const db::Row& row : t.query(lakeloop::format("SELECT key, value FROM {} WHERE {} = $1", table, column), {id})) {
    pairs.emplace(row.text(0), row.text(1));
  }
  return pairs;
}

void write_pair(db::Transaction& t, std::string_view table, std::string_view column, const db::Value& id,
                std::string_view key, std::string_view value) {
  t.execute(lakeloop::format("INSERT INTO {} ({}, key, value) VALUES ($1, $2, $3) ON CONFLICT ({}, key) DO UPDATE SET "
                             "value = excluded.value",
                             table, column, column),
            {id, std::string(key), std::string(value)});
}

std::string placeholders(SqlText& query, const std::vector<std::int64_t>& values) {
  std::string list;
  for (const std::int64_t value : values) list += (list.empty() ? "" : ", ") + query.bind(value);
  return list;
}

std::string placeholders(SqlText& query, const std::vector<std::string>& values) {
  std::string list;
  for (const std::string& value : values) list += (list.empty() ? "" : ", ") + query.bind(value);
  return list;
}

Json json_of_map(const Tags& map) {
  Json json = Json::object();
  for (const auto& [key, value] : map) json.set(key, value);
  return json;
}

Tags map_of_json(std::string_view text) {
  Tags map;
  const auto json = Json::try_parse(text);
  if (!json || !json->is_object()) return map;
  for (const auto& [key, value] : json->members())
    map.emplace(key, value.is_string() ? value.as_string() : value.dump());
  return map;
}

// ---------------------------------------------------------------------------------------------------------------------------

Tracking::Tracking(db::Database& database, catalog::Catalog& catalog)
    : impl_(std::make_unique<Impl>(database, catalog)) {
  const std::int64_t now = Timestamp::now().millis();
  database.write([&](db::Transaction& t) {
    t.execute(
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, created_ms, updated_ms) "
        "VALUES (0, 'Default', 'mlflow-artifacts:/0', 'active', $1, $1) ON CONFLICT (experiment_id) DO NOTHING",
        {now});
  });
  try {
    catalog.register_securable(catalog::SecurableType::kExperiment, "0", {});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kAlreadyExists) throw;  // every start but the first
  }
}

Tracking::~Tracking() = default;

std::uint64_t Tracking::wait_for_change(std::uint64_t seen, std::chrono::milliseconds wait) {
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait_for(lock, wait, [&] { return impl_->changes != seen; });
  return impl_->changes;
}

void Tracking::wake() {
  impl_->signal();
}

}  // namespace lakeloop::tracking
