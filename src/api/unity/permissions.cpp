#include <algorithm>

#include "api/unity/routes.h"
#include "api/unity/wire.h"
#include "base/limits.h"

namespace lakeloop::api::unity {
namespace {

using catalog::Catalog;
using catalog::Privilege;
using catalog::Securable;
using catalog::SecurableType;
using net::Method;

std::string wire(Privilege privilege) {
  std::string text(catalog::to_string(privilege));
  std::ranges::replace(text, ' ', '_');
  return text;
}

std::string wire(SecurableType type) {
  std::string text(catalog::to_string(type));
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return text;
}

Securable securable_of(const Call& call, const std::string& metastore_id) {
  const std::string text = call.str("securable_type");
  const auto type = catalog::parse_securable_type(text);
  if (!type) {
    throw Error(
        ErrorCode::kInvalidArgument,
        "securable type {} is not known: catalog, schema, table, registered_model (or function), serving_endpoint, "
        "experiment, metastore",
        text.substr(0, 100))
        .with_param("securable_type");
  }
  const std::string name = call.str("full_name");
  switch (*type) {
    case SecurableType::kMetastore:
      if (name != metastore_id) throw Error(ErrorCode::kNotFound, "metastore {} does not exist", name);
      return {*type, {}};
    // Databricks grants on a registered model as on a function; there are no other functions.
    case SecurableType::kFunction:
      return {SecurableType::kModel, name};
    default:
      return {*type, name};
  }
}

std::vector<Privilege> privileges_of(const Json& list, std::string_view field, std::size_t change) {
  std::vector<Privilege> privileges;
  if (list.is_null()) return privileges;
  if (!list.is_array())
    throw Error(ErrorCode::kInvalidArgument, "changes[{}].{} must be an array", change, field).with_param("changes");
  for (const Json& item : list.items()) {
    const auto privilege = item.is_string() ? catalog::parse_privilege(item.as_string()) : std::nullopt;
    if (!privilege) {
      throw Error(ErrorCode::kInvalidArgument, "changes[{}].{} holds {}, which is not a privilege", change, field,
                  item.dump().substr(0, 100))
          .with_param("changes");
    }
    privileges.push_back(*privilege);
  }
  return privileges;
}

std::vector<Catalog::GrantChange> changes_of(const Json& list) {
  std::vector<Catalog::GrantChange> changes;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Json& change = list.at(i);
    if (change.str("principal").empty()) {
      throw Error(ErrorCode::kInvalidArgument, "changes[{}].principal is required", i).with_param("changes");
    }
    changes.push_back({.principal = change.str("principal"),
                       .add = privileges_of(change["add"], "add", i),
                       .remove = privileges_of(change["remove"], "remove", i)});
  }
  return changes;
}

Json assignments_json(const std::vector<Catalog::Assignment>& assignments) {
  Json list = Json::array();
  for (const auto& [principal, privileges] : assignments) {
    if (privileges.empty()) continue;  // everything was taken from them
    Json names = Json::array();
    for (const Privilege privilege : privileges) names.push_back(wire(privilege));
    list.push_back(Json::object({{"principal", principal}, {"privileges", std::move(names)}}));
  }
  return Json::object({{"privilege_assignments", std::move(list)}});
}

Json effective_json(const std::vector<Catalog::Effective>& grants, const Securable& object) {
  std::vector<std::pair<std::string, Json>> by_principal;
  for (const auto& [principal, privilege, granted_on] : grants) {
    auto found = std::ranges::find(by_principal, principal, &std::pair<std::string, Json>::first);
    if (found == by_principal.end()) found = by_principal.insert(by_principal.end(), {principal, Json::array()});
    Json one = Json::object({{"privilege", wire(privilege)}});
    if (granted_on.type != object.type || catalog::name_key(granted_on.name) != catalog::name_key(object.name)) {
      one.set("inherited_from_type", wire(granted_on.type));
      one.set("inherited_from_name", granted_on.name);
    }
    found->second.push_back(std::move(one));
  }
  Json list = Json::array();
  for (auto& [principal, privileges] : by_principal) {
    list.push_back(Json::object({{"principal", principal}, {"privileges", std::move(privileges)}}));
  }
  return Json::object({{"privilege_assignments", std::move(list)}});
}

}  // namespace

Routes permission_routes(Catalog& catalog) {
  Routes routes;
  const std::string metastore = catalog.metastore_id();
  const std::string path = "/permissions/{securable_type}/{full_name}";
  const Field principal{"principal", FieldType::kString, false, "Only grants to this principal"};
  add(routes, Method::kGet, path, "getPermissions", "What was granted on the object itself", paged({principal}),
      [&catalog, metastore](Call& call) {
        return assignments_json(catalog.grants(call.who, securable_of(call, metastore), call.str("principal")));
      });
  add(routes, Method::kPatch, path, "updatePermissions", "Grant and revoke; all changes or none",
      {{"changes", FieldType::kArray, true, "[{principal, add, remove}]"}}, [&catalog, metastore](Call& call) {
        return assignments_json(
            catalog.change_grants(call.who, securable_of(call, metastore), changes_of(call.fields["changes"])));
      });
  add(routes, Method::kGet, "/effective-permissions/{securable_type}/{full_name}", "getEffectivePermissions",
      "Grants on the object and on what is above it", paged({principal}), [&catalog, metastore](Call& call) {
        const Securable object = securable_of(call, metastore);
        return effective_json(catalog.effective_grants(call.who, object, call.str("principal")), object);
      });
  return routes;
}

}  // namespace lakeloop::api::unity
