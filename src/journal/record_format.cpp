#include "journal/record_format.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/clock.h"
#include "codec/hash.h"
#include "journal/segment.h"

namespace lakeloop::journal {
namespace {

static_assert(std::endian::native == std::endian::little, "records are written as they lie in memory");

// The first whole record in `rest` at or after `from`. A wrong guess at a length would cost a checksum over megabytes
// at every byte: the time is looked at first.
std::optional<std::size_t> find_record(std::string_view rest, std::size_t from, std::uint64_t before,
                                       std::uint32_t seed) {
  constexpr std::uint64_t kDay = 24ull * 3600 * 1'000'000;
  const std::uint64_t latest = static_cast<std::uint64_t>(Timestamp::now().micros) + kDay;
  for (; from + kRecordHeaderBytes <= rest.size(); ++from) {
    const std::uint64_t micros = load_u64(rest.substr(from + 8));
    if (micros >= before && micros <= latest && micros > 0 && decode_record(rest.substr(from), seed)) return from;
  }
  return std::nullopt;
}

}  // namespace

std::uint32_t load_u32(std::string_view from) {
  std::uint32_t value;
  std::memcpy(&value, from.data(), sizeof value);
  return value;
}

std::uint64_t load_u64(std::string_view from) {
  std::uint64_t value;
  std::memcpy(&value, from.data(), sizeof value);
  return value;
}

void encode_record(std::string_view bytes, std::uint64_t micros, std::uint32_t seed, std::string& out) {
  char header[kRecordHeaderBytes];
  const auto length = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(header, &length, 4);
  std::memcpy(header + 8, &micros, 8);
  std::uint32_t sum = codec::crc32c({header, 4}, seed);
  sum = codec::crc32c({header + 8, 8}, sum);
  sum = codec::crc32c(bytes, sum);
  std::memcpy(header + 4, &sum, 4);
  out.append(header, sizeof header);
  out += bytes;
}

std::optional<RecordView> decode_record(std::string_view from, std::uint32_t seed) {
  if (from.size() < kRecordHeaderBytes) return std::nullopt;
  const std::uint64_t length = load_u32(from);
  if (length > from.size() - kRecordHeaderBytes) return std::nullopt;
  std::uint32_t sum = codec::crc32c(from.substr(0, 4), seed);
  sum = codec::crc32c(from.substr(8, 8 + length), sum);
  if (sum != load_u32(from.substr(4))) return std::nullopt;
  return RecordView{load_u64(from.substr(8)), from.substr(kRecordHeaderBytes, length)};
}

Tail judge_tail(std::string_view rest, std::uint64_t before, std::uint32_t seed) {
  const std::optional<std::size_t> found = find_record(rest, 1, before, seed);
  if (!found) return Tail::kTorn;
  const std::uint64_t batch = decode_record(rest.substr(*found), seed)->micros;
  for (std::optional<std::size_t> at = found; at;) {
    const RecordView record = *decode_record(rest.substr(*at), seed);
    if (record.micros != batch) return Tail::kDamaged;
    at = find_record(rest, *at + kRecordHeaderBytes + record.bytes.size(), before, seed);
  }
  // One batch stands behind the broken record. Is that record of the same batch? Its time says so, or that of the
  // record in front of it, or it is a page that never reached the disk.
  const std::string_view header = rest.substr(0, kRecordHeaderBytes);
  const bool same = before == batch || load_u64(header.substr(8)) == batch;
  const bool hole = std::ranges::all_of(header, [](char c) { return c == '\0'; });
  return same || hole ? Tail::kTorn : Tail::kDamaged;
}

}  // namespace lakeloop::journal
