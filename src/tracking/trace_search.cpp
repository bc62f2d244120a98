#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "tracking/impl.h"
#include "tracking/regex.h"

namespace lakeloop::tracking {

namespace {

using enum Comparator;

constexpr std::int64_t kMaxResults = 500;

enum class Entity : std::uint8_t { kAttribute, kTag, kMetadata, kSpan, kFeedback, kExpectation, kIssue };

Entity entity_of(std::string_view name) {
  if (name.empty() || name == "attribute" || name == "attributes" || name == "trace") return Entity::kAttribute;
  if (name == "tag" || name == "tags") return Entity::kTag;
  if (name == "metadata" || name == "request_metadata") return Entity::kMetadata;
  if (name == "span") return Entity::kSpan;
  if (name == "feedback") return Entity::kFeedback;
  if (name == "expectation") return Entity::kExpectation;
  if (name == "issue") return Entity::kIssue;
  throw Error(ErrorCode::kInvalidArgument,
              "Invalid entity type '{}'. Valid values are ['attribute', 'expectation', 'feedback', 'issue', "
              "'request_metadata', 'span', "
              "'tag']",
              name);
}

// A text test that SQL cannot do: rows that `sql` yields for a trace ($1), each column against its expression. All of
// one row.
struct RegexTest {
  SqlText query;
  std::vector<Regex> expressions;
};

class Compiler {
 public:
  Compiler(SqlText& query) : query_(query) {}

  void add(const Comparison& c) {
    switch (entity_of(c.entity)) {
      case Entity::kTag:
        pair("trace_tags", c.key, c, kPairs);
        break;
      case Entity::kMetadata:
        pair("trace_metadata", c.key, c, kPairs);
        break;
      case Entity::kSpan:
        spans_.push_back(c);
        break;
      case Entity::kFeedback:
        assessment("feedback", c);
        break;
      case Entity::kExpectation:
        assessment("expectation", c);
        break;
      case Entity::kIssue:
        issue(c);
        break;
      case Entity::kAttribute:
        attribute(c);
        break;
    }
  }

  // Conditions on spans hold together on one span.
  std::vector<RegexTest> finish() {
    if (!spans_.empty()) {
      std::string conditions;
      for (const Comparison& c : spans_) {
        if (c.comparator != kRlike) conditions += " AND " + span_condition(query_, c);
      }
      query_.append(
          lakeloop::format(" AND EXISTS (SELECT 1 FROM spans s WHERE s.trace_id = t.trace_id{})", conditions));
      if (std::ranges::any_of(spans_, [](const Comparison& c) { return c.comparator == kRlike; })) span_regex();
    }
    return std::move(tests_);
  }

 private:
  static constexpr std::initializer_list<Comparator> kPairs = {kEqual, kNotEqual, kLike,     kIlike,
                                                               kRlike, kIsNull,   kIsNotNull};
  static constexpr std::initializer_list<Comparator> kTexts = {kEqual, kNotEqual, kLike, kIlike, kRlike, kIn, kNotIn};

  void regex_test(const std::string& columns_and_from, const Comparison& c, std::vector<db::Value> values) {
    if (!c.quoted) compare_text(query_, "", c, {kRlike});  // says that the value must be quoted
    RegexTest test;
    test.query.sql = "SELECT " + columns_and_from;
    test.query.values.emplace_back(std::string());  // the trace
    for (db::Value& value : values) test.query.values.push_back(std::move(value));
    test.expressions.emplace_back(c.value);
    tests_.push_back(std::move(test));
  }

  void pair(std::string_view table, const std::string& key, const Comparison& c,
            std::initializer_list<Comparator> allowed) {
    if (std::ranges::find(allowed, c.comparator) == allowed.end()) invalid_comparator(c);
    const std::string row =
        lakeloop::format("SELECT 1 FROM {} g WHERE g.trace_id = t.trace_id AND g.key = {}", table, query_.bind(key));
    if (c.comparator == kIsNull || c.comparator == kIsNotNull) {
      query_.append(lakeloop::format(" AND {} ({})", c.comparator == kIsNull ? "NOT EXISTS" : "EXISTS", row));
    } else if (c.comparator == kRlike) {
      query_.append(lakeloop::format(" AND EXISTS ({})", row));
      regex_test(lakeloop::format("value FROM {} WHERE trace_id = $1 AND key = $2", table), c, {key});
    } else {
      const std::string test = compare_text(query_, "g.value", c, allowed);
      query_.append(lakeloop::format(" AND EXISTS ({} AND {})", row, test));
    }
  }

  void text_column(const std::string& column, const Comparison& c) {
    if (c.comparator == kRlike) {
      regex_test(lakeloop::format("{} FROM traces t WHERE t.trace_id = $1", column), c, {});
    } else {
      query_.append(" AND " + compare_text(query_, column, c, kTexts));
    }
  }

  void attribute(const Comparison& c) {
    const std::string key = ascii_lower(c.key);
    if (key == "timestamp" || key == "timestamp_ms") {
      query_.append(" AND " + compare_number(query_, "t.request_ms", c));
    } else if (key == "execution_time" || key == "execution_time_ms") {
      query_.append(" AND " + compare_number(query_, "t.execution_ms", c));
    } else if (key == "end_time" || key == "end_time_ms") {
      query_.append(" AND " + compare_number(query_, "(t.request_ms + t.execution_ms)", c));
    } else if (key == "status" || key == "state") {
      text_column("t.state", c);
    } else if (key == "request_id" || key == "trace_id") {
      text_column("t.trace_id", c);
    } else if (key == "client_request_id") {
      text_column("t.client_request_id", c);
    } else if (key == "name") {
      pair("trace_tags", "mlflow.traceName", c, kPairs);
    } else if (key == "run_id") {
      run(c);
    } else if (key == "prompt") {
      prompt(c);
    } else if (key == "text") {
      Comparison content = c;
      content.entity = "span";
      content.key = "content";
      spans_.push_back(std::move(content));
    } else {
      throw Error(ErrorCode::kInvalidArgument,
                  "Invalid attribute key '{}' specified. Valid keys are client_request_id, end_time, end_time_ms, "
                  "execution_time, "
                  "execution_time_ms, name, prompt, request_id, run_id, status, text, timestamp, timestamp_ms.",
                  c.key);
    }
  }

  // The run that a trace was made in, or that it was linked to.
  void run(const Comparison& c) {
    if (c.comparator == kRlike) return pair("trace_metadata", "mlflow.sourceRun", c, kTexts);
    if (c.comparator == kIsNull || c.comparator == kIsNotNull) invalid_comparator(c);
    const std::string source = compare_text(query_, "g.value", c, kTexts);
    const std::string linked = compare_text(query_, "l.run_id", c, kTexts);
    query_.append(
        lakeloop::format(" AND (EXISTS (SELECT 1 FROM trace_metadata g WHERE g.trace_id = t.trace_id AND g.key = "
                         "'mlflow.sourceRun' AND {}) "
                         "OR EXISTS (SELECT 1 FROM trace_runs l WHERE l.trace_id = t.trace_id AND {}))",
                         source, linked));
  }

  // "name/version" among the prompts linked to the trace.
  void prompt(const Comparison& c) {
    if (c.comparator != kEqual || !c.quoted) {
      throw Error(ErrorCode::kInvalidArgument,
                  "Invalid comparator '{}' for prompts filter. Only '=' is supported with 'name/version'",
                  to_string(c.comparator));
    }
    const std::size_t slash = c.value.rfind('/');
    if (slash == std::string::npos) {
      throw Error(ErrorCode::kInvalidArgument, "Invalid prompts filter value '{}'. Expected format: 'name/version'",
                  c.value);
    }
    const std::string name = query_.bind(c.value.substr(0, slash));
    const std::string version = query_.bind(c.value.substr(slash + 1));
    query_.append(
        lakeloop::format(" AND EXISTS (SELECT 1 FROM trace_tags g, json_each(g.value) p WHERE g.trace_id = t.trace_id "
                         "AND g.key = 'mlflow.linkedPrompts' AND json_extract(p.value, '$.name') = {} "
                         "AND CAST(json_extract(p.value, '$.version') AS TEXT) = {})",
                         name, version));
  }

  // The values that are in force. A string is stored as JSON and compared as itself: 'yes' finds "yes", 'true' finds
  // true.
  void assessment(std::string_view kind, const Comparison& c) {
    const std::string rows =
        lakeloop::format("FROM assessments a WHERE a.trace_id = {} AND a.kind = '{}' AND a.valid = 1 AND a.name = {}",
                         "t.trace_id", kind, query_.bind(c.key));
    static const std::string kValue =
        "CASE json_type(a.value) WHEN 'text' THEN json_extract(a.value, '$') ELSE a.value END";
    switch (c.comparator) {
      case kIsNull:
        query_.append(lakeloop::format(" AND NOT EXISTS (SELECT 1 {})", rows));
        break;
      case kIsNotNull:
        query_.append(lakeloop::format(" AND EXISTS (SELECT 1 {})", rows));
        break;
      case kRlike:
        query_.append(lakeloop::format(" AND EXISTS (SELECT 1 {})", rows));
        regex_test(lakeloop::format("{} FROM assessments a WHERE a.trace_id = $1 AND a.kind = '{}' AND a.valid = 1 AND "
                                    "a.name = $2 AND a.value IS NOT NULL",
                                    kValue, kind),
                   c, {c.key});
        break;
      case kLess:
      case kLessEqual:
      case kGreater:
      case kGreaterEqual: {
        Comparison number = c;
        number.quoted = false;  // MLflow takes 0.5 and '0.5'
        const std::string test = compare_number(query_, "CAST(a.value AS REAL)", number);
        query_.append(lakeloop::format(" AND EXISTS (SELECT 1 {} AND json_type(a.value) IN ('integer', 'real') AND {})",
                                       rows, test));
        break;
      }
      case kIn:
      case kNotIn:
        invalid_comparator(c);
      default: {
        Comparison text = c;
        text.quoted = true;  // 5, 'yes' and true are all written
        std::string test = compare_text(query_, "(" + kValue + ")", text, kPairs);
        if (c.comparator == kEqual || c.comparator == kNotEqual) {
          // 1 and 1.0 are one number.
          if (const auto number = parse_number<double>(c.value)) {
            const std::string bound = query_.bind(*number);
            test = lakeloop::format(
                "CASE WHEN json_type(a.value) IN ('integer', 'real') THEN CAST(a.value AS REAL) {} {} ELSE {} END",
                c.comparator == kEqual ? "=" : "<>", bound, test);
          }
        }
        query_.append(lakeloop::format(" AND EXISTS (SELECT 1 {} AND a.value IS NOT NULL AND {})", rows, test));
      }
    }
  }

  void issue(const Comparison& c) {
    if (c.key != "id")
      throw Error(ErrorCode::kInvalidArgument, "Invalid issue attribute '{}'. Supported attributes: id", c.key);
    if (c.comparator != kEqual) invalid_comparator(c);
    const std::string test = compare_text(query_, "a.name", c, {kEqual});
    query_.append(
        lakeloop::format(" AND EXISTS (SELECT 1 FROM assessments a WHERE a.trace_id = t.trace_id AND a.kind = 'issue' "
                         "AND a.valid = 1 AND {})",
                         test));
  }

  // What stands for a span's key: an expression over `s`.
  static std::string span_value(SqlText& query, const Comparison& c) {
    if (c.key == "name" || c.key == "type" || c.key == "status" || c.key == "content") return "s." + c.key;
    if (c.key.starts_with("attributes.")) {
      const std::string name = c.key.substr(11);
      if (name.empty())
        throw Error(ErrorCode::kInvalidArgument, "Span attribute name cannot be empty after 'attributes.'");
      return lakeloop::format(
          "(SELECT CASE x.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE CAST(x.value AS TEXT) END "
          "FROM json_each(s.content, '$.attributes') x WHERE x.key = {})",
          query.bind(name));
    }
    throw Error(ErrorCode::kInvalidArgument,
                "Invalid span attribute '{}'. Supported attributes: name, status, type, attributes.<attribute_name>.",
                c.key);
  }

  static std::string span_condition(SqlText& query, const Comparison& c) {
    const std::string value = span_value(query, c);
    if (c.key == "content") {
      if (c.comparator != kLike && c.comparator != kIlike) {
        throw Error(ErrorCode::kInvalidArgument, "span.content comparator '{}' not one of LIKE, ILIKE",
                    to_string(c.comparator));
      }
      // The document is JSON: a text with quotes or line breaks stands in it escaped, once or, as JSON inside JSON,
      // twice.
      std::string test = compare_text(query, value, c, {kLike, kIlike});
      Comparison escaped = c;
      for (int i = 0; i < 2; ++i) {
        const std::string json = Json(escaped.value).dump();
        if (json.size() == escaped.value.size() + 2) break;
        escaped.value = json.substr(1, json.size() - 2);
        test += " OR " + compare_text(query, value, escaped, {kLike, kIlike});
      }
      return "(" + test + ")";
    }
    return compare_text(query, value, c, kTexts);
  }

  void span_regex() {
    RegexTest test;
    test.query.values.emplace_back(std::string());
    std::string columns;
    std::string conditions;
    for (const Comparison& c : spans_) {
      if (c.comparator != kRlike) {
        conditions += " AND " + span_condition(test.query, c);
        continue;
      }
      if (c.key == "content") {
        throw Error(ErrorCode::kInvalidArgument, "span.content comparator 'RLIKE' not one of LIKE, ILIKE");
      }
      if (!c.quoted) compare_text(query_, "", c, {kRlike});
      columns += (columns.empty() ? "" : ", ") + span_value(test.query, c);
      test.expressions.emplace_back(c.value);
    }
    test.query.sql = lakeloop::format("SELECT {} FROM spans s WHERE s.trace_id = $1{}", columns, conditions);
    tests_.push_back(std::move(test));
  }

  SqlText& query_;
  std::vector<Comparison> spans_;
  std::vector<RegexTest> tests_;
};

bool passes(db::Transaction& t, RegexTest& test, const std::string& trace_id) {
  test.query.values[0] = trace_id;
  for (const db::Row& row : t.query(test.query.sql, test.query.values)) {
    bool all = true;
    for (std::size_t i = 0; i < test.expressions.size() && all; ++i) {
      all = !row.is_null(i) && test.expressions[i].found_in(row.text(i));
    }
    if (all) return true;
  }
  return false;
}

std::vector<SortKey> sort_keys(SqlText& query, const std::vector<std::string>& order_by) {
  if (order_by.size() > limits::kOrderByKeys) {
    throw Error(ErrorCode::kInvalidArgument, "order_by takes at most {} keys", limits::kOrderByKeys);
  }
  std::vector<SortKey> keys;
  const auto pair = [&](std::string_view table, const std::string& key, bool ascending) {
    const std::string value = lakeloop::format(
        "(SELECT g.value FROM {} g WHERE g.trace_id = t.trace_id AND g.key = {})", table, query.bind(key));
    keys.push_back({lakeloop::format("({} IS NULL)", value), true});
    keys.push_back({lakeloop::format("COALESCE({}, '')", value), ascending});
  };
  for (const std::string& item : order_by) {
    const OrderBy order = parse_order_by(item);
    const Entity entity = entity_of(order.entity);
    const std::string key = ascii_lower(order.key);
    if (entity == Entity::kTag) {
      pair("trace_tags", order.key, order.ascending);
    } else if (entity == Entity::kMetadata) {
      pair("trace_metadata", order.key, order.ascending);
    } else if (entity != Entity::kAttribute) {
      throw Error(ErrorCode::kInvalidArgument,
                  "Invalid order_by clause '{}': traces are ordered by attributes, tags and metadata", item);
    } else if (key == "timestamp" || key == "timestamp_ms") {
      keys.push_back({"t.request_ms", order.ascending});
    } else if (key == "execution_time" || key == "execution_time_ms") {
      keys.push_back({"t.execution_ms", order.ascending});
    } else if (key == "end_time" || key == "end_time_ms") {
      keys.push_back({"(t.request_ms + t.execution_ms)", order.ascending});
    } else if (key == "status") {
      keys.push_back({"t.state", order.ascending});
    } else if (key == "request_id") {
      keys.push_back({"t.trace_id", order.ascending});
    } else if (key == "experiment_id") {
      keys.push_back({"t.experiment_id", order.ascending});
    } else if (key == "name") {
      pair("trace_tags", "mlflow.traceName", order.ascending);
    } else if (key == "run_id") {
      pair("trace_metadata", "mlflow.sourceRun", order.ascending);
    } else {
      throw Error(ErrorCode::kInvalidArgument,
                  "Invalid order_by key '{}'. Valid keys are experiment_id, timestamp_ms, execution_time_ms, "
                  "end_time_ms, status, request_id, name, run_id.",
                  order.key);
    }
  }
  if (keys.empty()) keys.push_back({"t.request_ms", false});
  keys.push_back({"t.trace_id", true});
  return keys;
}

}  // namespace

Found<TraceInfo> Tracking::search_traces(const Principal& who, const TraceSearch& search) {
  const std::int64_t limit = checked_max_results(search.page.max_results, kMaxResults);
  if (search.experiment_ids.empty())
    throw Error(ErrorCode::kInvalidArgument, "Locations must be a list of experiment IDs");
  const std::vector<Comparison> comparisons = parse_filter(search.filter);
  const std::vector<std::int64_t> experiments = impl_->readable(who, search.experiment_ids);

  SqlText query;
  const std::vector<SortKey> keys = sort_keys(query, search.order_by);
  const std::string text =
      lakeloop::format("traces {} {} {}", join(search.experiment_ids, ","), search.filter, join(search.order_by, "|"));
  query.append(lakeloop::format("SELECT {}", kTraceColumns));
  const std::size_t first_key = 9;
  for (const SortKey& key : keys) query.append(", " + key.expression);
  query.append(lakeloop::format(" FROM traces t WHERE t.experiment_id IN ({})", placeholders(query, experiments)));
  Compiler compiler(query);
  for (const Comparison& c : comparisons) compiler.add(c);
  std::vector<RegexTest> tests = compiler.finish();

  Found<TraceInfo> found;
  if (experiments.empty()) return found;
  std::vector<db::Value> last;
  if (!search.page.page_token.empty()) last = parse_page_token(text, search.page.page_token, keys.size());
  std::size_t scanned = 0;
  // One pass, unless regular expressions drop rows: then on until the page is full, or a bound of work is met; the
  // token says where to go on, so a short page loses nothing.
  while (true) {
    SqlText page = query;
    if (!last.empty()) page.append(" AND " + after_sql(page, keys, last));
    page.append(" ORDER BY " + order_by_sql(keys) + " LIMIT " + page.bind(limit + 1));
    bool more = false;
    impl_->db.read([&](db::Transaction& t) {
      const std::vector<db::Row> rows = t.query(page.sql, page.values);
      more = static_cast<std::int64_t>(rows.size()) > limit;
      for (const db::Row& row : rows) {
        if (static_cast<std::int64_t>(found.first.size()) == limit) {
          found.second = page_token(text, last);
          return;
        }
        const bool fits = std::ranges::all_of(tests, [&](RegexTest& test) { return passes(t, test, row.text(0)); });
        if (fits) found.first.push_back(read_trace_info(t, row));
        last.clear();
        for (std::size_t k = 0; k < keys.size(); ++k) last.push_back(row.value(first_key + k));
      }
      scanned += rows.size();
    });
    if (!found.second.empty() || !more) return found;
    if (scanned >= limits::kRegexScanRows) {
      found.second = page_token(text, last);
      return found;
    }
  }
}

}  // namespace lakeloop::tracking
