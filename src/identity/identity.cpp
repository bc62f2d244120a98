#include "identity/identity.h"

#include <algorithm>

#include "base/id.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/hash.h"
#include "codec/unicode.h"
#include "identity/token.h"

namespace lakeloop::identity {
namespace {

using db::Row;
using db::Transaction;

// The group "admins" has a fixed id, so that it exists from the first start and cannot be renamed.
constexpr std::int64_t kAdminsId = 1;

constexpr std::string_view kColumns = "p.id, p.name, p.display_name, p.kind, p.active";

std::string key_of(std::string_view name) {
  return codec::fold_case(codec::normalize_nfc(name));
}

std::string checked_name(std::string_view field, std::string_view text) {
  const std::string_view name = trim(text);
  if (name.empty()) throw Error(ErrorCode::kInvalidArgument, "{} must not be empty", field);
  if (!codec::is_valid_utf8(name)) throw Error(ErrorCode::kInvalidArgument, "{} is not valid UTF-8", field);
  if (codec::count_code_points(name) > limits::kNameCharacters) {
    throw Error(ErrorCode::kInvalidArgument, "{} has more than {} characters", field, limits::kNameCharacters);
  }
  if (std::ranges::any_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
    throw Error(ErrorCode::kInvalidArgument, "{} holds control characters", field);
  }
  return std::string(name);
}

std::string checked_new_name(std::string_view field, std::string_view text) {
  std::string name = checked_name(field, text);
  if (iequals(name, kEveryone) || iequals(name, "users")) {
    throw Error(ErrorCode::kInvalidArgument, "{} '{}' is reserved: it means everybody; choose another", field, name);
  }
  return name;
}

std::string checked_text(std::string_view field, std::string_view text) {
  return trim(text).empty() ? std::string() : checked_name(field, text);
}

Principal principal_from(const Row& row) {
  Principal principal;
  principal.id = std::to_string(row.integer(0));
  principal.name = row.text(1);
  principal.display_name = row.text(2);
  principal.kind = static_cast<PrincipalKind>(row.integer(3));
  principal.active = row.integer(4) != 0;
  return principal;
}

// Groups above `id`, through any depth; UNION ends circles that should not be there.
constexpr std::string_view kGroupsAbove =
    "WITH RECURSIVE above(id) AS (SELECT group_id FROM identity_members WHERE member_id = $1 "
    "UNION SELECT m.group_id FROM identity_members m JOIN above a ON m.member_id = a.id) ";

void fill_groups(Transaction& t, std::int64_t id, Principal& principal) {
  const auto rows =
      t.query(std::string(kGroupsAbove) +
                  "SELECT p.id, p.name FROM identity_principals p JOIN above a ON p.id = a.id ORDER BY p.name_key",
              {id});
  for (const Row& row : rows) {
    principal.groups.push_back(row.text(1));
    if (row.integer(0) == kAdminsId) principal.admin = true;
  }
}

struct Found {
  std::int64_t id = 0;
  Principal principal;
};

std::optional<Found> find_where(Transaction& t, std::string_view condition, db::Value value) {
  std::string sql = "SELECT ";
  sql.append(kColumns).append(" FROM identity_principals p WHERE ").append(condition);
  const auto row = t.query_one(sql, {std::move(value)});
  if (!row) return std::nullopt;
  Found found{.id = row->integer(0), .principal = principal_from(*row)};
  fill_groups(t, found.id, found.principal);
  return found;
}

std::optional<Found> find_named(Transaction& t, std::string_view name) {
  if (!codec::is_valid_utf8(name)) return std::nullopt;
  return find_where(t, "p.name_key = $1", key_of(trim(name)));
}

Found need(Transaction& t, std::string_view what, std::string_view name) {
  auto found = find_named(t, name);
  if (!found) throw Error(ErrorCode::kNotFound, "{} '{}' does not exist", what, codec::truncate_utf8(name, 255));
  return std::move(*found);
}

std::vector<Principal> all_where(Transaction& t, std::string_view from_where, std::int64_t value) {
  std::string sql = "SELECT ";
  sql.append(kColumns).append(" FROM identity_principals p ").append(from_where).append(" ORDER BY p.name_key");
  std::vector<Principal> principals;
  for (const Row& row : t.query(sql, {value})) {
    principals.push_back(principal_from(row));
    fill_groups(t, row.integer(0), principals.back());
  }
  return principals;
}

Principal insert(Transaction& t, std::string name, std::string_view display_name, PrincipalKind kind) {
  const std::string key = key_of(name);
  if (t.query_one("SELECT 1 FROM identity_principals WHERE name_key = $1", {key})) {
    throw Error(ErrorCode::kAlreadyExists, "a user, service principal or group named '{}' exists already", name);
  }
  // Sixteen digits, as the ids of the field look; random, so that a number says nothing about how many there are.
  const std::uint64_t random = std::stoull(random_hex(8), nullptr, 16);
  const auto id = static_cast<std::int64_t>(1'000'000'000'000'000 + random % 8'000'000'000'000'000);
  t.execute(
      "INSERT INTO identity_principals (id, name, name_key, display_name, kind, active, created) VALUES ($1, $2, $3, "
      "$4, $5, 1, $6)",
      {id, name, key, checked_text("display_name", display_name), static_cast<std::int64_t>(kind),
       Timestamp::now().micros});
  return find_where(t, "p.id = $1", id)->principal;
}

void add_member(Transaction& t, std::int64_t group, std::int64_t member) {
  t.execute("INSERT INTO identity_members (group_id, member_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            {group, member});
}

void check_admin_left(Transaction& t, std::string_view name) {
  const auto row = t.query_one(
      "WITH RECURSIVE below(id) AS (SELECT member_id FROM identity_members WHERE group_id = $1 "
      "UNION SELECT m.member_id FROM identity_members m JOIN below b ON m.group_id = b.id) "
      "SELECT count(*) FROM identity_principals p JOIN below b ON p.id = b.id WHERE p.active = 1 AND p.kind <> $2",
      {kAdminsId, static_cast<std::int64_t>(PrincipalKind::kGroup)});
  if (row->integer(0) == 0) {
    throw Error(ErrorCode::kConflict, "'{}' holds the last active administrator: make another one first", name);
  }
}

TokenInfo token_from(const Row& row) {
  TokenInfo info{.token_id = row.text(0),
                 .comment = row.text(1),
                 .created = {row.integer(2)},
                 .expires = {},
                 .owner = row.text(4)};
  if (const auto expires = row.maybe_integer(3)) info.expires = Timestamp{*expires};
  return info;
}

}  // namespace

std::vector<db::Migration> migrations() {
  return {{.module = "identity", .number = 1, .sql = R"sql(
CREATE TABLE identity_principals (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  name_key TEXT NOT NULL UNIQUE,
  display_name TEXT NOT NULL,
  kind INTEGER NOT NULL,
  active INTEGER NOT NULL,
  created INTEGER NOT NULL
) STRICT;
CREATE TABLE identity_members (
  group_id INTEGER NOT NULL REFERENCES identity_principals (id),
  member_id INTEGER NOT NULL REFERENCES identity_principals (id),
  PRIMARY KEY (group_id, member_id)
) STRICT;
CREATE INDEX identity_members_by_member ON identity_members (member_id);
CREATE TABLE identity_tokens (
  token_id TEXT PRIMARY KEY,
  principal_id INTEGER NOT NULL REFERENCES identity_principals (id),
  secret_sha256 TEXT NOT NULL,
  comment TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER
) STRICT;
CREATE INDEX identity_tokens_by_principal ON identity_tokens (principal_id);
INSERT INTO identity_principals (id, name, name_key, display_name, kind, active, created)
  VALUES (1, 'admins', 'admins', 'admins', 2, 1, 0);
)sql"}};
}

struct Identity::Impl {
  db::Database& database;
  TokenCache cache;

  // Runs a change of rights; when it is durable, no verified token is trusted any more.
  template <typename F>
  void change(F&& work) {
    database.write(std::forward<F>(work));
    cache.clear();
  }
};

Identity::Identity(db::Database& database) : impl_(new Impl{.database = database, .cache = {}}) {}
Identity::~Identity() = default;

void Identity::ensure_admin(std::string_view name) {
  const std::string checked = checked_new_name("user name", name);
  impl_->change([&](Transaction& t) {
    const auto kind = static_cast<std::int64_t>(PrincipalKind::kUser);
    if (t.query_one("SELECT 1 FROM identity_principals WHERE kind = $1", {kind})) return;
    const Principal user = insert(t, checked, checked, PrincipalKind::kUser);
    add_member(t, kAdminsId, *parse_number<std::int64_t>(user.id));
  });
}

Principal Identity::authenticate(std::string_view token) {
  const auto parsed = parse_token(token);
  if (!parsed) throw Error(ErrorCode::kUnauthenticated, "the access token is not valid");
  const std::string digest = codec::sha256_hex(parsed->secret);
  if (auto cached = impl_->cache.find(parsed->id, digest)) return std::move(*cached);

  const std::uint64_t generation = impl_->cache.generation();
  auto entry = impl_->database.reading([&](Transaction& t) -> std::optional<TokenCache::Entry> {
    const auto row = t.query_one("SELECT secret_sha256, expires, principal_id FROM identity_tokens WHERE token_id = $1",
                                 {parsed->id});
    if (!row || !codec::equal_constant_time(row->text(0), digest)) return std::nullopt;
    TokenCache::Entry found{.secret_sha256 = digest, .principal = {}, .expires = {}, .verified = Steady::now()};
    if (const auto expires = row->maybe_integer(1)) found.expires = Timestamp{*expires};
    if (found.expires && *found.expires <= Timestamp::now()) return std::nullopt;
    auto owner = find_where(t, "p.id = $1", row->integer(2));
    if (!owner || !owner->principal.active) return std::nullopt;
    found.principal = std::move(owner->principal);
    return found;
  });
  if (!entry) throw Error(ErrorCode::kUnauthenticated, "the access token is not valid");
  impl_->cache.keep(parsed->id, *entry, generation);
  return std::move(entry->principal);
}

Principal Identity::create_user(std::string_view name, std::string_view display_name, bool admin) {
  const std::string checked = checked_new_name("user name", name);
  return impl_->database.writing([&](Transaction& t) {
    Principal user = insert(t, checked, display_name, PrincipalKind::kUser);
    if (!admin) return user;
    const auto id = *parse_number<std::int64_t>(user.id);
    add_member(t, kAdminsId, id);
    return find_where(t, "p.id = $1", id)->principal;
  });
}

Principal Identity::create_service_principal(std::string_view display_name) {
  return impl_->database.writing(
      [&](Transaction& t) { return insert(t, new_uuid(), display_name, PrincipalKind::kServicePrincipal); });
}

void Identity::create_group(std::string_view name) {
  const std::string checked = checked_new_name("group name", name);
  impl_->database.write([&](Transaction& t) { insert(t, checked, checked, PrincipalKind::kGroup); });
}

void Identity::add_to_group(std::string_view group, std::string_view principal) {
  impl_->change([&](Transaction& t) {
    const Found into = need(t, "group", group), member = need(t, "principal", principal);
    if (into.principal.kind != PrincipalKind::kGroup) {
      throw Error(ErrorCode::kInvalidArgument, "'{}' is not a group", into.principal.name);
    }
    const auto& above = into.principal.groups;
    if (into.id == member.id || std::ranges::find(above, member.principal.name) != above.end()) {
      throw Error(ErrorCode::kConflict, "group '{}' is a member of '{}' already: groups must not form a circle",
                  into.principal.name, member.principal.name);
    }
    add_member(t, into.id, member.id);
  });
}

void Identity::remove_from_group(std::string_view group, std::string_view principal) {
  impl_->change([&](Transaction& t) {
    const Found from = need(t, "group", group), member = need(t, "principal", principal);
    const auto removed =
        t.execute("DELETE FROM identity_members WHERE group_id = $1 AND member_id = $2", {from.id, member.id});
    if (removed > 0 && (from.id == kAdminsId || from.principal.admin)) check_admin_left(t, member.principal.name);
  });
}

std::vector<Principal> Identity::members_of(std::string_view group) {
  return impl_->database.reading([&](Transaction& t) {
    return all_where(t, "JOIN identity_members m ON m.member_id = p.id WHERE m.group_id = $1",
                     need(t, "group", group).id);
  });
}

void Identity::set_active(std::string_view name, bool active) {
  impl_->change([&](Transaction& t) {
    const Found found = need(t, "principal", name);
    if (found.principal.kind == PrincipalKind::kGroup) {
      throw Error(ErrorCode::kInvalidArgument, "'{}' is a group: only users and service principals can be inactive",
                  found.principal.name);
    }
    t.execute("UPDATE identity_principals SET active = $2 WHERE id = $1", {found.id, std::int64_t{active}});
    if (!active && found.principal.admin) check_admin_left(t, found.principal.name);
  });
}

void Identity::set_display_name(std::string_view name, std::string_view display_name) {
  impl_->change([&](Transaction& t) {
    t.execute("UPDATE identity_principals SET display_name = $2 WHERE id = $1",
              {need(t, "principal", name).id, checked_text("display_name", display_name)});
  });
}

std::optional<Principal> Identity::find(std::string_view name) {
  return impl_->database.reading([&](Transaction& t) -> std::optional<Principal> {
    auto found = find_named(t, name);
    if (!found) return std::nullopt;
    return std::move(found->principal);
  });
}

std::optional<Principal> Identity::find_by_id(std::string_view id) {
  const auto number = parse_number<std::int64_t>(id);
  if (!number) return std::nullopt;
  return impl_->database.reading([&](Transaction& t) -> std::optional<Principal> {
    auto found = find_where(t, "p.id = $1", *number);
    if (!found) return std::nullopt;
    return std::move(found->principal);
  });
}

std::vector<Principal> Identity::list(PrincipalKind kind) {
  return impl_->database.reading(
      [&](Transaction& t) { return all_where(t, "WHERE p.kind = $1", static_cast<std::int64_t>(kind)); });
}

NewToken Identity::create_token(std::string_view principal, std::string_view comment,
                                std::optional<std::chrono::seconds> lifetime) {
  using std::chrono::hours, std::chrono::seconds;
  if (lifetime && (*lifetime < seconds(1) || *lifetime > hours(24 * 3650))) {
    throw Error(ErrorCode::kInvalidArgument, "the lifetime of a token is 1 second to 10 years, not {} s",
                lifetime->count());
  }
  const std::string checked_comment = checked_text("comment", comment);
  const TokenText text = new_token_text();
  NewToken made{.info = {.token_id = text.id,
                         .comment = checked_comment,
                         .created = Timestamp::now(),
                         .expires = {},
                         .owner = {}},
                .token = print_token(text)};
  if (lifetime) made.info.expires = Timestamp{made.info.created.micros + lifetime->count() * 1'000'000};
  impl_->database.write([&](Transaction& t) {
    const Found owner = need(t, "principal", principal);
    if (owner.principal.kind == PrincipalKind::kGroup) {
      throw Error(ErrorCode::kInvalidArgument, "'{}' is a group: only users and service principals have tokens",
                  owner.principal.name);
    }
    if (!owner.principal.active) throw Error(ErrorCode::kInvalidArgument, "'{}' is inactive", owner.principal.name);
    t.execute("DELETE FROM identity_tokens WHERE principal_id = $1 AND expires <= $2",
              {owner.id, made.info.created.micros});
    const auto count = t.query_one("SELECT count(*) FROM identity_tokens WHERE principal_id = $1", {owner.id});
    if (count->integer(0) >= static_cast<std::int64_t>(limits::kTokensPerPrincipal)) {
      throw Error(ErrorCode::kResourceExhausted, "'{}' has {} tokens already: revoke one first", owner.principal.name,
                  limits::kTokensPerPrincipal);
    }
    made.info.owner = owner.principal.name;
    t.execute(
        "INSERT INTO identity_tokens (token_id, principal_id, secret_sha256, comment, created, expires) VALUES ($1, "
        "$2, $3, $4, $5, $6)",
        {text.id, owner.id, codec::sha256_hex(text.secret), checked_comment, made.info.created.micros,
         made.info.expires ? db::Value(made.info.expires->micros) : db::Value()});
  });
  return made;
}

std::vector<TokenInfo> Identity::list_tokens(std::string_view principal) {
  return impl_->database.reading([&](Transaction& t) {
    const Found owner = need(t, "principal", principal);
    std::vector<TokenInfo> tokens;
    const auto rows = t.query(
        "SELECT k.token_id, k.comment, k.created, k.expires, p.name FROM identity_tokens k JOIN identity_principals p "
        "ON p.id = k.principal_id WHERE k.principal_id = $1 ORDER BY k.created, k.token_id",
        {owner.id});
    for (const Row& row : rows) tokens.push_back(token_from(row));
    return tokens;
  });
}

void Identity::revoke_token(std::string_view token_id, const Principal& by) {
  impl_->change([&](Transaction& t) {
    const auto row = t.query_one(
        "SELECT p.id FROM identity_tokens k JOIN identity_principals p ON p.id = k.principal_id WHERE k.token_id = $1",
        {std::string(token_id)});
    if (!row || (!by.admin && std::to_string(row->integer(0)) != by.id)) {
      throw Error(ErrorCode::kNotFound, "token '{}' does not exist", codec::truncate_utf8(token_id, 64));
    }
    t.execute("DELETE FROM identity_tokens WHERE token_id = $1", {std::string(token_id)});
  });
}

}  // namespace lakeloop::identity
