#pragma once

// Who is calling: users, service principals, groups, personal access tokens. A token is "llp_" + public id + "_" +
// secret; only its SHA-256 is kept, compared in constant time. Verified tokens are cached for seconds, so that a
// request costs no SQL; a revoked token is refused at once. Names are unique over all kinds, without case. Thread-safe.
//
// The built-in group "admins" is who administers; membership is inherited through groups in groups. At least one active
// administrator always remains (kConflict). "account users" means everybody and is nobody's name.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "db/database.h"

namespace lakeloop::identity {

inline constexpr std::string_view kAdminsGroup = "admins";
inline constexpr std::string_view kEveryone = "account users";

enum class PrincipalKind : std::uint8_t { kUser, kServicePrincipal, kGroup };

struct Principal {
  std::string id;    // decimal, as SCIM ids are
  std::string name;  // user name (e-mail) or application id
  std::string display_name;
  PrincipalKind kind = PrincipalKind::kUser;
  bool admin = false;  // metastore and workspace administrator
  bool active = true;
  std::vector<std::string> groups;  // names; direct and inherited
};

struct TokenInfo {
  std::string token_id;
  std::string comment;
  Timestamp created;
  std::optional<Timestamp> expires;
  std::string owner;  // principal name
};

struct NewToken {
  TokenInfo info;
  std::string token;  // shown once
};

std::vector<db::Migration> migrations();

class Identity {
 public:
  explicit Identity(db::Database& database);
  ~Identity();

  // The first start: makes the user `name` as administrator when there is no user yet.
  void ensure_admin(std::string_view name);

  // kUnauthenticated for a wrong, revoked or expired token, or an inactive principal; the message does not tell which.
  Principal authenticate(std::string_view token);

  Principal create_user(std::string_view name, std::string_view display_name, bool admin);
  Principal create_service_principal(std::string_view display_name);  // name = a new application id
  void create_group(std::string_view name);
  // Both throw kNotFound for an unknown name. Adding twice and removing a stranger change nothing; a circle is
  // kConflict.
  void add_to_group(std::string_view group, std::string_view principal);
  void remove_from_group(std::string_view group, std::string_view principal);
  std::vector<Principal> members_of(std::string_view group);  // direct ones
  void set_active(std::string_view name, bool active);
  void set_display_name(std::string_view name, std::string_view display_name);
  std::optional<Principal> find(std::string_view name);
  std::optional<Principal> find_by_id(std::string_view id);
  std::vector<Principal> list(PrincipalKind kind);  // by name

  // `lifetime` is at least a second; without one the token does not expire.
  NewToken create_token(std::string_view principal, std::string_view comment,
                        std::optional<std::chrono::seconds> lifetime);
  std::vector<TokenInfo> list_tokens(std::string_view principal);
  // The owner, or an administrator; for anybody else the token does not exist.
  void revoke_token(std::string_view token_id, const Principal& by);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::identity
