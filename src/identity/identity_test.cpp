#include "identity/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/id.h"
#include "identity/token.h"

namespace lakeloop::identity {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

template <typename F>
ErrorCode code_of(F&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error was thrown";
  return ErrorCode::kInternal;
}

class IdentityTest : public testing::Test {
 protected:
  IdentityTest()
      : folder_(std::filesystem::temp_directory_path() / ("identity_test_" + random_hex(8))),
        database_(
            (std::filesystem::create_directories(folder_), db::Database::open(folder_ / "meta.db", migrations()))),
        identity_(std::make_unique<Identity>(*database_)) {
    identity_->ensure_admin("root@example.com");
  }
  ~IdentityTest() override {
    identity_.reset();
    database_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::string token_of(std::string_view name) { return identity_->create_token(name, "test", std::nullopt).token; }

  std::filesystem::path folder_;
  std::unique_ptr<db::Database> database_;
  std::unique_ptr<Identity> identity_;
};

TEST_F(IdentityTest, FirstStartMakesOneAdministrator) {
  identity_->ensure_admin("other@example.com");
  const auto users = identity_->list(PrincipalKind::kUser);
  ASSERT_EQ(users.size(), 1u);
  EXPECT_EQ(users[0].name, "root@example.com");
  EXPECT_TRUE(users[0].admin);
  EXPECT_THAT(users[0].groups, ElementsAre("admins"));
  EXPECT_TRUE(std::ranges::all_of(users[0].id, [](char c) { return c >= '0' && c <= '9'; }));
}

TEST_F(IdentityTest, TokensAreVerifiedAndOnlyTheirHashIsKept) {
  identity_->create_user("ann@example.com", "Ann", false);
  const NewToken made = identity_->create_token("ANN@example.com", "laptop", std::nullopt);
  EXPECT_EQ(made.token.size(), 4u + 16 + 1 + 64);
  EXPECT_EQ(made.info.owner, "ann@example.com");
  for (int round = 0; round < 2; ++round) {  // from the database, then from the cache
    const Principal ann = identity_->authenticate(made.token);
    EXPECT_EQ(ann.name, "ann@example.com");
    EXPECT_FALSE(ann.admin);
  }
  const auto rows = database_->reading(
      [](db::Transaction& t) { return t.query("SELECT token_id, secret_sha256, comment FROM identity_tokens"); });
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_THAT(made.token, testing::Not(HasSubstr(rows[0].text(1))));
}

TEST_F(IdentityTest, RefusesEveryOtherTokenInTheSameWords) {
  const std::string good = token_of("root@example.com");
  ASSERT_EQ(identity_->authenticate(good).name, "root@example.com");
  std::string wrong_secret = good;
  wrong_secret.back() = wrong_secret.back() == '0' ? '1' : '0';
  std::string wrong_id = good;
  wrong_id[4] = wrong_id[4] == '0' ? '1' : '0';
  std::string upper = good;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  const std::string expired = [&] {
    auto made = identity_->create_token("root@example.com", "", std::chrono::seconds(60));
    database_->write([&](db::Transaction& t) {
      t.execute("UPDATE identity_tokens SET expires = 1 WHERE token_id = $1", {made.info.token_id});
    });
    return made.token;
  }();
  std::vector<std::string> bad{"",
                               "llp_",
                               "llp__",
                               good + "0",
                               good.substr(0, good.size() - 1),
                               " " + good,
                               wrong_secret,
                               wrong_id,
                               upper,
                               expired,
                               "' OR 1=1 --",
                               std::string(100'000, 'a'),
                               std::string("llp_\0", 5)};
  bad.push_back("llp_" + std::string(16, '\'') + "_" + std::string(64, '0'));
  for (const std::string& token : bad) {
    try {
      identity_->authenticate(token);
      ADD_FAILURE() << "accepted " << token.substr(0, 100);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnauthenticated);
      EXPECT_EQ(error.message(), "the access token is not valid");
    }
  }
}

TEST_F(IdentityTest, ChangesOfRightsAreSeenAtOnce) {
  identity_->create_user("ann@example.com", "Ann", false);
  identity_->create_group("team");
  const NewToken made = identity_->create_token("ann@example.com", "", std::nullopt);
  const Principal ann = identity_->authenticate(made.token);
  EXPECT_TRUE(ann.groups.empty());

  identity_->add_to_group("team", "ann@example.com");
  EXPECT_THAT(identity_->authenticate(made.token).groups, ElementsAre("team"));
  identity_->add_to_group("admins", "team");
  EXPECT_TRUE(identity_->authenticate(made.token).admin);
  EXPECT_THAT(identity_->authenticate(made.token).groups, UnorderedElementsAre("admins", "team"));
  identity_->remove_from_group("admins", "team");
  EXPECT_FALSE(identity_->authenticate(made.token).admin);
  identity_->set_display_name("ann@example.com", "Ann B.");
  EXPECT_EQ(identity_->authenticate(made.token).display_name, "Ann B.");

  identity_->set_active("ann@example.com", false);
  EXPECT_EQ(code_of([&] { identity_->authenticate(made.token); }), ErrorCode::kUnauthenticated);
  identity_->set_active("ann@example.com", true);
  EXPECT_TRUE(identity_->authenticate(made.token).active);

  identity_->revoke_token(made.info.token_id, ann);
  EXPECT_EQ(code_of([&] { identity_->authenticate(made.token); }), ErrorCode::kUnauthenticated);
}

TEST_F(IdentityTest, OnlyOwnerOrAdministratorRevokes) {
  const Principal ann = identity_->create_user("ann@example.com", "", false);
  const Principal bob = identity_->create_user("bob@example.com", "", false);
  const NewToken made = identity_->create_token("ann@example.com", "", std::nullopt);
  // The same words for a stranger's token and for none.
  EXPECT_EQ(code_of([&] { identity_->revoke_token(made.info.token_id, bob); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { identity_->revoke_token("0000000000000000", ann); }), ErrorCode::kNotFound);
  EXPECT_NO_THROW(identity_->authenticate(made.token));
  EXPECT_EQ(identity_->list_tokens("ann@example.com").size(), 1u);
  EXPECT_TRUE(identity_->list_tokens("bob@example.com").empty());
  identity_->revoke_token(made.info.token_id, *identity_->find("root@example.com"));
  EXPECT_TRUE(identity_->list_tokens("ann@example.com").empty());
}

TEST_F(IdentityTest, NamesAreUniqueOverAllKindsWithoutCase) {
  identity_->create_user("Ann@Example.com", "", false);
  identity_->create_user("ÄRGER@example.com", "", false);
  for (const std::string name : {"ann@example.com", "Ann@Example.com", "ärger@EXAMPLE.com", " ann@example.com "}) {
    EXPECT_EQ(code_of([&] { identity_->create_user(name, "", false); }), ErrorCode::kAlreadyExists) << name;
    EXPECT_EQ(code_of([&] { identity_->create_group(name); }), ErrorCode::kAlreadyExists) << name;
    EXPECT_TRUE(identity_->find(name).has_value()) << name;
  }
  EXPECT_EQ(identity_->find("ANN@EXAMPLE.COM")->name, "Ann@Example.com");
  for (const std::string& name :
       {std::string("account users"), std::string("Account Users"), std::string("users"), std::string(),
        std::string("  "), std::string("a\nb"), std::string("a\xff"), std::string("a\0b", 3)}) {
    EXPECT_EQ(code_of([&] { identity_->create_group(name); }), ErrorCode::kInvalidArgument) << name;
  }
  EXPECT_EQ(code_of([&] { identity_->create_group("Admins"); }), ErrorCode::kAlreadyExists);
  EXPECT_EQ(code_of([&] { identity_->create_user(std::string(256, 'x'), "", false); }), ErrorCode::kInvalidArgument);
  EXPECT_NO_THROW(identity_->create_user(std::string(255, 'x'), "", false));
}

TEST_F(IdentityTest, ValuesAreNeverPastedIntoSql) {
  for (const std::string name :
       {"' OR 1=1 --", "a'; DROP TABLE identity_principals; --", "\"quoted\"", "100%_x", "back\\slash"}) {
    identity_->create_user(name, name, false);
    EXPECT_EQ(identity_->find(name)->display_name, name);
  }
  EXPECT_EQ(identity_->list(PrincipalKind::kUser).size(), 6u);
  EXPECT_FALSE(identity_->find("' OR 'x'='x").has_value());
  EXPECT_FALSE(identity_->find("100%").has_value());
  EXPECT_FALSE(identity_->find_by_id("1 OR 1=1").has_value());
  EXPECT_FALSE(identity_->find("\xff\xfe").has_value());
}

TEST_F(IdentityTest, TheLastAdministratorStays) {
  EXPECT_EQ(code_of([&] { identity_->set_active("root@example.com", false); }), ErrorCode::kConflict);
  EXPECT_EQ(code_of([&] { identity_->remove_from_group("admins", "root@example.com"); }), ErrorCode::kConflict);
  EXPECT_TRUE(identity_->find("root@example.com")->active);
  EXPECT_TRUE(identity_->find("root@example.com")->admin);

  // An administrator through a group counts; when the group loses its last member, it no longer does.
  identity_->create_user("ann@example.com", "", false);
  identity_->create_group("chiefs");
  identity_->add_to_group("chiefs", "ann@example.com");
  identity_->add_to_group("admins", "chiefs");
  identity_->set_active("root@example.com", false);
  EXPECT_EQ(code_of([&] { identity_->remove_from_group("chiefs", "ann@example.com"); }), ErrorCode::kConflict);
  EXPECT_EQ(code_of([&] { identity_->remove_from_group("admins", "chiefs"); }), ErrorCode::kConflict);
  EXPECT_EQ(code_of([&] { identity_->set_active("ann@example.com", false); }), ErrorCode::kConflict);
  identity_->set_active("root@example.com", true);
  EXPECT_NO_THROW(identity_->set_active("ann@example.com", false));
}

TEST_F(IdentityTest, GroupsNestWithoutCircles) {
  identity_->create_group("a");
  identity_->create_group("b");
  identity_->create_group("c");
  identity_->create_user("ann@example.com", "", false);
  identity_->add_to_group("a", "b");
  identity_->add_to_group("b", "c");
  identity_->add_to_group("c", "ann@example.com");
  identity_->add_to_group("c", "ann@example.com");
  EXPECT_THAT(identity_->find("ann@example.com")->groups, ElementsAre("a", "b", "c"));
  EXPECT_EQ(code_of([&] { identity_->add_to_group("c", "a"); }), ErrorCode::kConflict);
  EXPECT_EQ(code_of([&] { identity_->add_to_group("a", "a"); }), ErrorCode::kConflict);
  EXPECT_EQ(code_of([&] { identity_->add_to_group("ann@example.com", "a"); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { identity_->add_to_group("nobody", "a"); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { identity_->add_to_group("a", "nobody"); }), ErrorCode::kNotFound);
  EXPECT_EQ(identity_->members_of("c").size(), 1u);
  identity_->remove_from_group("b", "c");
  EXPECT_THAT(identity_->find("ann@example.com")->groups, ElementsAre("c"));
}

TEST_F(IdentityTest, GroupsAndInactivePrincipalsHaveNoTokens) {
  const Principal service = identity_->create_service_principal("deployer");
  EXPECT_EQ(identity_->authenticate(token_of(service.name)).display_name, "deployer");
  identity_->create_group("team");
  EXPECT_EQ(code_of([&] { token_of("team"); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { token_of("nobody"); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { identity_->set_active("team", false); }), ErrorCode::kInvalidArgument);
  identity_->set_active(service.name, false);
  EXPECT_EQ(code_of([&] { token_of(service.name); }), ErrorCode::kInvalidArgument);
  for (const int seconds : {0, -1}) {
    EXPECT_EQ(code_of([&] { identity_->create_token("root@example.com", "", std::chrono::seconds(seconds)); }),
              ErrorCode::kInvalidArgument);
  }
}

TEST_F(IdentityTest, RacingCreatorsMakeOneUser) {
  std::atomic<int> made = 0, existed = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        try {
          identity_->create_user("race@example.com", "", false);
          ++made;
        } catch (const Error& error) {
          if (error.code() == ErrorCode::kAlreadyExists) ++existed;
        }
      });
    }
  }
  EXPECT_EQ(made, 1);
  EXPECT_EQ(existed, 7);
}

TEST_F(IdentityTest, RevocationWinsAgainstConcurrentUse) {
  for (int round = 0; round < 20; ++round) {
    const NewToken made = identity_->create_token("root@example.com", "", std::nullopt);
    const Principal root = *identity_->find("root@example.com");
    std::atomic<bool> stop = false;
    std::vector<std::jthread> users;
    for (int i = 0; i < 3; ++i) {
      users.emplace_back([&] {
        while (!stop) {
          try {
            identity_->authenticate(made.token);
          } catch (const Error&) {
            return;
          }
        }
      });
    }
    identity_->revoke_token(made.info.token_id, root);
    EXPECT_EQ(code_of([&] { identity_->authenticate(made.token); }), ErrorCode::kUnauthenticated);
    stop = true;
  }
}

TEST(TokenCache, KeepsNothingReadBeforeAChange) {
  TokenCache cache;
  const auto entry = [] {
    return TokenCache::Entry{.secret_sha256 = "hash", .principal = {}, .expires = {}, .verified = Steady::now()};
  };
  const std::uint64_t before = cache.generation();
  cache.clear();
  cache.keep("id", entry(), before);
  EXPECT_FALSE(cache.find("id", "hash"));
  cache.keep("id", entry(), cache.generation());
  EXPECT_TRUE(cache.find("id", "hash"));
  EXPECT_FALSE(cache.find("id", "other"));

  TokenCache::Entry old = entry();
  old.verified -= std::chrono::minutes(1);
  cache.keep("id", old, cache.generation());
  EXPECT_FALSE(cache.find("id", "hash"));
  TokenCache::Entry expired = entry();
  expired.expires = Timestamp{1};
  cache.keep("id", expired, cache.generation());
  EXPECT_FALSE(cache.find("id", "hash"));
}

}  // namespace
}  // namespace lakeloop::identity
