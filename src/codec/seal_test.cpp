#include "codec/seal.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/id.h"

namespace lakeloop::codec {
namespace {

namespace fs = std::filesystem;

class SealTest : public testing::Test {
 protected:
  SealTest() : folder_(fs::temp_directory_path() / ("seal-" + random_hex(8))) { fs::create_directories(folder_); }
  ~SealTest() override { fs::remove_all(folder_); }
  const fs::path folder_;
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

TEST_F(SealTest, SealsAndUnseals) {
  const Sealer sealer = Sealer::open(folder_ / "key");
  struct stat about{};
  ASSERT_EQ(stat((folder_ / "key").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  for (const std::string& secret :
       {std::string(), std::string("sk-123"), std::string("a\0b", 3), std::string(100'000, 'x')}) {
    const std::string sealed = sealer.seal(secret);
    EXPECT_TRUE(sealed.starts_with("v1."));
    EXPECT_EQ(sealed.find("sk-123"), std::string::npos);
    EXPECT_NE(sealed, sealer.seal(secret));  // a fresh nonce each time
    EXPECT_EQ(Sealer::open(folder_ / "key").unseal(sealed), secret);
  }
}

TEST_F(SealTest, NoticesEveryChange) {
  const Sealer sealer = Sealer::open(folder_ / "key");
  const std::string sealed = sealer.seal("a secret");
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_EQ(code_of([&] { (void)sealer.unseal(changed); }), ErrorCode::kDataLoss) << i;
    EXPECT_EQ(code_of([&] { (void)sealer.unseal(sealed.substr(0, i)); }), ErrorCode::kDataLoss) << i;
  }
  const Sealer other = Sealer::open(folder_ / "other");
  EXPECT_EQ(code_of([&] { (void)other.unseal(sealed); }), ErrorCode::kDataLoss);
}

TEST_F(SealTest, RefusesAKeyFileThatOthersRead) {
  const fs::path key = folder_ / "key";
  (void)Sealer::open(key);
  for (const mode_t mode : {0644, 0640, 0660, 0604}) {
    chmod(key.c_str(), mode);
    EXPECT_EQ(code_of([&] { (void)Sealer::open(key); }), ErrorCode::kPermissionDenied);
  }
  chmod(key.c_str(), 0400);
  EXPECT_NO_THROW((void)Sealer::open(key));
}

TEST_F(SealTest, NeverReplacesABrokenKeyFile) {
  const fs::path key = folder_ / "key";
  for (const std::string bad : {"", "abc", "zz", "00112233445566778899aabbccddeeff"}) {
    write_file_atomic(key, bad, 0600);
    EXPECT_EQ(code_of([&] { (void)Sealer::open(key); }), ErrorCode::kDataLoss);
    EXPECT_EQ(read_file(key), bad);
  }
  fs::create_symlink(folder_ / "nowhere", folder_ / "link");
  EXPECT_EQ(code_of([&] { (void)Sealer::open(folder_ / "link"); }), ErrorCode::kNotFound);
}

TEST_F(SealTest, RacingMakersAgreeOnOneKey) {
  std::vector<std::string> sealed(8);
  std::vector<std::thread> threads;
  for (std::string& text : sealed) threads.emplace_back([&] { text = Sealer::open(folder_ / "key").seal("same"); });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : sealed) EXPECT_EQ(Sealer::open(folder_ / "key").unseal(text), "same");
}

}  // namespace
}  // namespace lakeloop::codec
