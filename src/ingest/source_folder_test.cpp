#include "ingest/source_folder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "ingest/git_head.h"

namespace lakeloop::ingest {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SourceFolderTest : public testing::Test {
 protected:
  SourceFolderTest() {
    auto pattern = (fs::temp_directory_path() / "lakeloop_source_XXXXXX").string();
    root_ = fs::canonical(::mkdtemp(pattern.data()));
  }
  ~SourceFolderTest() override {
    std::error_code ignored;
    fs::permissions(root_ / "closed", fs::perms::owner_all, ignored);
    fs::remove_all(root_, ignored);
  }

  void write(const fs::path& path, std::string_view bytes = "text") const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path, std::ios::binary) << bytes;
  }

  static std::vector<std::string> paths_of(const Listing& listing) {
    std::vector<std::string> paths;
    for (const auto& file : listing.files) paths.push_back(file.path);
    return paths;
  }
  static std::vector<std::string> skips_of(const Listing& listing) {
    std::vector<std::string> lines;
    for (const auto& skipped : listing.skipped) lines.push_back(skipped.path + ": " + skipped.reason);
    return lines;
  }
  static std::string message_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.message();
    }
    return "no error";
  }

  fs::path root_;
};

TEST_F(SourceFolderTest, ListsInOrderWithoutHiddenNames) {
  write("b.md");
  write("a/z.md");
  write("a/b/c.txt");
  write("a.md");
  write(".hidden.md");
  write(".git/config.md");
  write("node_modules/x/readme.md");
  const auto listing = SourceFolder(root_).list({});
  EXPECT_THAT(paths_of(listing), ElementsAre("a.md", "a/b/c.txt", "a/z.md", "b.md"));
  EXPECT_THAT(listing.skipped, IsEmpty());
}

TEST_F(SourceFolderTest, KeepsOddNamesAndSkipsThoseThatAreNotText) {
  write("new\nline \"quoted\" 'x'.md", "1");
  write("\u00fcml\u00e4ut\U0001F600.md", "2");
  write("bad\xff.md");
  write("badfolder\xfe/x.md");
  const SourceFolder folder(root_);
  const auto listing = folder.list({});
  EXPECT_THAT(paths_of(listing), ElementsAre("new\nline \"quoted\" 'x'.md", "\u00fcml\u00e4ut\U0001F600.md"));
  EXPECT_THAT(skips_of(listing),
              ElementsAre("bad\\xff.md: its name is not UTF-8", "badfolder\\xfe: its name is not UTF-8"));
  EXPECT_EQ(folder.read(listing.files[0]).bytes, "1");
}

TEST_F(SourceFolderTest, FollowsNoLinkOutAndNoLoop) {
  write("docs/a.md", "inside");
  write("docs/README", "known by its link");
  write(".private/x.md");
  fs::create_directory_symlink("..", root_ / "docs" / "up");
  fs::create_directory_symlink(root_ / "docs", root_ / "again");
  fs::create_symlink("docs/a.md", root_ / "same.md");
  fs::create_symlink("docs/README", root_ / "readme.md");
  fs::create_symlink("/etc/hostname", root_ / "out.md");
  fs::create_symlink("nothing.md", root_ / "broken.md");
  fs::create_symlink("loop.md", root_ / "loop.md");
  fs::create_symlink(".private/x.md", root_ / "private.md");
  fs::create_directory_symlink("/", root_ / "everything");
  const SourceFolder folder(root_);
  const auto listing = folder.list({});
  EXPECT_THAT(paths_of(listing), ElementsAre("docs/README", "docs/a.md", "readme.md"));
  EXPECT_EQ(folder.read(listing.files[2]).bytes, "known by its link");
  EXPECT_THAT(
      skips_of(listing),
      ElementsAre(HasSubstr("broken.md: is a link that leads nowhere"), "everything: is a link that leaves the folder",
                  HasSubstr("loop.md: is a link that leads nowhere"), "out.md: is a link that leaves the folder",
                  "private.md: is a link to a name that is left out"));
}

TEST_F(SourceFolderTest, NeverReadsThroughALinkThatTookAFilesPlace) {
  write("docs/a.md", "inside");
  const SourceFolder folder(root_);
  const auto listing = folder.list({});
  fs::rename(root_ / "docs", root_ / "moved");
  fs::create_directory_symlink("/etc", root_ / "docs");
  EXPECT_THAT(message_of([&] { (void)folder.read({"docs/hostname", "docs/hostname"}); }), HasSubstr("cannot be read"));
  fs::remove(root_ / "docs");
  fs::create_directory(root_ / "docs");
  fs::create_symlink("/etc/hostname", root_ / "docs" / "a.md");
  EXPECT_THAT(message_of([&] { (void)folder.read(listing.files[0]); }), HasSubstr("cannot be read"));
}

TEST_F(SourceFolderTest, SkipsPipesWithoutWaiting) {
  write("a.md");
  ASSERT_EQ(::mkfifo((root_ / "pipe.md").c_str(), 0600), 0);
  const SourceFolder folder(root_);
  EXPECT_THAT(skips_of(folder.list({})), ElementsAre("pipe.md: is not a regular file"));
  EXPECT_EQ(message_of([&] { (void)folder.read({"pipe.md", "pipe.md"}); }), "is not a regular file");
}

TEST_F(SourceFolderTest, RefusesAHugeFileByItsSize) {
  write("huge.txt", "");
  ASSERT_EQ(::truncate((root_ / "huge.txt").c_str(), 2LL * 1024 * 1024 * 1024), 0);
  EXPECT_EQ(message_of([&] { (void)SourceFolder(root_).read({"huge.txt", "huge.txt"}); }),
            "has 2147483648 bytes, over the limit of 64 MiB");
}

TEST_F(SourceFolderTest, GivesUpOnAFileThatKeepsChanging) {
  write("busy.txt", std::string(48 * 1024 * 1024, 'x'));
  const SourceFolder folder(root_);
  std::atomic<bool> stop = false;
  std::thread writer([&] {  // seldom gets three turns in a row on a busy machine
    const int fd = ::open((root_ / "busy.txt").c_str(), O_WRONLY);
    for (std::int64_t tick = 1; !stop; ++tick) {
      const struct timespec times[2] = {{tick / 1000, tick % 1000}, {tick / 1000, tick % 1000}};
      (void)::futimens(fd, times);
    }
    ::close(fd);
  });
  std::string message;
  for (const auto until = Deadline::after(std::chrono::minutes(2));
       !until.expired() && !message.contains("changed while");) {
    message = message_of([&] { (void)folder.read({"busy.txt", "busy.txt"}); });
  }
  stop = true;
  writer.join();
  EXPECT_EQ(message, "changed while it was read, 3 times in a row");
  EXPECT_EQ(folder.read({"busy.txt", "busy.txt"}).bytes.size(), 48U * 1024 * 1024);
}

TEST_F(SourceFolderTest, NamesAFolderThatCannotBeRead) {
  EXPECT_THAT(message_of([&] { SourceFolder folder(root_ / "missing"); }), HasSubstr("missing"));
  if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
  write("open.md");
  write("closed/x.md");
  fs::permissions(root_ / "closed", fs::perms::none);
  const auto listing = SourceFolder(root_).list({});
  EXPECT_THAT(paths_of(listing), ElementsAre("open.md"));
  EXPECT_THAT(listing.unread, ElementsAre("closed/"));
  EXPECT_THAT(message_of([&] { SourceFolder folder(root_ / "closed"); }), HasSubstr("cannot read folder"));
}

TEST_F(SourceFolderTest, StopsAtDeepFolders) {
  fs::path deep;
  for (int i = 0; i < 80; ++i) deep /= "d";
  write(deep / "x.md");
  write("a.md");
  const auto listing = SourceFolder(root_).list({});
  EXPECT_THAT(paths_of(listing), ElementsAre("a.md"));
  ASSERT_EQ(listing.unread.size(), 1U);
  EXPECT_THAT(listing.skipped[0].reason, HasSubstr("64"));
}

TEST_F(SourceFolderTest, TakesOneFileAlone) {
  write("a.md", "one");
  write("b.md");
  const SourceFolder folder(root_ / "a.md");
  EXPECT_TRUE(folder.is_one_file());
  EXPECT_THAT(paths_of(folder.list({})), ElementsAre("a.md"));
  EXPECT_EQ(folder.read({"a.md", "a.md"}).bytes, "one");
}

class GitHead : public SourceFolderTest {
 protected:
  const std::string a_ = std::string(40, 'a'), b_ = std::string(40, 'b');
};

TEST_F(GitHead, ReadsLooseAndPackedRefs) {
  write("docs/x.md");
  EXPECT_EQ(git_head("/"), "");
  write(".git/HEAD", "ref: refs/heads/main\n");
  EXPECT_EQ(git_head(root_ / "docs"), "") << "before the first commit";
  write(".git/packed-refs",
        "# pack-refs with: peeled\n" + b_ + " refs/heads/other\n" + a_ + " refs/heads/main\n^" + b_ + "\n");
  EXPECT_EQ(git_head(root_ / "docs"), a_);
  write(".git/refs/heads/main", b_ + "\n");
  EXPECT_EQ(git_head(root_), b_);
  write(".git/HEAD", a_ + "\n");
  EXPECT_EQ(git_head(root_), a_) << "detached";
}

TEST_F(GitHead, ReadsWorktrees) {
  write("main/.git/refs/heads/topic", a_);
  write("main/.git/worktrees/w/HEAD", "ref: refs/heads/topic");
  write("main/.git/worktrees/w/commondir", "../..\n");
  write("w/.git", "gitdir: " + (root_ / "main/.git/worktrees/w").string() + "\n");
  EXPECT_EQ(git_head(root_ / "w"), a_);
  write("sub/.git", "gitdir: ../main/.git/worktrees/w\n");
  EXPECT_EQ(git_head(root_ / "sub"), a_);
}

TEST_F(GitHead, AnswersNothingForWhatItDoesNotUnderstand) {
  for (const auto* head :
       {"", "garbage", "ref: ../../etc/passwd", "ref: refs/../../x", "ref: refs/heads/.invalid", "ref:", "ABCDEF"}) {
    write(".git/HEAD", head);
    EXPECT_EQ(git_head(root_), "") << head;
  }
  write(".git/HEAD", "ref: refs/heads/a");
  write(".git/refs/heads/a", "ref: refs/heads/a");
  EXPECT_EQ(git_head(root_), "") << "a loop";
}

}  // namespace
}  // namespace lakeloop::ingest
