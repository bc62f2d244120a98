#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "base/file.h"
#include "base/id.h"
#include "storage/object_store.h"

namespace lakeloop::storage {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

class LocalStoreTest : public testing::Test {
 protected:
  LocalStoreTest()
      : top_(fs::temp_directory_path() / ("store-" + random_hex(8))), store_(open_local_store(top_ / "root")) {}
  ~LocalStoreTest() override { fs::remove_all(top_); }

  std::vector<std::string> keys(std::string_view prefix, std::string_view start_after = {}) {
    std::vector<std::string> names;
    for (const ObjectInfo& object : store_->list(prefix, start_after)) names.push_back(object.key);
    return names;
  }

  const fs::path top_;
  const std::unique_ptr<ObjectStore> store_;
};

ErrorCode code_of(auto&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kInternal;
}

TEST_F(LocalStoreTest, KeepsObjects) {
  const std::string bytes("a\0b\xff", 4);
  store_->put("t/_delta_log/0.json", bytes);
  EXPECT_EQ(store_->get("t/_delta_log/0.json"), bytes);
  EXPECT_EQ(store_->head("t/_delta_log/0.json")->size, 4u);
  EXPECT_GT(store_->head("t/_delta_log/0.json")->modified, Timestamp{1'700'000'000'000'000});
  store_->put("t/_delta_log/0.json", "");
  EXPECT_EQ(store_->get("t/_delta_log/0.json"), "");
  EXPECT_EQ(open_local_store(top_ / "root")->get("t/_delta_log/0.json"), "");
  EXPECT_EQ(read_file(store_->location("t/_delta_log/0.json")), "");
}

TEST_F(LocalStoreTest, ReadsRanges) {
  store_->put("a", "0123456789");
  EXPECT_EQ(store_->get_range("a", 0, 3), "012");
  EXPECT_EQ(store_->get_range("a", 8, 100), "89");
  EXPECT_EQ(store_->get_range("a", 8, UINT64_MAX), "89");
  EXPECT_EQ(store_->get_range("a", 10, 1), "");
  EXPECT_EQ(code_of([&] { (void)store_->get_range("a", 11, 1); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { (void)store_->get_range("b", 0, 1); }), ErrorCode::kNotFound);
}

TEST_F(LocalStoreTest, MissingIsNotFound) {
  store_->put("folder/file", "x");
  for (const char* key : {"none", "none/deeper", "folder", "folder/file/below"}) {
    EXPECT_EQ(code_of([&] { (void)store_->get(key); }), ErrorCode::kNotFound) << key;
    EXPECT_EQ(store_->head(key), std::nullopt) << key;
    EXPECT_NO_THROW(store_->remove(key)) << key;
  }
  EXPECT_EQ(store_->get("folder/file"), "x");
}

TEST_F(LocalStoreTest, AFileIsNoFolder) {
  store_->put("a/b", "x");
  EXPECT_EQ(code_of([&] { store_->put("a", "y"); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { store_->put("a/b/c", "y"); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { store_->put("a/b/c/d", "y"); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { (void)store_->put_if_absent("a", "y"); }), ErrorCode::kInvalidArgument);
  EXPECT_THAT(keys(""), ElementsAre("a/b"));
}

TEST_F(LocalStoreTest, ListsInKeyOrder) {
  for (const char* key : {"t/b", "t/a/z", "t/a.x", "t/a-", "t/a0", "t/c/1/2", "ta", "s", "t/_delta_log/00.json"})
    store_->put(key, "x");
  // By byte: '-' < '.' < '/' < '0'.
  EXPECT_THAT(keys(""),
              ElementsAre("s", "t/_delta_log/00.json", "t/a-", "t/a.x", "t/a/z", "t/a0", "t/b", "t/c/1/2", "ta"));
  EXPECT_THAT(keys("t/"), ElementsAre("t/_delta_log/00.json", "t/a-", "t/a.x", "t/a/z", "t/a0", "t/b", "t/c/1/2"));
  EXPECT_THAT(keys("t/a"), ElementsAre("t/a-", "t/a.x", "t/a/z", "t/a0"));
  EXPECT_THAT(keys("t/a/"), ElementsAre("t/a/z"));
  EXPECT_THAT(keys("t/c/1/2"), ElementsAre("t/c/1/2"));
  EXPECT_THAT(keys("t"), testing::SizeIs(8));
  EXPECT_THAT(keys("t/", "t/a/z"), ElementsAre("t/a0", "t/b", "t/c/1/2"));
  EXPECT_THAT(keys("t/", "t/a/"), ElementsAre("t/a/z", "t/a0", "t/b", "t/c/1/2"));
  EXPECT_THAT(keys("", "t/c/1"), ElementsAre("t/c/1/2", "ta"));
  EXPECT_THAT(keys("", "zz"), IsEmpty());
  EXPECT_THAT(keys("none/"), IsEmpty());
  EXPECT_THAT(keys("t/b/"), IsEmpty());
  EXPECT_THAT(keys("/"), IsEmpty());
  EXPECT_EQ(code_of([&] { (void)keys("../"); }), ErrorCode::kInvalidArgument);
  // Page by page gives the same as at once.
  std::vector<std::string> pages;
  for (std::string last;;) {
    const std::vector<std::string> rest = keys("", last);
    if (rest.empty()) break;
    pages.push_back(last = rest.front());
  }
  EXPECT_EQ(pages, keys(""));
}

TEST_F(LocalStoreTest, NamesGoInAndComeOut) {
  for (const char* key :
       {"100%.txt", "a+b.txt", "sp ace.txt", "q;r=1.txt", "a:b.txt", ".hidden", "k=a%20b/x", "größe 色 🚀"}) {
    store_->put(key, key);
    EXPECT_EQ(store_->get(key), key);
    EXPECT_THAT(keys(key), ElementsAre(key));
    store_->remove(key);
    EXPECT_EQ(store_->head(key), std::nullopt);
  }
  for (const char* key : {"e?f.txt", "c#d.txt", "../x", "/x", "a/../b", "%2e%2e/x", "", ".x.tmp-0"}) {
    EXPECT_EQ(code_of([&] { store_->put(key, "x"); }), ErrorCode::kInvalidArgument) << key;
    EXPECT_EQ(code_of([&] { (void)store_->get(key); }), ErrorCode::kInvalidArgument) << key;
    EXPECT_EQ(code_of([&] { store_->remove(key); }), ErrorCode::kInvalidArgument) << key;
  }
}

TEST_F(LocalStoreTest, RemovesAndPrunesEmptyFolders) {
  store_->put("a/b/c/d", "x");
  store_->put("a/e", "x");
  store_->remove("a/b/c/d");
  EXPECT_FALSE(fs::exists(top_ / "root/a/b"));
  EXPECT_TRUE(fs::exists(top_ / "root/a"));
  store_->remove("a/e");
  EXPECT_TRUE(fs::is_empty(top_ / "root"));
  EXPECT_TRUE(fs::exists(top_ / "root"));
  EXPECT_THAT(keys(""), IsEmpty());
  store_->put("a", "a file now");
  EXPECT_EQ(store_->get("a"), "a file now");
}

TEST_F(LocalStoreTest, DoesNotFollowLinksOut) {
  fs::create_directories(top_ / "outside");
  write_file_atomic(top_ / "outside/secret", "s");
  fs::create_directory_symlink(top_ / "outside", top_ / "root/link");
  fs::create_symlink(top_ / "outside/secret", top_ / "root/file");
  EXPECT_THAT(keys(""), IsEmpty());
  EXPECT_EQ(code_of([&] { (void)store_->get("file"); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { (void)store_->get("link/secret"); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { store_->put("link/new", "x"); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { store_->remove("link/secret"); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { (void)keys("link/"); }), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(fs::exists(top_ / "outside/secret"));
}

TEST_F(LocalStoreTest, UnfinishedFilesAreNoObjects) {
  store_->put("t/a", "x");
  write_file_atomic(top_ / "root/t/.b.tmp-0123456789ab", "half");
  EXPECT_THAT(keys(""), ElementsAre("t/a"));
}

TEST_F(LocalStoreTest, ExactlyOneOfRacingCallersCreates) {
  for (int round = 0; round < 20; ++round) {
    const std::string key = "t/" + std::to_string(round);
    std::atomic<int> winners = 0;
    std::string written;
    std::vector<std::thread> threads;
    for (int i = 0; i < 6; ++i) {
      threads.emplace_back([&, i] {
        if (store_->put_if_absent(key, std::to_string(i))) {
          ++winners;
          written = std::to_string(i);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(winners, 1);
    EXPECT_EQ(store_->get(key), written);
  }
}

// Pruning must never take a folder from under a writer.
TEST_F(LocalStoreTest, WritersAndRemoversOfOneFolder) {
  std::vector<std::thread> threads;
  std::atomic<int> errors = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      const std::string key = "deep/er/" + std::to_string(i);
      for (int round = 0; round < 100; ++round) {
        try {
          store_->put(key, "x");
          if (store_->get(key) != "x") ++errors;
          store_->remove(key);
        } catch (const Error& error) {
          ++errors;
          ADD_FAILURE() << error.message();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(errors, 0);
  EXPECT_TRUE(fs::is_empty(top_ / "root"));
}

}  // namespace
}  // namespace lakeloop::storage
