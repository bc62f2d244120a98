#pragma once

// Sealing of secrets at rest: XSalsa20-Poly1305 (libsodium secretbox) under a key that lives in a file of mode 0600 in
// the data folder. A sealed text is "v1." + base64(nonce || box). Thread-safe after construction.

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"

namespace lakeloop::codec {

class Sealer {
 public:
  // Reads the key file, or makes it (32 random bytes, hex, mode 0600).
  static Sealer open(const std::filesystem::path& key_file);

  [[nodiscard]] std::string seal(std::string_view secret) const;
  // kDataLoss when the text was changed or sealed under another key.
  [[nodiscard]] std::string unseal(std::string_view sealed) const;

 private:
  explicit Sealer(std::string key) : key_(std::move(key)) {}
  std::string key_;
};

}  // namespace lakeloop::codec
