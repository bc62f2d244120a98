#include "catalog/rights.h"

#include <gtest/gtest.h>

namespace lakeloop::catalog {
namespace {

using enum Privilege;
using enum SecurableType;
using Level = Rights::Level;

// Metastore, catalog, schema and an object, with what is granted on each.
Rights path(SecurableType leaf, PrivilegeSet metastore, PrivilegeSet catalog, PrivilegeSet schema,
            PrivilegeSet object) {
  return {false,
          {Level{kMetastore, false, metastore}, Level{kCatalog, false, catalog}, Level{kSchema, false, schema},
           Level{leaf, false, object}}};
}

TEST(Rights, NothingGrantedIsNothingAllowed) {
  const Rights none = path(kTable, {}, {}, {}, {});
  for (int p = 0; p <= static_cast<int>(kAllPrivileges); ++p) EXPECT_FALSE(none.may(static_cast<Privilege>(p))) << p;
  for (std::size_t level = 1; level < 4; ++level) EXPECT_FALSE(none.sees(level));
  EXPECT_TRUE(none.sees(0));
}

TEST(Rights, TheWayIsNeeded) {
  EXPECT_FALSE(path(kTable, {}, {}, {}, {kSelect}).may(kSelect));
  EXPECT_FALSE(path(kTable, {}, {kUseCatalog}, {}, {kSelect}).may(kSelect));
  EXPECT_FALSE(path(kTable, {}, {}, {kUseSchema}, {kSelect}).may(kSelect));
  EXPECT_TRUE(path(kTable, {}, {kUseCatalog}, {kUseSchema}, {kSelect}).may(kSelect));
  const auto missing = path(kTable, {}, {kUseCatalog}, {}, {kSelect}).missing(kSelect);
  ASSERT_TRUE(missing);
  EXPECT_EQ(missing->privilege, kUseSchema);
  EXPECT_EQ(missing->level, 2u);
}

TEST(Rights, GrantsReachDownward) {
  const Rights all_on_catalog = path(kTable, {}, {kUseCatalog, kUseSchema, kSelect}, {}, {});
  EXPECT_TRUE(all_on_catalog.may(kSelect));
  EXPECT_FALSE(all_on_catalog.may(kModify));
  EXPECT_TRUE(all_on_catalog.sees());
  EXPECT_TRUE(path(kTable, {}, {kUseCatalog}, {kUseSchema, kSelect}, {}).may(kSelect));
}

TEST(Rights, UsingACatalogDoesNotShowItsContent) {
  const Rights user = path(kTable, {}, {kUseCatalog}, {}, {});
  EXPECT_TRUE(user.sees(1));
  EXPECT_FALSE(user.sees(2));
  const Rights of_schema = path(kTable, {}, {kUseCatalog}, {kUseSchema}, {});
  EXPECT_TRUE(of_schema.sees(2));
  EXPECT_FALSE(of_schema.sees(3));
}

TEST(Rights, AllPrivilegesHoldsEverythingButManage) {
  const Rights all = path(kTable, {}, {kAllPrivileges}, {}, {});
  for (const Privilege p : {kSelect, kModify, kExecute, kBrowse}) EXPECT_TRUE(all.may(p));
  EXPECT_FALSE(all.may(kManage));
  EXPECT_TRUE(path(kTable, {}, {kUseCatalog}, {kUseSchema}, {kManage}).may(kManage));
  EXPECT_FALSE(path(kTable, {}, {kUseCatalog}, {kUseSchema}, {kManage}).may(kSelect));
}

TEST(Rights, OwnersOfAncestorsOwn) {
  const auto owner_at = [](std::size_t level) {
    std::vector<Level> levels{
        {kMetastore, false, {}}, {kCatalog, false, {}}, {kSchema, false, {}}, {kTable, false, {}}};
    levels[level].owned = true;
    return levels;
  };
  EXPECT_TRUE(Rights(false, owner_at(1)).may(kManage));
  // A schema's owner still needs the catalog, a table's owner both.
  EXPECT_FALSE(Rights(false, owner_at(2)).may(kSelect));
  EXPECT_FALSE(Rights(false, owner_at(3)).sees());
  auto levels = owner_at(2);
  levels[1].granted = {kUseCatalog};
  EXPECT_TRUE(Rights(false, levels).may(kManage));
  EXPECT_FALSE(Rights(false, owner_at(0)).may(kSelect));
  EXPECT_TRUE(Rights(true, {{kMetastore, false, {}}}).may(kCreateCatalog));
}

TEST(Rights, CreatingNeedsTheContainersKey) {
  const Rights without(
      {false, {{kMetastore, false, {}}, {kCatalog, false, {kUseCatalog}}, {kSchema, false, {kCreateTable}}}});
  EXPECT_FALSE(without.may(kCreateTable));
  const Rights with(
      {false,
       {{kMetastore, false, {}}, {kCatalog, false, {kUseCatalog}}, {kSchema, false, {kCreateTable, kUseSchema}}}});
  EXPECT_TRUE(with.may(kCreateTable));
  EXPECT_FALSE(with.may(kCreateModel));
}

TEST(Rights, BrowseShowsWithoutTheWay) {
  const Rights browser = path(kTable, {}, {kBrowse}, {}, {});
  for (std::size_t level = 1; level < 4; ++level) EXPECT_TRUE(browser.sees(level));
  EXPECT_FALSE(browser.may(kSelect));
  EXPECT_FALSE(browser.may(kUseCatalog));
}

TEST(Rights, ModifyOnASchemaIsNotAboutItsModels) {
  EXPECT_TRUE(path(kTable, {}, {kUseCatalog}, {kUseSchema, kModify}, {}).may(kModify));
  const Rights model = path(kModel, {}, {kUseCatalog}, {kUseSchema, kModify}, {});
  EXPECT_FALSE(model.may(kModify));
  EXPECT_FALSE(model.sees());
  EXPECT_TRUE(path(kModel, {}, {kUseCatalog}, {kUseSchema}, {kModify}).may(kModify));
  EXPECT_TRUE(path(kModel, {}, {kUseCatalog}, {kUseSchema, kManage}, {}).may(kModify));
  EXPECT_FALSE(path(kModel, {}, {kUseCatalog}, {kUseSchema, kSelect}, {}).sees());
}

TEST(Rights, EndpointsAndExperimentsHaveLevels) {
  const auto on = [](PrivilegeSet granted) {
    return Rights(false, {{kMetastore, false, {}}, {kEndpoint, false, granted}});
  };
  EXPECT_FALSE(on({}).sees());
  EXPECT_TRUE(on({kSelect}).may(kSelect));
  EXPECT_FALSE(on({kSelect}).may(kExecute));
  EXPECT_TRUE(on({kExecute}).may(kSelect));
  EXPECT_FALSE(on({kExecute}).may(kModify));
  EXPECT_FALSE(on({kModify}).may(kExecute));
  for (const Privilege p : {kSelect, kExecute, kModify, kManage}) EXPECT_TRUE(on({kManage}).may(p));
  EXPECT_FALSE(on({kModify}).may(kManage));
}

TEST(Rights, WhatCanBeGrantedDependsOnTheType) {
  EXPECT_TRUE(grantable_on(kCatalog).has(kSelect));
  EXPECT_FALSE(grantable_on(kSchema).has(kUseCatalog));
  EXPECT_FALSE(grantable_on(kTable).has(kExecute));
  EXPECT_FALSE(grantable_on(kModel).has(kSelect));
  EXPECT_TRUE(grantable_on(kMetastore).has(kCreateCatalog));
  EXPECT_FALSE(grantable_on(kMetastore).has(kSelect));
}

}  // namespace
}  // namespace lakeloop::catalog
