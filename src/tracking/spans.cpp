#include <algorithm>
#include <unordered_map>

#include "base/limits.h"
#include "tracking/impl.h"
#include "tracking/span_attributes.h"
#include "tracking/span_json.h"
#include "tracking/validation.h"

namespace lakeloop::tracking {

namespace {

constexpr std::int64_t kNanosPerMilli = 1'000'000;

bool is_hex(std::string_view text, std::size_t size) {
  return text.size() == size && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void check_span(const Span& span) {
  if (!is_hex(span.trace_id, 32) || span.trace_id.find_first_not_of('0') == std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument, "a span's trace id must be 32 hex digits that are not all zero, got '{}'",
                span.trace_id.substr(0, 64));
  }
  if (!is_hex(span.span_id, 16) || (!span.parent_id.empty() && !is_hex(span.parent_id, 16))) {
    throw Error(ErrorCode::kInvalidArgument,
                "the span and parent ids of a span must be 16 hex digits, got '{}' and '{}'",
                span.span_id.substr(0, 64), span.parent_id.substr(0, 64));
  }
  if (span.start_ns < 0 || span.end_ns < 0)
    throw Error(ErrorCode::kInvalidArgument, "a span's times must not be negative");
  if (span.attributes.size() > limits::kAttributesPerSpan) {
    throw Error(ErrorCode::kInvalidArgument, "span '{}' has more than {} attributes", span.name,
                limits::kAttributesPerSpan);
  }
}

struct Arrived {
  std::vector<const Span*> spans;
  Tags resource;
  bool has_usage = false;
};

// Usage of a span whose ancestor says its own is not counted: frameworks put sums on parents
// (aggregate_usage_from_spans).
std::optional<TokenUsage> summed_usage(db::Transaction& t, const std::string& trace_id) {
  std::unordered_map<std::string, TokenUsage> usage;
  for (const db::Row& row :
       t.query("SELECT span_id, usage FROM spans WHERE trace_id = $1 AND usage IS NOT NULL", {trace_id})) {
    if (const auto one = TokenUsage::from_json(Json::parse(row.text(1)))) usage.emplace(row.text(0), *one);
  }
  if (usage.empty()) return std::nullopt;
  std::unordered_map<std::string, std::string> parents;
  for (const db::Row& row : t.query("SELECT span_id, parent_id FROM spans WHERE trace_id = $1", {trace_id})) {
    parents.emplace(row.text(0), row.text(1));
  }
  // Each span is climbed over once, so a deep tree costs no more than a wide one.
  std::unordered_map<std::string, bool> below_usage;
  const auto covered = [&](const std::string& span_id) {
    std::vector<const std::string*> path;
    const std::string* at = &span_id;
    bool result = false;
    while (true) {
      if (const auto known = below_usage.find(*at); known != below_usage.end()) {
        result = known->second;
        break;
      }
      below_usage.emplace(*at, false);  // a cycle of parents ends here
      path.push_back(at);
      const auto parent = parents.find(*at);
      if (parent == parents.end() || parent->second.empty()) break;
      at = &parent->second;
      if (usage.contains(*at)) {
        result = true;
        break;
      }
    }
    for (const std::string* span : path) below_usage[*span] = result;
    return result;
  };
  TokenUsage sum;
  for (const auto& [span_id, one] : usage) {
    if (!covered(span_id)) sum.add(one);
  }
  return sum;
}

// An entry that StartTraceV3 or an earlier span wrote stays.
void write_if_absent(db::Transaction& t, std::string_view table, const std::string& trace_id, std::string_view key,
                     std::string_view value) {
  t.execute(
      lakeloop::format(
          "INSERT INTO {} (trace_id, key, value) VALUES ($1, $2, $3) ON CONFLICT (trace_id, key) DO NOTHING", table),
      {trace_id, std::string(key), std::string(value)});
}

void write_tags(db::Transaction& t, const std::string& trace_id, const Arrived& arrived, const Span* root) {
  for (const auto& [key, value] : arrived.resource) {
    if (key.starts_with("telemetry.sdk.") || key.starts_with("mlflow.") || key.size() > kKeyLength ||
        value.size() > kTraceTagLength)
      continue;
    write_if_absent(t, "trace_tags", trace_id, key, value);
  }
  if (root == nullptr) return;
  for (const auto& [key, value] : trace_tags_of(*root)) {
    if (key.size() <= kKeyLength && value.size() <= kTraceTagLength)
      write_if_absent(t, "trace_tags", trace_id, key, value);
  }
  write_if_absent(t, "trace_tags", trace_id, "mlflow.traceName", root->name);
}

void write_trace(db::Transaction& t, std::int64_t experiment_id, const std::string& trace_id, const Arrived& arrived) {
  std::int64_t start_ns = INT64_MAX;
  std::int64_t end_ns = 0;
  const Span* root = nullptr;
  std::string session;
  std::string user;
  for (const Span* span : arrived.spans) {
    start_ns = std::min(start_ns, span->start_ns);
    end_ns = std::max(end_ns, span->end_ns);
    if (span->parent_id.empty()) root = span;
    if (session.empty()) session = session_of(*span);
    if (user.empty()) user = user_of(*span);
  }
  const std::int64_t start_ms = start_ns / kNanosPerMilli;
  const std::int64_t end_ms = std::max(end_ns / kNanosPerMilli, start_ms);
  const std::string state = root == nullptr ? "IN_PROGRESS" : root->status_code == 2 ? "ERROR" : "OK";

  const auto old = t.query_one(
      "SELECT request_ms, execution_ms, state, finalized, request_preview, response_preview FROM traces "
      "WHERE trace_id = $1",
      {trace_id});
  if (!old) {
    const auto experiment = read_experiment(t, experiment_id);
    t.execute(
        "INSERT INTO traces (trace_id, experiment_id, client_request_id, request_preview, response_preview, "
        "request_ms, "
        "execution_ms, state, finalized, sequence) VALUES ($1, $2, '', '', '', $3, $4, $5, 0, $6)",
        {trace_id, experiment_id, start_ms, end_ms - start_ms, state, next_number(t, "sequence")});
    write_if_absent(
        t, "trace_tags", trace_id, "mlflow.artifactLocation",
        lakeloop::format("{}/traces/{}/artifacts", experiment ? experiment->artifact_location : "", trace_id));
    write_if_absent(t, "trace_metadata", trace_id, "mlflow.trace_schema.version", "3");
  } else if (old->integer(3) == 0) {
    // StartTraceV3 has the last word on times.
    const std::int64_t first = std::min(old->integer(0), start_ms);
    const std::int64_t last = std::max(old->integer(0) + old->integer(1), end_ms);
    t.execute("UPDATE traces SET request_ms = $1, execution_ms = $2 WHERE trace_id = $3",
              {first, last - first, trace_id});
  }
  if (old && root != nullptr && (old->text(2) == "IN_PROGRESS" || old->text(2) == "STATE_UNSPECIFIED")) {
    t.execute("UPDATE traces SET state = $1 WHERE trace_id = $2", {state, trace_id});
  }
  if (root != nullptr) {
    t.execute(
        "UPDATE traces SET request_preview = CASE WHEN request_preview = '' THEN $1 ELSE request_preview END, "
        "response_preview = CASE WHEN response_preview = '' THEN $2 ELSE response_preview END WHERE trace_id = $3",
        {preview_of(root->attributes["mlflow.spanInputs"], "user"),
         preview_of(root->attributes["mlflow.spanOutputs"], "assistant"), trace_id});
  }
  write_pair(t, "trace_tags", "trace_id", trace_id, "mlflow.trace.spansLocation", "TRACKING_STORE");
  write_tags(t, trace_id, arrived, root);
  if (!session.empty()) write_if_absent(t, "trace_metadata", trace_id, "mlflow.trace.session", session);
  if (!user.empty()) write_if_absent(t, "trace_metadata", trace_id, "mlflow.trace.user", user);
  if (arrived.has_usage && (!old || old->integer(3) < kFinalWithUsage)) {
    if (const auto usage = summed_usage(t, trace_id)) {
      write_pair(t, "trace_metadata", "trace_id", trace_id, "mlflow.trace.tokenUsage", python_json(usage->json()));
    }
  }
  // A trace that grows is a new row for the mirror only when it says something new.
  if (old && root != nullptr) touch_trace(t, trace_id);
}

}  // namespace

std::vector<PreparedSpan> prepared(const std::vector<ResourceSpans>& batches) {
  std::vector<PreparedSpan> result;
  for (const ResourceSpans& batch : batches) {
    for (const Span& raw : batch.spans) {
      PreparedSpan one{.span = with_mlflow_attributes(raw), .content = {}, .usage = {}, .resource = &batch.resource};
      one.content = json_of_span(one.span).dump();
      if (const auto usage = token_usage_of(one.span)) one.usage = usage->json().dump();
      result.push_back(std::move(one));
    }
  }
  return result;
}

void write_spans(db::Transaction& t, std::int64_t experiment_id, const std::vector<PreparedSpan>& spans) {
  if (spans.empty()) return;
  std::map<std::string, Arrived> traces;
  std::int64_t sequence = next_numbers(t, "sequence", spans.size());
  for (const PreparedSpan& one : spans) {
    const Span& span = one.span;
    const std::string trace_id = "tr-" + span.trace_id;
    const std::int64_t inserted = t.execute(
        "INSERT INTO spans (trace_id, span_id, parent_id, name, type, status, start_ns, end_ns, content, usage, "
        "sequence) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (trace_id, span_id) DO NOTHING",
        {trace_id, span.span_id, span.parent_id, span.name, span_type_of(span),
         std::string(span_status(span.status_code)), span.start_ns, span.end_ns, one.content,
         one.usage.empty() ? db::Value() : db::Value(one.usage), sequence});
    if (inserted == 0) continue;  // sent again
    ++sequence;
    Arrived& arrived = traces[trace_id];
    arrived.has_usage = arrived.has_usage || !one.usage.empty();
    arrived.resource.insert(one.resource->begin(), one.resource->end());
    arrived.spans.push_back(&span);
  }
  for (const auto& [trace_id, arrived] : traces) write_trace(t, experiment_id, trace_id, arrived);
}

void Tracking::log_spans(const Principal& who, std::string_view experiment_id, const std::vector<Span>& spans,
                         const std::map<std::string, std::string>& resource_attributes) {
  log_spans(who, experiment_id, {ResourceSpans{.spans = spans, .resource = resource_attributes}});
}

void Tracking::log_spans(const Principal& who, std::string_view experiment_id,
                         const std::vector<ResourceSpans>& batches) {
  std::set<std::string> trace_ids;
  std::size_t count = 0;
  for (const ResourceSpans& batch : batches) {
    count += batch.spans.size();
    if (count > limits::kSpansPerRequest) {
      throw Error(ErrorCode::kTooLarge, "one request takes at most {} spans; send them in several",
                  limits::kSpansPerRequest);
    }
    for (const Span& span : batch.spans) {
      check_span(span);
      trace_ids.insert("tr-" + span.trace_id);
    }
  }
  check_active(impl_->experiment_for(who, Privilege::kModify, experiment_id));
  // Spans of a trace that began in another experiment go there; whoever sends them must be allowed to write there too.
  const std::int64_t own = parse_experiment_id(experiment_id);
  std::set<std::int64_t> others;
  impl_->db.read([&](db::Transaction& t) {
    for (const std::string& trace_id : trace_ids) {
      const auto row = t.query_one("SELECT experiment_id FROM traces WHERE trace_id = $1", {trace_id});
      if (row && row->integer(0) != own) others.insert(row->integer(0));
    }
  });
  for (const std::int64_t other : others) impl_->authorize(who, Privilege::kModify, other);
  const std::vector<PreparedSpan> ready = prepared(batches);
  impl_->db.write([&](db::Transaction& t) {
    for (const std::string& trace_id : trace_ids) {
      const auto row = t.query_one("SELECT experiment_id FROM traces WHERE trace_id = $1", {trace_id});
      if (row && row->integer(0) != own && !others.contains(row->integer(0))) {
        throw Error(ErrorCode::kConflict, "trace {} was begun in another experiment meanwhile; send the spans again",
                    trace_id);
      }
    }
    write_spans(t, own, ready);
  });
  impl_->signal();
}

}  // namespace lakeloop::tracking
