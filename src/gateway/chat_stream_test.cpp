#include "gateway/chat_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>

#include "base/error.h"
#include "gateway/upstream_error.h"

namespace lakeloop::gateway {
namespace {

struct Seen {
  std::vector<ChatChunk> chunks;
  std::function<bool(const ChatChunk&)> on_chunk = [this](const ChatChunk& chunk) {
    chunks.push_back(chunk);
    return true;
  };
  // The calls as a client puts the deltas together.
  std::map<std::int64_t, std::array<std::string, 3>> calls() const {
    std::map<std::int64_t, std::array<std::string, 3>> out;
    for (const ChatChunk& chunk : chunks) {
      if (!chunk.tool_calls.is_array()) continue;
      for (const Json& item : chunk.tool_calls.items()) {
        auto& call = out[item["index"].as_int()];
        if (item.contains("id")) {
          EXPECT_TRUE(call[0].empty()) << "the id comes once";
          call[0] = item.str("id");
          EXPECT_EQ(item.str("type"), "function");
        }
        call[1] += item["function"].str("name");
        call[2] += item["function"].str("arguments");
      }
    }
    return out;
  }
};

std::string delta(const std::string& tool_calls) {
  return R"({"choices":[{"index":0,"delta":{"tool_calls":[)" + tool_calls + "]}}]}";
}
const std::string kEnd = R"({"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]})";

void expect_calls(const std::vector<std::string>& events, const std::vector<std::array<std::string, 3>>& expected) {
  Seen seen;
  ChatStream stream(seen.on_chunk);
  for (const std::string& event : events) EXPECT_TRUE(stream.event(event));
  EXPECT_TRUE(stream.event(kEnd));
  const ChatResult result = stream.result();
  const auto streamed = seen.calls();
  ASSERT_EQ(result.tool_calls.size(), expected.size());
  ASSERT_EQ(streamed.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Json& call = result.tool_calls.at(i);
    const auto& deltas = streamed.at(static_cast<std::int64_t>(i));
    if (!expected[i][0].empty()) {
      EXPECT_EQ(call.str("id"), expected[i][0]);
    }
    EXPECT_FALSE(call.str("id").empty());
    EXPECT_EQ(call["function"].str("name"), expected[i][1]);
    EXPECT_EQ(call["function"].str("arguments"), expected[i][2]);
    EXPECT_TRUE(Json::try_parse(call["function"].str("arguments")));
    EXPECT_EQ(deltas[0], call.str("id"));
    EXPECT_EQ(deltas[1], expected[i][1]);
    EXPECT_EQ(deltas[2], expected[i][2]);
  }
  EXPECT_EQ(result.finish_reason, "tool_calls");
}

TEST(ToolCalls, Interleaved) {
  expect_calls({delta(R"({"index":0,"id":"call_a","function":{"name":"weather","arguments":"{\"ci"}})"),
                delta(R"({"index":1,"id":"call_b","function":{"name":"stock","arguments":"{\"tick"}})"),
                delta(R"({"index":0,"function":{"arguments":"ty\":\"Gh"}})"),
                delta(R"({"index":1,"function":{"arguments":"er\":\"AB"}})"),
                delta(R"({"index":0,"function":{"arguments":"ent\"}"}})"),
                delta(R"({"index":1,"function":{"arguments":"I\"}"}})")},
               {{"call_a", "weather", R"({"city":"Ghent"})"}, {"call_b", "stock", R"({"ticker":"ABI"})"}});
}

TEST(ToolCalls, ANewIdOnAUsedIndexIsANewCall) {
  expect_calls({delta(R"({"index":0,"id":"c0","function":{"name":"weather","arguments":"{\"city\":\"Pa\"}"}})"),
                delta(R"({"index":0,"id":"c1","function":{"name":"stock","arguments":"{\"ticker\":"}})"),
                delta(R"({"index":0,"function":{"arguments":"\"AB\"}"}})")},
               {{"c0", "weather", R"({"city":"Pa"})"}, {"c1", "stock", R"({"ticker":"AB"})"}});
}

TEST(ToolCalls, WithoutIndexWithoutIdWithRepeatedIdAndObjects) {
  expect_calls(
      {delta(R"({"id":"a","function":{"name":"f","arguments":"{\"x\""}})"),
       delta(R"({"function":{"arguments":":1}"}})"), delta(R"({"id":"b","function":{"name":"g","arguments":"{}"}})")},
      {{"a", "f", R"({"x":1})"}, {"b", "g", "{}"}});
  expect_calls(
      {delta(
          R"({"index":0,"function":{"name":"f","arguments":"{}"}},{"index":1,"function":{"name":"g","arguments":"{}"}})")},
      {{"", "f", "{}"}, {"", "g", "{}"}});
  expect_calls({delta(R"({"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":"}})"),
                delta(R"({"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"2}"}})")},
               {{"a", "f", R"({"x":2})"}});
  expect_calls({delta(R"({"index":0,"id":"a","function":{"name":"f","arguments":{"x":[1,2]}}})")},
               {{"a", "f", R"({"x":[1,2]})"}});
  expect_calls({delta(R"({"index":3,"id":"a","function":{"name":"f"}})")}, {{"a", "f", "{}"}});  // no arguments at all
}

TEST(ChatStream, UsageWhereverItComes) {
  const std::function<bool(const ChatChunk&)> none;
  for (
      const char* event :
      {R"({"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4}}})",
       R"({"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4}}})",
       R"({"choices":[],"x_groq":{"usage":{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4}}}})"}) {
    ChatStream stream(none);
    EXPECT_TRUE(stream.event(
        R"({"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"hi"}}],"usage":null})"));
    EXPECT_FALSE(stream.has_usage());
    EXPECT_TRUE(stream.event(event));
    const ChatResult result = stream.result();
    EXPECT_TRUE(stream.has_usage());
    EXPECT_EQ(result.usage.prompt_tokens, 9);
    EXPECT_EQ(result.usage.cached_tokens, 4);
    EXPECT_EQ(result.usage.to_openai()["total_tokens"], Json(14));
    EXPECT_EQ(result.content, "hi");
    EXPECT_EQ(result.model, "m");
  }
}

TEST(ChatStream, WhatIsNoChunkAndWhatIsNoEnd) {
  Seen seen;
  ChatStream stream(seen.on_chunk);
  EXPECT_TRUE(
      stream.event(R"({"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]})"));
  EXPECT_FALSE(stream.started());  // a role is no piece: a retry is still possible
  EXPECT_TRUE(stream.event(R"({"choices":[{"index":1,"delta":{"content":"other"}}]})"));
  EXPECT_TRUE(stream.event(R"({"choices":[{"index":0,"delta":{"content":null}}]})"));
  EXPECT_TRUE(stream.event(R"({"object":"ping"})"));
  EXPECT_FALSE(stream.started());
  EXPECT_FALSE(stream.finished());
  EXPECT_TRUE(stream.event("[DONE]"));
  EXPECT_FALSE(stream.finished());
  EXPECT_THROW(stream.event("{broken"), Error);
  EXPECT_THROW(stream.event("[1]"), Error);
  EXPECT_THROW(stream.event(R"({"error":{"message":"overloaded"}})"), Error);
}

net::Response answer(int status, std::string body,
                     std::initializer_list<std::pair<const char*, const char*>> headers = {}) {
  net::Response response;
  response.status = status;
  response.body = std::move(body);
  for (const auto& [name, value] : headers) response.headers.set(name, value);
  return response;
}

TEST(UpstreamError, WhoseFaultAndWhetherToRetry) {
  const std::vector<std::string> secrets = {"Bearer sk-secret-1234567890", "sk-secret-1234567890"};
  const auto of = [&](int status, std::string body,
                      std::initializer_list<std::pair<const char*, const char*>> headers = {}) {
    return refusal_of(answer(status, std::move(body), headers), secrets);
  };
  for (const int status : {401, 403}) {
    const Refusal refusal = of(status, R"({"error":{"message":"Incorrect API key provided: sk-secret-1234567890"}})");
    EXPECT_EQ(refusal.error.code(), ErrorCode::kUpstream);
    EXPECT_THAT(refusal.error.message(), ::testing::HasSubstr("the provider refused its credentials"));
    EXPECT_THAT(refusal.error.message(), ::testing::Not(::testing::HasSubstr("secret")));
    EXPECT_FALSE(refusal.retry);
  }
  const Refusal bad = of(
      400,
      R"({"error":{"message":"max_tokens is too large, key sk-secret-1234567890, or sk-proj-abcd****wxyz","param":"max_tokens"}})");
  EXPECT_EQ(bad.error.code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(bad.error.param(), "max_tokens");
  EXPECT_THAT(bad.error.message(), ::testing::HasSubstr("max_tokens is too large, key [hidden], or [hidden]"));
  EXPECT_FALSE(bad.retry);
  const Refusal limited = of(429, R"({"error":{"message":"slow down"}})", {{"retry-after", "7"}});
  EXPECT_EQ(limited.error.code(), ErrorCode::kRateLimited);
  EXPECT_EQ(limited.error.retry_after(), std::chrono::seconds(7));
  EXPECT_THAT(limited.error.message(), ::testing::HasSubstr("slow down"));
  EXPECT_TRUE(limited.retry);
  EXPECT_FALSE(of(429, R"({"error":{"message":"x","code":"insufficient_quota"}})").retry);
  EXPECT_EQ(of(413, "").error.code(), ErrorCode::kTooLarge);
  for (const int status : {408, 500, 502, 503, 529}) {
    EXPECT_TRUE(of(status, "<html>").retry) << status;
    EXPECT_EQ(of(status, "<html>").error.code(), ErrorCode::kUpstream);
  }
  EXPECT_FALSE(of(503, "", {{"x-should-retry", "false"}}).retry);
  EXPECT_FALSE(of(404, R"({"error":"no such model"})").retry);
  EXPECT_EQ(of(404, R"({"error":"no such model"})").error.code(), ErrorCode::kUpstream);
  EXPECT_EQ(of(302, "").error.code(), ErrorCode::kUpstream);
}

TEST(UpstreamError, RetryAfterInEveryForm) {
  using namespace std::chrono;
  const auto now = system_clock::from_time_t(1445412480);  // Wed, 21 Oct 2015 07:28:00 GMT
  const auto of = [&](const char* name, const char* value) {
    net::Headers headers;
    headers.set(name, value);
    return retry_after_of(headers, now);
  };
  EXPECT_EQ(of("retry-after-ms", "1500"), 1500ms);
  EXPECT_EQ(of("x-ms-retry-after-ms", "20"), 20ms);
  EXPECT_EQ(of("retry-after", "3"), 3000ms);
  EXPECT_EQ(of("retry-after", " 0.5 "), 500ms);
  EXPECT_EQ(of("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT"), 30000ms);
  EXPECT_EQ(of("retry-after", "Wed, 21 Oct 2015 07:27:30 GMT"), 0ms);
  EXPECT_EQ(of("retry-after", "-5"), 0ms);
  EXPECT_EQ(of("retry-after", "soon"), std::nullopt);
  EXPECT_EQ(of("other", "3"), std::nullopt);
  EXPECT_LE(*of("retry-after", "1e300"), 24h);
}

}  // namespace
}  // namespace lakeloop::gateway
