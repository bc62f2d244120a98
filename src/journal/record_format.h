#pragma once

// The bytes of one record (segment.h).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lakeloop::journal {

struct RecordView {
  std::uint64_t micros = 0;
  std::string_view bytes;
};

void encode_record(std::string_view bytes, std::uint64_t micros, std::uint32_t seed, std::string& out);
// The record at the front of `from`; nullopt when it is not whole or its checksum is wrong.
std::optional<RecordView> decode_record(std::string_view from, std::uint32_t seed);

std::uint32_t load_u32(std::string_view from);
std::uint64_t load_u64(std::string_view from);

// What follows a broken record in the last segment of a journal.
enum class Tail : std::uint8_t { kTorn, kDamaged };
// `rest` begins at the broken record; `before` is the time of the record in front of it. Torn: the batch that was being
// written when the machine stopped, so nothing in it was acknowledged. Since a batch is written only after the one
// before it is synced, whole records of two batches behind the broken one prove that it had been acknowledged.
Tail judge_tail(std::string_view rest, std::uint64_t before, std::uint32_t seed);

}  // namespace lakeloop::journal
