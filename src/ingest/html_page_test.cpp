#include "ingest/html_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/limits.h"
#include "codec/unicode.h"
#include "ingest/parser.h"

namespace lakeloop::ingest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> blocks_of(const ParsedPage& page) {
  std::vector<std::string> blocks;
  for (const auto& block : page.blocks) {
    const auto begin = codec::byte_offset(page.text, static_cast<std::size_t>(block.start));
    const auto end = codec::byte_offset(page.text, static_cast<std::size_t>(block.end));
    blocks.push_back(std::string(to_string(block.kind)) + ": " + page.text.substr(begin, end - begin));
  }
  return blocks;
}

std::string repeat(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

std::string message_of(std::string_view html) {
  try {
    (void)parse_page(html, "text/html", "x.html");
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

TEST(HtmlPage, ReadsWhatAReaderSees) {
  const auto page = html_page(R"(<!doctype html><html><head><title> The  title </title><style>p{}</style></head><body>
<nav>Menu <a href=x>Home</a></nav><script>var x = "<p>no</p>";</script><template><p>none</p></template>
<h1>Gr&uuml;&szlig;e <em>all</em><a class="headerlink" href="#g">¶</a></h1>
<p>First   paragraph
with <b>bold</b>, <code>code</code>.<br>Next line.</p><!-- comment -->
<div>Loose text<p hidden>gone</p><p style="Display: none">gone</p><span aria-hidden="true">gone</span> goes on</div>
<h2>Install</h2><pre>  line 1
    line 2
</pre>
<ul><li>one</li><li><p>two</p><ol start=3><li>deep</li><li>er</li></ol></li><li></li><li>three</li></ul>
<table><caption>Cap</caption><tr><th>a</th><th>b</th></tr><tr><td>1</td><td><p>2</p><p>3</p></td></tr></table>
<blockquote><p>said</p><p>again</p></blockquote>
<noscript>Enable JavaScript</noscript><button>Copy</button>
<h3>Sub</h3>end</body></html>)");
  EXPECT_EQ(page.title, "The title");
  EXPECT_THAT(blocks_of(page),
              ElementsAre("heading: Gr\u00fc\u00dfe all", "paragraph: First paragraph with bold, code.\nNext line.",
                          "paragraph: Loose text goes on", "heading: Install", "code:   line 1\n    line 2",
                          "list: - one\n- two\n  3. deep\n  4. er\n- three", "table: Cap\na | b\n1 | 2 3",
                          "quote: said\nagain", "heading: Sub", "paragraph: end"));
  ASSERT_EQ(page.sections.size(), 3U);
  EXPECT_THAT(page.sections[2].path, ElementsAre("Gr\u00fc\u00dfe all", "Install", "Sub"));
  EXPECT_EQ(page.sections[0].end, page.sections[1].start);
}

TEST(HtmlPage, TitlesByTitleElseHeadingElseFile) {
  EXPECT_EQ(parse_page("<h2>a</h2><h1>Top</h1>", "text/html", "d/x.html").title, "Top");
  EXPECT_EQ(parse_page("<p>a", "text/html", "d/x.html").title, "x.html");
}

TEST(HtmlPage, ReadsLayoutTablesAsText) {
  const auto page = html_page("<table><tr><td><h1>Head</h1><p>text</td><td>side</td></tr></table>");
  EXPECT_THAT(blocks_of(page), ElementsAre("heading: Head", "paragraph: text", "paragraph: side"));
}

TEST(HtmlPage, ReadsBrokenMarkup) {
  const auto page = html_page("<p>one<p>two<li>three</ul></div><table><td>4<td>5</p><h1>six</body></html>tail<");
  EXPECT_THAT(page.text, HasSubstr("one"));
  EXPECT_THAT(page.text, HasSubstr("tail"));
  EXPECT_TRUE(html_page("").blocks.empty());
  EXPECT_TRUE(html_page("<!-- only --><script>").blocks.empty());
  (void)html_page("<frameset><frame></frameset>");
}

TEST(HtmlPage, HonoursTheDeclaredCharacterSet) {
  EXPECT_EQ(decode_html("<meta charset=utf-8>\u00e9"), "<meta charset=utf-8>\u00e9");
  EXPECT_EQ(decode_html("<meta charset='ISO-8859-1'>caf\xe9 \x80"), "<meta charset='ISO-8859-1'>caf\u00e9 \u20ac");
  EXPECT_THAT(decode_html("<meta http-equiv=Content-Type content='text/html; charset=shift_jis'>\x93\xfa\x96\x7b"),
              testing::EndsWith("\u65e5\u672c"));
  EXPECT_EQ(decode_html("\xef\xbb\xbf<meta charset=windows-1252>\u00e9"), "<meta charset=windows-1252>\u00e9");
  using namespace std::string_view_literals;
  EXPECT_EQ(decode_html("\xff\xfe<\0p\0>\0\x0a\x01"sv), "<p>\u010a");
}

TEST(HtmlPage, NamesWhatIsWrongWithTheEncoding) {
  using namespace std::string_view_literals;
  EXPECT_THAT(message_of("<meta charset=klingon>x"), HasSubstr("\"klingon\""));
  EXPECT_THAT(message_of("<meta charset=euc-jp>\xff\xff"), HasSubstr("EUC-JP"));
  EXPECT_THAT(message_of("<p>caf\xe9"), HasSubstr("not text"));
  EXPECT_THAT(message_of("<meta charset=utf-8>\xe9"), HasSubstr("not text"));
  EXPECT_THAT(message_of("<meta charset=latin1>a\0b"sv), HasSubstr("NUL"));
}

TEST(HtmlPage, RefusesDeepNestingWithTheLimit) {
  for (const auto* tag : {"<div>", "<b>", "<ul><li>", "<table><td>", "<svg><g>", "<font size=1>", "<a href=x><div>"}) {
    EXPECT_THAT(message_of(repeat(tag, 100'000)), HasSubstr("512 levels")) << tag;
  }
  EXPECT_EQ(message_of(repeat("<div>", 300) + "x" + repeat("</div>", 300)), "no error");
}

TEST(HtmlPage, StopsAtFormattingElementsThatMultiply) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "<p><b id=" + std::to_string(i) + "></p>";
  EXPECT_THAT(message_of(text + repeat("<p>x", 100'000)), HasSubstr("512 levels"));
  text.clear();
  for (int i = 0; i < 500; ++i) text += "<p><b id=" + std::to_string(i) + "></p>";
  EXPECT_THAT(message_of(text + repeat("<p>x", 1'000'000)), HasSubstr("MiB"));
}

TEST(HtmlPage, RefusesATagWithTooManyAttributes) {
  std::string text = "<p ";
  for (int i = 0; i < 200'000; ++i) text += "a" + std::to_string(i) + " ";
  EXPECT_THAT(message_of(text + ">x"), HasSubstr("1000 attributes"));
}

TEST(HtmlPage, ReadsALargeFlatPageInLinearTime) {
  const auto page = html_page(repeat("<p>A paragraph of <i>text</i> &amp; more.</p>\n", 100'000));
  EXPECT_EQ(page.blocks.size(), 100'000U);
  for (const auto* piece :
       {"<", "&", "</p>", "<!--", "<p", "<table><tr>", "</b><b>", "<li>", "<h1>", "&#x110000;", "<a></a>"}) {
    (void)message_of(repeat(piece, 200'000));
  }
}

}  // namespace
}  // namespace lakeloop::ingest
