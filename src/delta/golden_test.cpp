// Tables that other engines wrote, with the rows that they must give.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <fstream>

#include "base/file.h"
#include "delta/deletion_vector.h"
#include "delta/duck.h"
#include "delta/scan.h"
#include "delta/test_table.h"

namespace lakeloop::delta {
namespace {

namespace fs = std::filesystem;

std::string decompress(const std::string& packed) {
  auto* stream = ZSTD_createDStream();
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  std::string result, buffer(1 << 17, '\0');
  while (in.pos < in.size) {
    ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
    if (ZSTD_isError(ZSTD_decompressStream(stream, &out, &in))) break;
    result.append(buffer, 0, out.pos);
  }
  ZSTD_freeDStream(stream);
  return result;
}

// The plain part of POSIX tar that these archives use, with GNU and pax long names.
void unpack(const std::string& tar, const fs::path& to) {
  std::string long_name;
  for (std::size_t at = 0; at + 512 <= tar.size();) {
    const auto header = tar.substr(at, 512);
    if (header[0] == '\0') break;
    const auto size = std::stoull(header.substr(124, 11), nullptr, 8);
    const auto body = tar.substr(at + 512, size);
    std::string name = header.substr(0, 100).c_str();
    if (const std::string prefix = header.substr(345, 155).c_str(); !prefix.empty() && header.substr(257, 5) == "ustar")
      name = prefix + "/" + name;
    const char type = header[156];
    at += 512 + (size + 511) / 512 * 512;
    if (type == 'L') {
      long_name = body.c_str();
      continue;
    }
    if (type == 'x') {
      if (const auto path = body.find(" path="); path != std::string::npos)
        long_name = body.substr(path + 6, body.find('\n', path) - path - 6);
      continue;
    }
    if (!long_name.empty()) name = std::exchange(long_name, "");
    if (type == '5') {
      fs::create_directories(to / name);
    } else if (type == '0' || type == '\0') {
      fs::create_directories((to / name).parent_path());
      std::ofstream(to / name, std::ios::binary).write(body.data(), static_cast<std::streamsize>(body.size()));
    }
  }
}

class Golden : public testing::Test {
 protected:
  void SetUp() override {
    const auto* data = std::getenv("LAKELOOP_TEST_DATA");
    if (!data || !fs::exists(fs::path(data) / "delta_golden")) GTEST_SKIP() << "LAKELOOP_TEST_DATA is not set";
    data_ = fs::path(data) / "delta_golden";
  }
  // Archives hold NAME/delta and NAME/expected, or NAME/_delta_log.
  std::string prepare(const std::string& name) {
    if (!fs::exists(folder_.path() / name)) unpack(decompress(read_file(data_ / (name + ".tar.zst"))), folder_.path());
    return fs::exists(folder_.path() / name / "delta") ? name + "/delta" : name;
  }
  Table open(const std::string& name) { return Table::open(folder_.store(), prepare(name)); }
  // The rows that Spark stored beside the table, read column by column in the table's own order and types.
  std::vector<std::string> expected(const std::string& name, const Snapshot& snapshot) {
    ScanShape shape;
    shape.schema = snapshot.schema;
    shape.folder = (folder_.path() / name / "expected").string();
    std::vector<FileRows> files;
    for (const auto& entry : fs::directory_iterator(shape.folder)) {
      if (entry.path().extension() == ".parquet") files.push_back({entry.path().filename().string(), {}, {}, false});
    }
    return sorted_text(Duck().query(select_files(shape, files)).rows);
  }
  const TestFolder folder_;
  fs::path data_;
};

TEST_F(Golden, RowsAreAsSparkReadThem) {
  int compared = 0;
  for (const auto& entry : fs::directory_iterator(data_)) {
    auto name = entry.path().filename().string();
    if (!name.ends_with(".tar.zst")) continue;
    name.resize(name.size() - 8);
    prepare(name);
    if (!fs::exists(folder_.path() / name / "expected")) continue;
    SCOPED_TRACE(name);
    try {
      const auto table = open(name);
      const auto snapshot = table.snapshot();
      const auto rows = sorted_text(table.scan(snapshot).rows);
      const auto wanted = expected(name, snapshot);
      EXPECT_EQ(rows.size(), wanted.size());
      if (rows != wanted) {
        for (std::size_t i = 0; i < std::min(rows.size(), wanted.size()); ++i) {
          if (rows[i] != wanted[i]) {
            ADD_FAILURE() << "row " << i << "\n" << rows[i] << "\n" << wanted[i];
            break;
          }
        }
      }
      ++compared;
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
    fs::remove_all(folder_.path() / name);
  }
  EXPECT_GE(compared, 30);
}

TEST_F(Golden, BrokenTablesRefuse) {
  const auto code = [&](const std::string& name) {
    try {
      open(name);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  EXPECT_EQ(code("no-delta-log-folder"), ErrorCode::kNotFound);
  EXPECT_EQ(code("versions-not-contiguous"), ErrorCode::kDataLoss);
  EXPECT_EQ(code("deltalog-state-reconstruction-from-checkpoint-missing-protocol"), ErrorCode::kDataLoss);
}

TEST_F(Golden, V2Checkpoints) {
  // No rows are stored beside these; the statistics of the live files say how many there are.
  for (const auto* name : {"v2-checkpoints-json-with-last-checkpoint", "v2-checkpoints-json-with-sidecars",
                           "v2-checkpoints-parquet-without-sidecars", "v2-classic-checkpoint-parquet"}) {
    SCOPED_TRACE(name);
    const auto table = open(name);
    const auto snapshot = table.snapshot();
    const auto rows = sorted_text(table.scan(snapshot).rows);
    EXPECT_FALSE(rows.empty());
    std::int64_t recorded = 0;
    for (const auto& file : snapshot.files) recorded += Json::parse(file.stats)["numRecords"].as_int();
    EXPECT_EQ(std::cmp_equal(rows.size(), recorded), true);
  }
}

TEST_F(Golden, ChangeFeeds) {
  std::map<std::string, int> types;
  const auto count = [&](const std::string& name, std::int64_t from, std::int64_t to) {
    types.clear();
    open(name).changes(from, to, 100, [&](const std::vector<Change>& batch) {
      for (const auto& change : batch) ++types[change_name(change.type)];
    });
    return types;
  };
  using Counts = std::map<std::string, int>;
  EXPECT_EQ(count("cdf-table", 0, 3), (Counts{{"insert", 10}, {"pre", 6}, {"post", 6}, {"delete", 1}}));
  EXPECT_EQ(count("cdf-table-delete-conditional-two-rows", 0, 1), (Counts{{"insert", 10}, {"delete", 2}}));
  EXPECT_EQ(count("cdf-table-update-ops", 0, 2), (Counts{{"insert", 10}, {"pre", 5}, {"post", 5}}));
  EXPECT_EQ(count("cdf-table-partitioned", 0, 2), (Counts{{"insert", 6}, {"delete", 4}, {"pre", 1}, {"post", 1}}));
  EXPECT_EQ(count("cdf-table-simple", 0, 2), (Counts{{"insert", 15}, {"delete", 10}}));
  EXPECT_EQ(count("cdf-table-with-dv", 0, 6), (Counts{{"insert", 17}, {"delete", 7}}));
  EXPECT_EQ(count("cdf-table-with-cdc-and-dvs", 0, 25),
            (Counts{{"insert", 18}, {"delete", 13}, {"pre", 6}, {"post", 6}}));
  EXPECT_EQ(count("cdf-table-backtick-column-names", 0, 1), (Counts{{"insert", 5}}));
}

TEST(DeltaDeletionVector, InlineVectorOfTheKernel) {
  const TestFolder folder;
  const Log log(folder.store(), "t");
  const auto descriptor = [](std::string text, int size, int cardinality) {
    return Json::object({{"storageType", "i"},
                         {"pathOrInlineDv", std::move(text)},
                         {"sizeInBytes", size},
                         {"cardinality", cardinality}});
  };
  const std::string text = "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L";
  EXPECT_EQ(read_deletion_vector(log, descriptor(text, 44, 6)), (DeletedRows{3, 4, 7, 11, 18, 29}));
  EXPECT_THROW(read_deletion_vector(log, descriptor(text, 44, 7)), Error);
  EXPECT_THROW(read_deletion_vector(log, descriptor(text, 400, 6)), Error);
  EXPECT_THROW(read_deletion_vector(log, descriptor("wi5b=", 4, 1)), Error);
  EXPECT_THROW(read_deletion_vector(log, Json::object({{"storageType", "x"}, {"sizeInBytes", 4}})), Error);
  for (std::size_t cut = 0; cut < 44; ++cut) EXPECT_THROW(decode_deletion_vector(std::string(cut, '\x01')), Error);
}

}  // namespace
}  // namespace lakeloop::delta
