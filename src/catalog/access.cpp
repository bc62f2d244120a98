// Finding objects and checking access to them.

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "catalog/impl.h"

namespace lakeloop::catalog {
namespace {

using db::Transaction;

[[noreturn]] void throw_not_found(SecurableType type, const std::vector<std::string>& parts) {
  throw Error(ErrorCode::kNotFound, "{} does not exist", describe(type, parts));
}

[[noreturn]] void throw_denied(const Seen& seen, const Speaker& who, const Rights::Missing& missing) {
  const Path path(seen.path.begin(), seen.path.begin() + static_cast<std::ptrdiff_t>(missing.level) + 1);
  throw Error(ErrorCode::kPermissionDenied, "'{}' lacks {} on {}", who.name, to_string(missing.privilege),
              describe(path.back().type, parts_of(path)));
}

// The privilege that a reader would ask for.
Privilege reading(SecurableType type) {
  switch (type) {
    case SecurableType::kCatalog:
      return Privilege::kUseCatalog;
    case SecurableType::kSchema:
      return Privilege::kUseSchema;
    case SecurableType::kModel:
    case SecurableType::kFunction:
    case SecurableType::kEndpoint:
      return Privilege::kExecute;
    case SecurableType::kVolume:
      return Privilege::kReadVolume;
    default:
      return Privilege::kSelect;
  }
}

std::string name_of(const Path& path, std::size_t level) {
  return join_full_name(parts_of(Path(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(level) + 1)));
}

std::string checked_principal(std::string_view principal) {
  const std::string_view name = trim(principal);
  if (name.empty() || name.size() > 4 * limits::kNameCharacters || !is_clean_text(name)) {
    throw Error(ErrorCode::kInvalidArgument, "principal must be the name of a user, service principal or group");
  }
  return std::string(name);
}

std::vector<Catalog::Assignment> assignments(Transaction& t, const std::string& object_id) {
  std::vector<Catalog::Assignment> result;
  const auto rows =
      t.query("SELECT principal, privilege FROM catalog_grants WHERE object_id = $1 ORDER BY principal_key, privilege",
              {object_id});
  for (const auto& row : rows) {
    const auto privilege = parse_privilege(row.text(1));
    if (!privilege) continue;
    if (result.empty() || name_key(result.back().principal) != name_key(row.text(0))) {
      result.push_back({.principal = row.text(0), .privileges = {}});
    }
    result.back().privileges.push_back(*privilege);
  }
  return result;
}

// Managers see all grants; others only what speaks of themselves.
void keep_visible(std::vector<Catalog::Assignment>& list, const Seen& seen, const Speaker& who,
                  std::string_view principal) {
  const bool all = seen.rights.may(Privilege::kManage);
  std::erase_if(list, [&](const Catalog::Assignment& a) {
    if (!principal.empty() && name_key(a.principal) != name_key(principal)) return true;
    return !all && !who.is(a.principal);
  });
}

}  // namespace

Seen look_up(Transaction& t, const Speaker& who, SecurableType type, const std::vector<std::string>& parts) {
  auto path = find_path(t, type, parts);
  if (!path) throw_not_found(type, parts);
  Rights rights = rights_on(t, who, *path);
  Seen seen{.path = std::move(*path), .rights = std::move(rights)};
  const std::size_t target = seen.rights.target();
  if (target > 0 && !seen.rights.sees(target) && !seen.rights.sees(target - 1)) throw_not_found(type, parts);
  return seen;
}

Seen look_up_visible(Transaction& t, const Speaker& who, SecurableType type, const std::vector<std::string>& parts) {
  Seen seen = look_up(t, who, type, parts);
  if (!seen.rights.sees()) {
    const auto missing = seen.rights.missing(reading(seen.object().type));
    LAKELOOP_CHECK(missing.has_value());
    throw_denied(seen, who, *missing);
  }
  return seen;
}

void require(const Seen& seen, const Speaker& who, Privilege privilege) {
  if (const auto missing = seen.rights.missing(privilege)) throw_denied(seen, who, *missing);
}

Seen look_up_for(Transaction& t, const Speaker& who, Privilege privilege, SecurableType type,
                 const std::vector<std::string>& parts) {
  Seen seen = look_up(t, who, type, parts);
  require(seen, who, privilege);
  return seen;
}

std::vector<std::string> three_parts(std::string_view full_name) {
  FullName name = parse_full_name(full_name);
  return {std::move(name.catalog), std::move(name.schema), std::move(name.name)};
}

std::vector<std::string> parts_of_securable(const Securable& object) {
  switch (object.type) {
    case SecurableType::kMetastore:
      return {};
    case SecurableType::kCatalog: {
      auto parts = split_full_name(object.name);
      if (parts.size() != 1)
        throw Error(ErrorCode::kInvalidArgument, "catalog name '{}' has {} parts, not one", object.name, parts.size());
      return parts;
    }
    case SecurableType::kSchema: {
      FullName name = parse_schema_name(object.name);
      return {std::move(name.catalog), std::move(name.schema)};
    }
    // Named by their own modules, whose rules differ; only what could not be stored is refused.
    case SecurableType::kEndpoint:
    case SecurableType::kExperiment:
      if (object.name.empty() || object.name.size() > 1024 || !is_clean_text(object.name)) {
        throw Error(ErrorCode::kInvalidArgument,
                    "the name of a {} is UTF-8 text of 1-1024 bytes without control characters",
                    to_string(object.type));
      }
      return {object.name};
    default:
      return three_parts(object.name);
  }
}

std::size_t page_size(const Page& page) {
  return page.max_results == 0 ? limits::kPageSize : std::min(page.max_results, limits::kPageSize);
}

std::vector<ObjectRow> visible_children(Transaction& t, const Speaker& who, const Seen& parent, SecurableType type,
                                        std::string_view after, std::size_t limit) {
  const bool all = parent.rights.at_child({.type = type, .owned = false, .granted = {}}).sees();
  std::vector<ObjectRow> visible;
  std::string last(after);
  while (visible.size() < limit) {
    const std::size_t batch = all ? limit - visible.size() : std::max<std::size_t>(limit, 256);
    auto rows = children(t, parent.object().id, type, last, batch);
    const bool end = rows.size() < batch;
    if (!rows.empty()) last = name_key(rows.back().name);
    Granted grants;
    if (!all) {
      std::vector<std::string> ids;
      for (const ObjectRow& row : rows) ids.push_back(row.id);
      grants = granted(t, who, ids);
    }
    for (ObjectRow& row : rows) {
      if (visible.size() == limit) break;
      if (!all && !parent.rights.at_child({.type = type, .owned = who.is(row.owner), .granted = grants[row.id]}).sees())
        continue;
      visible.push_back(std::move(row));
    }
    if (end) break;
  }
  return visible;
}

void Catalog::authorize(const Principal& who, Privilege privilege, const Securable& object) {
  const Speaker speaker(who);
  const auto parts = parts_of_securable(object);
  impl_->database.read([&](Transaction& t) { look_up_for(t, speaker, privilege, object.type, parts); });
}

bool Catalog::allowed(const Principal& who, Privilege privilege, const Securable& object) {
  const Speaker speaker(who);
  const auto parts = parts_of_securable(object);
  return impl_->database.reading([&](Transaction& t) {
    const auto path = find_path(t, object.type, parts);
    return path && rights_on(t, speaker, *path).may(privilege);
  });
}

std::vector<Catalog::Assignment> Catalog::grants(const Principal& who, const Securable& object,
                                                 std::string_view principal) {
  const Speaker speaker(who);
  const auto parts = parts_of_securable(object);
  return impl_->database.reading([&](Transaction& t) {
    const Seen seen = look_up_visible(t, speaker, object.type, parts);
    auto list = assignments(t, seen.object().id);
    keep_visible(list, seen, speaker, principal);
    return list;
  });
}

std::vector<Catalog::Effective> Catalog::effective_grants(const Principal& who, const Securable& object,
                                                          std::string_view principal) {
  const Speaker speaker(who);
  const auto parts = parts_of_securable(object);
  return impl_->database.reading([&](Transaction& t) {
    const Seen seen = look_up_visible(t, speaker, object.type, parts);
    const PrivilegeSet applicable = grantable_on(seen.object().type);
    std::vector<Effective> effective;
    for (std::size_t level = 0; level < seen.path.size(); ++level) {
      auto list = assignments(t, seen.path[level].id);
      keep_visible(list, seen, speaker, principal);
      for (const Assignment& assignment : list) {
        for (const Privilege privilege : assignment.privileges) {
          if (!applicable.has(privilege)) continue;
          effective.push_back({.principal = assignment.principal,
                               .privilege = privilege,
                               .granted_on = {.type = seen.path[level].type, .name = name_of(seen.path, level)}});
        }
      }
    }
    return effective;
  });
}

std::vector<Catalog::Assignment> Catalog::change_grants(const Principal& who, const Securable& object,
                                                        const std::vector<GrantChange>& changes) {
  if (changes.size() > limits::kGrantChanges) {
    throw Error(ErrorCode::kInvalidArgument, "changes has more than {} entries", limits::kGrantChanges);
  }
  const Speaker speaker(who);
  const auto parts = parts_of_securable(object);
  return impl_->database.writing([&](Transaction& t) {
    const Seen seen = look_up_for(t, speaker, Privilege::kManage, object.type, parts);
    const ObjectRow& target = seen.object();
    const PrivilegeSet grantable = grantable_on(target.type);
    std::vector<std::string> named;
    for (const GrantChange& change : changes) {
      const std::string principal = checked_principal(change.principal);
      named.push_back(name_key(principal));
      for (const Privilege privilege : change.add) {
        if (!grantable.has(privilege)) {
          throw Error(ErrorCode::kInvalidArgument, "{} cannot be granted on a {}", to_string(privilege),
                      to_string(target.type));
        }
        t.execute(
            "INSERT INTO catalog_grants (object_id, principal, principal_key, privilege) VALUES ($1, $2, $3, $4) "
            "ON CONFLICT DO NOTHING",
            {target.id, principal, named.back(), std::string(to_string(privilege))});
      }
      for (const Privilege privilege : change.remove) {
        t.execute("DELETE FROM catalog_grants WHERE object_id = $1 AND principal_key = $2 AND privilege = $3",
                  {target.id, named.back(), std::string(to_string(privilege))});
      }
    }
    auto list = assignments(t, target.id);
    std::erase_if(list,
                  [&](const Assignment& a) { return std::ranges::find(named, name_key(a.principal)) == named.end(); });
    return list;
  });
}

void Catalog::update(const Principal& who, const Securable& object, const Update& change) {
  const Speaker speaker(who);
  const auto parts = parts_of_securable(object);
  impl_->database.write([&](Transaction& t) {
    Seen seen = look_up_for(t, speaker, Privilege::kManage, object.type, parts);
    ObjectRow& row = seen.path.back();
    if (row.type == SecurableType::kMetastore) {
      throw Error(ErrorCode::kInvalidArgument, "the metastore has no comment, owner or properties to change");
    }
    if (change.comment) row.comment = checked_comment(*change.comment);
    if (change.owner) row.owner = checked_principal(*change.owner);
    if (change.properties) row.properties = checked_properties(*change.properties);
    row.updated_by = who.name;
    row.updated = Timestamp::now();
    catalog::update(t, row);
  });
}

void Catalog::register_securable(SecurableType type, std::string_view name, std::string_view owner) {
  LAKELOOP_CHECK(type == SecurableType::kEndpoint || type == SecurableType::kExperiment);
  const auto parts = parts_of_securable({.type = type, .name = std::string(name)});
  impl_->database.write([&](Transaction& t) {
    ObjectRow row;
    row.type = type;
    row.parent = impl_->metastore_id;
    row.name = parts[0];
    row.owner = row.created_by = owner;
    insert(t, row, parts);
  });
}

void Catalog::unregister_securable(SecurableType type, std::string_view name) {
  LAKELOOP_CHECK(type == SecurableType::kEndpoint || type == SecurableType::kExperiment);
  const auto parts = parts_of_securable({.type = type, .name = std::string(name)});
  impl_->database.write([&](Transaction& t) {
    if (const auto row = child(t, impl_->metastore_id, type, parts[0])) erase(t, row->id);
  });
}

}  // namespace lakeloop::catalog
