#include <algorithm>
#include <cmath>

#include "base/id.h"
#include "codec/hash.h"
#include "tracking/impl.h"
#include "tracking/validation.h"

namespace lakeloop::tracking {

namespace {

constexpr std::string_view kColumns =
    "assessment_id, trace_id, span_id, name, source_type, source_id, kind, value, error, rationale, metadata, "
    "overrides, valid, created_us, "
    "updated_us";
constexpr std::size_t kValueBytes = 64 * 1024;

void check_value(const Assessment& a) {
  if (a.value.is_double() && !std::isfinite(a.value.as_double())) {
    throw Error(ErrorCode::kInvalidArgument,
                "the value of assessment '{}' is not a finite number; leave it out, or give an error instead", a.name);
  }
  if (a.value.is_array()) {
    for (const Json& item : a.value.items()) {
      if (item.is_double() && !std::isfinite(item.as_double())) {
        throw Error(ErrorCode::kInvalidArgument, "the value of assessment '{}' holds a number that is not finite",
                    a.name);
      }
    }
  }
  if (a.value.dump().size() > kValueBytes) {
    throw Error(ErrorCode::kInvalidArgument, "the value of assessment '{}' is longer than {} bytes", a.name,
                kValueBytes);
  }
}

void check_assessment(Assessment& a) {
  if (a.name.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "Missing value for required parameter 'assessment.assessment_name'. See the API docs for more "
                "information about request "
                "parameters.");
  }
  if (a.name.contains('.'))
    throw Error(ErrorCode::kInvalidArgument, "assessment_name '{}' must not contain '.'", a.name);
  check_length("assessment.assessment_name", a.name, kKeyLength);
  if (a.source_type == "AI_JUDGE") a.source_type = "LLM_JUDGE";
  if (a.source_type != "HUMAN" && a.source_type != "LLM_JUDGE" && a.source_type != "CODE" &&
      a.source_type != "SOURCE_TYPE_UNSPECIFIED") {
    throw Error(ErrorCode::kInvalidArgument, "assessment source_type '{}' must be HUMAN, LLM_JUDGE or CODE",
                a.source_type);
  }
  check_length("assessment.source.source_id", a.source_id, kKeyLength);
  if (a.kind != "feedback" && a.kind != "expectation" && a.kind != "issue") {
    throw Error(ErrorCode::kInvalidArgument, "an assessment is exactly one of feedback, expectation and issue");
  }
  if (a.kind == "expectation" && (a.value.is_null() || !a.error.is_null())) {
    throw Error(ErrorCode::kInvalidArgument, "expectation '{}' needs a value and takes no error", a.name);
  }
  if (a.kind == "feedback" && a.value.is_null() && a.error.is_null()) {
    throw Error(ErrorCode::kInvalidArgument, "feedback '{}' needs a value or an error", a.name);
  }
  check_value(a);
  for (const auto& [key, value] : a.metadata) {
    check_length("assessment.metadata.key", key, kKeyLength);
    check_length("assessment.metadata.value", value, kTraceTagLength);
  }
}

db::Value json_or_null(const Json& json) {
  return json.is_null() ? db::Value() : db::Value(json.dump());
}

Assessment of_row(const db::Row& row) {
  Assessment a;
  a.assessment_id = row.text(0);
  a.trace_id = row.text(1);
  a.span_id = row.text(2);
  a.name = row.text(3);
  a.source_type = row.text(4);
  a.source_id = row.text(5);
  a.kind = row.text(6);
  if (!row.is_null(7)) a.value = Json::parse(row.text(7));
  if (!row.is_null(8)) a.error = Json::parse(row.text(8));
  a.rationale = row.text(9);
  a.metadata = map_of_json(row.text(10));
  a.overrides = row.text(11);
  a.valid = row.integer(12) != 0;
  a.created = {row.integer(13)};
  a.updated = {row.integer(14)};
  return a;
}

std::optional<Assessment> find(db::Transaction& t, std::string_view trace_id, std::string_view assessment_id) {
  const auto row =
      t.query_one(lakeloop::format("SELECT {} FROM assessments WHERE assessment_id = $1 AND trace_id = $2", kColumns),
                  {std::string(assessment_id), std::string(trace_id)});
  if (!row) return std::nullopt;
  return of_row(*row);
}

[[noreturn]] void no_such_assessment(std::string_view assessment_id, std::string_view trace_id) {
  throw Error(ErrorCode::kNotFound, "Assessment with ID '{}' not found for trace '{}'", assessment_id, trace_id);
}

// The log is never changed: each line says how the assessment stood after the event.
void log_event(db::Transaction& t, std::string_view event, const Assessment& a) {
  t.execute(
      "INSERT INTO assessment_events (sequence, event, at_us, assessment_id, trace_id, span_id, name, source_type, "
      "source_id, kind, value, "
      "error, rationale, metadata, overrides, valid, created_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, "
      "$12, $13, $14, $15, "
      "$16, $17)",
      {next_number(t, "sequence"), std::string(event), Timestamp::now().micros, a.assessment_id, a.trace_id, a.span_id,
       a.name, a.source_type, a.source_id, a.kind, json_or_null(a.value), json_or_null(a.error), a.rationale,
       json_of_map(a.metadata).dump(), a.overrides, std::int64_t{a.valid}, a.created.micros});
}

void set_valid(db::Transaction& t, const Assessment& a, bool valid) {
  if (a.valid == valid) return;
  Assessment changed = a;
  changed.valid = valid;
  changed.updated = Timestamp::now();
  t.execute("UPDATE assessments SET valid = $1, updated_us = $2 WHERE assessment_id = $3",
            {std::int64_t{valid}, changed.updated.micros, a.assessment_id});
  log_event(t, "update", changed);
}

std::vector<Assessment> chain_of(db::Transaction& t, const std::string& chain) {
  std::vector<Assessment> links;
  for (const db::Row& row :
       t.query(lakeloop::format("SELECT {} FROM assessments WHERE chain = $1 ORDER BY sequence", kColumns), {chain})) {
    links.push_back(of_row(row));
  }
  return links;
}

std::string chain_id(db::Transaction& t, const std::string& assessment_id) {
  return t.query_one("SELECT chain FROM assessments WHERE assessment_id = $1", {assessment_id})->text(0);
}

// A client that stamps what it sends and sends it again means the same assessment.
std::string id_of(const Assessment& a) {
  if (a.created.micros == 0) return "a-" + random_hex(16);
  const Json identity = Json::object({{"trace", a.trace_id},
                                      {"span", a.span_id},
                                      {"name", a.name},
                                      {"source", a.source_type},
                                      {"source_id", a.source_id},
                                      {"kind", a.kind},
                                      {"value", a.value},
                                      {"error", a.error},
                                      {"rationale", a.rationale},
                                      {"metadata", json_of_map(a.metadata)},
                                      {"overrides", a.overrides},
                                      {"created", a.created.micros}});
  return "a-" + codec::sha256_hex(identity.dump()).substr(0, 32);
}

}  // namespace

std::vector<Assessment> read_assessments(db::Transaction& t, std::string_view trace_id) {
  std::vector<Assessment> assessments;
  for (const db::Row& row :
       t.query(lakeloop::format("SELECT {} FROM assessments WHERE trace_id = $1 ORDER BY sequence", kColumns),
               {std::string(trace_id)})) {
    assessments.push_back(of_row(row));
  }
  return assessments;
}

void remove_assessments(db::Transaction& t, std::string_view trace_id) {
  for (const Assessment& a : read_assessments(t, trace_id)) log_event(t, "delete", a);
  t.execute("DELETE FROM assessments WHERE trace_id = $1", {std::string(trace_id)});
}

std::vector<Assessment> Tracking::assessments_of(const Principal& who, std::string_view trace_id) {
  impl_->trace_experiment_for(who, Privilege::kSelect, trace_id);
  return impl_->db.reading([&](db::Transaction& t) { return read_assessments(t, trace_id); });
}

Assessment Tracking::create_assessment(const Principal& who, Assessment a) {
  check_assessment(a);
  impl_->trace_experiment_for(who, Privilege::kModify, a.trace_id);
  const Timestamp now = Timestamp::now();
  a.assessment_id = id_of(a);
  if (a.created.micros == 0) a.created = now;
  if (a.updated.micros == 0) a.updated = a.created;
  a.valid = true;
  const Assessment stored = impl_->db.writing([&](db::Transaction& t) {
    if (!t.query_one("SELECT 1 FROM traces WHERE trace_id = $1", {a.trace_id})) no_such_trace(a.trace_id);
    if (auto same = find(t, a.trace_id, a.assessment_id)) return std::move(*same);
    std::string chain = a.assessment_id;
    if (!a.overrides.empty()) {
      if (!find(t, a.trace_id, a.overrides)) no_such_assessment(a.overrides, a.trace_id);
      chain = chain_id(t, a.overrides);
      for (const Assessment& link : chain_of(t, chain)) set_valid(t, link, false);
    }
    const std::int64_t sequence = next_number(t, "sequence");
    t.execute(
        "INSERT INTO assessments (assessment_id, trace_id, span_id, name, source_type, source_id, kind, value, error, "
        "rationale, metadata, "
        "overrides, chain, valid, created_us, updated_us, sequence) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
        "$11, $12, $13, 1, $14, "
        "$15, $16)",
        {a.assessment_id, a.trace_id, a.span_id, a.name, a.source_type, a.source_id, a.kind, json_or_null(a.value),
         json_or_null(a.error), a.rationale, json_of_map(a.metadata).dump(), a.overrides, chain, a.created.micros,
         a.updated.micros, sequence});
    log_event(t, "create", a);
    return a;
  });
  impl_->signal();
  return stored;
}

Assessment Tracking::get_assessment(const Principal& who, std::string_view trace_id, std::string_view assessment_id) {
  impl_->trace_experiment_for(who, Privilege::kSelect, trace_id);
  auto found = impl_->db.reading([&](db::Transaction& t) { return find(t, trace_id, assessment_id); });
  if (!found) no_such_assessment(assessment_id, trace_id);
  return std::move(*found);
}

Assessment Tracking::update_assessment(const Principal& who, const Assessment& changed,
                                       const std::vector<std::string>& fields) {
  impl_->trace_experiment_for(who, Privilege::kModify, changed.trace_id);
  const Assessment stored = impl_->db.writing([&](db::Transaction& t) {
    auto found = find(t, changed.trace_id, changed.assessment_id);
    if (!found) no_such_assessment(changed.assessment_id, changed.trace_id);
    Assessment a = std::move(*found);
    for (const std::string& field : fields) {
      if (field == "assessment_name") {
        a.name = changed.name;
      } else if (field == "feedback" || field == "expectation" || field == "issue") {
        if (a.kind != field || changed.kind != field) {
          throw Error(ErrorCode::kInvalidArgument, "assessment {} is {}; it cannot become {}", a.assessment_id, a.kind,
                      field);
        }
        a.value = changed.value;
        a.error = changed.error;
      } else if (field == "rationale") {
        a.rationale = changed.rationale;
      } else if (field == "metadata") {
        for (const auto& [key, value] : changed.metadata) a.metadata[key] = value;
      } else if (field == "valid") {
        a.valid = changed.valid;
      } else {
        throw Error(
            ErrorCode::kInvalidArgument,
            "update_mask names '{}'; it may hold assessment_name, feedback, expectation, rationale, metadata and valid",
            field);
      }
    }
    check_assessment(a);
    a.updated = Timestamp::now();
    t.execute(
        "UPDATE assessments SET name = $1, value = $2, error = $3, rationale = $4, metadata = $5, valid = $6, "
        "updated_us = $7 "
        "WHERE assessment_id = $8",
        {a.name, json_or_null(a.value), json_or_null(a.error), a.rationale, json_of_map(a.metadata).dump(),
         std::int64_t{a.valid}, a.updated.micros, a.assessment_id});
    log_event(t, "update", a);
    return a;
  });
  impl_->signal();
  return stored;
}

void Tracking::delete_assessment(const Principal& who, std::string_view trace_id, std::string_view assessment_id) {
  impl_->trace_experiment_for(who, Privilege::kModify, trace_id);
  impl_->db.write([&](db::Transaction& t) {
    const auto found = find(t, trace_id, assessment_id);
    if (!found) return;  // a retry
    const std::string chain = chain_id(t, found->assessment_id);
    t.execute("DELETE FROM assessments WHERE assessment_id = $1", {found->assessment_id});
    log_event(t, "delete", *found);
    // The newest link that is left stands again; deleting one that was superseded changes nothing for the others.
    const std::vector<Assessment> links = chain_of(t, chain);
    if (found->valid && !links.empty()) set_valid(t, links.back(), true);
  });
  impl_->signal();
}

}  // namespace lakeloop::tracking
