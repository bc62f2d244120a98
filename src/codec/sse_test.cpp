#include "codec/sse.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "base/error.h"
#include "codec/json.h"

namespace lakeloop::codec {
namespace {

using Events = std::vector<std::pair<std::string, std::string>>;

Events parse(const std::vector<std::string_view>& slices) {
  Events events;
  SseParser parser([&](SseEvent event) { events.emplace_back(event.event, event.data); });
  for (const std::string_view slice : slices) parser.feed(slice);
  return events;
}
Events parse(std::string_view text) {
  return parse(std::vector{text});
}

TEST(SseParser, FollowsTheStandard) {
  EXPECT_EQ(parse("data: a\n\ndata:b\n\ndata:  c\n\n"), (Events{{"", "a"}, {"", "b"}, {"", " c"}}));
  EXPECT_EQ(parse("data: a\ndata: b\n\n"), (Events{{"", "a\nb"}}));
  EXPECT_EQ(parse("data\n\n"), (Events{{"", ""}}));
  EXPECT_EQ(parse("data\ndata\n\n"), (Events{{"", "\n"}}));
  EXPECT_EQ(parse("data:\n\ndata: "), (Events{{"", ""}}));  // the last one is not complete
  EXPECT_EQ(parse("event: x\ndata: 1\n\ndata: 2\n\n"), (Events{{"x", "1"}, {"", "2"}}));
  EXPECT_EQ(parse("event: x\n\ndata: 2\n\n"), (Events{{"", "2"}}));  // no data: no event, and its name is gone
  EXPECT_EQ(parse(": PROCESSING\n\n: ping\n\nid: 7\nretry: 3000\n\ndata: a\nid\n\n"), (Events{{"", "a"}}));
  EXPECT_EQ(parse("datax: no\n data: no\nDATA: no\ndata: yes\n\n"), (Events{{"", "yes"}}));
  EXPECT_EQ(parse("data: a: b\n\n"), (Events{{"", "a: b"}}));
}

TEST(SseParser, EndsLinesAtCrLfCrlfOnly) {
  EXPECT_EQ(parse("data: a\r\rdata: b\r\n\r\ndata: c\n\n"), (Events{{"", "a"}, {"", "b"}, {"", "c"}}));
  EXPECT_EQ(parse("data: a\r\n\rdata: b\r\n\n"), (Events{{"", "a"}, {"", "b"}}));
  EXPECT_EQ(parse("data: line\u2028sep\u2029par\u0085nel\v\f\n\n"),
            (Events{{"", "line\u2028sep\u2029par\u0085nel\v\f"}}));
}

TEST(SseParser, DropsOneByteOrderMark) {
  EXPECT_EQ(parse("\uFEFFdata: a\n\ndata: \uFEFFb\n\n"), (Events{{"", "a"}, {"", "\uFEFFb"}}));
  EXPECT_EQ(parse("\uFEFF\n\uFEFFdata: a\n\n"), Events{});  // only at the very start
}

TEST(SseParser, DoesNotCareHowBytesAreSliced) {
  const std::string text =
      "\uFEFF: hello\r\ndata: {\"a\":\"größe 🚀\"}\r\n\r\nevent: delta\rdata:x\rdata: y\r\r\n"
      ":ping\n\ndata: line\u2028sep\n\nid: 1\ndata\n\n\n\ndata: [DONE]\r\n\r\n";
  const Events whole = parse(text);
  ASSERT_EQ(whole.size(), 5u);
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(parse({std::string_view(text).substr(0, cut), std::string_view(text).substr(cut)}), whole) << cut;
  }
  std::mt19937 random(42);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string_view> slices;
    const std::size_t longest = 1 + random() % 12;
    for (std::string_view rest = text; !rest.empty();) {
      const std::size_t size = std::min<std::size_t>(rest.size(), random() % (longest + 1));
      slices.push_back(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    ASSERT_EQ(parse(slices), whole) << "round " << round;
  }
}

TEST(SseParser, HasALimit) {
  SseParser line([](SseEvent) {}, 100);
  EXPECT_THROW(line.feed(std::string(101, 'a')), Error);
  SseParser pieces([](SseEvent) {}, 100);
  EXPECT_THROW(
      {
        for (int i = 0; i < 1000; ++i) pieces.feed("data: 0123456789\n");
      },
      Error);
  int events = 0;
  SseParser many([&](SseEvent) { ++events; }, 100);
  for (int i = 0; i < 1000; ++i) many.feed("data: 0123456789\n\n");
  EXPECT_EQ(events, 1000);
}

TEST(SseWriter, EscapesWhatClientsSplitOn) {
  const std::string json = Json::object({{"t", "line\u2028sep\u2029par\u0085nel \u20AC \u00A9"}}).dump();
  const std::string text = sse_data(json);
  EXPECT_EQ(text, "data: {\"t\":\"line\\u2028sep\\u2029par\\u0085nel \u20AC \u00A9\"}\n\n");
  const Events events = parse(text);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(Json::parse(events[0].second), Json::parse(json));
  EXPECT_EQ(sse_event("message_stop", "{}"), "event: message_stop\ndata: {}\n\n");
  EXPECT_EQ(sse_data("[DONE]"), "data: [DONE]\n\n");
  EXPECT_EQ(sse_data(""), "data: \n\n");
  // Even a text of several lines is one event.
  EXPECT_EQ(parse(sse_data("{\r\n}\n\rx")), (Events{{"", "{\n}\n\nx"}}));
}

TEST(SseWriter, HeartbeatIsNoEvent) {
  EXPECT_EQ(parse(std::string(kSseHeartbeat) + sse_data("1") + std::string(kSseHeartbeat) + sse_data("2")),
            (Events{{"", "1"}, {"", "2"}}));
}

}  // namespace
}  // namespace lakeloop::codec
