#include "identity/token.h"

#include <algorithm>
#include <mutex>

#include "base/id.h"
#include "base/limits.h"
#include "codec/hash.h"

namespace lakeloop::identity {
namespace {

constexpr std::string_view kPrefix = "llp_";
constexpr std::size_t kIdDigits = 16;
constexpr std::size_t kSecretDigits = 64;

bool is_lower_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

TokenText new_token_text() {
  return {.id = random_hex(kIdDigits / 2), .secret = random_hex(kSecretDigits / 2)};
}

std::string print_token(const TokenText& token) {
  std::string text(kPrefix);
  text += token.id;
  text += '_';
  text += token.secret;
  return text;
}

std::optional<TokenText> parse_token(std::string_view text) {
  if (text.size() != kPrefix.size() + kIdDigits + 1 + kSecretDigits || !text.starts_with(kPrefix)) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  const std::string_view id = text.substr(0, kIdDigits), secret = text.substr(kIdDigits + 1);
  if (text[kIdDigits] != '_' || !is_lower_hex(id) || !is_lower_hex(secret)) return std::nullopt;
  return TokenText{.id = std::string(id), .secret = std::string(secret)};
}

std::optional<Principal> TokenCache::find(const std::string& token_id, std::string_view secret_sha256) const {
  const std::shared_lock lock(mutex_);
  const auto found = entries_.find(token_id);
  if (found == entries_.end()) return std::nullopt;
  const Entry& entry = found->second;
  if (Steady::now() - entry.verified >= limits::kTokenCacheTime) return std::nullopt;
  if (entry.expires && *entry.expires <= Timestamp::now()) return std::nullopt;
  if (!codec::equal_constant_time(entry.secret_sha256, secret_sha256)) return std::nullopt;
  return entry.principal;
}

std::uint64_t TokenCache::generation() const {
  const std::shared_lock lock(mutex_);
  return generation_;
}

void TokenCache::keep(const std::string& token_id, Entry entry, std::uint64_t generation) {
  const std::unique_lock lock(mutex_);
  if (generation != generation_) return;
  // Only tokens that exist get here, so a full cache is a busy house, not an attack: starting afresh is fine.
  if (entries_.size() >= limits::kTokenCacheEntries && !entries_.contains(token_id)) entries_.clear();
  entries_.insert_or_assign(token_id, std::move(entry));
}

void TokenCache::clear() {
  const std::unique_lock lock(mutex_);
  entries_.clear();
  ++generation_;
}

}  // namespace lakeloop::identity
