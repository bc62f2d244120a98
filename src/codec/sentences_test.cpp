#include "codec/sentences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lakeloop::codec {
namespace {

std::vector<std::string> texts(std::string_view input) {
  std::vector<std::string> out;
  for (const Sentence& sentence : split_sentences(input)) out.push_back(sentence.text);
  return out;
}

TEST(Sentences, FollowMarkdown) {
  const char* page =
      "# Title\n\nFirst sentence goes\nover two lines. Second, e.g. this one, has `code` and a [link](x.md).\n\n"
      "```rust\nlet x = 1.\n```\n- an item\n- *another* item. With two.\n\n| a | b |\n|---|---|\n| one | 2 |\n"
      "<!-- a comment. -->\n[ref]: http://example.com\n\n    indented code\n";
  EXPECT_THAT(texts(page),
              testing::ElementsAre("First sentence goes over two lines.", "Second, e.g. this one, has code and a link.",
                                   "an item", "another item.", "With two.", "one 2"));
}

TEST(Sentences, PlacesAreCodePointsOfTheInput) {
  const std::string page = "Größe 🚀 zählt. 色が変わる。 End.\n";
  for (const Sentence& sentence : split_sentences(page)) {
    std::u32string wide;
    for (std::size_t i = 0; i < page.size();) {
      const auto c = static_cast<unsigned char>(page[i]);
      const std::size_t n = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
      wide += static_cast<char32_t>(i);
      i += n;
    }
    wide += static_cast<char32_t>(page.size());
    const std::size_t from = wide[static_cast<std::size_t>(sentence.start)],
                      to = wide[static_cast<std::size_t>(sentence.end)];
    EXPECT_EQ(page.substr(from, to - from), sentence.text);
  }
  EXPECT_EQ(split_sentences(page).size(), 3u);
}

TEST(Sentences, HostileTextEnds) {
  EXPECT_TRUE(split_sentences("").empty());
  EXPECT_TRUE(split_sentences("``` never closed\ntext. text.").empty());
  EXPECT_EQ(split_sentences(std::string(200'000, 'x')).size(), 1u);
  std::string many;
  for (int i = 0; i < 3000; ++i) many += "Yes. ";
  EXPECT_EQ(split_sentences(many, 100).size(), 100u);
}

TEST(ContentWords, FoldAndDropStopWords) {
  EXPECT_THAT(content_words("What is the Default PORT of größe_x?"),
              testing::ElementsAre("default", "port", "grösse", "x"));
}

}  // namespace
}  // namespace lakeloop::codec
