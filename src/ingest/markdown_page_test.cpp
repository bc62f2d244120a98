#include "ingest/markdown_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "codec/unicode.h"
#include "ingest/parser.h"

namespace lakeloop::ingest {
namespace {

using testing::ElementsAre;

std::string slice(std::string_view text, std::int64_t start, std::int64_t end) {
  const auto begin = codec::byte_offset(text, static_cast<std::size_t>(start));
  return std::string(text.substr(begin, codec::byte_offset(text, static_cast<std::size_t>(end)) - begin));
}

// "kind: text" of each block.
std::vector<std::string> blocks_of(const ParsedPage& page) {
  std::vector<std::string> blocks;
  for (const auto& block : page.blocks) {
    blocks.push_back(std::string(to_string(block.kind)) + ": " + slice(page.text, block.start, block.end));
  }
  return blocks;
}

TEST(MarkdownPage, KeepsTheSourceAsItsText) {
  const std::string source = "# T\u00eftle\r\n\r\nA *b* `c` [d](e)\nwrapped.\r\n\r\n\r\nEnd";
  const auto page = markdown_page(source);
  EXPECT_EQ(page.text, source);
  EXPECT_EQ(page.title, "T\u00eftle");
  EXPECT_THAT(blocks_of(page),
              ElementsAre("heading: # T\u00eftle", "paragraph: A *b* `c` [d](e)\nwrapped.", "paragraph: End"));
}

TEST(MarkdownPage, FindsEveryKindOfBlock) {
  const auto page = markdown_page(
      "Setext\n===\ntext\n\nSub *one*\n---\n\n- a\n- b\n\n      deep\n\n  ```\n  fence\n\n  ```\n\n1. x\n2.\n\n> "
      "quote\n> # no section\n>\n> more\n\n"
      "```rust\n\n  <!-- kept -->\n\n```\n\n    indented\n\n    code\n\n| h1 | h2 |\n|----|:--:|\n| 1 | 2 |\n\n| | "
      "|\n|-|-|\n\n<div>\nraw\n</div>\n\n***\n\n"
      "[ref]: target 'title'\n~~~\nopen fence\n");
  EXPECT_THAT(blocks_of(page),
              ElementsAre("heading: Setext\n===", "paragraph: text", "heading: Sub *one*\n---",
                          "list: - a\n- b\n\n      deep\n\n  ```\n  fence\n\n  ```", "list: 1. x\n2.",
                          "quote: > quote\n> # no section\n>\n> more", "code: ```rust\n\n  <!-- kept -->\n\n```",
                          "code:     indented\n\n    code", "table: | h1 | h2 |\n|----|:--:|\n| 1 | 2 |",
                          "paragraph: | | |\n|-|-|", "paragraph: <div>\nraw\n</div>", "paragraph: ***",
                          "paragraph: [ref]: target 'title'", "code: ~~~\nopen fence"));
  ASSERT_EQ(page.sections.size(), 2U);
  EXPECT_THAT(page.sections[0].path, ElementsAre("Setext"));
  EXPECT_THAT(page.sections[1].path, ElementsAre("Setext", "Sub one"));
  EXPECT_EQ(page.sections[0].end, page.sections[1].start);
}

TEST(MarkdownPage, BlanksCommentsButNotInCode) {
  const std::string source =
      "<!-- s\u00e9cret\nplan -->\n\nText <!-- inner \U0001F600 --> goes on.<!-- ignore -->\n\n`<!-- code "
      "-->`\n\n```\n<!-- code -->\n```\n\n<!-- never closed\nto the end";
  const auto page = markdown_page(source);
  EXPECT_EQ(codec::count_code_points(page.text), codec::count_code_points(source));
  EXPECT_THAT(blocks_of(page), ElementsAre("paragraph: Text " + std::string(16, ' ') + " goes on.",
                                           "paragraph: `<!-- code -->`", "code: ```\n<!-- code -->\n```"));
  EXPECT_EQ(page.text.find("plan"), std::string::npos);
  EXPECT_EQ(page.text.find("never"), std::string::npos);
}

TEST(MarkdownPage, ReadsFrontMatter) {
  const std::string source = "---\ntitle: \"Gr\u00fc\u00dfe\"\ntags: [a]\n---\n# Head\n";
  const auto page = markdown_page(source);
  EXPECT_EQ(page.title, "Gr\u00fc\u00dfe");
  EXPECT_THAT(blocks_of(page), ElementsAre("heading: # Head"));
  EXPECT_EQ(page.blocks[0].start, static_cast<std::int64_t>(codec::count_code_points(source)) - 7);
  EXPECT_EQ(markdown_page("+++\ntitle = 'T'\ndate = 2020-01-01\n+++\ntext").title, "T");
  EXPECT_EQ(markdown_page("---\nno: title\n---\n## Second\n\n# First\n").title, "First");
}

TEST(MarkdownPage, TakesTextBetweenRulesForText) {
  const auto page = markdown_page("---\njust a line\n---\nmore\n");
  EXPECT_NE(page.text.find("just a line"), std::string::npos);
  EXPECT_EQ(read_front_matter("---\nnever: closed\n").size, 0U);
  EXPECT_EQ(read_front_matter("text\n---\na: b\n---\n").size, 0U);
  EXPECT_EQ(read_front_matter("---\n: [broken\n---\n").size, 0U);
}

TEST(MarkdownPage, TitlesByTheFirstTopHeadingElseAnOpeningOneElseTheFile) {
  EXPECT_EQ(parse_page("## Hello &amp; *all*\n\n# Top\n", "text/markdown", "d/x.md").title, "Top");
  EXPECT_EQ(parse_page("## Hello &amp; *all*\n\ntext\n", "text/markdown", "d/x.md").title, "Hello & all");
  EXPECT_EQ(parse_page("text\n\n## Late\n", "text/markdown", "d/x.md").title, "x.md");
  EXPECT_EQ(parse_page("", "text/markdown", "x.md").title, "x.md");
}

TEST(MarkdownPage, PutsAnAnchorIntoTheSectionOfItsHeading) {
  const auto page = markdown_page(
      "<!-- Old headings. -->\n\n<a id=\"old\"></a>\n\n## Streams\n\nText.\n\n<a id=\"x\"></a>\n\n### Sub\n");
  EXPECT_EQ(page.title, "Streams");
  ASSERT_EQ(page.sections.size(), 2U);
  EXPECT_TRUE(
      slice(page.text, page.sections[0].start, page.sections[0].end).starts_with("<a id=\"old\"></a>\n\n## Streams"));
  EXPECT_TRUE(
      slice(page.text, page.sections[1].start, page.sections[1].end).starts_with("<a id=\"x\"></a>\n\n### Sub"));
  EXPECT_EQ(page.sections[0].end, page.sections[1].start);
}

TEST(MarkdownPage, SurvivesHostileText) {
  const auto repeat = [](std::string_view text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
  };
  for (const auto& piece : {"[",  "![", "<",  "*a_",  "`",    "> ",    "- ",    "1. ",          "|",   "<!--",
                            "# ", "&",  "\\", "[a](", "**a ", "~~~\n", "---\n", "\n|a|\n|-|\n", "<a ", "_ _"}) {
    const auto page = markdown_page(repeat(piece, 50'000));
    for (const auto& block : page.blocks) ASSERT_LE(block.start, block.end);
  }
  (void)markdown_page(repeat("\t", 100'000) + "x");
}

TEST(MarkdownPage, ReadsTheRustBook) {
  const auto* data = std::getenv("LAKELOOP_TEST_DATA");
  if (data == nullptr || !std::filesystem::exists(std::filesystem::path(data) / "rust_book"))
    GTEST_SKIP() << "no test data";
  std::size_t pages = 0;
  for (const auto& file : std::filesystem::directory_iterator(std::filesystem::path(data) / "rust_book")) {
    if (file.path().extension() != ".md") continue;
    SCOPED_TRACE(file.path().string());
    ++pages;
    const auto source = read_file(file.path());
    const auto page = markdown_page(source);
    ASSERT_EQ(codec::count_code_points(page.text), codec::count_code_points(source));
    std::int64_t end = 0;
    for (const auto& block : page.blocks) {
      ASSERT_LE(end, block.start);
      ASSERT_LT(block.start, block.end);
      end = block.end;
      // Fences are never cut off.
      const auto text = slice(page.text, block.start, block.end);
      if (block.kind == BlockKind::kCode && text.starts_with("```")) {
        EXPECT_TRUE(text.ends_with("```")) << text;
      }
    }
    for (const auto& section : page.sections) {
      const auto text = slice(page.text, section.start, section.end);
      EXPECT_TRUE(text.starts_with("#") || text.starts_with("<")) << text;
    }
  }
  EXPECT_EQ(pages, 112U);
}

}  // namespace
}  // namespace lakeloop::ingest
