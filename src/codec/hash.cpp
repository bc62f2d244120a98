#include "codec/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <zlib.h>

#include "base/check.h"
#include "codec/encoding.h"

namespace lakeloop::codec {

struct Sha256::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  bool finished = false;
  Impl() { LAKELOOP_CHECK(context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1); }
  ~Impl() { EVP_MD_CTX_free(context); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes) {
  LAKELOOP_CHECK(!impl_->finished);
  LAKELOOP_CHECK(EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()) == 1);
}

std::string Sha256::finish_hex() {
  LAKELOOP_CHECK(!impl_->finished);
  impl_->finished = true;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  LAKELOOP_CHECK(EVP_DigestFinal_ex(impl_->context, digest, &size) == 1);
  return hex_encode({reinterpret_cast<const char*>(digest), size});
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish_hex();
}

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  // OpenSSL takes a null key for "the key set before": an empty key must still point somewhere.
  const char* key_data = key.empty() ? "" : key.data();
  LAKELOOP_CHECK(HMAC(EVP_sha256(), key_data, static_cast<int>(key.size()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest, &size) != nullptr);
  return {reinterpret_cast<const char*>(digest), size};
}

std::uint32_t crc32(std::string_view bytes, std::uint32_t seed) {
  return static_cast<std::uint32_t>(::crc32_z(seed, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace lakeloop::codec
