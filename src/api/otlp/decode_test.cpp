#include "api/otlp/decode.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <protozero/pbf_writer.hpp>

#include "base/error.h"
#include "codec/encoding.h"

namespace lakeloop::api::otlp {
namespace {

using protozero::pbf_writer;

// A request with one span, as an exporter writes it.
std::string request(const std::function<void(pbf_writer&)>& more = {},
                    std::string_view trace_id = "0123456789abcdef0123456789abcdef") {
  std::string bytes;
  pbf_writer top(bytes);
  pbf_writer resource_spans(top, 1);
  {
    pbf_writer resource(resource_spans, 1);
    pbf_writer attribute(resource, 1);
    attribute.add_string(1, "service.name");
    pbf_writer value(attribute, 2);
    value.add_string(1, "shop");
  }
  {
    pbf_writer scope(resource_spans, 2);
    pbf_writer span(scope, 2);
    span.add_bytes(1, *codec::hex_decode(trace_id));
    span.add_bytes(2, *codec::hex_decode("00000000000000a1"));
    span.add_string(5, "näme");
    span.add_enum(6, 3);
    span.add_fixed64(7, 1'700'000'000'000'000'000);
    span.add_fixed64(8, 1'700'000'000'250'000'000);
    if (more) more(span);
    pbf_writer status(span, 15);
    status.add_string(2, "bad");
    status.add_enum(3, 2);
  }
  return bytes;
}

TEST(OtlpProtobuf, ReadsASpan) {
  const auto batches = decode_protobuf(request([](pbf_writer& span) {
    pbf_writer attribute(span, 9);
    attribute.add_string(1, "list");
    pbf_writer value(attribute, 2);
    pbf_writer list(value, 5);
    {
      pbf_writer item(list, 1);
      item.add_int64(3, -7);
    }
    {
      pbf_writer item(list, 1);
      pbf_writer object(item, 6);
      pbf_writer pair(object, 1);
      pair.add_string(1, "k");
      pbf_writer inner(pair, 2);
      inner.add_bool(2, false);
    }
  }));
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].resource.at("service.name"), "shop");
  const tracking::Span& span = batches[0].spans.at(0);
  EXPECT_EQ(span.trace_id, "0123456789abcdef0123456789abcdef");
  EXPECT_EQ(span.name, "näme");
  EXPECT_EQ(span.kind, 3);
  EXPECT_EQ(span.status_code, 2);
  EXPECT_EQ(span.status_message, "bad");
  EXPECT_EQ(span.end_ns - span.start_ns, 250'000'000);
  EXPECT_EQ(span.attributes["list"], Json::parse(R"([-7, {"k": false}])"));
}

TEST(OtlpProtobuf, RefusesWhatIsNone) {
  const auto code = [](const std::string& bytes) {
    try {
      (void)decode_protobuf(bytes);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  EXPECT_EQ(code(request({}, "00")), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(request({}, std::string(32, '0'))), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(request([](pbf_writer& span) { span.add_string(5, "\xff\xfe"); })), ErrorCode::kMalformedRequest);
  EXPECT_EQ(code(request([](pbf_writer& span) { span.add_fixed64(7, UINT64_MAX); })), ErrorCode::kInvalidArgument);
  // An attribute within an attribute within ...: refused, never a stack overflow.
  std::string deep;
  for (int i = 0; i < 100'000; ++i) {
    std::string value;
    pbf_writer writer(value);
    writer.add_message(
        5, deep.empty() ? "" : [&] {
          std::string list;
          pbf_writer l(list);
          l.add_message(1, deep);
          return list;
        }());
    deep = std::move(value);
    if (deep.size() > 20'000) break;
  }
  EXPECT_EQ(code(request([&](pbf_writer& span) {
              pbf_writer attribute(span, 9);
              attribute.add_string(1, "deep");
              attribute.add_message(2, deep);
            })),
            ErrorCode::kMalformedRequest);
}

// Cut anywhere, with a byte changed, or any bytes at all: an answer or an error of the two kinds.
RC_GTEST_PROP(OtlpProtobuf, AnyBytesEndWell, (const std::string& noise)) {
  std::string bytes = request();
  const auto at = static_cast<std::size_t>(*rc::gen::inRange(0, static_cast<int>(bytes.size())));
  bytes = bytes.substr(0, at) + noise + (*rc::gen::arbitrary<bool>() ? bytes.substr(at) : "");
  try {
    (void)decode_protobuf(bytes);
    (void)decode_json(noise);
  } catch (const Error& error) {
    RC_ASSERT(error.code() == ErrorCode::kMalformedRequest || error.code() == ErrorCode::kInvalidArgument);
  }
}

TEST(OtlpJson, ReadsBothSpellingsAndSaysTheSame) {
  const auto camel = decode_json(
      R"({"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
    "scopeSpans": [{"spans": [{"traceId": "0123456789ABCDEF0123456789abcdef", "spanId": "00000000000000a1", "parentSpanId": "", "name": "näme",
    "kind": "SPAN_KIND_CLIENT", "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": 1700000000250000000, "status": {"code": 2, "message": "bad"},
    "attributes": [{"key": "i", "value": {"intValue": "9007199254740993"}}, {"key": "a", "value": {"arrayValue": {"values": [{"boolValue": false}, {}]}}},
    {"key": "o", "value": {"kvlistValue": {"values": [{"key": "x", "value": {"doubleValue": 0.5}}]}}}],
    "events": [{"name": "e", "timeUnixNano": "5"}], "links": [{"traceId": "aa", "spanId": "bb"}]}]}]}]})");
  const tracking::Span& span = camel.at(0).spans.at(0);
  EXPECT_EQ(span.trace_id, "0123456789abcdef0123456789abcdef");
  EXPECT_EQ(span.kind, 3);
  EXPECT_EQ(span.attributes["i"].int_or(0), 9007199254740993);
  EXPECT_EQ(span.attributes["a"], Json::parse("[false, null]"));
  EXPECT_EQ(span.attributes["o"], Json::parse(R"({"x": 0.5})"));
  EXPECT_EQ(span.events.at(0).time_ns, 5);
  const auto binary = decode_protobuf(request());
  EXPECT_EQ(span.start_ns, binary[0].spans[0].start_ns);
  EXPECT_EQ(camel[0].resource, binary[0].resource);
  EXPECT_EQ(
      decode_json(
          R"({"resource_spans": [{"scope_spans": [{"spans": [{"trace_id": "0123456789abcdef0123456789abcdef", "span_id": "00000000000000a1"}]}]}]})")
          .at(0)
          .spans.size(),
      1u);
}

TEST(OtlpJson, RefusesWhatIsNone) {
  for (const char* text :
       {"", "[]", "{", R"({"resourceSpans": {}})", R"({"resourceSpans": [{"scopeSpans": [{"spans": [1]}]}]})",
        R"({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "x"}]}]}]})"}) {
    EXPECT_THROW((void)decode_json(text), Error) << text;
  }
}

}  // namespace
}  // namespace lakeloop::api::otlp
