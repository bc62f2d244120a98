#include "delta/deletion_vector.h"

#include <roaring/roaring.h>

#include <memory>

#include "base/format.h"
#include "base/limits.h"
#include "codec/encoding.h"
#include "codec/hash.h"

namespace lakeloop::delta {
namespace {

constexpr std::uint32_t kMagic = 1681511377;

struct BitmapFree {
  void operator()(roaring_bitmap_t* bitmap) const { roaring_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<roaring_bitmap_t, BitmapFree>;

std::uint32_t little_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  return value;
}
std::uint32_t big_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

[[noreturn]] void damaged(std::string_view why) {
  throw Error(ErrorCode::kDataLoss, "a deletion vector is damaged: {}", why);
}

// "ab" + 20 characters of Z85 -> "ab/deletion_vector_<uuid>.bin"
std::string relative_path(std::string_view text) {
  if (text.size() < 20) damaged("its name is too short");
  const auto folder = text.substr(0, text.size() - 20);
  const auto id = codec::z85_decode(text.substr(text.size() - 20));
  if (!id || id->size() != 16) damaged("its name is not Z85");
  const auto hex = codec::hex_encode(*id);
  const auto name = format("deletion_vector_{}-{}-{}-{}-{}.bin", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                           hex.substr(16, 4), hex.substr(20));
  return decode_path(folder.empty() ? name : codec::percent_encode(folder) + "/" + name);
}

// Z85 knows only whole groups of four bytes. delta-rs writes a shorter last group with one leading '#' for each byte
// that is missing; no group of the standard starts so, its value would pass 32 bits.
std::optional<std::string> inline_bytes(std::string text) {
  std::size_t missing = 0;
  if (text.size() >= 5) {
    for (auto at = text.size() - 5; missing < 3 && text[at + missing] == '#'; ++missing) text[at + missing] = '0';
  }
  auto bytes = codec::z85_decode(text);
  if (bytes && missing > 0) bytes->erase(bytes->size() - 4, missing);
  return bytes;
}

std::string bytes_of(const Log& log, const Json& descriptor) {
  const auto kind = descriptor.str("storageType");
  const auto text = descriptor.str("pathOrInlineDv");
  const auto size = descriptor["sizeInBytes"].int_or(-1);
  if (size < 0) damaged("its size is missing");
  if (kind == "i") {
    auto bytes = inline_bytes(text);
    // Z85 pads to four bytes: the size says how many count.
    if (!bytes || std::cmp_less(bytes->size(), size)) damaged("its inline text is not Z85 of the stated size");
    bytes->resize(static_cast<std::size_t>(size));
    return *bytes;
  }
  if (kind != "u") {
    throw Error(ErrorCode::kUnsupportedFeature, "a deletion vector has the storage type '{}', which is not supported",
                kind);
  }
  const auto offset = descriptor["offset"].int_or(0);
  if (offset < 0) damaged("its offset is negative");
  const auto whole = log.store().get_range(log.key(relative_path(text)), static_cast<std::uint64_t>(offset),
                                           static_cast<std::uint64_t>(size) + 8);
  if (whole.size() != static_cast<std::size_t>(size) + 8) damaged("its file is too short");
  if (std::cmp_not_equal(big_endian(whole), size)) damaged("the size in its file differs");
  auto bytes = whole.substr(4, static_cast<std::size_t>(size));
  if (codec::crc32(bytes) != big_endian(std::string_view(whole).substr(whole.size() - 4)))
    damaged("its checksum differs");
  return bytes;
}

}  // namespace

DeletedRows decode_deletion_vector(std::string_view bytes) {
  if (bytes.size() < 12 || little_endian(bytes) != kMagic) damaged("its format is unknown");
  const auto buckets = little_endian(bytes.substr(4)) | static_cast<std::uint64_t>(little_endian(bytes.substr(8)))
                                                            << 32;
  DeletedRows rows;
  auto rest = bytes.substr(12);
  std::int64_t before = -1;
  for (std::uint64_t i = 0; i < buckets; ++i) {
    if (rest.size() < 4) damaged("its bitmap is too short");
    const std::int64_t key = little_endian(rest);
    rest.remove_prefix(4);
    if (key <= before || key > INT32_MAX) damaged("its buckets are out of order");
    before = key;
    const auto size = roaring_bitmap_portable_deserialize_size(rest.data(), rest.size());
    const Bitmap bitmap(size == 0 ? nullptr : roaring_bitmap_portable_deserialize_safe(rest.data(), rest.size()));
    // Deserializing keeps within the bytes, but trusts the counts in them: what follows would not.
    if (!bitmap || !roaring_bitmap_internal_validate(bitmap.get(), nullptr)) damaged("its bitmap cannot be read");
    rest.remove_prefix(size);
    const auto count = roaring_bitmap_get_cardinality(bitmap.get());
    if (rows.size() + count > limits::kDeltaDeletedRows) {
      throw Error(ErrorCode::kTooLarge, "a deletion vector has more than {} rows", limits::kDeltaDeletedRows);
    }
    std::vector<std::uint32_t> low(count);
    roaring_bitmap_to_uint32_array(bitmap.get(), low.data());
    for (const auto value : low) rows.push_back(static_cast<std::uint64_t>(key) << 32 | value);
  }
  return rows;
}

DeletedRows read_deletion_vector(const Log& log, const Json& descriptor) {
  if (!descriptor.is_object()) return {};
  auto rows = decode_deletion_vector(bytes_of(log, descriptor));
  if (const auto wanted = descriptor["cardinality"].int_or(-1);
      wanted >= 0 && std::cmp_not_equal(rows.size(), wanted)) {
    damaged("its cardinality differs");
  }
  return rows;
}

}  // namespace lakeloop::delta
