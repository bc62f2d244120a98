#pragma once

// The text form of a personal access token, "llp_<16 hex id>_<64 hex secret>", and the cache of tokens that were
// verified.

#include <cstdint>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "identity/identity.h"

namespace lakeloop::identity {

struct TokenText {
  std::string id, secret;
};

TokenText new_token_text();
std::string print_token(const TokenText& token);
std::optional<TokenText> parse_token(std::string_view text);

// Tokens that the database vouched for a moment ago. Every change of rights clears it. Thread-safe.
class TokenCache {
 public:
  struct Entry {
    std::string secret_sha256;
    Principal principal;
    std::optional<Timestamp> expires;
    Steady::time_point verified;
  };

  [[nodiscard]] std::optional<Principal> find(const std::string& token_id, std::string_view secret_sha256) const;
  // To be read before the database is asked: what was read under an older generation is not kept, because the rights
  // may have changed meanwhile.
  [[nodiscard]] std::uint64_t generation() const;
  void keep(const std::string& token_id, Entry entry, std::uint64_t generation);
  void clear();

 private:
  mutable std::shared_mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
  std::uint64_t generation_ = 0;
};

}  // namespace lakeloop::identity
