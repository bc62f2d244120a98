#include "catalog/catalog_fixture.h"

namespace lakeloop::catalog {
namespace {

using enum Privilege;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class TableTest : public CatalogFixture {
 protected:
  TableTest() { make_docs(); }

  std::size_t objects() { return store_->list("").size(); }
};

TEST_F(TableTest, ATableIsMadeWithItsFilesAndRead) {
  delta::CreateOptions options = two_columns();
  options.properties["owner.note"] = "x";
  const TableInfo made = catalog_->create_table(root_, "main.docs.Pages", options, "the pages");
  EXPECT_EQ(made.prefix, "tables/" + made.id);
  EXPECT_EQ(made.comment, "the pages");
  EXPECT_EQ(made.table_type, "MANAGED");
  ASSERT_EQ(made.columns.size(), 2u);
  EXPECT_EQ(made.columns[1].name, "text");
  EXPECT_EQ(made.properties.at("owner.note"), "x");
  EXPECT_EQ(made.storage_location, store_->location(made.prefix));

  delta::Table table = catalog_->open_table(root_, "MAIN.docs.pages", kModify);
  table.append({{Json(1), Json("one")}});
  EXPECT_EQ(catalog_->open_table(root_, "main.docs.pages", kSelect).snapshot().version, 1);
  const auto listed = catalog_->list_tables(root_, "main", "docs", {});
  ASSERT_EQ(listed.items.size(), 1u);
  EXPECT_EQ(listed.items[0].name, "Pages");
  EXPECT_EQ(listed.items[0].schema_name, "docs");
}

TEST_F(TableTest, AFailureLeavesNothing) {
  catalog_->create_table(root_, "main.docs.t", two_columns());
  const std::size_t before = objects();
  EXPECT_EQ(code_of([&] { catalog_->create_table(root_, "main.docs.T", two_columns()); }), ErrorCode::kAlreadyExists);
  EXPECT_EQ(code_of([&] { catalog_->create_table(bob_, "main.docs.u", two_columns()); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { catalog_->create_table(root_, "main.none.u", two_columns()); }), ErrorCode::kNotFound);
  EXPECT_ANY_THROW(catalog_->create_table(root_, "main.docs.u",
                                          {.schema = two_columns().schema,
                                           .partition_columns = {"nope"},
                                           .properties = {},
                                           .name = {},
                                           .description = {}}));
  EXPECT_EQ(objects(), before);
  EXPECT_EQ(catalog_->list_tables(root_, "main", "docs", {}).items.size(), 1u);
  EXPECT_NO_THROW(catalog_->create_table(root_, "main.docs.u", two_columns()));
}

TEST_F(TableTest, DeletingKeepsTheData) {
  const TableInfo made = catalog_->create_table(root_, "main.docs.t", two_columns());
  const std::size_t before = objects();
  grant(SecurableType::kTable, "main.docs.t", bob_.name, {kSelect});
  catalog_->delete_table(root_, "main.docs.t");
  EXPECT_EQ(objects(), before);
  EXPECT_EQ(code_of([&] { catalog_->get_table(root_, "main.docs.t"); }), ErrorCode::kNotFound);
  const TableInfo again = catalog_->create_table(root_, "main.docs.t", two_columns());
  EXPECT_NE(again.id, made.id);
  EXPECT_EQ(catalog_->open_table(root_, "main.docs.t", kSelect).snapshot().version, 0);
  let_in(bob_.name);
  EXPECT_FALSE(catalog_->allowed(bob_, kSelect, {SecurableType::kTable, "main.docs.t"}));
}

TEST_F(TableTest, OpenOrCreateIsForWriters) {
  EXPECT_EQ(catalog_->open_or_create_table(root_, "main.docs.t", two_columns()).snapshot().version, 0);
  EXPECT_EQ(catalog_->open_or_create_table(root_, "main.docs.t", two_columns()).snapshot().version, 0);
  let_in(bob_.name);
  grant(SecurableType::kTable, "main.docs.t", bob_.name, {kSelect});
  EXPECT_EQ(code_of([&] { catalog_->open_or_create_table(bob_, "main.docs.t", two_columns()); }),
            ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of([&] { catalog_->open_or_create_table(bob_, "main.docs.u", two_columns()); }),
            ErrorCode::kPermissionDenied);
}

TEST_F(TableTest, EveryDoorIsLockedForAStranger) {
  catalog_->create_table(root_, "main.docs.t", two_columns());
  const Securable table{SecurableType::kTable, "main.docs.t"};
  const std::vector<std::pair<std::string, std::function<void(const Principal&)>>> doors{
      {"get_table", [&](const Principal& who) { catalog_->get_table(who, "main.docs.t"); }},
      {"delete_table", [&](const Principal& who) { catalog_->delete_table(who, "main.docs.t"); }},
      {"open for reading", [&](const Principal& who) { catalog_->open_table(who, "main.docs.t", kSelect); }},
      {"open for writing", [&](const Principal& who) { catalog_->open_table(who, "main.docs.t", kModify); }},
      {"open_or_create",
       [&](const Principal& who) { catalog_->open_or_create_table(who, "main.docs.t", two_columns()); }},
      {"resolve",
       [&](const Principal& who) { catalog_->resolver(who, "main", "docs")->resolve({"t"}, sql::Access::kRead); }},
      {"resolve to modify",
       [&](const Principal& who) {
         catalog_->resolver(who, "x", "y")->resolve({"main", "docs", "t"}, sql::Access::kModify);
       }},
      {"drop", [&](const Principal& who) { catalog_->resolver(who, "main", "x")->drop({"docs", "t"}); }},
      {"create index", [&](const Principal& who) { catalog_->register_index(who, "main.docs.i", "main.docs.t"); }},
      {"grants", [&](const Principal& who) { catalog_->grants(who, table); }},
      {"change_grants", [&](const Principal& who) { catalog_->change_grants(who, table, {}); }},
      {"update",
       [&](const Principal& who) { catalog_->update(who, table, {.comment = "x", .owner = {}, .properties = {}}); }},
  };
  for (const auto& [name, door] : doors) EXPECT_EQ(code_of([&] { door(bob_); }), ErrorCode::kNotFound) << name;
  EXPECT_EQ(code_of([&] { catalog_->list_tables(bob_, "main", "docs", {}); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { catalog_->list_models(bob_, "main", "docs", {}); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { catalog_->list_schemas(bob_, "main", {}); }), ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of([&] { catalog_->get_schema(bob_, "main.docs"); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { catalog_->delete_schema(bob_, "main.docs", true); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { catalog_->create_schema(bob_, "main", "mine"); }), ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of([&] { catalog_->create_catalog(bob_, "mine"); }), ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of([&] { catalog_->delete_catalog(bob_, "main", true); }), ErrorCode::kPermissionDenied);
  EXPECT_THAT(catalog_->list_catalogs(bob_, {}).items, SizeIs(1));  // system

  let_in(bob_.name);
  for (const auto& [name, door] : doors) EXPECT_EQ(code_of([&] { door(bob_); }), ErrorCode::kPermissionDenied) << name;
  EXPECT_THAT(catalog_->list_tables(bob_, "main", "docs", {}).items, IsEmpty());
  EXPECT_THAT(catalog_->resolver(bob_, "main", "docs")->list(sql::Listed::kTables, {}), IsEmpty());

  grant(SecurableType::kTable, "main.docs.t", "account users", {kSelect});
  EXPECT_NO_THROW(catalog_->open_table(bob_, "main.docs.t", kSelect));
  EXPECT_EQ(code_of([&] { catalog_->open_table(bob_, "main.docs.t", kModify); }), ErrorCode::kPermissionDenied);
  EXPECT_EQ(code_of([&] { catalog_->delete_table(bob_, "main.docs.t"); }), ErrorCode::kPermissionDenied);
  EXPECT_THAT(catalog_->list_tables(bob_, "main", "docs", {}).items, SizeIs(1));
}

TEST_F(TableTest, IndexesLiveBesideTablesAndHoldThem) {
  catalog_->create_table(root_, "main.docs.t", two_columns());
  let_in(ann_.name);
  grant(SecurableType::kSchema, "main.docs", ann_.name, {kCreateTable});
  EXPECT_EQ(code_of([&] { catalog_->register_index(ann_, "main.docs.i", "main.docs.t"); }),
            ErrorCode::kPermissionDenied);
  grant(SecurableType::kTable, "main.docs.t", ann_.name, {kSelect});
  catalog_->register_index(ann_, "main.docs.i", "main.docs.t");
  EXPECT_EQ(code_of([&] { catalog_->register_index(ann_, "main.docs.T", "main.docs.t"); }), ErrorCode::kAlreadyExists);
  const TableInfo index = catalog_->get_table(ann_, "main.docs.i");
  EXPECT_EQ(index.table_type, "VECTOR_INDEX");
  EXPECT_EQ(index.source_table, "main.docs.t");
  EXPECT_TRUE(index.prefix.empty());
  EXPECT_TRUE(catalog_->allowed(ann_, kSelect, {SecurableType::kTable, "main.docs.i"}));
  EXPECT_FALSE(catalog_->allowed(bob_, kSelect, {SecurableType::kTable, "main.docs.i"}));

  EXPECT_EQ(code_of([&] { catalog_->open_table(ann_, "main.docs.i", kSelect); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { catalog_->delete_table(ann_, "main.docs.i"); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { catalog_->unregister_index(root_, "main.docs.t"); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { catalog_->delete_table(root_, "main.docs.t"); }), ErrorCode::kConflict);
  EXPECT_EQ(code_of([&] { catalog_->delete_schema(root_, "main.docs", true); }), ErrorCode::kConflict);
  EXPECT_EQ(code_of([&] { catalog_->delete_catalog(root_, "main", true); }), ErrorCode::kConflict);
  catalog_->unregister_index(ann_, "main.docs.i");
  EXPECT_NO_THROW(catalog_->delete_catalog(root_, "main", true));
}

TEST_F(TableTest, ResolverCompletesNames) {
  catalog_->create_table(root_, "main.docs.t", two_columns());
  const auto resolver = catalog_->resolver(root_, "main", "docs");
  for (const std::vector<std::string>& name : {std::vector<std::string>{"t"}, {"DOCS", "T"}, {"main", "docs", "t"}}) {
    EXPECT_EQ(resolver->resolve(name, sql::Access::kRead).snapshot().version, 0);
  }
  EXPECT_EQ(code_of([&] { resolver->resolve({}, sql::Access::kRead); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { resolver->resolve({"a", "b", "c", "d"}, sql::Access::kRead); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { resolver->resolve({"../../etc"}, sql::Access::kRead); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { resolver->resolve({"a`b"}, sql::Access::kRead); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { resolver->resolve({"other", "t"}, sql::Access::kRead); }), ErrorCode::kNotFound);
  resolver->create({"u"}, two_columns());
  EXPECT_THAT(resolver->list(sql::Listed::kTables, {}), ElementsAre("t", "u"));
  EXPECT_THAT(resolver->list(sql::Listed::kTables, {"main", "docs"}), ElementsAre("t", "u"));
  EXPECT_THAT(resolver->list(sql::Listed::kSchemas, {}), ElementsAre("docs"));
  EXPECT_THAT(resolver->list(sql::Listed::kSchemas, {"system"}), ElementsAre("ai"));
  EXPECT_THAT(resolver->list(sql::Listed::kCatalogs, {}), ElementsAre("main", "system"));
  resolver->drop({"docs", "u"});
  EXPECT_THAT(resolver->list(sql::Listed::kTables, {"docs"}), ElementsAre("t"));
}

// Listings: the union of the pages is the set, without repeats, whatever happens between them.
class PagingTest : public CatalogFixture {
 protected:
  PagingTest() {
    make_docs();
    for (int i = 0; i < 15; ++i) {
      const std::string number = (i < 10 ? "0" : "") + std::to_string(i);
      catalog_->create_model(root_, "main.docs.m" + number);
      catalog_->create_schema(root_, "main", "s" + number);
      catalog_->create_catalog(root_, "c" + number);
    }
  }
};

TEST_F(PagingTest, PagesOfAnySizeMakeTheSet) {
  for (const std::size_t size : {0u, 1u, 5u, 7u, 15u, 16u, 5000u}) {
    EXPECT_THAT(all_names(size, [&](const Page& page) { return catalog_->list_models(root_, "main", "docs", page); }),
                SizeIs(15));
    EXPECT_THAT(all_names(size, [&](const Page& page) { return catalog_->list_schemas(root_, "main", page); }),
                SizeIs(16));
    EXPECT_THAT(all_names(size, [&](const Page& page) { return catalog_->list_catalogs(root_, page); }), SizeIs(17));
  }
  // A page that is exactly full is the last one.
  EXPECT_EQ(catalog_->list_models(root_, "main", "docs", {.max_results = 15, .page_token = {}}).next_page_token, "");
}

TEST_F(PagingTest, RightsComeBeforePages) {
  let_in(bob_.name);
  grant(SecurableType::kModel, "main.docs.m03", bob_.name, {kExecute});
  grant(SecurableType::kModel, "main.docs.m11", "account users", {kExecute});
  grant(SecurableType::kSchema, "main.s07", bob_.name, {kUseSchema});
  grant(SecurableType::kCatalog, "c09", bob_.name, {kBrowse});
  for (const std::size_t size : {0u, 1u, 2u, 3u}) {
    EXPECT_THAT(all_names(size, [&](const Page& page) { return catalog_->list_models(bob_, "main", "docs", page); }),
                ElementsAre("m03", "m11"));
    EXPECT_THAT(all_names(size, [&](const Page& page) { return catalog_->list_schemas(bob_, "main", page); }),
                ElementsAre("docs", "s07"));
    EXPECT_THAT(all_names(size, [&](const Page& page) { return catalog_->list_catalogs(bob_, page); }),
                ElementsAre("c09", "main", "system"));
  }
  EXPECT_EQ(catalog_->list_models(bob_, "main", "docs", {.max_results = 2, .page_token = {}}).next_page_token, "");
}

TEST_F(PagingTest, OthersMayInsertAndDeleteMeanwhile) {
  int round = 0;
  const auto names = all_names(4, [&](const Page& page) {
    auto listing = catalog_->list_models(root_, "main", "docs", page);
    if (!listing.items.empty())
      catalog_->delete_model(root_, "main.docs." + listing.items.back().name);  // the cursor's own row
    catalog_->create_model(root_, "main.docs.a" + std::to_string(round++));     // before the cursor
    return listing;
  });
  EXPECT_THAT(names, SizeIs(15));
}

TEST_F(PagingTest, ForeignTokensAreRefused) {
  const std::string models =
      catalog_->list_models(root_, "main", "docs", {.max_results = 1, .page_token = {}}).next_page_token;
  const std::string schemas =
      catalog_->list_schemas(root_, "main", {.max_results = 1, .page_token = {}}).next_page_token;
  EXPECT_FALSE(models.empty());
  EXPECT_EQ(code_of([&] { catalog_->list_schemas(root_, "main", {.max_results = 1, .page_token = models}); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { catalog_->list_tables(root_, "main", "docs", {.max_results = 1, .page_token = models}); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { catalog_->list_models(root_, "main", "s01", {.max_results = 1, .page_token = models}); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { catalog_->list_models(root_, "", "", {.max_results = 1, .page_token = models}); }),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { catalog_->list_catalogs(root_, {.max_results = 1, .page_token = schemas}); }),
            ErrorCode::kInvalidArgument);
  for (const std::string& bad :
       {std::string("x"), std::string("0"), std::string("\0", 1), std::string(100'000, 'f'), std::string("m03")}) {
    EXPECT_EQ(code_of([&] { catalog_->list_models(root_, "main", "docs", {.max_results = 1, .page_token = bad}); }),
              ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace lakeloop::catalog
