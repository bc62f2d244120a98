#include "codec/encoding.h"

#include <gtest/gtest.h>

#include <random>

namespace lakeloop::codec {
namespace {

std::string random_bytes(std::mt19937& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random() & 0xFF);
  return bytes;
}

TEST(Base64, KnowsTheVectorsOfRfc4648) {
  const std::pair<std::string, std::string> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"},
                                                         {"\xff\xfe\xfd", "//79"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(base64_encode(bytes), text);
    EXPECT_EQ(base64_decode(text), bytes);
  }
}

TEST(Base64, RefusesWhatIsNotCanonical) {
  for (const char* bad : {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zm9v=", "====", "=", "Zg==Zg==", "Zm 9v", "Zm9v\n", "-_79",
                          "Z===", "Zg=a", "\xc3\xa9\xc3\xa9"}) {
    EXPECT_EQ(base64_decode(bad), std::nullopt) << bad;
  }
}

TEST(Encoding, RoundTripsEveryLength) {
  std::mt19937 random(7);
  for (std::size_t size = 0; size < 200; ++size) {
    const std::string bytes = random_bytes(random, size);
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
    EXPECT_EQ(hex_decode(hex_encode(bytes)), bytes);
    EXPECT_EQ(percent_decode(percent_encode(bytes)), bytes);
    EXPECT_EQ(percent_decode(percent_encode(bytes, true)), bytes);
    if (size % 4 == 0) {
      EXPECT_EQ(z85_decode(z85_encode(bytes)), bytes);
    }
  }
}

TEST(Hex, TakesBothCasesAndNothingElse) {
  EXPECT_EQ(hex_encode("\x00\xAB\xff"), "");  // a literal ends at its first NUL
  EXPECT_EQ(hex_encode(std::string_view("\x00\xAB\xff", 3)), "00abff");
  EXPECT_EQ(hex_decode("00ABff"), std::string("\x00\xAB\xff", 3));
  for (const char* bad : {"0", "0g", "0x", " 0", "abc"}) EXPECT_EQ(hex_decode(bad), std::nullopt) << bad;
}

TEST(Percent, NamesGoInAndComeOut) {
  for (const char* name : {"step%20.png", "100%.txt", "a+b.txt", "sp ace.txt", "q;r=1.txt", "e?f.txt", "c#d.txt",
                           "a:b.txt", ".hidden", "größe/色 🚀"}) {
    EXPECT_EQ(percent_decode(percent_encode(name)), name);
  }
  EXPECT_EQ(percent_encode("a/b c~"), "a%2Fb%20c~");
  EXPECT_EQ(percent_encode("a/b c~", true), "a/b%20c~");
  EXPECT_EQ(percent_decode("a+b%2fc"), "a+b/c");
  EXPECT_EQ(percent_decode("%2520"), "%20");  // once
  for (const char* bad : {"%", "%2", "a%zz", "%%20", "100%"}) EXPECT_EQ(percent_decode(bad), std::nullopt) << bad;
}

TEST(Z85, KnowsTheVectorOfZeroMq32) {
  EXPECT_EQ(z85_encode("\x86\x4F\xD2\x6F\xB5\x59\xF7\x5B"), "HelloWorld");
  EXPECT_EQ(z85_decode("HelloWorld"), "\x86\x4F\xD2\x6F\xB5\x59\xF7\x5B");
  EXPECT_EQ(z85_decode("%nSc0"), "\xff\xff\xff\xff");
  for (const char* bad : {"Hell", "%nSc1", "#####", "Hell ", "Hell\"", "Hell~"}) {
    EXPECT_EQ(z85_decode(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace lakeloop::codec
