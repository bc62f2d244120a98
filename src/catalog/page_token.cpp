#include "catalog/page_token.h"

#include "base/error.h"
#include "codec/encoding.h"
#include "codec/hash.h"

namespace lakeloop::catalog {
namespace {

constexpr std::size_t kSealBytes = 8;
constexpr std::size_t kLongestToken = 16 * 1024;

std::string seal_of(std::string_view secret, std::string_view scope, std::string_view key) {
  std::string text(scope);
  text.push_back('\0');
  text += key;
  return codec::hmac_sha256(secret, text).substr(0, kSealBytes);
}

}  // namespace

std::string make_page_token(std::string_view secret, std::string_view scope, std::string_view key) {
  return codec::hex_encode(seal_of(secret, scope, key) + std::string(key));
}

std::string read_page_token(std::string_view secret, std::string_view scope, std::string_view token) {
  if (token.empty()) return {};
  const auto bytes = token.size() <= kLongestToken ? codec::hex_decode(token) : std::nullopt;
  if (bytes && bytes->size() > kSealBytes) {
    std::string key = bytes->substr(kSealBytes);
    if (codec::equal_constant_time(bytes->substr(0, kSealBytes), seal_of(secret, scope, key))) return key;
  }
  throw Error(ErrorCode::kInvalidArgument, "page_token is not one of this listing: start again without a token")
      .with_param("page_token");
}

}  // namespace lakeloop::catalog
