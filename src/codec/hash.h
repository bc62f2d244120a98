#pragma once

// Digests and checksums.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace lakeloop::codec {

std::string sha256_hex(std::string_view bytes);
std::string hmac_sha256(std::string_view key, std::string_view bytes);  // 32 raw bytes
std::uint32_t crc32(std::string_view bytes, std::uint32_t seed = 0);    // IEEE, as zlib
std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed = 0);   // Castagnoli; seed: the sum of what came before
bool equal_constant_time(std::string_view a, std::string_view b);

// SHA-256 of a stream.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  void update(std::string_view bytes);
  std::string finish_hex();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::codec
