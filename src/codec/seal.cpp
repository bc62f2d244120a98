#include "codec/seal.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/file.h"
#include "base/id.h"
#include "base/text.h"
#include "codec/encoding.h"

namespace lakeloop::codec {
namespace {

constexpr std::string_view kVersion = "v1.";

const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* raw(std::string& bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

void start_sodium() {
  static const bool ready = sodium_init() >= 0;
  LAKELOOP_CHECK(ready);
}

// The key appears under its name complete or not at all; of several makers one wins and the others read its key.
void make_key_file(const std::filesystem::path& key_file) {
  std::string key(crypto_secretbox_KEYBYTES, '\0');
  crypto_secretbox_keygen(raw(key));
  const std::filesystem::path temporary =
      key_file.parent_path() / ("." + key_file.filename().string() + ".tmp-" + random_hex(6));
  try {
    const FileHandle file = open_file(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    std::string text = hex_encode(key) + "\n";
    write_all(file.get(), text, temporary);
    sodium_memzero(text.data(), text.size());
    if (fsync(file.get()) != 0)
      throw Error(ErrorCode::kDataLoss, "cannot sync {}: {}", temporary.string(), std::strerror(errno));
  } catch (...) {
    unlink(temporary.c_str());
    throw;
  }
  sodium_memzero(key.data(), key.size());
  const bool linked = link(temporary.c_str(), key_file.c_str()) == 0;
  const int cause = errno;
  unlink(temporary.c_str());
  if (!linked && cause != EEXIST) {
    throw Error(ErrorCode::kInternal, "cannot create the key file {}: {}", key_file.string(), std::strerror(cause));
  }
  sync_folder(key_file.parent_path());
}

std::string read_key(const std::filesystem::path& key_file) {
  const FileHandle file = open_file(key_file, O_RDONLY);
  struct stat about{};
  if (fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode)) {
    throw Error(ErrorCode::kInvalidArgument, "the key file {} is not a plain file", key_file.string());
  }
  if ((about.st_mode & 077) != 0) {
    throw Error(ErrorCode::kPermissionDenied,
                "the key file {} is open to others than its owner (mode {:04o}): run chmod 600 {}", key_file.string(),
                about.st_mode & 07777u, key_file.string());
  }
  char buffer[256];
  const ssize_t got = read(file.get(), buffer, sizeof buffer);
  if (got < 0)
    throw Error(ErrorCode::kInternal, "cannot read the key file {}: {}", key_file.string(), std::strerror(errno));
  std::optional<std::string> key = hex_decode(trim({buffer, static_cast<std::size_t>(got)}));
  sodium_memzero(buffer, sizeof buffer);
  if (!key || key->size() != crypto_secretbox_KEYBYTES) {
    throw Error(ErrorCode::kDataLoss,
                "the key file {} does not hold 64 hex digits: restore it from a backup; without it sealed secrets "
                "cannot be read",
                key_file.string());
  }
  return std::move(*key);
}

}  // namespace

Sealer Sealer::open(const std::filesystem::path& key_file) {
  start_sodium();
  if (!std::filesystem::exists(std::filesystem::symlink_status(key_file))) make_key_file(key_file);
  return Sealer(read_key(key_file));
}

std::string Sealer::seal(std::string_view secret) const {
  std::string sealed(crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + secret.size(), '\0');
  randombytes_buf(sealed.data(), crypto_secretbox_NONCEBYTES);
  LAKELOOP_CHECK(crypto_secretbox_easy(raw(sealed) + crypto_secretbox_NONCEBYTES, raw(secret), secret.size(),
                                       raw(sealed), raw(key_)) == 0);
  return std::string(kVersion) + base64_encode(sealed);
}

std::string Sealer::unseal(std::string_view sealed) const {
  constexpr std::size_t kOverhead = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
  if (!sealed.starts_with(kVersion))
    throw Error(ErrorCode::kDataLoss, "a sealed secret has an unknown form; this version reads v1");
  const std::optional<std::string> bytes = base64_decode(sealed.substr(kVersion.size()));
  if (!bytes || bytes->size() < kOverhead) throw Error(ErrorCode::kDataLoss, "a sealed secret is damaged");
  const std::string_view box = std::string_view(*bytes).substr(crypto_secretbox_NONCEBYTES);
  std::string secret(bytes->size() - kOverhead, '\0');
  if (crypto_secretbox_open_easy(raw(secret), raw(box), box.size(), raw(*bytes), raw(key_)) != 0) {
    throw Error(ErrorCode::kDataLoss, "a sealed secret was changed, or sealed under another key file");
  }
  return secret;
}

}  // namespace lakeloop::codec
