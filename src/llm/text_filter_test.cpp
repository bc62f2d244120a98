#include "llm/text_filter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace lakeloop::llm {
namespace {

std::string through(std::vector<std::string> stops, std::string_view text, const std::vector<std::size_t>& cuts,
                    bool* stopped = nullptr) {
  TextFilter filter(std::move(stops));
  std::string out;
  std::size_t from = 0;
  for (const std::size_t cut : cuts) {
    if (filter.stopped()) break;
    out += filter.feed(text.substr(from, cut - from));
    from = cut;
  }
  if (!filter.stopped()) out += filter.feed(text.substr(from));
  out += filter.finish();
  if (stopped != nullptr) *stopped = filter.stopped();
  return out;
}

// The plain rule, written without regard to pieces.
std::string expected(const std::vector<std::string>& stops, std::string_view text) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::size_t longest = 0;
    for (const auto& stop : stops) {
      if (text.substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
    }
    if (longest > 0) return std::string(text.substr(0, end - longest));
  }
  return std::string(text);
}

TEST(TextFilter, EverySubstringAsStopInEverySlicing) {
  const std::string text = "abab aabb — caf\u00e9 \U0001F680ab\n[2] The end. abab";
  for (std::size_t from = 0; from < text.size(); ++from) {
    for (std::size_t length = 1; length <= 6 && from + length <= text.size(); ++length) {
      const std::string stop = text.substr(from, length);
      const auto continuation = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; };
      if (continuation(stop[0]) || (from + length < text.size() && continuation(text[from + length])))
        continue;  // no text
      for (std::size_t piece = 1; piece <= 7; ++piece) {
        std::vector<std::size_t> cuts;
        for (std::size_t at = piece; at < text.size(); at += piece) cuts.push_back(at);
        bool stopped = false;
        EXPECT_EQ(through({stop}, text, cuts, &stopped), expected({stop}, text)) << stop << " / " << piece;
        EXPECT_TRUE(stopped);
      }
    }
  }
}

TEST(TextFilter, SeveralStops) {
  const std::string text = "one two three twofold";
  for (const std::vector<std::string>& stops : std::vector<std::vector<std::string>>{{"tw", "two"},
                                                                                     {"two", "tw"},
                                                                                     {"wo", "two"},
                                                                                     {"two three four", "three"},
                                                                                     {"twofolds", "zzz"},
                                                                                     {"e two", "two t"}}) {
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
      std::vector<std::size_t> cuts;
      for (std::size_t at = piece; at < text.size(); at += piece) cuts.push_back(at);
      EXPECT_EQ(through(stops, text, cuts), expected(stops, text)) << stops[0] << "|" << stops[1] << " / " << piece;
    }
  }
}

TEST(TextFilter, AStopThatOnlyBeginsIsNotLost) {
  bool stopped = true;
  EXPECT_EQ(through({"world peace"}, "hello world", {3, 8}, &stopped), "hello world");
  EXPECT_FALSE(stopped);
}

TEST(TextFilter, RandomSlicingsAndStops) {
  std::mt19937 random(7);
  const auto pick = [&](int highest) { return std::uniform_int_distribution<int>(0, highest)(random); };
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (int i = pick(40); i > 0; --i) text += static_cast<char>('a' + pick(2));
    std::vector<std::string> stops;
    for (int i = pick(3); i > 0; --i) {
      std::string stop;
      for (int k = 1 + pick(4); k > 0; --k) stop += static_cast<char>('a' + pick(2));
      stops.push_back(stop);
    }
    std::vector<std::size_t> cuts;
    for (std::size_t at = 0; at < text.size(); at += static_cast<std::size_t>(1 + pick(5))) cuts.push_back(at);
    ASSERT_EQ(through(stops, text, cuts), expected(stops, text));
  }
}

TEST(Utf8Assembler, NeverGivesHalfACodePoint) {
  const std::string text = "a\u00e9\u4e16\U0001F680z";
  Utf8Assembler assembler;
  std::string joined;
  for (const char byte : text) {
    const std::string piece = assembler.feed({&byte, 1});
    EXPECT_TRUE(piece.empty() || (static_cast<unsigned char>(piece[0]) & 0xC0U) != 0x80U);
    joined += piece;
  }
  EXPECT_EQ(joined + assembler.finish(), text);
}

TEST(Utf8Assembler, ReplacesWhatIsNoText) {
  const auto whole = [](std::string_view bytes) {
    Utf8Assembler assembler;
    std::string out = assembler.feed(bytes);
    return out + assembler.finish();
  };
  EXPECT_EQ(whole("a\xFFz"), "a\uFFFDz");
  EXPECT_EQ(whole("\xE4\xB8"), "\uFFFD");                            // cut
  EXPECT_EQ(whole("\xE4\xB8z"), "\uFFFDz");                          // broken off
  EXPECT_EQ(whole("\xC0\xAF"), "\uFFFD\uFFFD");                      // overlong
  EXPECT_EQ(whole("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");            // surrogate
  EXPECT_EQ(whole("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");  // beyond Unicode
  EXPECT_EQ(whole(std::string_view("a\0b", 3)), "a\uFFFDb");
}

}  // namespace
}  // namespace lakeloop::llm
