#include "catalog/securable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "catalog/page_token.h"

namespace lakeloop::catalog {
namespace {

using testing::ElementsAre;

TEST(Securable, NamesAreSplitAndJoined) {
  EXPECT_THAT(split_full_name("main.docs.pages"), ElementsAre("main", "docs", "pages"));
  EXPECT_THAT(split_full_name("`main`.`a.b`.c"), ElementsAre("main", "a.b", "c"));
  EXPECT_EQ(join_full_name({"main", "a.b", "c"}), "main.`a.b`.c");
  EXPECT_THAT(split_full_name(join_full_name({"x", "a.b", "ü'\""})), ElementsAre("x", "a.b", "ü'\""));
  EXPECT_EQ(parse_full_name("Main.Docs.Pages").schema, "Docs");
}

TEST(Securable, RefusesNamesThatCouldNotBeUsed) {
  for (const std::string& name : {std::string(""),
                                  std::string("a"),
                                  std::string("a.b"),
                                  std::string("a.b.c.d"),
                                  std::string("a..c"),
                                  std::string(".b.c"),
                                  std::string("a.b."),
                                  std::string("a.b/c.d"),
                                  std::string("a.b c.d"),
                                  std::string("a.b\n.c"),
                                  std::string("a.b\0.c", 6),
                                  std::string("a.`b.c"),
                                  std::string("a.`b`x.c"),
                                  std::string("a.b.`c``d`"),
                                  std::string("a.b.\xff"),
                                  std::string("a.b.\u202Eevil"),
                                  std::string("a.b.x\u00A0y"),
                                  std::string("a.b.x\u200By"),
                                  std::string("a.b.\uFEFFx"),
                                  std::string("a.b.x\u3000y"),
                                  "a.b." + std::string(256, 'x'),
                                  std::string(100'000, '.'),
                                  std::string("a.b.c\\d")}) {
    EXPECT_THROW(parse_full_name(name), Error) << name.substr(0, 40);
  }
  EXPECT_NO_THROW(parse_full_name("a.b." + std::string(255, 'x')));
  std::string wide;
  for (int i = 0; i < 255; ++i) wide += "漢";
  EXPECT_NO_THROW(parse_full_name("a.b." + wide));
  EXPECT_NO_THROW(parse_full_name("main.docs.Straße_色-🚀%+=;'\"@"));
}

TEST(Securable, KeysIgnoreCaseAndComposition) {
  EXPECT_EQ(name_key("Docs"), name_key("dOCS"));
  EXPECT_EQ(name_key("STRASSE"), name_key("straße"));
  EXPECT_EQ(name_key("u\u0308"), name_key("\u00FC"));
  EXPECT_NE(name_key("docs"), name_key("docs2"));
  EXPECT_EQ(checked_name("u\u0308"), "\u00FC");
}

TEST(Securable, WireNamesOfBothDialects) {
  EXPECT_EQ(to_string(Privilege::kUseCatalog), "USE CATALOG");
  EXPECT_EQ(parse_privilege("USE_CATALOG"), Privilege::kUseCatalog);
  EXPECT_EQ(parse_privilege("use catalog"), Privilege::kUseCatalog);
  EXPECT_EQ(parse_privilege("ALL_PRIVILEGES"), Privilege::kAllPrivileges);
  EXPECT_FALSE(parse_privilege("OWNER"));
  EXPECT_FALSE(parse_privilege(""));
  for (int p = 0; p <= static_cast<int>(Privilege::kAllPrivileges); ++p) {
    EXPECT_EQ(parse_privilege(to_string(static_cast<Privilege>(p))), static_cast<Privilege>(p));
  }
  EXPECT_EQ(parse_securable_type("REGISTERED_MODEL"), SecurableType::kModel);
  EXPECT_EQ(parse_securable_type("serving-endpoints"), SecurableType::kEndpoint);
  EXPECT_EQ(parse_securable_type("function"), SecurableType::kFunction);
  EXPECT_EQ(to_string(SecurableType::kModel), "registered_model");
  EXPECT_FALSE(parse_securable_type("tables'; DROP TABLE x"));
}

TEST(PageToken, BelongsToOneListing) {
  const std::string token = make_page_token("house", "tables of 1", "Straße\n\"x\"");
  EXPECT_EQ(read_page_token("house", "tables of 1", token), "Straße\n\"x\"");
  EXPECT_EQ(read_page_token("house", "tables of 1", ""), "");
  std::string changed = token;
  changed.back() = changed.back() == '0' ? '1' : '0';
  for (const std::string& bad : {changed, token.substr(2), token + "00", std::string("zz"), std::string("0"),
                                 std::string(1'000'000, 'a'), std::string("' OR 1=1")}) {
    EXPECT_THROW(read_page_token("house", "tables of 1", bad), Error);
  }
  EXPECT_THROW(read_page_token("house", "tables of 2", token), Error);
  EXPECT_THROW(read_page_token("other", "tables of 1", token), Error);
}

}  // namespace
}  // namespace lakeloop::catalog
