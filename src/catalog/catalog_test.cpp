#include "catalog/catalog.h"

#include <atomic>
#include <thread>

#include "catalog/catalog_fixture.h"

namespace lakeloop::catalog {
namespace {

using enum Privilege;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class CatalogTest : public CatalogFixture {};

TEST_F(CatalogTest, TheFirstStartBringsTheModelsInTheBox) {
  EXPECT_EQ(catalog_->get_schema(bob_, "system.ai").owner, "admins");
  EXPECT_TRUE(catalog_->allowed(bob_, kExecute, {SecurableType::kSchema, "system.ai"}));
  EXPECT_EQ(code_of([&] { catalog_->create_model(bob_, "system.ai.mine"); }), ErrorCode::kPermissionDenied);
  catalog_->create_model(root_, "system.ai.minilm");
  EXPECT_EQ(catalog_->get_model(bob_, "system.ai.minilm").name, "minilm");
  for (const bool force : {false, true}) {
    EXPECT_EQ(code_of([&] { catalog_->delete_catalog(root_, "SYSTEM", force); }), ErrorCode::kInvalidArgument);
    EXPECT_EQ(code_of([&] { catalog_->delete_schema(root_, "system.AI", force); }), ErrorCode::kInvalidArgument);
  }
  // A second start finds what the first made.
  const std::string id = catalog_->metastore_id();
  EXPECT_EQ(Catalog(*database_, store_).metastore_id(), id);
  EXPECT_EQ(id.size(), 36u);
}

TEST_F(CatalogTest, CatalogsAndSchemasAreKeptAsTheyWereWritten) {
  const auto made = catalog_->create_catalog(root_, "Main", "what is\n\"in it\"", {{"k", "v"}});
  EXPECT_EQ(made.name, "Main");
  EXPECT_EQ(catalog_->get_catalog(root_, "mAIN").id, made.id);
  EXPECT_EQ(catalog_->get_catalog(root_, "main").comment, "what is\n\"in it\"");
  EXPECT_EQ(catalog_->get_catalog(root_, "main").properties.at("k"), "v");
  catalog_->create_schema(root_, "MAIN", "Docs");
  const auto schema = catalog_->get_schema(root_, "main.docs");
  EXPECT_EQ(schema.catalog_name, "Main");
  EXPECT_EQ(schema.name, "Docs");
  EXPECT_EQ(schema.owner, root_.name);
  EXPECT_EQ(code_of([&] { catalog_->create_catalog(root_, "MAIN"); }), ErrorCode::kAlreadyExists);
  EXPECT_EQ(code_of([&] { catalog_->create_schema(root_, "main", "DOCS"); }), ErrorCode::kAlreadyExists);
  EXPECT_EQ(code_of([&] { catalog_->create_schema(root_, "main", "Information_Schema"); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { catalog_->create_schema(root_, "none", "x"); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { catalog_->get_schema(root_, "main.none"); }), ErrorCode::kNotFound);

  catalog_->update(root_, {SecurableType::kSchema, "main.docs"},
                   {.comment = "new", .owner = ann_.name, .properties = {}});
  EXPECT_EQ(catalog_->get_schema(root_, "main.docs").owner, ann_.name);
  EXPECT_EQ(catalog_->get_schema(root_, "main.docs").comment, "new");
  EXPECT_EQ(code_of([&] {
              catalog_->update(root_, {SecurableType::kCatalog, "main"},
                               {.comment = {}, .owner = "", .properties = {}});
            }),
            ErrorCode::kInvalidArgument);
}

TEST_F(CatalogTest, DeletingWhatHoldsSomethingNeedsForce) {
  make_docs();
  catalog_->create_model(root_, "main.docs.m", "", {{"k", "v"}});
  catalog_->create_model_version(root_, "main.docs.m", "s");
  grant(SecurableType::kModel, "main.docs.m", bob_.name, {kExecute});
  EXPECT_EQ(code_of([&] { catalog_->delete_catalog(root_, "main", false); }), ErrorCode::kConflict);
  EXPECT_EQ(code_of([&] { catalog_->delete_schema(root_, "main.docs", false); }), ErrorCode::kConflict);
  catalog_->delete_catalog(root_, "main", true);
  EXPECT_EQ(code_of([&] { catalog_->get_model(root_, "main.docs.m"); }), ErrorCode::kNotFound);
  for (const std::string table : {"catalog_versions", "catalog_tags", "catalog_counters"}) {
    EXPECT_TRUE(database_->reading([&](db::Transaction& t) { return t.query("SELECT * FROM " + table); }).empty())
        << table;
  }
  // What comes back under the old name starts without the old grants.
  make_docs();
  catalog_->create_model(root_, "main.docs.m");
  EXPECT_THAT(catalog_->grants(root_, {SecurableType::kModel, "main.docs.m"}), IsEmpty());
}

TEST_F(CatalogTest, EnsureSchemaRacesToOneSchema) {
  std::atomic<int> failures = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        try {
          catalog_->ensure_schema(root_, "main", "default");
        } catch (const Error&) {
          ++failures;
        }
      });
    }
  }
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(catalog_->list_schemas(root_, "main", {}).items.size(), 1u);
  EXPECT_EQ(code_of([&] { catalog_->ensure_schema(bob_, "other", "default"); }), ErrorCode::kPermissionDenied);
}

TEST_F(CatalogTest, OneOfManyCreatorsWins) {
  make_docs();
  std::atomic<int> made = 0, existed = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        try {
          catalog_->create_model(root_, "main.docs.race");
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

TEST_F(CatalogTest, GrantsAreGivenShownAndTaken) {
  make_docs();
  const Securable schema{SecurableType::kSchema, "main.docs"};
  catalog_->change_grants(root_, schema, {{.principal = "Team", .add = {kSelect, kUseSchema, kSelect}, .remove = {}}});
  catalog_->change_grants(root_, schema, {{.principal = "bob@example.com", .add = {kManage}, .remove = {}}});
  auto all = catalog_->grants(root_, schema);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].principal, "Team");
  EXPECT_THAT(all[1].privileges, ElementsAre(kSelect, kUseSchema));
  EXPECT_EQ(catalog_->grants(root_, schema, "TEAM").size(), 1u);
  EXPECT_THAT(catalog_->grants(root_, schema, "nobody"), IsEmpty());

  const auto left =
      catalog_->change_grants(root_, schema, {{.principal = "team", .add = {kModify}, .remove = {kSelect}}});
  ASSERT_EQ(left.size(), 1u);
  EXPECT_THAT(left[0].privileges, ElementsAre(kModify, kUseSchema));
  // One bad entry undoes all.
  EXPECT_EQ(code_of([&] {
              catalog_->change_grants(root_, schema,
                                      {{.principal = "x", .add = {kSelect}, .remove = {}},
                                       {.principal = "y", .add = {kUseCatalog}, .remove = {}}});
            }),
            ErrorCode::kInvalidArgument);
  EXPECT_THAT(catalog_->grants(root_, schema, "x"), IsEmpty());
  for (const std::string& bad : {std::string(), std::string("a\nb"), std::string("\xff"), std::string(5000, 'x')}) {
    EXPECT_EQ(
        code_of([&] { catalog_->change_grants(root_, schema, {{.principal = bad, .add = {kSelect}, .remove = {}}}); }),
        ErrorCode::kInvalidArgument);
  }

  grant(SecurableType::kCatalog, "main", "team", {kUseCatalog, kSelect});
  catalog_->create_model(root_, "main.docs.m");
  grant(SecurableType::kModel, "main.docs.m", "team", {kExecute});
  // Of what is inherited only what means something on a model counts.
  const auto effective = catalog_->effective_grants(root_, {SecurableType::kModel, "main.docs.m"}, "team");
  ASSERT_EQ(effective.size(), 2u);
  EXPECT_EQ(effective[0].granted_on.name, "main.docs");
  EXPECT_EQ(effective[1].privilege, kExecute);
  EXPECT_EQ(effective[1].granted_on.name, "main.docs.m");
}

TEST_F(CatalogTest, OnlyManagersGrantAndOthersSeeTheirOwn) {
  make_docs();
  const Securable schema{SecurableType::kSchema, "main.docs"};
  let_in("team");
  grant(SecurableType::kSchema, "main.docs", "secret@example.com", {kSelect});
  EXPECT_EQ(code_of([&] {
              catalog_->change_grants(ann_, schema, {{.principal = ann_.name, .add = {kSelect}, .remove = {}}});
            }),
            ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of([&] { catalog_->update(ann_, schema, {.comment = "x", .owner = {}, .properties = {}}); }),
            ErrorCode::kPermissionDenied);
  const auto visible = catalog_->grants(ann_, schema);
  ASSERT_EQ(visible.size(), 1u);
  EXPECT_EQ(visible[0].principal, "team");
  EXPECT_THAT(catalog_->grants(ann_, schema, "secret@example.com"), IsEmpty());
  EXPECT_THAT(catalog_->effective_grants(ann_, schema, "secret@example.com"), IsEmpty());

  grant(SecurableType::kSchema, "main.docs", ann_.name, {kManage});
  EXPECT_EQ(catalog_->grants(ann_, schema).size(), 3u);
  EXPECT_NO_THROW(catalog_->change_grants(ann_, schema, {{.principal = bob_.name, .add = {kSelect}, .remove = {}}}));
  // All privileges do not hold the right to hand them on.
  grant(SecurableType::kSchema, "main.docs", bob_.name, {kAllPrivileges});
  grant(SecurableType::kCatalog, "main", bob_.name, {kUseCatalog});
  EXPECT_EQ(
      code_of([&] { catalog_->change_grants(bob_, schema, {{.principal = "x", .add = {kSelect}, .remove = {}}}); }),
      ErrorCode::kPermissionDenied);
}

TEST_F(CatalogTest, RevokedIsRevoked) {
  make_docs();
  let_in("team");
  catalog_->create_model(root_, "main.docs.m");
  grant(SecurableType::kModel, "main.docs.m", "team", {kExecute});
  EXPECT_TRUE(catalog_->allowed(ann_, kExecute, {SecurableType::kModel, "main.docs.m"}));
  EXPECT_TRUE(catalog_->allowed(ann_, kExecute, {SecurableType::kFunction, "main.docs.m"}));
  EXPECT_FALSE(catalog_->allowed(bob_, kExecute, {SecurableType::kModel, "main.docs.m"}));
  revoke(SecurableType::kSchema, "main.docs", "TEAM", {kUseSchema});
  EXPECT_FALSE(catalog_->allowed(ann_, kExecute, {SecurableType::kModel, "main.docs.m"}));
  EXPECT_EQ(code_of([&] { catalog_->get_model(ann_, "main.docs.m"); }), ErrorCode::kNotFound);
}

TEST_F(CatalogTest, EverybodyIsAGroup) {
  make_docs();
  catalog_->create_model(root_, "main.docs.m");
  let_in("account users");
  grant(SecurableType::kModel, "main.docs.m", "Account Users", {kExecute});
  EXPECT_NO_THROW(catalog_->authorize(bob_, kExecute, {SecurableType::kModel, "main.docs.m"}));
}

TEST_F(CatalogTest, GroupsOwn) {
  make_docs();
  let_in("team");
  catalog_->create_model(root_, "main.docs.m");
  catalog_->update(root_, {SecurableType::kModel, "main.docs.m"}, {.comment = {}, .owner = "TEAM", .properties = {}});
  EXPECT_NO_THROW(catalog_->delete_model(ann_, "main.docs.m"));
}

TEST_F(CatalogTest, EndpointsAndExperimentsAreGuardedToo) {
  catalog_->register_securable(SecurableType::kEndpoint, "Chat endpoint/1", ann_.name);
  catalog_->register_securable(SecurableType::kExperiment, "42", ann_.name);
  const Securable endpoint{SecurableType::kEndpoint, "chat ENDPOINT/1"}, experiment{SecurableType::kExperiment, "42"};
  EXPECT_TRUE(catalog_->allowed(ann_, kManage, endpoint));
  EXPECT_FALSE(catalog_->allowed(bob_, kExecute, endpoint));
  EXPECT_FALSE(catalog_->allowed(bob_, kSelect, experiment));
  EXPECT_EQ(code_of([&] { catalog_->authorize(bob_, kExecute, endpoint); }), ErrorCode::kPermissionDenied);
  catalog_->change_grants(ann_, endpoint, {{.principal = bob_.name, .add = {kExecute}, .remove = {}}});
  EXPECT_TRUE(catalog_->allowed(bob_, kExecute, endpoint));
  EXPECT_TRUE(catalog_->allowed(bob_, kSelect, endpoint));
  EXPECT_FALSE(catalog_->allowed(bob_, kModify, endpoint));
  EXPECT_EQ(code_of([&] { catalog_->register_securable(SecurableType::kExperiment, "42", "x"); }),
            ErrorCode::kAlreadyExists);
  catalog_->unregister_securable(SecurableType::kEndpoint, "Chat endpoint/1");
  catalog_->unregister_securable(SecurableType::kEndpoint, "Chat endpoint/1");
  EXPECT_EQ(code_of([&] { catalog_->authorize(root_, kExecute, endpoint); }), ErrorCode::kNotFound);
  // A new one under the old name has no grants.
  catalog_->register_securable(SecurableType::kEndpoint, "Chat endpoint/1", root_.name);
  EXPECT_FALSE(catalog_->allowed(bob_, kExecute, endpoint));
  EXPECT_EQ(code_of([&] { catalog_->register_securable(SecurableType::kEndpoint, "", "x"); }),
            ErrorCode::kInvalidArgument);
}

TEST_F(CatalogTest, NamesAndValuesAreNeverPastedIntoSql) {
  make_docs();
  for (const std::string name : {"a';--", "a\"b", "100%_x", "x'||'y", "色🚀"}) {
    catalog_->create_model(root_, "main.docs." + name, "' OR 1=1 --", {{"k'", "v'; DROP TABLE catalog_tags; --"}});
    EXPECT_EQ(catalog_->get_model(root_, "main.docs." + name).name, name);
    EXPECT_EQ(catalog_->get_model(root_, "main.docs." + name).tags.at("k'"), "v'; DROP TABLE catalog_tags; --");
  }
  EXPECT_EQ(catalog_->list_models(root_, "main", "docs", {}).items.size(), 5u);
  EXPECT_EQ(code_of([&] { catalog_->get_model(root_, "main.docs.100%"); }), ErrorCode::kNotFound);
  const Principal crafted = person("' OR '1'='1", {"x') OR 1=1 --"});
  EXPECT_FALSE(catalog_->allowed(crafted, kExecute, {SecurableType::kModel, "main.docs.色🚀"}));
  EXPECT_THAT(catalog_->list_catalogs(crafted, {}).items, testing::SizeIs(1));
}

TEST_F(CatalogTest, LineageKeepsEachArrowOnce) {
  const LineageEdge edge{.source_kind = "table",
                         .source = "main.docs.t",
                         .target_kind = "index",
                         .target = "main.docs.i",
                         .details = Json::object({{"version", 3}}),
                         .at = {}};
  LineageEdge later = edge;
  later.at = {2'000'000};
  catalog_->record_lineage({edge, edge, later});
  LineageEdge other = edge;
  other.details = Json::object({{"version", 4}});
  catalog_->record_lineage({other});
  catalog_->record_lineage({});
  const auto up = catalog_->lineage_of("index", "main.docs.i");
  ASSERT_EQ(up.size(), 2u);
  EXPECT_EQ(up[0].source, "main.docs.t");
  EXPECT_EQ(catalog_->lineage_from("table", "main.docs.t").size(), 2u);
  EXPECT_THAT(catalog_->lineage_of("table", "main.docs.t"), IsEmpty());
  EXPECT_THAT(catalog_->lineage_of("index", "' OR 1=1 --"), IsEmpty());
  LineageEdge bad = edge;
  bad.source_kind = "cat";
  EXPECT_EQ(code_of([&] { catalog_->record_lineage({bad}); }), ErrorCode::kInvalidArgument);
  bad = edge;
  bad.target.clear();
  EXPECT_EQ(code_of([&] { catalog_->record_lineage({bad}); }), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace lakeloop::catalog
