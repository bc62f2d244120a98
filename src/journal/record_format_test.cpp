#include "journal/record_format.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "codec/hash.h"

namespace lakeloop::journal {
namespace {

constexpr std::uint32_t kSeed = 0x12345678;
const std::uint64_t kNow = static_cast<std::uint64_t>(Timestamp::now().micros);

std::string record(std::string_view bytes, std::uint64_t micros) {
  std::string out;
  encode_record(bytes, micros, kSeed, out);
  return out;
}

TEST(RecordFormat, RoundTrips) {
  for (const std::string& bytes : {std::string(), std::string("x"), std::string(1000, '\0')}) {
    const std::string encoded = record(bytes, kNow);
    EXPECT_EQ(decode_record(encoded + "tail", kSeed)->bytes, bytes);
    EXPECT_EQ(decode_record(encoded, kSeed)->micros, kNow);
    EXPECT_FALSE(decode_record(encoded, kSeed + 1));
    for (std::size_t size = 0; size < encoded.size(); ++size)
      EXPECT_FALSE(decode_record(encoded.substr(0, size), kSeed));
    for (std::size_t at = 0; at < encoded.size(); ++at) {
      std::string damaged = encoded;
      damaged[at] ^= 4;
      EXPECT_FALSE(decode_record(damaged, kSeed)) << at;
    }
  }
  EXPECT_FALSE(decode_record(std::string(64, '\0'), kSeed));  // zeros are no empty record
  EXPECT_FALSE(decode_record(std::string(64, '\0'), 0));
}

// Pages of one write reach the disk in any order, but only those of the last batch can be missing.
TEST(JudgeTail, TellsATornBatchFromDamage) {
  const std::string a = record("first of the batch", kNow), b = record("second", kNow), c = record("third", kNow);
  const std::string later = record("a later batch", kNow + 5);
  const std::string hole(a.size(), '\0');
  std::string flipped = a;
  flipped[20] ^= 1;
  std::string lost_header = a;
  for (std::size_t i = 0; i < 16; ++i) lost_header[i] = 'x';

  EXPECT_EQ(judge_tail(a.substr(0, 20), kNow - 1, kSeed), Tail::kTorn);
  EXPECT_EQ(judge_tail(hole, kNow - 1, kSeed), Tail::kTorn);
  EXPECT_EQ(judge_tail(hole + b + c, kNow - 1, kSeed), Tail::kTorn);        // its first page is missing
  EXPECT_EQ(judge_tail(flipped + b + c, kNow - 1, kSeed), Tail::kTorn);     // same batch by its own time
  EXPECT_EQ(judge_tail(lost_header + c, kNow, kSeed), Tail::kTorn);         // same batch by the record before
  EXPECT_EQ(judge_tail(flipped + b + hole + c, kNow, kSeed), Tail::kTorn);  // two holes
  EXPECT_EQ(judge_tail(flipped + later, kNow - 1, kSeed), Tail::kDamaged);  // was synced before the later batch
  EXPECT_EQ(judge_tail(hole + b + later, kNow - 1, kSeed), Tail::kDamaged);
  EXPECT_EQ(judge_tail(flipped + b + hole + later, kNow, kSeed), Tail::kDamaged);
  EXPECT_EQ(judge_tail(lost_header + later, kNow - 1, kSeed), Tail::kDamaged);  // nothing says it is of that batch
}

// A client may send bytes that look like records; without the salt they are none.
TEST(JudgeTail, ContentDoesNotPassForRecords) {
  std::string fake;
  for (std::uint64_t i = 0; i < 100; ++i) encode_record("fake", kNow + i, 0, fake);
  EXPECT_EQ(judge_tail(record(fake, kNow).substr(0, fake.size()), kNow - 1, kSeed), Tail::kTorn);
}

// The search must not take a checksum over megabytes at every byte.
TEST(JudgeTail, IsFastOnMegabytes) {
  std::string noise;
  while (noise.size() < 8 * 1024 * 1024) noise.append("\x00\x00\x10\x00 some text", 14);
  EXPECT_EQ(judge_tail(noise, kNow - 1, kSeed), Tail::kTorn);
}

}  // namespace
}  // namespace lakeloop::journal
