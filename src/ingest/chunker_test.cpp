#include "ingest/chunker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "codec/unicode.h"
#include "ingest/parser.h"

namespace lakeloop::ingest {
namespace {

using testing::HasSubstr;

ParsedPage text_of(std::string text) {
  return parse_page(text, "text/plain", "page.txt");
}
ParsedPage markdown_of(std::string text) {
  return parse_page(text, "text/markdown", "page.md");
}

std::string slice(std::string_view text, std::int64_t start, std::int64_t end) {
  const auto begin = codec::byte_offset(text, static_cast<std::size_t>(start));
  return std::string(text.substr(begin, codec::byte_offset(text, static_cast<std::size_t>(end)) - begin));
}

bool is_ascii_blank(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

// The promises of the header, for any page.
void check(const ParsedPage& page, const ChunkOptions& options, const std::vector<Chunk>& chunks,
           const TokenCounter& count) {
  std::vector<bool> covered(page.text.size(), false);
  std::int64_t start = -1;
  std::set<std::string> ids;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const auto& chunk = chunks[i];
    ASSERT_EQ(chunk.index, static_cast<std::int64_t>(i));
    ASSERT_LT(start, chunk.start) << "chunk " << i;
    ASSERT_LT(chunk.start, chunk.end);
    start = chunk.start;
    const auto begin = codec::byte_offset(page.text, static_cast<std::size_t>(chunk.start));
    const auto end = codec::byte_offset(page.text, static_cast<std::size_t>(chunk.end));
    ASSERT_EQ(page.text.substr(begin, end - begin), chunk.text);
    std::fill(covered.begin() + static_cast<std::ptrdiff_t>(begin), covered.begin() + static_cast<std::ptrdiff_t>(end),
              true);
    ASSERT_EQ(count({chunk.text}).at(0), chunk.tokens);
    if (chunk.end - chunk.start > 1) {
      ASSERT_LE(chunk.tokens, options.max_tokens) << chunk.text;
    }
    ASSERT_TRUE(ids.insert(chunk.id).second) << "id twice";
    ASSERT_EQ(chunk.id.size(), 32U);
    if (i > 0 && chunk.start < chunks[i - 1].end) {
      const auto shared = slice(page.text, chunk.start, chunks[i - 1].end);
      // Sentences are counted one by one: a counter that counts blanks between them, too, finds some more.
      if (options.tokenizer == "words") {
        ASSERT_LE(count({shared}).at(0), options.overlap_tokens + 2) << shared;
      }
    }
  }
  for (std::size_t i = 0; i < covered.size(); ++i) {
    const bool blank = is_ascii_blank(page.text[i]) || page.text.substr(i, 2) == "\u00a0" ||
                       (i > 0 && page.text.substr(i - 1, 2) == "\u00a0");
    ASSERT_TRUE(covered[i] || blank) << "lost at byte " << i << ": " << page.text.substr(i, 40);
  }
}

// Words and marks, as WordPiece sees them, with the two marks of a BERT model around each text.
TokenCounter word_counter() {
  return [](const std::vector<std::string>& texts) {
    std::vector<std::int64_t> counts;
    for (const auto& text : texts) {
      std::int64_t tokens = 2;
      std::size_t word = 0;
      for (const char c : text) {
        if (c == '\xc2' || c == '\xa0') continue;  // a no-break space
        const bool letter = std::isalnum(static_cast<unsigned char>(c)) != 0 || static_cast<unsigned char>(c) >= 0x80;
        word = letter ? word + 1 : 0;
        if (letter ? word % 6 == 1 : !is_ascii_blank(c)) ++tokens;
      }
      counts.push_back(tokens);
    }
    return counts;
  };
}

// More together than alone: merges nothing and adds a token for each line feed.
TokenCounter superadditive_counter() {
  return [](const std::vector<std::string>& texts) {
    std::vector<std::int64_t> counts;
    for (const auto& text : texts) {
      const auto points = static_cast<std::int64_t>(codec::count_code_points(text));
      counts.push_back(points / 4 + points * points / 4000 + std::ranges::count(text, '\n') * 3);
    }
    return counts;
  };
}

TEST(Chunker, RefusesSettingsThatMakeNoProgressBeforeAnyWork) {
  const TokenCounter never = [](const std::vector<std::string>&) -> std::vector<std::int64_t> {
    ADD_FAILURE() << "counted";
    return {};
  };
  const std::pair<std::int64_t, std::int64_t> bad[] = {{100, 100}, {100, 150}, {100, -1}, {0, 0}, {-5, 0}};
  for (const auto& [size, overlap] : bad) {
    try {
      (void)chunk_page("a", text_of("Some text."), {size, overlap, "t"}, never);
      ADD_FAILURE() << size << "/" << overlap;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_THAT(error.message(), HasSubstr("max_tokens is " + std::to_string(size)));
      EXPECT_THAT(error.message(), HasSubstr("overlap_tokens is " + std::to_string(overlap)));
    }
  }
}

TEST(Chunker, RefusesASizeThatTheModelsMarksFill) {
  EXPECT_THROW((void)chunk_page("a", text_of("Some text."), {2, 0, "t"}, word_counter()), Error);
  EXPECT_FALSE(chunk_page("a", text_of("Some text."), {3, 0, "t"}, word_counter()).empty());
}

TEST(Chunker, GivesNoChunkForNothing) {
  for (const auto* text : {"", " ", "\n\n \t\n", "\u00a0\u2003\n"}) {
    EXPECT_TRUE(chunk_page("a", text_of(text), {}, approximate_token_counter()).empty());
  }
}

TEST(Chunker, KeepsOffsetsInCodePointsWhereTextRepeats) {
  std::string text;
  for (int i = 0; i < 70; ++i) {
    text += "echo echo echo. ";
    if (i % 9 == 3) text += "\U0001F600 ";
    if (i % 11 == 5) text += "\U0001F468\u200D\U0001F469\u200D\U0001F467 family. ";
    if (i % 13 == 7) text += "\u6f22\u5b57\u306e\u6587\u3002";
  }
  const auto page = text_of(text);
  for (const auto& [name, count] :
       {std::pair{"approximate", approximate_token_counter()}, std::pair{"words", word_counter()},
        std::pair{"superadditive", superadditive_counter()}}) {
    for (const std::int64_t size : {10, 40, 220}) {
      for (const std::int64_t overlap : {std::int64_t{0}, size / 10, size / 2}) {
        SCOPED_TRACE(testing::Message() << name << " " << size << "/" << overlap);
        const ChunkOptions options{size, overlap, name};
        check(page, options, chunk_page("a", page, options, count), count);
      }
    }
  }
}

TEST(Chunker, OverlapsByWholeSentences) {
  std::string text;
  for (int i = 0; i < 60; ++i) text += "Sentence number " + std::to_string(i) + " is here. ";
  const auto page = text_of(text);
  const auto chunks = chunk_page("a", page, {60, 20, "words"}, word_counter());
  ASSERT_GT(chunks.size(), 3U);
  for (std::size_t i = 1; i < chunks.size(); ++i) {
    EXPECT_LT(chunks[i].start, chunks[i - 1].end);
    EXPECT_TRUE(chunks[i].text.starts_with("Sentence number"));
  }
}

TEST(Chunker, CutsAWordLongerThanTheSize) {
  const auto page = text_of("Before. " + std::string(500, 'w') + " After.");
  const auto chunks = chunk_page("a", page, {20, 5, "t"}, approximate_token_counter());
  check(page, {20, 5, "t"}, chunks, approximate_token_counter());
}

TEST(Chunker, EndsOnAMegabyteWithoutABlank) {
  const auto page = text_of(std::string(1'000'000, 'x'));
  for (const auto overlap : {0, 110}) {
    const ChunkOptions options{220, overlap, "t"};
    const auto chunks = chunk_page("a", page, options, approximate_token_counter());
    check(page, options, chunks, approximate_token_counter());
    EXPECT_GT(chunks.size(), 1000U);
    EXPECT_LT(chunks.size(), 8000U);
  }
  // A model that sees one unknown token in all of it must not get a chunk of a megabyte.
  const TokenCounter one = [](const std::vector<std::string>& texts) {
    return std::vector<std::int64_t>(texts.size(), 1);
  };
  for (const auto& chunk : chunk_page("a", page, {220, 0, "t"}, one)) ASSERT_LE(chunk.end - chunk.start, 220 * 16);
}

TEST(Chunker, KeepsGraphemeClustersWhole) {
  const std::string family = "\U0001F468\u200D\U0001F469\u200D\U0001F467";  // 5 code points
  std::string text;
  for (int i = 0; i < 300; ++i) text += family;
  const auto page = text_of(text);
  const auto chunks = chunk_page("a", page, {22, 0, "t"}, approximate_token_counter());
  check(page, {22, 0, "t"}, chunks, approximate_token_counter());
  for (const auto& chunk : chunks) EXPECT_EQ(chunk.text.size() % family.size(), 0U);
  // Where not even one cluster fits, code points are cut.
  const auto tiny = chunk_page("a", page, {2, 0, "t"}, approximate_token_counter());
  check(page, {2, 0, "t"}, tiny, approximate_token_counter());
}

TEST(Chunker, DropsNoTextBetweenBlanks) {
  const auto page = text_of("a" + std::string(20'000, ' ') + "b" + std::string(20'000, ' ') + "c");
  for (const auto& count : {approximate_token_counter(), word_counter()}) {
    check(page, {30, 10, "t"}, chunk_page("a", page, {30, 10, "t"}, count), count);
  }
}

TEST(Chunker, PutsAHeadingWithWhatFollows) {
  std::string text = "# Guide\n\n";
  for (int i = 0; i < 6; ++i) {
    text += "## Part " + std::to_string(i) + "\n\n";
    for (int j = 0; j <= i * 3; ++j) text += "Word one two three four five six seven eight nine ten.\n\n";
  }
  const auto page = markdown_of(text);
  for (const std::int64_t size : {30, 60, 220}) {
    const ChunkOptions options{size, 0, "t"};
    const auto chunks = chunk_page("a", page, options, word_counter());
    check(page, options, chunks, word_counter());
    for (const auto& chunk : chunks) {
      const auto last_line = chunk.text.substr(chunk.text.rfind('\n') + 1);
      EXPECT_FALSE(last_line.starts_with('#')) << size << ": " << chunk.text;
    }
  }
  const auto chunks = chunk_page("a", page, {220, 30, "t"}, word_counter());
  EXPECT_TRUE(chunks.front().text.starts_with("# Guide\n\n## Part 0"));
  EXPECT_EQ(chunks.front().section, "Guide > Part 0");
  EXPECT_EQ(chunks.back().section, "Guide > Part 5");
  EXPECT_EQ(chunks.size(), 6U);
}

TEST(Chunker, MergesSmallBlocksAndLeavesNoCrumb) {
  std::string text;
  for (int i = 0; i < 30; ++i) text += "One two three four five six.\n\n";
  text += "End.\n";
  const auto page = text_of(text);
  const auto chunks = chunk_page("a", page, {50, 0, "t"}, word_counter());
  check(page, {50, 0, "t"}, chunks, word_counter());
  EXPECT_EQ(chunks.size(), 5U);
  for (const auto& chunk : chunks) EXPECT_GT(chunk.tokens, 25);
}

TEST(Chunker, KeepsABlockWholeThatFits) {
  std::string code = "```rust\n";
  for (int i = 0; i < 12; ++i) code += "    let x" + std::to_string(i) + " = 1;\n";
  code += "```";
  std::string text = "# T\n\n";
  for (int i = 0; i < 5; ++i) text += "A few words of text stand here in a line.\n\n";
  text += code + "\n\nAnd after it some more words.\n";
  const auto page = markdown_of(text);
  for (const std::int64_t size : {90, 100, 120}) {
    const auto chunks = chunk_page("a", page, {size, 20, "t"}, word_counter());
    check(page, {size, 20, "t"}, chunks, word_counter());
    EXPECT_TRUE(std::ranges::any_of(chunks, [&](const Chunk& chunk) { return chunk.text.contains(code); })) << size;
  }
}

TEST(Chunker, CutsCodeAtLinesAndKeepsIndentation) {
  std::string text = "```\n";
  for (int i = 0; i < 80; ++i) text += "    call(" + std::to_string(i) + ");\n";
  text += "```\n";
  const auto page = markdown_of(text);
  const auto chunks = chunk_page("a", page, {40, 0, "t"}, word_counter());
  check(page, {40, 0, "t"}, chunks, word_counter());
  ASSERT_GT(chunks.size(), 5U);
  for (std::size_t i = 1; i < chunks.size(); ++i)
    EXPECT_TRUE(chunks[i].text.starts_with("    call(")) << chunks[i].text;
}

TEST(Chunker, KeepsTheIdOfAnUnchangedChunkThatMoved) {
  const auto body = std::string("## B\n\nThis stays as it is.\n\n## C\n\nThis too.\n");
  const auto before = chunk_page("a.md", markdown_of("# A\n\nOld.\n\n" + body), {}, word_counter());
  const auto after = chunk_page("a.md", markdown_of("# A\n\nNew and longer text.\n\n" + body), {}, word_counter());
  ASSERT_EQ(before.size(), 3U);
  ASSERT_EQ(after.size(), 3U);
  EXPECT_NE(before[0].id, after[0].id);
  EXPECT_EQ(before[1].id, after[1].id);
  EXPECT_EQ(before[2].id, after[2].id);
  EXPECT_NE(before[1].start, after[1].start);
  EXPECT_NE(chunk_page("b.md", markdown_of("# A\n\nOld.\n\n" + body), {}, word_counter())[1].id, before[1].id);
}

TEST(Chunker, CountsInFewCalls) {
  std::string text;
  for (int i = 0; i < 400; ++i)
    text += "Here is sentence " + std::to_string(i) + " of a long page. " + (i % 7 == 0 ? "\n\n" : "");
  int calls = 0;
  const auto words = word_counter();
  const TokenCounter counted = [&](const std::vector<std::string>& texts) {
    ++calls;
    return words(texts);
  };
  (void)chunk_page("a", text_of(text), {}, counted);
  EXPECT_LE(calls, 3);  // the empty text, the units, the chunks
}

TEST(Chunker, NamesACounterThatAnswersWrong) {
  const TokenCounter broken = [](const std::vector<std::string>&) { return std::vector<std::int64_t>{}; };
  EXPECT_THROW((void)chunk_page("a", text_of("Text."), {}, broken), Error);
}

TEST(Chunker, ToleratesSectionsAndBlocksOutOfOrder) {
  auto page = text_of("one two three\n\nfour five six\n\nseven");
  page.blocks = {
      {BlockKind::kCode, 15, 28}, {BlockKind::kList, 3, 500}, {BlockKind::kTable, -4, 6}, {BlockKind::kQuote, 9, 2}};
  page.sections = {{{"B"}, 15, 30}, {{"A"}, 2, 15}, {{"C"}, 900, 1000}};
  const auto chunks = chunk_page("a", page, {10, 2, "t"}, word_counter());
  check(page, {10, 2, "t"}, chunks, word_counter());
}

TEST(Chunker, HoldsItsPromisesOnRandomPages) {
  std::mt19937 random(20261125);
  const std::vector<std::string> pieces = {"word ",
                                           "Sentence here. ",
                                           "\n",
                                           "\n\n",
                                           "# Head\n\n",
                                           "## Sub\n\n",
                                           "- item\n",
                                           "1. first\n",
                                           "```\n",
                                           "    code\n",
                                           "| a | b |\n",
                                           "|---|---|\n",
                                           "> quote\n",
                                           "\U0001F469\u200D\U0001F680",
                                           "\u6f22\u5b57\u3002",
                                           "e\u0301",
                                           "<!-- note -->",
                                           "\t",
                                           "   ",
                                           "\u00a0",
                                           "<div>\n",
                                           "</div>\n",
                                           "---\n",
                                           "===\n",
                                           "`c`",
                                           "[a]: b\n",
                                           "\r\n",
                                           "supercalifragilistic",
                                           "\u0915\u094d\u0937 ",
                                           "* * *\n",
                                           "\\",
                                           "&amp;"};
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    const auto length = random() % 120;
    for (std::size_t i = 0; i < length; ++i) {
      const auto& piece = pieces[random() % pieces.size()];
      for (auto repeat = random() % 3 == 0 ? random() % 12 : 1; repeat > 0; --repeat) text += piece;
    }
    const auto page = random() % 2 == 0 ? markdown_of(text) : text_of(text);
    const auto size = static_cast<std::int64_t>(3 + random() % 60);
    const auto kind = random() % 3;
    const ChunkOptions options{size, static_cast<std::int64_t>(random()) % size, kind == 1 ? "words" : "t"};
    const auto count = kind == 0 ? superadditive_counter() : kind == 1 ? word_counter() : approximate_token_counter();
    SCOPED_TRACE(text);
    const auto chunks = chunk_page("a", page, options, count);
    check(page, options, chunks, count);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace lakeloop::ingest
