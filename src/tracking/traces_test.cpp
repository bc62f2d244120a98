#include <thread>

#include "tracking/fixture_test.h"
#include "tracking/span_attributes.h"
#include "tracking/trace_builder.h"

namespace lakeloop::tracking {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class TracesTest : public TrackingTest {
 protected:
  TracesTest() { e_ = experiment(ann_, "traces"); }

  std::vector<std::string> search(std::string filter, std::vector<std::string> order = {}) {
    std::vector<std::string> ids;
    std::string token;
    do {
      const auto page = tracking_->search_traces(ann_, {.experiment_ids = {e_},
                                                        .filter = filter,
                                                        .order_by = order,
                                                        .page = {.max_results = 2, .page_token = token}});
      for (const TraceInfo& info : page.first) ids.push_back(info.trace_id);
      token = page.second;
    } while (!token.empty());
    return ids;
  }

  std::string e_;
};

TEST_F(TracesTest, SpansMakeTheTrace) {
  Span child = span(1, 1, 0);
  child.attributes.set("mlflow.chat.tokenUsage",
                       Json::object({{"input_tokens", 3}, {"output_tokens", 4}, {"total_tokens", 7}}));
  child.attributes.set("session.id", "s-1");
  tracking_->log_spans(ann_, e_, {child},
                       {{"service.name", "shop"}, {"telemetry.sdk.name", "x"}, {"mlflow.trace.spansLocation", "EVIL"}});
  const std::string id = "tr-" + child.trace_id;
  TraceInfo info = tracking_->get_trace_info(ann_, id);
  EXPECT_EQ(info.state, "IN_PROGRESS");
  EXPECT_EQ(info.tags.at("service.name"), "shop");
  EXPECT_FALSE(info.tags.contains("telemetry.sdk.name"));
  EXPECT_EQ(info.tags.at("mlflow.trace.spansLocation"), "TRACKING_STORE");
  EXPECT_EQ(info.metadata.at("mlflow.trace.session"), "s-1");
  EXPECT_EQ(Json::parse(info.metadata.at("mlflow.trace.tokenUsage"))["total_tokens"].int_or(0), 7);

  Span root = span(1, 0);
  root.end_ns = root.start_ns + 40'000'000;
  root.attributes.set("mlflow.spanInputs", Json::object({{"q", "hi"}, {"n", 1}}));
  root.attributes.set("mlflow.spanOutputs", "ünïcode answer");
  root.attributes.set("mlflow.traceTag.colour", "red");
  tracking_->log_spans(ann_, e_, {root}, {});
  info = tracking_->get_trace_info(ann_, id);
  EXPECT_EQ(info.state, "OK");
  EXPECT_EQ(info.request_time.millis(), root.start_ns / 1'000'000);
  EXPECT_EQ(info.execution_ms, 40);
  EXPECT_EQ(info.request_preview, R"({"q": "hi", "n": 1})");
  EXPECT_EQ(info.response_preview, R"("ünïcode answer")");
  EXPECT_EQ(info.tags.at("colour"), "red");
  EXPECT_EQ(info.tags.at("mlflow.traceName"), "span-0");
  EXPECT_EQ(info.tags.at("mlflow.artifactLocation"),
            lakeloop::format("mlflow-artifacts:/{}/traces/{}/artifacts", e_, id));
  const Trace trace = tracking_->get_trace(ann_, id);
  ASSERT_EQ(trace.spans.size(), 2u);
  EXPECT_TRUE(trace.spans[0].parent_id.empty());
  EXPECT_EQ(trace.spans[0].attributes["mlflow.spanInputs"]["q"].string_or(""), "hi");
}

TEST_F(TracesTest, SentAgainIsThereOnce) {
  const std::vector<Span> spans = {span(1, 0), span(1, 1, 0)};
  tracking_->log_spans(ann_, e_, spans, {});
  const TraceInfo before = tracking_->get_trace_info(ann_, "tr-" + id32(1));
  Span changed = span(1, 1, 0);
  changed.name = "changed";
  tracking_->log_spans(ann_, e_, {span(1, 0), changed}, {});
  const Trace after = tracking_->get_trace(ann_, "tr-" + id32(1));
  EXPECT_EQ(after.spans.size(), 2u);
  EXPECT_EQ(after.spans[1].name, "span-1");
  EXPECT_EQ(after.info.tags, before.tags);
  EXPECT_EQ(after.info.execution_ms, before.execution_ms);
}

TEST_F(TracesTest, ABatchIsAllOrNothing) {
  for (auto spoil : std::vector<std::function<void(Span&)>>{
           [](Span& s) { s.trace_id = "ABC"; }, [](Span& s) { s.span_id = ""; },
           [](Span& s) { s.trace_id = std::string(32, '0'); }, [](Span& s) { s.parent_id = "../../../../etc"; },
           [](Span& s) { s.start_ns = -1; }}) {
    Span bad = span(2, 1, 0);
    spoil(bad);
    EXPECT_EQ(code_of([&] { tracking_->log_spans(ann_, e_, {span(2, 0), bad}, {}); }), ErrorCode::kInvalidArgument);
    EXPECT_EQ(code_of([&] { tracking_->get_trace(ann_, "tr-" + id32(2)); }), ErrorCode::kNotFound);
  }
}

TEST_F(TracesTest, UsageOfParentsIsNotCountedTwice) {
  const auto with = [](Span s, int tokens) {
    s.attributes.set("gen_ai.usage.input_tokens", tokens);
    s.attributes.set("gen_ai.usage.output_tokens", "1");
    return s;
  };
  // The root carries the sum of 1 and 2; 3 is under 1; 4 is a tree of its own without a stored parent.
  tracking_->log_spans(ann_, e_, {with(span(1, 1, 0), 10), with(span(1, 3, 1), 10), with(span(1, 4, 99), 5)}, {});
  const auto usage = [&] {
    return Json::parse(tracking_->get_trace_info(ann_, "tr-" + id32(1)).metadata.at("mlflow.trace.tokenUsage"));
  };
  EXPECT_EQ(usage()["input_tokens"].int_or(0), 15);
  tracking_->log_spans(ann_, e_, {with(span(1, 2, 0), 20), with(span(1, 0), 30)}, {});
  EXPECT_EQ(usage()["input_tokens"].int_or(0), 35);
  EXPECT_EQ(usage()["output_tokens"].int_or(0), 2);
  EXPECT_EQ(usage()["total_tokens"].int_or(0), 37);
}

TEST_F(TracesTest, UsageThatTheClientStatedStays) {
  Span s = span(1, 0);
  s.attributes.set("gen_ai.usage.input_tokens", 10);
  TraceInfo info{.trace_id = "tr-" + id32(1),
                 .experiment_id = e_,
                 .request_time = Timestamp::from_millis(1),
                 .metadata = {{"mlflow.trace.tokenUsage", R"({"total_tokens": 3})"}},
                 .tags = {},
                 .assessments = {}};
  tracking_->start_trace(ann_, info);
  tracking_->log_spans(ann_, e_, {s}, {});
  EXPECT_EQ(tracking_->get_trace_info(ann_, info.trace_id).metadata.at("mlflow.trace.tokenUsage"),
            R"({"total_tokens": 3})");
  // Nothing stated: the spans say it, though they came later.
  s.trace_id = id32(2);
  info.trace_id = "tr-" + id32(2);
  info.metadata.clear();
  tracking_->start_trace(ann_, info);
  tracking_->log_spans(ann_, e_, {s}, {});
  EXPECT_EQ(
      Json::parse(tracking_->get_trace_info(ann_, info.trace_id).metadata.at("mlflow.trace.tokenUsage"))["total_tokens"]
          .int_or(0),
      10);
}

TEST_F(TracesTest, ADeepTraceIsSummedInOneClimb) {
  std::vector<Span> spans;
  for (int i = 0; i < 20'000; ++i) spans.push_back(span(1, i, i - 1));
  for (int i = 0; i < 5'000; ++i) {
    Span leaf = span(1, 20'000 + i, 19'999);
    leaf.attributes.set("gen_ai.usage.input_tokens", 1);
    spans.push_back(std::move(leaf));
  }
  tracking_->log_spans(ann_, e_, spans, {});
  EXPECT_EQ(Json::parse(
                tracking_->get_trace_info(ann_, "tr-" + id32(1)).metadata.at("mlflow.trace.tokenUsage"))["input_tokens"]
                .int_or(0),
            5'000);
}

TEST_F(TracesTest, ACycleOfParentsEnds) {
  Span a = span(1, 0, 1);
  Span b = span(1, 1, 0);
  a.attributes.set("gen_ai.usage.input_tokens", 1);
  tracking_->log_spans(ann_, e_, {a, b}, {});
  EXPECT_EQ(tracking_->get_trace(ann_, "tr-" + id32(1)).spans.size(), 2u);
}

TEST_F(TracesTest, StartTraceUpsertsAndKeepsTheSpans) {
  TraceInfo info{.trace_id = "tr-" + id32(1),
                 .experiment_id = e_,
                 .client_request_id = "c-1",
                 .request_preview = "in",
                 .response_preview = "out",
                 .request_time = Timestamp::from_millis(5000),
                 .execution_ms = 12,
                 .state = "OK",
                 .metadata = {{"mlflow.sourceRun", "r1"}},
                 .tags = {{"mlflow.traceName", "given"}, {"mlflow.trace.spansLocation", "ARTIFACT"}},
                 .assessments = {}};
  // In both orders, and repeated.
  tracking_->log_spans(ann_, e_, {span(1, 0)}, {});
  for (int i = 0; i < 2; ++i) {
    const TraceInfo stored = tracking_->start_trace(ann_, info);
    EXPECT_EQ(stored.tags.at("mlflow.trace.spansLocation"), "TRACKING_STORE");
    EXPECT_EQ(stored.tags.at("mlflow.traceName"), "given");
    EXPECT_EQ(stored.execution_ms, 12);
    EXPECT_EQ(stored.client_request_id, "c-1");
  }
  tracking_->log_spans(ann_, e_, {span(1, 1, 0)}, {});  // a late span changes no times
  EXPECT_EQ(tracking_->get_trace_info(ann_, info.trace_id).execution_ms, 12);
  info.trace_id = "tr-" + id32(2);
  tracking_->start_trace(ann_, info);
  tracking_->log_spans(ann_, e_, {span(2, 0)}, {});
  const Trace second = tracking_->get_trace(ann_, info.trace_id);
  EXPECT_EQ(second.info.execution_ms, 12);
  EXPECT_EQ(second.info.request_preview, "in");
  EXPECT_EQ(second.info.tags.at("mlflow.traceName"), "given");
  EXPECT_EQ(second.spans.size(), 1u);
}

TEST_F(TracesTest, TwoRoadsOneResult) {
  // The client's own export holds values; an OTLP exporter beside MLflow's SDK sends JSON text in strings.
  Span values = span(1, 0);
  values.attributes.set("mlflow.traceRequestId", "tr-" + id32(1));
  values.attributes.set("mlflow.spanType", "CHAIN");
  values.attributes.set("mlflow.spanInputs", Json::object({{"q", "say \"hi\""}}));
  values.attributes.set("mlflow.spanOutputs", "{\"looks\": \"like JSON\"}");
  values.attributes.set("n", 5);
  Span text = span(2, 0);
  for (const auto& [name, value] : values.attributes.members()) text.attributes.set(name, value.dump());
  text.attributes.set("mlflow.traceRequestId", "\"tr-" + id32(2) + "\"");
  tracking_->log_spans(ann_, e_, {values}, {});
  tracking_->log_spans(ann_, e_, {text}, {});
  const Trace a = tracking_->get_trace(ann_, "tr-" + id32(1));
  const Trace b = tracking_->get_trace(ann_, "tr-" + id32(2));
  EXPECT_EQ(a.info.request_preview, b.info.request_preview);
  EXPECT_EQ(a.info.response_preview, b.info.response_preview);
  EXPECT_EQ(b.spans[0].attributes["mlflow.spanOutputs"].string_or(""), "{\"looks\": \"like JSON\"}");
  for (const char* name : {"mlflow.spanType", "mlflow.spanInputs", "mlflow.spanOutputs", "n"}) {
    EXPECT_EQ(a.spans[0].attributes[name], b.spans[0].attributes[name]) << name;
  }
  EXPECT_THAT(search("span.type = 'CHAIN'"), testing::SizeIs(2));
}

TEST_F(TracesTest, ForeignConventionsBecomeMlflows) {
  Span s = span(1, 0);
  s.attributes.set("openinference.span.kind", "LLM");
  s.attributes.set(
      "input.value",
      "{\"messages\": [{\"role\": \"user\", \"content\": \"first\"}, {\"role\": \"user\", \"content\": \"last\"}]}");
  s.attributes.set("output.value", "fine");
  s.attributes.set("llm.token_count.prompt", 2);
  s.attributes.set("llm.token_count.completion", 3);
  const Span m = with_mlflow_attributes(s);
  EXPECT_EQ(span_type_of(m), "LLM");
  EXPECT_EQ(preview_of(m.attributes["mlflow.spanInputs"], "user"), "last");
  EXPECT_EQ(m.attributes["mlflow.chat.tokenUsage"]["total_tokens"].int_or(0), 5);
  EXPECT_EQ(preview_of(Json(std::string(3000, 'x')), "user").size(), 1000u);
}

TEST_F(TracesTest, RecordsItsOwnTracesOnce) {
  TraceBuilder builder("serve", "CHAIN", e_);
  builder.inputs(TraceBuilder::kRoot, Json::object({{"question", "why"}}));
  const std::size_t inner = builder.open("retrieve", "RETRIEVER");
  builder.token_usage(inner, 5, 6);
  builder.end(inner);
  builder.outputs(TraceBuilder::kRoot, "because");
  const Trace trace = builder.finish();
  tracking_->record_trace(trace);
  tracking_->record_trace(trace);
  const Trace stored = tracking_->get_trace(ann_, trace.info.trace_id);
  ASSERT_EQ(stored.spans.size(), 2u);
  EXPECT_EQ(stored.spans[0].attributes["mlflow.spanType"].string_or(""), "CHAIN");
  EXPECT_EQ(stored.spans[0].attributes["mlflow.spanOutputs"].string_or(""), "because");
  EXPECT_EQ(stored.info.tags.at("mlflow.traceName"), "serve");
  EXPECT_EQ(stored.info.state, "OK");
  EXPECT_EQ(Json::parse(stored.info.metadata.at("mlflow.trace.tokenUsage"))["total_tokens"].int_or(0), 11);
}

TEST_F(TracesTest, AccessFollowsTheExperiment) {
  const std::string id = trace(ann_, e_, 1);
  const std::string other = experiment(bob_, "other");
  const auto refused = [&](auto&& work) { EXPECT_EQ(code_of(work), ErrorCode::kPermissionDenied); };
  refused([&] { tracking_->get_trace(bob_, id); });
  refused([&] { tracking_->get_trace_info(bob_, id); });
  refused([&] { tracking_->set_trace_tag(bob_, id, "a", "b"); });
  refused([&] { tracking_->delete_trace_tag(bob_, id, "a"); });
  refused([&] { tracking_->search_traces(bob_, {.experiment_ids = {other, e_}}); });
  refused([&] {
    tracking_->delete_traces(bob_, {.experiment_id = e_, .max_timestamp_ms = {}, .max_traces = {}, .trace_ids = {id}});
  });
  refused([&] { tracking_->log_spans(bob_, e_, {span(9, 0)}, {}); });
  refused([&] { tracking_->log_spans(bob_, other, {span(1, 5, 0)}, {}); });  // into ann's trace, by the back door
  refused([&] {
    tracking_->start_trace(
        bob_,
        {.trace_id = id, .experiment_id = other, .request_time = {}, .metadata = {}, .tags = {}, .assessments = {}});
  });
  refused([&] { tracking_->create_assessment(bob_, {.trace_id = id, .name = "n", .value = true}); });
  refused([&] { tracking_->get_assessment(bob_, id, "a-1"); });
  refused([&] { tracking_->update_assessment(bob_, {.assessment_id = "a-1", .trace_id = id}, {}); });
  refused([&] { tracking_->delete_assessment(bob_, id, "a-1"); });
  refused([&] { tracking_->assessments_of(bob_, id); });
  refused([&] { tracking_->link_prompts(bob_, id, {{"p", "1"}}); });
  const std::string run = tracking_->create_run(bob_, {.experiment_id = other}, {}).info.run_id;
  refused([&] { tracking_->link_traces_to_run(bob_, {id}, run); });
  EXPECT_THAT(tracking_->get_traces(bob_, {id}, true), IsEmpty());
  // Deleting by id within one's own experiment does not reach another's.
  EXPECT_EQ(tracking_->delete_traces(
                bob_, {.experiment_id = other, .max_timestamp_ms = {}, .max_traces = {}, .trace_ids = {id}}),
            0);
  EXPECT_EQ(tracking_->get_traces(ann_, {id, "tr-unknown"}, true).size(), 1u);
}

TEST_F(TracesTest, TagsAndDeletion) {
  const std::string a = trace(ann_, e_, 1);
  const std::string b = trace(ann_, e_, 2);
  const std::string c = trace(ann_, e_, 3);
  tracking_->set_trace_tag(ann_, a, "k", "v");
  tracking_->set_trace_tag(ann_, a, "k", "w");
  EXPECT_EQ(tracking_->get_trace_info(ann_, a).tags.at("k"), "w");
  tracking_->delete_trace_tag(ann_, a, "k");
  std::string message;
  EXPECT_EQ(code_of([&] { tracking_->delete_trace_tag(ann_, a, "k"); }, &message), ErrorCode::kNotFound);
  EXPECT_EQ(message, "No trace tag with key 'k' for trace with ID '" + a + "'");
  for (const char* bad : {"../x", "a/b", "", "a b"}) {
    EXPECT_EQ(code_of([&] { tracking_->get_trace(ann_, bad); }), ErrorCode::kInvalidArgument) << bad;
  }
  const auto remove = [&](std::optional<std::int64_t> time, std::optional<std::int64_t> count,
                          std::vector<std::string> ids) {
    return tracking_->delete_traces(
        ann_, {.experiment_id = e_, .max_timestamp_ms = time, .max_traces = count, .trace_ids = std::move(ids)});
  };
  EXPECT_EQ(code_of([&] { remove({}, {}, {}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { remove(1, {}, {a}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { remove({}, 1, {a}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { remove(1, 0, {}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(remove(0, {}, {}), 0);         // 0 is a time, not "no time"
  EXPECT_EQ(remove(INT64_MAX, 1, {}), 1);  // the oldest
  EXPECT_EQ(code_of([&] { tracking_->get_trace(ann_, a); }), ErrorCode::kNotFound);
  EXPECT_EQ(remove({}, {}, {b, c, c, "tr-none"}), 2);
  EXPECT_EQ(remove({}, {}, {b}), 0);
  EXPECT_THAT(search(""), IsEmpty());
}

TEST_F(TracesTest, WaitsForSpansThatWereAnnounced) {
  TraceInfo info{.trace_id = "tr-" + id32(1),
                 .experiment_id = e_,
                 .request_time = Timestamp::from_millis(1),
                 .metadata = {{"mlflow.trace.sizeStats", R"({"num_spans": 2})"}},
                 .tags = {},
                 .assessments = {}};
  tracking_->start_trace(ann_, info);
  std::string message;
  EXPECT_EQ(code_of([&] { tracking_->get_complete_trace(ann_, info.trace_id, Deadline(Steady::now(), {})); }, &message),
            ErrorCode::kNotFound);
  EXPECT_THAT(message, HasSubstr("is not fully exported yet"));
  std::thread late([&] { tracking_->log_spans(ann_, e_, {span(1, 0), span(1, 1, 0)}, {}); });
  EXPECT_EQ(tracking_->get_complete_trace(ann_, info.trace_id, Deadline()).spans.size(), 2u);
  late.join();
}

TEST_F(TracesTest, SearchFollowsTheGrammar) {
  Span one = span(1, 0);
  one.name = "ask";
  one.attributes.set("mlflow.spanType", "CHAIN");
  Span tool = span(1, 1, 0);
  tool.name = "lookup";
  tool.attributes.set("mlflow.spanType", "TOOL");
  tool.attributes.set("city", "Ghent");
  tool.attributes.set("count", 3);
  tool.attributes.set("ok", true);
  tool.attributes.set("mlflow.spanOutputs", "line one\nsaid \"two\" 色");
  tracking_->log_spans(ann_, e_, {one, tool}, {{"service.name", "it's"}});
  const std::string a = "tr-" + id32(1);
  Span other = span(2, 0);
  other.name = "fail";
  other.status_code = 2;
  other.start_ns += 1'000'000'000;
  other.end_ns = other.start_ns + 90'000'000;
  tracking_->log_spans(ann_, e_, {other}, {});
  const std::string b = "tr-" + id32(2);
  tracking_->set_trace_tag(ann_, b, "weird", "' OR 1=1 --");
  tracking_->create_assessment(ann_, {.trace_id = a, .name = "score", .value = 0});
  tracking_->create_assessment(ann_, {.trace_id = b, .name = "score", .value = 0.5});
  tracking_->create_assessment(ann_, {.trace_id = b, .name = "label", .value = "yes"});
  tracking_->create_assessment(ann_, {.trace_id = a, .name = "good", .value = false});
  tracking_->create_assessment(ann_, {.trace_id = a, .name = "answer", .kind = "expectation", .value = "42"});
  tracking_->link_prompts(ann_, a, {{"qa", "3"}});

  EXPECT_THAT(search(""), ElementsAre(b, a));
  EXPECT_THAT(search("", {"timestamp_ms ASC"}), ElementsAre(a, b));
  EXPECT_THAT(search("", {"execution_time DESC"}), ElementsAre(b, a));
  EXPECT_THAT(search("", {"name ASC"}), ElementsAre(a, b));
  EXPECT_THAT(search("trace.status = 'ERROR'"), ElementsAre(b));
  EXPECT_THAT(search("status IN ('OK', 'ERROR')"), ElementsAre(b, a));
  EXPECT_THAT(search("attributes.execution_time_ms >= 90"), ElementsAre(b));
  EXPECT_THAT(search("timestamp_ms < " + lakeloop::format("{}", other.start_ns / 1'000'000)), ElementsAre(a));
  EXPECT_THAT(search("name = 'ask'"), ElementsAre(a));
  EXPECT_THAT(search("name RLIKE '^a.k$'"), ElementsAre(a));
  EXPECT_THAT(search("tags.`service.name` = \"it's\""), ElementsAre(a));
  EXPECT_THAT(search("tags.weird = ''' OR 1=1 --'"), ElementsAre(b));
  EXPECT_THAT(search("tags.weird IS NULL"), ElementsAre(a));
  EXPECT_THAT(search("tags.weird != 'x'"), ElementsAre(b));
  EXPECT_THAT(search("metadata.`mlflow.trace_schema.version` = '3'"), ElementsAre(b, a));
  EXPECT_THAT(search("span.name = 'lookup' AND span.type = 'TOOL'"), ElementsAre(a));
  EXPECT_THAT(search("span.name = 'lookup' AND span.type = 'CHAIN'"), IsEmpty());  // not on one span
  EXPECT_THAT(search("span.attributes.city = 'Ghent'"), ElementsAre(a));
  EXPECT_THAT(search("span.attributes.count = '3'"), ElementsAre(a));
  EXPECT_THAT(search("span.attributes.ok = 'true'"), ElementsAre(a));
  EXPECT_THAT(search("span.attributes.city RLIKE 'G.*t' AND span.name = 'lookup'"), ElementsAre(a));
  EXPECT_THAT(search("span.attributes.city RLIKE 'G.*t' AND span.name = 'ask'"), IsEmpty());
  EXPECT_THAT(search("trace.text LIKE '%said \"two\" 色%'"), ElementsAre(a));
  EXPECT_THAT(search("text ILIKE '%LOOKUP%'"), ElementsAre(a));
  EXPECT_THAT(search("text LIKE '%LOOKUP%'"), IsEmpty());
  EXPECT_THAT(search("feedback.score = 0"), ElementsAre(a));
  EXPECT_THAT(search("feedback.score = '0'"), ElementsAre(a));
  EXPECT_THAT(search("feedback.score > 0.4"), ElementsAre(b));
  EXPECT_THAT(search("feedback.score != 0"), ElementsAre(b));
  EXPECT_THAT(search("feedback.label = 'yes'"), ElementsAre(b));
  EXPECT_THAT(search("feedback.good = 'false'"), ElementsAre(a));
  EXPECT_THAT(search("feedback.label IS NULL"), ElementsAre(a));
  EXPECT_THAT(search("expectation.answer = '42'"), ElementsAre(a));
  EXPECT_THAT(search("expectation.answer RLIKE '^4'"), ElementsAre(a));
  EXPECT_THAT(search("prompt = 'qa/3'"), ElementsAre(a));
  EXPECT_THAT(search("prompt = 'qa/4'"), IsEmpty());
  EXPECT_THAT(search("request_id = '" + a + "'"), ElementsAre(a));
  for (const char* wrong :
       {"nope = 'x'", "foo.x = 'y'", "status > 5", "timestamp_ms = 'x'", "span.nope = 'x'", "span.content = 'x'",
        "name IN ('a')", "span.attributes.city RLIKE '('", "prompt = 'x'", "issue.name = 'x'", "tags.x = 5",
        "feedback.score IN ('1')", "timestamp_ms > 'abc' AND", "request_id RLIKE 5"}) {
    EXPECT_EQ(code_of([&] { search(wrong); }), ErrorCode::kInvalidArgument) << wrong;
  }
  EXPECT_EQ(code_of([&] { search("", {"feedback.score"}); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { tracking_->search_traces(ann_, {.experiment_ids = {}}); }), ErrorCode::kInvalidArgument);
}

TEST_F(TracesTest, RunsFindTheirTraces) {
  const std::string a = trace(ann_, e_, 1);
  const std::string b = trace(ann_, e_, 2);
  trace(ann_, e_, 3);
  const std::string run = tracking_->create_run(ann_, {.experiment_id = e_}, {}).info.run_id;
  for (int i = 0; i < 2; ++i) tracking_->link_traces_to_run(ann_, {a}, run);
  tracking_->start_trace(ann_, {.trace_id = b,
                                .experiment_id = e_,
                                .request_time = Timestamp::from_millis(1),
                                .metadata = {{"mlflow.sourceRun", run}},
                                .tags = {},
                                .assessments = {}});
  EXPECT_THAT(search("attributes.run_id = '" + run + "'"), testing::UnorderedElementsAre(a, b));
  EXPECT_EQ(code_of([&] { tracking_->link_traces_to_run(ann_, std::vector<std::string>(101, a), run); }),
            ErrorCode::kInvalidArgument);
}

TEST_F(TracesTest, PagesLoseAndRepeatNothingWhileTracesComeAndGo) {
  std::set<std::string> before;
  for (int i = 0; i < 25; ++i) {
    Span s = span(i, 0);  // one time for all
    tracking_->log_spans(ann_, e_, {s}, {});
    before.insert("tr-" + s.trace_id);
  }
  for (const std::int64_t size : {1, 4, 25}) {
    std::atomic<bool> done = false;
    std::thread writer([&] {
      for (int i = 0; !done; ++i) {
        Span s = span(1000 + static_cast<int>(size) * 1000 + i, 0);
        s.start_ns += (i % 2 == 0 ? 1 : -1) * 60'000'000'000LL;
        tracking_->log_spans(ann_, e_, {s}, {});
      }
    });
    std::multiset<std::string> seen;
    std::string token;
    do {
      const auto page =
          tracking_->search_traces(ann_, {.experiment_ids = {e_}, .page = {.max_results = size, .page_token = token}});
      for (const TraceInfo& info : page.first) seen.insert(info.trace_id);
      token = page.second;
    } while (!token.empty() && seen.size() < 5000);
    done = true;
    writer.join();
    for (const std::string& id : before) EXPECT_EQ(seen.count(id), 1u) << id << " with pages of " << size;
    for (const std::string& id : seen) EXPECT_EQ(seen.count(id), 1u) << id;
  }
  std::string token =
      tracking_->search_traces(ann_, {.experiment_ids = {e_}, .page = {.max_results = 1, .page_token = ""}}).second;
  EXPECT_EQ(code_of([&] {
              tracking_->search_traces(
                  ann_,
                  {.experiment_ids = {e_}, .filter = "status = 'OK'", .page = {.max_results = 1, .page_token = token}});
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] {
              tracking_->search_traces(ann_, {.experiment_ids = {e_}, .page = {.max_results = 501, .page_token = ""}});
            }),
            ErrorCode::kInvalidArgument);
}

TEST_F(TracesTest, ALongTraceIsStoredAndRead) {
  constexpr int kSpans = 30'000;
  for (int first = 0; first < kSpans; first += 10'000) {
    std::vector<Span> spans;
    for (int i = first; i < first + 10'000; ++i) {
      Span s = span(1, i, i == 0 ? -1 : (i - 1) / 4);
      s.attributes.set("i", i);
      if (i >= kSpans - 100) s.attributes.set("gen_ai.usage.input_tokens", 1);
      spans.push_back(std::move(s));
    }
    tracking_->log_spans(ann_, e_, spans, {});
  }
  const Trace trace = tracking_->get_trace(ann_, "tr-" + id32(1));
  EXPECT_EQ(trace.spans.size(), static_cast<std::size_t>(kSpans));
  EXPECT_EQ(Json::parse(trace.info.metadata.at("mlflow.trace.tokenUsage"))["input_tokens"].int_or(0), 100);
  EXPECT_THAT(search("span.name = 'span-29999'"), testing::SizeIs(1));
}

TEST_F(TracesTest, WritersOfOneTraceDoNotLoseSpans) {
  std::vector<std::thread> threads;
  for (int w = 0; w < 6; ++w) {
    threads.emplace_back([&, w] {
      for (int i = 0; i < 10; ++i) {
        Span s = span(1, w * 10 + i, w == 0 && i == 0 ? -1 : 0);
        s.attributes.set("gen_ai.usage.input_tokens", w == 0 && i == 0 ? 0 : 1);
        if (w == 0 && i == 0) s.attributes.erase("gen_ai.usage.input_tokens");
        tracking_->log_spans(ann_, e_, {s, span(1, 5, 0)}, {});
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const Trace trace = tracking_->get_trace(ann_, "tr-" + id32(1));
  EXPECT_EQ(trace.spans.size(), 60u);
  EXPECT_EQ(trace.info.state, "OK");
}

}  // namespace
}  // namespace lakeloop::tracking
