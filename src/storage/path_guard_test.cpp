#include "storage/path_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/id.h"

namespace lakeloop::storage {
namespace {

namespace fs = std::filesystem;
using namespace std::string_view_literals;

TEST(PathGuard, TakesOrdinaryNames) {
  for (const std::string_view good : {"a"sv,
                                      "a/b/c.txt"sv,
                                      "100%.txt"sv,
                                      "a+b.txt"sv,
                                      "sp ace.txt"sv,
                                      "q;r=1.txt"sv,
                                      "a:b.txt"sv,
                                      ".hidden"sv,
                                      "..a"sv,
                                      "a.."sv,
                                      "..."sv,
                                      "größe/色 🚀"sv,
                                      "k=a%20b/x.parquet"sv,
                                      "~"sv,
                                      "%"sv,
                                      "%zz"sv,
                                      "c:"sv.substr(0, 1),
                                      "date=2024-01-01/part-0.parquet"sv,
                                      "a'b\"c"sv,
                                      "*"sv,
                                      "ab:/c"sv}) {
    EXPECT_EQ(checked_relative_path(good), good);
  }
  EXPECT_EQ(checked_relative_path(std::string(255, 'a')), std::string(255, 'a'));
}

TEST(PathGuard, RefusesHostileOnes) {
  std::string nested = "..";
  for (int i = 0; i < 30; ++i) {
    std::string next;
    for (const char c : nested) next += c == '.' && i == 0 ? "%2e" : c == '%' ? "%25" : std::string(1, c);
    nested = next;
  }
  std::string long_path;
  for (int i = 0; i < 300; ++i) long_path += "abc/";
  const std::string bad[] = {"",
                             "/",
                             "/etc/passwd",
                             "//host/share",
                             ".",
                             "..",
                             "./a",
                             "../a",
                             "a/..",
                             "a/../b",
                             "a/./b",
                             "a/../../etc",
                             "a//b",
                             "a/",
                             "/a/",
                             "a\\b",
                             "..\\a",
                             "c:\\windows",
                             "C:/windows",
                             "c:",
                             "z:/",
                             "a\nb",
                             "a\rb",
                             "a\tb",
                             "a\x7f",
                             "a\x1b[0m",
                             std::string("a\0b", 3),
                             std::string("a\0", 2),
                             "a#b",
                             "a?b",
                             "%2e%2e/a",
                             "%2E%2E/a",
                             ".%2e/a",
                             "a/%2e%2e",
                             "%2fetc",
                             "a%2f..%2fb",
                             "a%2F%2Fb",
                             "%5c",
                             "a%5cb",
                             "a%00b",
                             "a%0ab",
                             "a%23b",
                             "a%3fb",
                             "e%3Ff.txt",
                             "%2e",
                             "%252e%252e/a",
                             "%25252e%25252e/a",
                             "%%32%65%2e/a",
                             "%2%65%2e/a",
                             "%252f",
                             "a%255cb",
                             "a%2500",
                             "c%3a/x",
                             "%63%3A%5c",
                             nested,
                             std::string(256, 'a'),
                             "a/" + std::string(256, 'b'),
                             long_path + "a"};
  for (const std::string& path : bad) {
    try {
      (void)checked_relative_path(path);
      ADD_FAILURE() << "accepted " << testing::PrintToString(path);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      for (const char c : error.message()) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
    }
  }
}

class ResolveTest : public testing::Test {
 protected:
  ResolveTest() : top_(fs::canonical(fs::temp_directory_path()) / ("guard-" + random_hex(8))) {
    fs::create_directories(root_ / "in/deep");
    fs::create_directories(top_ / "root2");
    fs::create_directories(top_ / "outside");
    write_file_atomic(top_ / "outside/secret", "x");
  }
  ~ResolveTest() override { fs::remove_all(top_); }
  const fs::path top_;
  const fs::path root_ = top_ / "root";
};

TEST_F(ResolveTest, FollowsLinksThatStayInside) {
  fs::create_directory_symlink(root_ / "in", root_ / "link");
  EXPECT_EQ(resolve_inside(root_, "in/deep/new"), root_ / "in/deep/new");
  EXPECT_EQ(resolve_inside(root_, "link/deep/new"), root_ / "in/deep/new");
  EXPECT_EQ(resolve_inside(root_, "not/there/yet"), root_ / "not/there/yet");
  EXPECT_EQ(resolve_inside(root_ / "", "a"), root_ / "a");
  // The root itself may be a link.
  fs::create_directory_symlink(root_, top_ / "alias");
  EXPECT_EQ(resolve_inside(top_ / "alias", "in/x"), root_ / "in/x");
}

TEST_F(ResolveTest, RefusesLinksThatLeave) {
  fs::create_symlink(top_ / "outside/secret", root_ / "file");
  fs::create_directory_symlink(top_ / "outside", root_ / "dir");
  fs::create_directory_symlink("../outside", root_ / "relative");
  fs::create_directory_symlink("/", root_ / "slash");
  fs::create_directory_symlink(top_ / "root2", root_ / "sibling");  // its name begins with the root's
  fs::create_symlink(top_ / "outside/new", root_ / "dangling");     // open(O_CREAT) would make it outside
  fs::create_symlink(root_ / "loop", root_ / "loop");
  fs::create_directory_symlink(root_ / "dir", root_ / "in/second");  // by way of a link that leaves
  for (const char* path : {"file", "dir", "dir/secret", "dir/new", "relative/secret", "slash/etc/passwd", "sibling/x",
                           "dangling", "loop", "loop/x", "in/second/secret", "../outside/secret"}) {
    try {
      ADD_FAILURE() << path << " gave " << resolve_inside(root_, path);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << path;
    }
  }
}

}  // namespace
}  // namespace lakeloop::storage
