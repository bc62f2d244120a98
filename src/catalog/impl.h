#pragma once

// What the parts of the catalog share: how an object is found and access to it is checked, in one transaction.

#include <mutex>
#include <unordered_map>

#include "catalog/catalog.h"
#include "catalog/objects.h"
#include "catalog/page_token.h"

namespace lakeloop::catalog {

inline constexpr std::string_view kSystemCatalog = "system";

// An object with what one principal may do on it.
struct Seen {
  Path path;
  Rights rights;
  [[nodiscard]] const ObjectRow& object() const { return path.back(); }
};

// Delta tables that were opened, by table id: their cached snapshots make the next statement cheap. Thread-safe.
class OpenTables {
 public:
  explicit OpenTables(std::shared_ptr<storage::ObjectStore> store) : store_(std::move(store)) {}
  delta::Table get(const std::string& id, const std::string& prefix);
  void forget(const std::string& id);

 private:
  std::shared_ptr<storage::ObjectStore> store_;
  std::mutex mutex_;
  std::unordered_map<std::string, delta::Table> tables_;
};

struct Catalog::Impl {
  db::Database& database;
  std::shared_ptr<storage::ObjectStore> store;
  std::string metastore_id;
  OpenTables tables;
};

// Finds the object. kNotFound when it is missing, or hidden together with its parent; in one wording.
Seen look_up(db::Transaction& t, const Speaker& who, SecurableType type, const std::vector<std::string>& parts);
// ... and the caller may see it, else kPermissionDenied.
Seen look_up_visible(db::Transaction& t, const Speaker& who, SecurableType type, const std::vector<std::string>& parts);
// ... and the caller holds `privilege` on it.
Seen look_up_for(db::Transaction& t, const Speaker& who, Privilege privilege, SecurableType type,
                 const std::vector<std::string>& parts);
void require(const Seen& seen, const Speaker& who, Privilege privilege);

// Parts of a securable's name, as many as its type has.
std::vector<std::string> parts_of_securable(const Securable& object);
std::vector<std::string> three_parts(std::string_view full_name);

// Children of `parent` that the caller sees, in order after the key `after`: at most `limit`.
std::vector<ObjectRow> visible_children(db::Transaction& t, const Speaker& who, const Seen& parent, SecurableType type,
                                        std::string_view after, std::size_t limit);

std::size_t page_size(const Page& page);

// A page of `parent`'s children: items of type Info, made by `render` from the rows.
template <typename Info, typename Render>
Listing<Info> list_children(db::Transaction& t, const std::string& secret, const Speaker& who, const Seen& parent,
                            SecurableType type, const Page& page, Render&& render) {
  std::string scope(to_string(type));
  scope.append(" of ").append(parent.object().id);
  const std::size_t size = page_size(page);
  auto rows = visible_children(t, who, parent, type, read_page_token(secret, scope, page.page_token), size + 1);
  Listing<Info> listing;
  if (rows.size() > size) {
    rows.pop_back();
    listing.next_page_token = make_page_token(secret, scope, name_key(rows.back().name));
  }
  for (const ObjectRow& row : rows) listing.items.push_back(render(row));
  return listing;
}

}  // namespace lakeloop::catalog
