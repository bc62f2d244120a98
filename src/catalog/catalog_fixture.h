#pragma once

// What the catalog's tests start from: a fresh house with an administrator, Ann and Bob (without rights).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/id.h"
#include "catalog/catalog.h"

namespace lakeloop::catalog {

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

template <typename F>
std::string message_of(F&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.message();
  }
  ADD_FAILURE() << "no error was thrown";
  return {};
}

inline Principal person(std::string name, std::vector<std::string> groups = {}, bool admin = false) {
  Principal principal;
  principal.name = std::move(name);
  principal.groups = std::move(groups);
  principal.admin = admin;
  return principal;
}

class CatalogFixture : public testing::Test {
 protected:
  CatalogFixture() : folder_(std::filesystem::temp_directory_path() / ("catalog_test_" + random_hex(8))) {
    std::filesystem::create_directories(folder_ / "objects");
    database_ = db::Database::open(folder_ / "meta.db", migrations());
    store_ = storage::open_local_store(folder_ / "objects");
    catalog_ = std::make_unique<Catalog>(*database_, store_);
  }
  ~CatalogFixture() override {
    catalog_.reset();
    database_.reset();
    std::filesystem::remove_all(folder_);
  }

  void grant(SecurableType type, const std::string& name, const std::string& to, std::vector<Privilege> privileges) {
    catalog_->change_grants(root_, {type, name}, {{.principal = to, .add = std::move(privileges), .remove = {}}});
  }
  void revoke(SecurableType type, const std::string& name, const std::string& from, std::vector<Privilege> privileges) {
    catalog_->change_grants(root_, {type, name}, {{.principal = from, .add = {}, .remove = std::move(privileges)}});
  }
  // main.docs with what a reader or maker needs to get there.
  void make_docs() { catalog_->ensure_schema(root_, "main", "docs"); }
  void let_in(const std::string& name) {
    grant(SecurableType::kCatalog, "main", name, {Privilege::kUseCatalog});
    grant(SecurableType::kSchema, "main.docs", name, {Privilege::kUseSchema});
  }

  static delta::CreateOptions two_columns() {
    delta::CreateOptions options;
    options.schema = {{.name = "id", .type = delta::TypeKind::kLong},
                      {.name = "text", .type = delta::TypeKind::kString}};
    return options;
  }

  // All pages, with pages of `size`; fails on repeats.
  template <typename List>
  static std::vector<std::string> all_names(std::size_t size, List&& list) {
    std::vector<std::string> names;
    Page page{.max_results = size, .page_token = {}};
    do {
      const auto listing = list(page);
      EXPECT_LE(listing.items.size(), size == 0 ? 1000 : size);
      for (const auto& item : listing.items) names.push_back(item.name);
      page.page_token = listing.next_page_token;
    } while (!page.page_token.empty());
    auto sorted = names;
    std::ranges::sort(sorted);
    EXPECT_TRUE(std::ranges::adjacent_find(sorted) == sorted.end()) << "an item came twice";
    return names;
  }

  std::filesystem::path folder_;
  std::unique_ptr<db::Database> database_;
  std::shared_ptr<storage::ObjectStore> store_;
  std::unique_ptr<Catalog> catalog_;
  const Principal root_ = person("root@example.com", {"admins"}, true);
  const Principal ann_ = person("ann@example.com", {"team"});
  const Principal bob_ = person("bob@example.com");
};

}  // namespace lakeloop::catalog
