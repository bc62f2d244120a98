#include <algorithm>

#include "base/id.h"
#include "tracking/impl.h"
#include "tracking/span_json.h"
#include "tracking/validation.h"

namespace lakeloop::tracking {

namespace {

constexpr std::string_view kSpansLocation = "mlflow.trace.spansLocation";
constexpr std::string_view kArtifactLocation = "mlflow.artifactLocation";
constexpr auto kExportWait = std::chrono::seconds(3);
constexpr std::size_t kLinkedTraces = 100;
constexpr std::size_t kBatchTraces = 500;

void check_trace_tag(std::string_view key, std::string_view value) {
  check_key("key", key);
  check_length("value", value, kTraceTagLength);
}

std::string checked_state(std::string_view state) {
  for (const std::string_view known : {"OK", "ERROR", "IN_PROGRESS", "STATE_UNSPECIFIED"}) {
    if (state == known) return std::string(state);
  }
  if (state.empty() || state == "TRACE_STATUS_UNSPECIFIED") return "STATE_UNSPECIFIED";
  throw Error(ErrorCode::kInvalidArgument,
              "Invalid value \"{}\" for parameter 'state' supplied: it must be OK, ERROR, IN_PROGRESS or "
              "STATE_UNSPECIFIED",
              state);
}

// Row, tags and metadata as `info` says; what other writers added stays.
void upsert_trace(db::Transaction& t, const TraceInfo& info, const Experiment& experiment) {
  const bool says_usage = info.metadata.contains("mlflow.trace.tokenUsage");
  t.execute(
      "INSERT INTO traces (trace_id, experiment_id, client_request_id, request_preview, response_preview, request_ms, "
      "execution_ms, state, finalized, sequence) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
      "ON CONFLICT (trace_id) DO UPDATE SET experiment_id = excluded.experiment_id, request_ms = excluded.request_ms, "
      "execution_ms = excluded.execution_ms, state = excluded.state, sequence = excluded.sequence, "
      "finalized = CASE WHEN traces.finalized > excluded.finalized THEN traces.finalized ELSE excluded.finalized END, "
      "client_request_id = CASE WHEN excluded.client_request_id = '' THEN traces.client_request_id ELSE "
      "excluded.client_request_id END, "
      "request_preview = CASE WHEN excluded.request_preview = '' THEN traces.request_preview ELSE "
      "excluded.request_preview END, "
      "response_preview = CASE WHEN excluded.response_preview = '' THEN traces.response_preview ELSE "
      "excluded.response_preview END",
      {info.trace_id, parse_experiment_id(info.experiment_id), info.client_request_id, info.request_preview,
       info.response_preview, info.request_time.millis(), info.execution_ms, checked_state(info.state),
       says_usage ? kFinalWithUsage : kFinal, next_number(t, "sequence")});
  for (const auto& [key, value] : info.tags) {
    if (key != kSpansLocation && key != kArtifactLocation)
      write_pair(t, "trace_tags", "trace_id", info.trace_id, key, value);
  }
  for (const auto& [key, value] : info.metadata) write_pair(t, "trace_metadata", "trace_id", info.trace_id, key, value);
  write_pair(t, "trace_metadata", "trace_id", info.trace_id, "mlflow.trace.infoFinalized", "true");
  // Spans live here, whether they came already or will: the client then uploads no traces.json beside them.
  write_pair(t, "trace_tags", "trace_id", info.trace_id, kSpansLocation, "TRACKING_STORE");
  write_pair(t, "trace_tags", "trace_id", info.trace_id, kArtifactLocation,
             lakeloop::format("{}/traces/{}/artifacts", experiment.artifact_location, info.trace_id));
}

std::vector<Span> read_spans(db::Transaction& t, std::string_view trace_id) {
  std::vector<Span> spans;
  for (const db::Row& row :
       t.query("SELECT content FROM spans WHERE trace_id = $1 ORDER BY start_ns, sequence", {std::string(trace_id)})) {
    spans.push_back(span_of_json(Json::parse(row.text(0))));
  }
  return spans;
}

void remove_trace(db::Transaction& t, const std::string& trace_id) {
  const auto row = t.query_one("SELECT experiment_id FROM traces WHERE trace_id = $1", {trace_id});
  if (!row) return;
  remove_assessments(t, trace_id);
  for (const std::string_view table : {"trace_tags", "trace_metadata", "trace_runs", "spans", "traces"}) {
    t.execute(lakeloop::format("DELETE FROM {} WHERE trace_id = $1", table), {trace_id});
  }
  t.execute("INSERT INTO trace_tombstones (sequence, trace_id, experiment_id) VALUES ($1, $2, $3)",
            {next_number(t, "sequence"), trace_id, row->integer(0)});
}

}  // namespace

void touch_trace(db::Transaction& t, std::string_view trace_id) {
  t.execute("UPDATE traces SET sequence = $1 WHERE trace_id = $2", {next_number(t, "sequence"), std::string(trace_id)});
}

TraceInfo read_trace_info(db::Transaction& t, const db::Row& row) {
  TraceInfo info{.trace_id = row.text(0),
                 .experiment_id = lakeloop::format("{}", row.integer(1)),
                 .client_request_id = row.text(2),
                 .request_preview = row.text(3),
                 .response_preview = row.text(4),
                 .request_time = Timestamp::from_millis(row.integer(5)),
                 .execution_ms = row.integer(6),
                 .state = row.text(7),
                 .metadata = {},
                 .tags = {},
                 .assessments = {}};
  info.tags = read_pairs(t, "trace_tags", "trace_id", info.trace_id);
  info.metadata = read_pairs(t, "trace_metadata", "trace_id", info.trace_id);
  info.assessments = read_assessments(t, info.trace_id);
  return info;
}

std::optional<TraceInfo> find_trace_info(db::Transaction& t, std::string_view trace_id) {
  const auto row = t.query_one(lakeloop::format("SELECT {} FROM traces t WHERE t.trace_id = $1", kTraceColumns),
                               {std::string(trace_id)});
  if (!row) return std::nullopt;
  return read_trace_info(t, *row);
}

TraceInfo Tracking::start_trace(const Principal& who, const TraceInfo& given) {
  TraceInfo info = given;
  if (info.trace_id.empty()) info.trace_id = "tr-" + random_hex(16);  // the V2 call leaves it to the server
  checked_trace_id(info.trace_id);
  for (const auto& [key, value] : info.tags) check_trace_tag(key, value);
  for (const auto& [key, value] : info.metadata) check_trace_tag(key, value);
  const Experiment experiment = impl_->experiment_for(who, Privilege::kModify, info.experiment_id);
  check_active(experiment);
  const auto begun = impl_->db.reading([&](db::Transaction& t) {
    return t.query_one("SELECT experiment_id FROM traces WHERE trace_id = $1", {info.trace_id});
  });
  const std::int64_t own = parse_experiment_id(info.experiment_id);
  if (begun && begun->integer(0) != own) impl_->authorize(who, Privilege::kModify, begun->integer(0));
  const TraceInfo stored = impl_->db.writing([&](db::Transaction& t) {
    const auto now = t.query_one("SELECT experiment_id FROM traces WHERE trace_id = $1", {info.trace_id});
    if (now && now->integer(0) != own && (!begun || begun->integer(0) != now->integer(0))) {
      throw Error(ErrorCode::kConflict, "trace {} was begun in another experiment meanwhile; send it again",
                  info.trace_id);
    }
    upsert_trace(t, info, experiment);
    return *find_trace_info(t, info.trace_id);
  });
  impl_->signal();
  return stored;
}

void Tracking::record_trace(const Trace& trace) {
  const std::int64_t experiment_id = parse_experiment_id(trace.info.experiment_id);
  checked_trace_id(trace.info.trace_id);
  const std::vector<ResourceSpans> batch = {ResourceSpans{.spans = trace.spans, .resource = {}}};
  const std::vector<PreparedSpan> ready = prepared(batch);
  impl_->db.write([&](db::Transaction& t) {
    const auto experiment = read_experiment(t, experiment_id);
    if (!experiment) throw Error(ErrorCode::kNotFound, "No Experiment with id={} exists", experiment_id);
    // Delivered again: nothing to do. A journal repeats its last records after a crash.
    if (t.query_one("SELECT 1 FROM traces WHERE trace_id = $1 AND finalized <> 0", {trace.info.trace_id})) return;
    write_spans(t, experiment_id, ready);
    upsert_trace(t, trace.info, *experiment);
  });
  impl_->signal();
}

Trace Tracking::get_trace(const Principal& who, std::string_view trace_id) {
  impl_->trace_experiment_for(who, Privilege::kSelect, trace_id);
  return impl_->db.reading([&](db::Transaction& t) {
    auto info = find_trace_info(t, trace_id);
    if (!info) no_such_trace(trace_id);
    return Trace{.info = std::move(*info), .spans = read_spans(t, trace_id)};
  });
}

Trace Tracking::get_complete_trace(const Principal& who, std::string_view trace_id, const Deadline& deadline) {
  const auto until = std::min(deadline.at(), Steady::now() + kExportWait);
  while (true) {
    const std::uint64_t seen = wait_for_change(0, std::chrono::milliseconds(0));
    const TraceInfo info = get_trace_info(who, trace_id);
    // The client states how many spans it made; without that the trace is what is here.
    const auto stats = info.metadata.find("mlflow.trace.sizeStats");
    const auto json = stats == info.metadata.end() ? std::nullopt : Json::try_parse(stats->second);
    const std::int64_t announced = json ? (*json)["num_spans"].int_or(0) : 0;
    const std::int64_t stored = impl_->db.reading([&](db::Transaction& t) {
      return t.query_one("SELECT count(*) FROM spans WHERE trace_id = $1", {std::string(trace_id)})->integer(0);
    });
    if (stored >= announced) return get_trace(who, trace_id);
    const auto now = Steady::now();
    if (now >= until || deadline.cancelled().stop_requested()) {
      throw Error(ErrorCode::kNotFound, "Trace with ID {} is not fully exported yet, please try again later.",
                  trace_id);
    }
    (void)wait_for_change(seen, std::chrono::ceil<std::chrono::milliseconds>(until - now));
  }
}

TraceInfo Tracking::get_trace_info(const Principal& who, std::string_view trace_id) {
  impl_->trace_experiment_for(who, Privilege::kSelect, trace_id);
  auto info = impl_->db.reading([&](db::Transaction& t) { return find_trace_info(t, trace_id); });
  if (!info) no_such_trace(trace_id);
  return std::move(*info);
}

std::vector<Trace> Tracking::get_traces(const Principal& who, const std::vector<std::string>& trace_ids,
                                        bool with_spans) {
  if (trace_ids.size() > kBatchTraces) {
    throw Error(ErrorCode::kInvalidArgument, "at most {} traces can be read at once, got {}", kBatchTraces,
                trace_ids.size());
  }
  std::map<std::int64_t, bool> readable;
  std::vector<Trace> traces;
  for (const std::string& trace_id : trace_ids) {
    const auto row = impl_->db.reading([&](db::Transaction& t) {
      return t.query_one("SELECT experiment_id FROM traces WHERE trace_id = $1", {trace_id});
    });
    if (!row) continue;
    const auto known = readable.find(row->integer(0));
    const bool may = known != readable.end()
                         ? known->second
                         : readable.emplace(row->integer(0), impl_->may_read(who, row->integer(0))).first->second;
    if (!may) continue;
    impl_->db.read([&](db::Transaction& t) {
      if (auto info = find_trace_info(t, trace_id)) {
        traces.push_back(
            {.info = std::move(*info), .spans = with_spans ? read_spans(t, trace_id) : std::vector<Span>{}});
      }
    });
  }
  return traces;
}

void Tracking::set_trace_tag(const Principal& who, std::string_view trace_id, std::string_view key,
                             std::string_view value) {
  check_trace_tag(key, value);
  impl_->trace_experiment_for(who, Privilege::kModify, trace_id);
  impl_->db.write([&](db::Transaction& t) {
    if (!t.query_one("SELECT 1 FROM traces WHERE trace_id = $1", {std::string(trace_id)})) no_such_trace(trace_id);
    write_pair(t, "trace_tags", "trace_id", std::string(trace_id), key, value);
    touch_trace(t, trace_id);
  });
  impl_->signal();
}

void Tracking::delete_trace_tag(const Principal& who, std::string_view trace_id, std::string_view key) {
  impl_->trace_experiment_for(who, Privilege::kModify, trace_id);
  const std::int64_t changed = impl_->db.writing([&](db::Transaction& t) {
    const std::int64_t rows =
        t.execute("DELETE FROM trace_tags WHERE trace_id = $1 AND key = $2", {std::string(trace_id), std::string(key)});
    if (rows > 0) touch_trace(t, trace_id);
    return rows;
  });
  if (changed == 0)
    throw Error(ErrorCode::kNotFound, "No trace tag with key '{}' for trace with ID '{}'", key, trace_id);
  impl_->signal();
}

std::int64_t Tracking::delete_traces(const Principal& who, const TraceDeletion& what) {
  if (what.max_timestamp_ms.has_value() == !what.trace_ids.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "Either `max_timestamp_millis` or `trace_ids` must be specified, but not both.");
  }
  if (what.max_traces && !what.trace_ids.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "`max_traces` can't be specified if `trace_ids` is specified.");
  }
  if (what.max_traces && *what.max_traces <= 0) {
    throw Error(ErrorCode::kInvalidArgument, "`max_traces` must be a positive integer, received {}.", *what.max_traces);
  }
  impl_->experiment_for(who, Privilege::kModify, what.experiment_id);
  const std::int64_t experiment_id = parse_experiment_id(what.experiment_id);
  const std::int64_t deleted = impl_->db.writing([&](db::Transaction& t) {
    SqlText query{.sql = "SELECT trace_id FROM traces WHERE experiment_id = ", .values = {}};
    query.append(query.bind(experiment_id));
    if (what.max_timestamp_ms) {
      query.append(" AND request_ms <= " + query.bind(*what.max_timestamp_ms) + " ORDER BY request_ms, trace_id");
      if (what.max_traces) query.append(" LIMIT " + query.bind(*what.max_traces));
    } else {
      query.append(lakeloop::format(" AND trace_id IN ({})", placeholders(query, what.trace_ids)));
    }
    const std::vector<db::Row> rows = t.query(query.sql, query.values);
    for (const db::Row& row : rows) remove_trace(t, row.text(0));
    return static_cast<std::int64_t>(rows.size());
  });
  impl_->signal();
  return deleted;
}

void Tracking::link_traces_to_run(const Principal& who, const std::vector<std::string>& trace_ids,
                                  std::string_view run_id) {
  if (trace_ids.size() > kLinkedTraces) {
    throw Error(ErrorCode::kInvalidArgument,
                "Cannot link more than {} traces to a run in a single request. Provided {} traces.", kLinkedTraces,
                trace_ids.size());
  }
  impl_->run_for(who, Privilege::kModify, run_id);
  std::set<std::int64_t> experiments;
  impl_->db.read([&](db::Transaction& t) {
    for (const std::string& trace_id : trace_ids) {
      const auto row = t.query_one("SELECT experiment_id FROM traces WHERE trace_id = $1", {trace_id});
      if (!row) no_such_trace(trace_id);
      experiments.insert(row->integer(0));
    }
  });
  for (const std::int64_t id : experiments) impl_->authorize(who, Privilege::kModify, id);
  impl_->db.write([&](db::Transaction& t) {
    for (const std::string& trace_id : trace_ids) {
      t.execute(
          "INSERT INTO trace_runs (run_id, trace_id) SELECT $1, trace_id FROM traces WHERE trace_id = $2 "
          "ON CONFLICT (run_id, trace_id) DO NOTHING",
          {std::string(run_id), trace_id});
    }
  });
}

void Tracking::link_prompts(const Principal& who, std::string_view trace_id,
                            const std::vector<std::pair<std::string, std::string>>& name_versions) {
  impl_->trace_experiment_for(who, Privilege::kModify, trace_id);
  impl_->db.write([&](db::Transaction& t) {
    const auto tag = t.query_one("SELECT value FROM trace_tags WHERE trace_id = $1 AND key = 'mlflow.linkedPrompts'",
                                 {std::string(trace_id)});
    Json linked = Json::array();
    if (tag) {
      if (auto old = Json::try_parse(tag->text(0)); old && old->is_array()) linked = std::move(*old);
    }
    for (const auto& [name, version] : name_versions) {
      Json entry = Json::object({{"name", name}, {"version", version}});
      if (std::ranges::find(linked.items(), entry) == linked.items().end()) linked.push_back(std::move(entry));
    }
    write_pair(t, "trace_tags", "trace_id", std::string(trace_id), "mlflow.linkedPrompts", linked.dump());
    touch_trace(t, trace_id);
  });
  impl_->signal();
}

}  // namespace lakeloop::tracking
