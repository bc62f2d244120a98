#include "codec/unicode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace lakeloop::codec {
namespace {

using testing::HasSubstr;

std::string utf16(std::u16string_view text, bool big) {
  std::string bytes;
  for (const char16_t unit : text) {
    const char low = static_cast<char>(unit & 0xFF), high = static_cast<char>(unit >> 8);
    bytes += big ? high : low;
    bytes += big ? low : high;
  }
  return bytes;
}

std::string utf32(std::u32string_view text, bool big) {
  std::string bytes;
  for (const char32_t unit : text) {
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>(unit >> (big ? 24 - 8 * i : 8 * i) & 0xFF);
  }
  return bytes;
}

std::string encoding_of(std::string_view bytes, std::string_view expected_text) {
  std::string encoding;
  const Expected<std::string> text = decode_text(bytes, &encoding);
  if (!text) return text.error().message();
  EXPECT_EQ(*text, expected_text);
  return encoding;
}

TEST(Unicode, ValidatesUtf8) {
  for (const char* good :
       {"", "ascii", "größe", "\uFFFF", "\U0010FFFF", "\u0080", "\u0800", "\U00010000", "12345678é"}) {
    EXPECT_TRUE(is_valid_utf8(good)) << good;
  }
  for (const char* bad :
       {"\x80", "\xC3", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
        "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\xF0\x9F\x9A", "\xFF", "12345678\x80",
        "1234567\xC3", "\xC3\x28", "\xE2\x28\xA1", "\xE2\x82\x28"}) {
    EXPECT_FALSE(is_valid_utf8(bad)) << testing::PrintToString(bad);
  }
}

TEST(Unicode, CountsCodePointsAsPythonDoes) {
  const std::string text = "aé色🚀👩‍🔬z";  // the joined emoji is three code points
  EXPECT_EQ(count_code_points(text), 8u);
  EXPECT_EQ(byte_offset(text, 0), 0u);
  EXPECT_EQ(byte_offset(text, 2), 3u);
  EXPECT_EQ(byte_offset(text, 4), 10u);
  EXPECT_EQ(byte_offset(text, 7), text.size() - 1);
  EXPECT_EQ(byte_offset(text, 8), text.size());
  EXPECT_EQ(byte_offset(text, 100), text.size());
  EXPECT_EQ(byte_offset("", 0), 0u);
}

TEST(Unicode, TruncatesBetweenCodePoints) {
  const std::string text = "aé色🚀";
  const std::string expected[] = {"", "a", "a", "aé", "aé", "aé", "aé色", "aé色", "aé色", "aé色", "aé色🚀", "aé色🚀"};
  for (std::size_t bytes = 0; bytes < std::size(expected); ++bytes) {
    EXPECT_EQ(truncate_utf8(text, bytes), expected[bytes]) << bytes;
  }
}

TEST(DecodeText, KnowsTheMarks) {
  const std::string text = "id,näme\n1,色 🚀\n";
  const std::u16string wide = u"id,näme\n1,色 🚀\n";
  EXPECT_EQ(encoding_of(text, text), "utf-8");
  EXPECT_EQ(encoding_of("\xEF\xBB\xBF" + text, text), "utf-8");
  EXPECT_EQ(encoding_of("\xFF\xFE" + utf16(wide, false), text), "utf-16le");
  EXPECT_EQ(encoding_of("\xFE\xFF" + utf16(wide, true), text), "utf-16be");
  EXPECT_EQ(encoding_of(utf32(U"\uFEFFid,näme\n1,色 🚀\n", false), text), "utf-32le");
  EXPECT_EQ(encoding_of(utf32(U"\uFEFFid,näme\n1,色 🚀\n", true), text), "utf-32be");
  EXPECT_EQ(encoding_of("", ""), "utf-8");
  EXPECT_EQ(encoding_of("\xFF\xFE", ""), "utf-16le");
}

// The bytes of U+010A and U+4E0A hold 0x0A, those of U+0D0A both line ends.
TEST(DecodeText, KeepsCellsWhoseBytesLookLikeLineEnds) {
  const std::string text = "k,v\n1,Ċ上ഊ\n2,上Ċ\n";
  const std::u16string wide = u"k,v\n1,Ċ上ഊ\n2,上Ċ\n";
  for (const bool big : {false, true}) {
    const std::string name = big ? "utf-16be" : "utf-16le";
    EXPECT_EQ(encoding_of(utf16(u"\uFEFF", big) + utf16(wide, big), text), name);
    EXPECT_EQ(encoding_of(utf16(wide, big), text), name);  // without a mark
  }
}

TEST(DecodeText, RefusesByName) {
  const auto why = [](std::string_view bytes) { return encoding_of(bytes, "(refused)"); };
  EXPECT_THAT(why("\xE9t\xE9"), HasSubstr("not text: byte 0 is not UTF-8"));
  EXPECT_THAT(why("caf\xE9 latin"), HasSubstr("byte 3"));
  EXPECT_THAT(why("abc\xE2\x82"), HasSubstr("byte 3"));
  EXPECT_THAT(why(std::string_view("a\0b", 3)), HasSubstr("zero bytes"));
  EXPECT_THAT(why(std::string_view("\xEF\xBB\xBF"
                                   "a\0b",
                                   6)),
              HasSubstr("NUL"));
  EXPECT_THAT(why("\xFF\xFE" + utf16(std::u16string_view(u"a\0b", 3), false)), HasSubstr("NUL"));
  EXPECT_THAT(why("\xFF\xFE"
                  "abc"),
              HasSubstr("odd number"));
  EXPECT_THAT(why("\xFF\xFE" + utf16(u"a\xD800", false)), HasSubstr("surrogate"));
  EXPECT_THAT(why("\xFF\xFE" + utf16(u"\xDC00"
                                     u"a",
                                     false)),
              HasSubstr("surrogate"));
  EXPECT_THAT(why("\xFE\xFF" + utf16(u"\xD83D"
                                     u"\xD83D\xDE80",
                                     true)),
              HasSubstr("surrogate"));
  EXPECT_THAT(why(utf32(U"\uFEFF", false) + "abc"), HasSubstr("multiple of 4"));
  EXPECT_THAT(why(utf32(U"\uFEFF", false) + std::string("\0\0\x11\0", 4)), HasSubstr("code point"));
  // Chinese UTF-16 without a mark has next to no zero bytes: refused, not guessed.
  EXPECT_THAT(why(utf16(u"上海市人民政府\n关于印发通知\n", false)), HasSubstr("not text"));
  EXPECT_THAT(why(utf32(U"plain", false)), HasSubstr("zero bytes"));
  // Numbers, a PNG.
  EXPECT_THAT(why(std::string_view("\x01\0\x02\0\x03\0\x41\0", 8)), HasSubstr("zero bytes"));
  EXPECT_THAT(why(std::string_view("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16)), HasSubstr("not text"));
}

TEST(DecodeText, NeverCrashesOrGivesInvalidText) {
  constexpr char kBytes[] = {'\0', '\xFF', '\xFE', '\xEF', '\xBB', '\xBF', 'a', '\n', '\xD8', '\xDC', '\xF0', '\x9F'};
  std::mt19937 random(3);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random() % 12, '\0');
    for (char& c : bytes) c = kBytes[random() % std::size(kBytes)];
    const Expected<std::string> text = decode_text(bytes);
    if (text) {
      ASSERT_TRUE(is_valid_utf8(*text));
      ASSERT_FALSE(text->contains('\0'));
    }
  }
}

TEST(Unicode, FoldsAndNormalizes) {
  EXPECT_EQ(fold_case("HELLO World 1"), "hello world 1");
  EXPECT_EQ(fold_case("Straße STRASSE ΣΊΣΥΦΟΣ"), "strasse strasse σίσυφοσ");
  EXPECT_EQ(fold_case("ﬀ"), "ff");
  EXPECT_EQ(normalize_nfc("e\u0301"), "é");
  EXPECT_EQ(normalize_nfc("plain"), "plain");
  EXPECT_EQ(normalize_nfc("\u1112\u1161\u11ab"), "한");
  EXPECT_THAT(fold_case("\xff\xc3 É"), testing::EndsWith("é"));  // broken text is no reason to stop
  EXPECT_THAT(normalize_nfc("\xff\xc3 E\u0301"), testing::EndsWith("É"));
}

}  // namespace
}  // namespace lakeloop::codec
