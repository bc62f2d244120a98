#include <atomic>
#include <set>
#include <thread>

#include "catalog/catalog_fixture.h"

namespace lakeloop::catalog {
namespace {

using enum Privilege;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ModelTest : public CatalogFixture {
 protected:
  ModelTest() {
    make_docs();
    catalog_->create_model(root_, kModel, "first");
  }
  static constexpr std::string_view kModel = "main.docs.m";
};

TEST_F(ModelTest, VersionsAreMadePendingAndFinished) {
  const auto made = catalog_->create_model_version(root_, kModel, "mlflow-artifacts:/1/models/m-1/artifacts", "run1",
                                                   "why", {{"a", "b"}});
  EXPECT_EQ(made.version, 1);
  EXPECT_EQ(made.status, "PENDING_REGISTRATION");
  EXPECT_EQ(made.storage_location, "models/" + catalog_->get_model(root_, kModel).id + "/1/");
  EXPECT_EQ(made.tags.at("a"), "b");
  EXPECT_EQ(made.run_id, "run1");
  EXPECT_EQ(catalog_->finalize_model_version(root_, kModel, 1).status, "READY");
  EXPECT_EQ(catalog_->finalize_model_version(root_, kModel, 1).status, "READY");
  catalog_->update_model_version(root_, kModel, 1, "because");
  EXPECT_EQ(catalog_->get_model_version(root_, "MAIN.docs.M", 1).comment, "because");
  for (const std::int64_t none : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{2}, INT64_MAX}) {
    EXPECT_EQ(code_of([&] { catalog_->get_model_version(root_, kModel, none); }), ErrorCode::kNotFound);
    EXPECT_EQ(code_of([&] { catalog_->finalize_model_version(root_, kModel, none); }), ErrorCode::kNotFound);
    EXPECT_EQ(code_of([&] { catalog_->set_alias(root_, kModel, "champion", none); }), ErrorCode::kNotFound);
    EXPECT_EQ(code_of([&] { catalog_->set_model_version_tag(root_, kModel, none, "k", "v"); }), ErrorCode::kNotFound);
    EXPECT_EQ(code_of([&] { catalog_->delete_model_version(root_, kModel, none); }), ErrorCode::kNotFound);
  }
}

TEST_F(ModelTest, NumbersAreNeverUsedAgain) {
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(catalog_->create_model_version(root_, kModel, "s").version, i);
  catalog_->delete_model_version(root_, kModel, 3);
  EXPECT_EQ(catalog_->create_model_version(root_, kModel, "s").version, 4);
  catalog_->delete_model_version(root_, kModel, 1);
  catalog_->delete_model_version(root_, kModel, 2);
  catalog_->delete_model_version(root_, kModel, 4);
  EXPECT_EQ(catalog_->create_model_version(root_, kModel, "s").version, 5);
}

TEST_F(ModelTest, RacingVersionsGetDifferentNumbers) {
  std::mutex mutex;
  std::set<std::int64_t> versions;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        const auto version = catalog_->create_model_version(root_, kModel, "s").version;
        const std::lock_guard lock(mutex);
        versions.insert(version);
      });
    }
  }
  EXPECT_THAT(versions, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
}

TEST_F(ModelTest, AliasesPointAndLeaveNothingBehind) {
  catalog_->create_model_version(root_, kModel, "s");
  catalog_->create_model_version(root_, kModel, "s");
  catalog_->set_alias(root_, kModel, "champ", 1);
  catalog_->set_alias(root_, kModel, "prod", 1);
  EXPECT_EQ(catalog_->get_model_version_by_alias(root_, kModel, "champ").version, 1);
  EXPECT_THAT(catalog_->get_model_version(root_, kModel, 1).aliases, ElementsAre("champ", "prod"));
  catalog_->set_alias(root_, kModel, "champ", 2);
  EXPECT_THAT(catalog_->get_model_version(root_, kModel, 1).aliases, ElementsAre("prod"));
  EXPECT_EQ(catalog_->get_model(root_, kModel).aliases.at("champ"), 2);

  catalog_->delete_model_version(root_, kModel, 2);
  EXPECT_EQ(catalog_->get_model(root_, kModel).aliases.size(), 1u);
  EXPECT_EQ(code_of([&] { catalog_->get_model_version_by_alias(root_, kModel, "champ"); }), ErrorCode::kNotFound);
  EXPECT_THAT(message_of([&] { catalog_->get_model_version_by_alias(root_, kModel, "champ"); }), HasSubstr("'champ'"));
  for (const auto& version : catalog_->list_model_versions(root_, kModel, {}).items)
    EXPECT_THAT(version.aliases, testing::Not(testing::Contains("champ")));
  catalog_->delete_alias(root_, kModel, "prod");
  catalog_->delete_alias(root_, kModel, "prod");
  EXPECT_TRUE(catalog_->get_model(root_, kModel).aliases.empty());
}

TEST_F(ModelTest, RefusesAliasesThatLookLikeVersions) {
  catalog_->create_model_version(root_, kModel, "s");
  for (const std::string alias : {"", "latest", "LATEST", "v1", "V12", "a b", "a/b", "a.b", "ü", "a'", "a\n"}) {
    EXPECT_EQ(code_of([&] { catalog_->set_alias(root_, kModel, alias, 1); }), ErrorCode::kInvalidArgument) << alias;
  }
  EXPECT_EQ(code_of([&] { catalog_->set_alias(root_, kModel, std::string(256, 'a'), 1); }),
            ErrorCode::kInvalidArgument);
  for (const std::string& alias :
       {std::string("v"), std::string("v1a"), std::string("latest2"), std::string("a-b_C9"), std::string(255, 'a')}) {
    EXPECT_NO_THROW(catalog_->set_alias(root_, kModel, alias, 1)) << alias;
  }
}

TEST_F(ModelTest, TagsOfModelAndVersionsAreApart) {
  catalog_->create_model_version(root_, kModel, "s");
  catalog_->set_model_tag(root_, kModel, "k", "model");
  catalog_->set_model_version_tag(root_, kModel, 1, "k", "version");
  catalog_->set_model_version_tag(root_, kModel, 1, "k", "version 2");
  catalog_->set_model_tag(root_, kModel, "empty", "");
  EXPECT_EQ(catalog_->get_model(root_, kModel).tags.at("k"), "model");
  EXPECT_EQ(catalog_->get_model(root_, kModel).tags.at("empty"), "");
  EXPECT_EQ(catalog_->get_model_version(root_, kModel, 1).tags.at("k"), "version 2");
  catalog_->delete_model_tag(root_, kModel, "k");
  EXPECT_EQ(catalog_->get_model_version(root_, kModel, 1).tags.size(), 1u);
  EXPECT_EQ(code_of([&] { catalog_->delete_model_tag(root_, kModel, "k"); }), ErrorCode::kNotFound);
  catalog_->delete_model_version_tag(root_, kModel, 1, "k");
  EXPECT_EQ(code_of([&] { catalog_->set_model_tag(root_, kModel, "", "v"); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { catalog_->set_model_tag(root_, kModel, std::string(251, 'k'), "v"); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { catalog_->set_model_tag(root_, kModel, "k", std::string(100'001, 'v')); }),
            ErrorCode::kInvalidArgument);
  EXPECT_NO_THROW(catalog_->set_model_tag(root_, kModel, "k", std::string(100'000, 'v')));
}

TEST_F(ModelTest, VersionsArePagedNewestFirst) {
  for (int i = 0; i < 7; ++i) catalog_->create_model_version(root_, kModel, "s");
  std::vector<std::int64_t> seen;
  Page page{.max_results = 2, .page_token = {}};
  do {
    const auto listing = catalog_->list_model_versions(root_, kModel, page);
    for (const auto& version : listing.items) seen.push_back(version.version);
    page.page_token = listing.next_page_token;
    catalog_->create_model_version(root_, kModel, "made between two pages");
    if (seen.size() == 2) catalog_->delete_model_version(root_, kModel, 6);  // the one the cursor stands on
  } while (!page.page_token.empty());
  EXPECT_THAT(seen, ElementsAre(7, 6, 5, 4, 3, 2, 1));
  EXPECT_EQ(code_of([&] { catalog_->list_model_versions(root_, kModel, {.max_results = 1, .page_token = "00"}); }),
            ErrorCode::kInvalidArgument);
}

TEST_F(ModelTest, AllModelsOfAllSchemasArePagedTogether) {
  catalog_->ensure_schema(root_, "alpha", "one");
  catalog_->ensure_schema(root_, "alpha", "two");
  catalog_->ensure_schema(root_, "main", "empty");
  catalog_->ensure_schema(root_, "zeta", "one");
  for (const std::string name :
       {"alpha.one.b", "alpha.one.a", "alpha.two.c", "main.docs.n", "zeta.one.x", "zeta.one.y", "system.ai.z"}) {
    catalog_->create_model(root_, name);
  }
  for (const std::size_t size : {0u, 1u, 2u, 3u, 100u}) {
    std::vector<std::string> names;
    Page page{.max_results = size, .page_token = {}};
    do {
      const auto listing = catalog_->list_models(root_, "", "", page);
      for (const auto& model : listing.items)
        names.push_back(model.catalog_name + '.' + model.schema_name + '.' + model.name);
      page.page_token = listing.next_page_token;
    } while (!page.page_token.empty());
    EXPECT_THAT(names, ElementsAre("alpha.one.a", "alpha.one.b", "alpha.two.c", "main.docs.m", "main.docs.n",
                                   "system.ai.z", "zeta.one.x", "zeta.one.y"))
        << size;
  }
  // Between two pages the schema that the cursor stands in is deleted.
  auto first = catalog_->list_models(root_, "", "", {.max_results = 2, .page_token = {}});
  catalog_->delete_schema(root_, "alpha.one", true);
  auto second = catalog_->list_models(root_, "", "", {.max_results = 2, .page_token = first.next_page_token});
  ASSERT_EQ(second.items.size(), 2u);
  EXPECT_EQ(second.items[0].name, "c");
  // Bob sees the model in the box only.
  const auto for_bob = catalog_->list_models(bob_, "", "", {});
  ASSERT_EQ(for_bob.items.size(), 1u);
  EXPECT_EQ(for_bob.items[0].name, "z");
  EXPECT_EQ(code_of([&] { catalog_->list_models(root_, "main", "", {}); }), ErrorCode::kInvalidArgument);
}

TEST_F(ModelTest, EveryDoorIsLockedForAStranger) {
  catalog_->create_model_version(root_, kModel, "s");
  catalog_->set_alias(root_, kModel, "champ", 1);
  catalog_->set_model_tag(root_, kModel, "k", "v");
  const std::vector<std::pair<std::string, std::function<void(const Principal&)>>> doors{
      {"get_model", [&](const Principal& who) { catalog_->get_model(who, kModel); }},
      {"update_model", [&](const Principal& who) { catalog_->update_model(who, kModel, "x"); }},
      {"delete_model", [&](const Principal& who) { catalog_->delete_model(who, kModel); }},
      {"set_model_tag", [&](const Principal& who) { catalog_->set_model_tag(who, kModel, "k", "x"); }},
      {"delete_model_tag", [&](const Principal& who) { catalog_->delete_model_tag(who, kModel, "k"); }},
      {"create_model_version", [&](const Principal& who) { catalog_->create_model_version(who, kModel, "s"); }},
      {"finalize_model_version", [&](const Principal& who) { catalog_->finalize_model_version(who, kModel, 1); }},
      {"get_model_version", [&](const Principal& who) { catalog_->get_model_version(who, kModel, 1); }},
      {"get_model_version_by_alias",
       [&](const Principal& who) { catalog_->get_model_version_by_alias(who, kModel, "champ"); }},
      {"list_model_versions", [&](const Principal& who) { catalog_->list_model_versions(who, kModel, {}); }},
      {"update_model_version", [&](const Principal& who) { catalog_->update_model_version(who, kModel, 1, "x"); }},
      {"delete_model_version", [&](const Principal& who) { catalog_->delete_model_version(who, kModel, 1); }},
      {"set_model_version_tag",
       [&](const Principal& who) { catalog_->set_model_version_tag(who, kModel, 1, "k", "x"); }},
      {"delete_model_version_tag",
       [&](const Principal& who) { catalog_->delete_model_version_tag(who, kModel, 1, "k"); }},
      {"set_alias", [&](const Principal& who) { catalog_->set_alias(who, kModel, "champ", 1); }},
      {"delete_alias", [&](const Principal& who) { catalog_->delete_alias(who, kModel, "champ"); }},
      {"authorize",
       [&](const Principal& who) { catalog_->authorize(who, kExecute, {SecurableType::kModel, std::string(kModel)}); }},
      {"grants", [&](const Principal& who) { catalog_->grants(who, {SecurableType::kModel, std::string(kModel)}); }},
      {"effective_grants",
       [&](const Principal& who) { catalog_->effective_grants(who, {SecurableType::kModel, std::string(kModel)}); }},
      {"change_grants",
       [&](const Principal& who) {
         catalog_->change_grants(who, {SecurableType::kModel, std::string(kModel)},
                                 {{.principal = who.name, .add = {kExecute}, .remove = {}}});
       }},
      {"update",
       [&](const Principal& who) {
         catalog_->update(who, {SecurableType::kModel, std::string(kModel)},
                          {.comment = "x", .owner = who.name, .properties = {}});
       }},
  };
  for (const auto& [name, door] : doors) {
    // Hidden together with its parents: as if it did not exist.
    EXPECT_EQ(code_of([&] { door(bob_); }), ErrorCode::kNotFound) << name;
  }
  const std::string hidden = message_of([&] { catalog_->get_model(bob_, kModel); });
  const std::string missing = message_of([&] { catalog_->get_model(bob_, "main.docs.n"); });
  EXPECT_EQ(hidden, "registered model 'main.docs.m' does not exist");
  EXPECT_EQ(missing, "registered model 'main.docs.n' does not exist");

  let_in(bob_.name);
  for (const auto& [name, door] : doors) EXPECT_EQ(code_of([&] { door(bob_); }), ErrorCode::kPermissionDenied) << name;
  EXPECT_THAT(catalog_->list_models(bob_, "main", "docs", {}).items, IsEmpty());
  EXPECT_THAT(message_of([&] { catalog_->get_model(bob_, kModel); }),
              HasSubstr("lacks EXECUTE on registered model 'main.docs.m'"));

  grant(SecurableType::kModel, std::string(kModel), bob_.name, {kExecute});
  const std::set<std::string> for_readers{"get_model",           "get_model_version", "get_model_version_by_alias",
                                          "list_model_versions", "authorize",         "grants",
                                          "effective_grants"};
  for (const auto& [name, door] : doors) {
    if (for_readers.contains(name)) {
      EXPECT_NO_THROW(door(bob_)) << name;
    } else {
      EXPECT_EQ(code_of([&] { door(bob_); }), ErrorCode::kPermissionDenied) << name;
    }
  }
  // Nothing was changed by all of this.
  EXPECT_EQ(catalog_->get_model(root_, kModel).comment, "first");
  EXPECT_EQ(catalog_->get_model(root_, kModel).tags.at("k"), "v");
  EXPECT_EQ(catalog_->list_model_versions(root_, kModel, {}).items.size(), 1u);
}

TEST_F(ModelTest, CreatingNeedsTheRight) {
  let_in(bob_.name);
  EXPECT_EQ(code_of([&] { catalog_->create_model(bob_, "main.docs.b"); }), ErrorCode::kPermissionDenied);
  grant(SecurableType::kSchema, "main.docs", bob_.name, {kCreateModel});
  EXPECT_EQ(catalog_->create_model(bob_, "main.docs.b").owner, bob_.name);
  EXPECT_NO_THROW(catalog_->create_model_version(bob_, "main.docs.b", "s"));
  EXPECT_EQ(code_of([&] { catalog_->create_model(bob_, "main.docs.M"); }), ErrorCode::kAlreadyExists);
}

}  // namespace
}  // namespace lakeloop::catalog
