#pragma once

// The one table of securables: metastore, catalogs, schemas, and what is in them, as a tree of rows. Reading paths,
// children and grants; no rule of access is decided here.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "catalog/rights.h"
#include "catalog/securable.h"
#include "codec/json.h"
#include "db/database.h"
#include "identity/identity.h"

namespace lakeloop::catalog {

struct ObjectRow {
  std::string id;
  SecurableType type = SecurableType::kMetastore;
  std::string parent;
  std::string name, comment, owner, created_by, updated_by;
  Timestamp created, updated;
  Json properties = Json::object();  // the user's
  Json details = Json::object();     // of the type: where a table's data is, what an index is made from
};

// From the metastore to an object.
using Path = std::vector<ObjectRow>;

// "table 'main.docs.pages'"
std::string describe(SecurableType type, const std::vector<std::string>& parts);
std::vector<std::string> parts_of(const Path& path);  // names below the metastore

ObjectRow metastore_row(db::Transaction& t);
std::optional<ObjectRow> child(db::Transaction& t, const std::string& parent, SecurableType type,
                               std::string_view name);
std::optional<ObjectRow> child_by_key(db::Transaction& t, const std::string& parent, SecurableType type,
                                      const std::string& key);
// nullopt when any step is missing.
std::optional<Path> find_path(db::Transaction& t, SecurableType type, const std::vector<std::string>& parts);
// Children of one type in order of their key, after `after` (a key), at most `limit`.
std::vector<ObjectRow> children(db::Transaction& t, const std::string& parent, SecurableType type,
                                std::string_view after, std::size_t limit);
bool has_children(db::Transaction& t, const std::string& parent);
// kAlreadyExists when the name is taken; fills id (unless given), created and updated.
void insert(db::Transaction& t, ObjectRow& row, const std::vector<std::string>& full_name);
void update(db::Transaction& t, const ObjectRow& row);
// With everything below it, and the grants on all of that.
void erase(db::Transaction& t, const std::string& id);

// The names under which grants and ownership speak of a principal: its own, its groups', and everybody's; as keys.
struct Speaker {
  explicit Speaker(const identity::Principal& principal);
  [[nodiscard]] bool is(std::string_view owner) const;
  std::string name;
  bool admin = false;
  std::vector<std::string> keys;
};

using Granted = std::unordered_map<std::string, PrivilegeSet>;  // by object id
Granted granted(db::Transaction& t, const Speaker& who, const std::vector<std::string>& ids);
Rights rights_on(db::Transaction& t, const Speaker& who, const Path& path);

bool is_clean_text(std::string_view text);  // UTF-8 without control characters
std::string checked_comment(std::string_view comment);
Json checked_properties(const std::map<std::string, std::string>& properties);
std::map<std::string, std::string> to_map(const Json& object);

}  // namespace lakeloop::catalog
