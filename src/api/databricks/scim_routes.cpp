#include <algorithm>
#include <optional>

#include "api/databricks/identity_routes.h"
#include "api/databricks/workspace_id.h"
#include "base/format.h"
#include "base/text.h"

namespace lakeloop::api::databricks {
namespace {

using identity::Identity;
using identity::Principal;
using identity::PrincipalKind;
using net::Method;

constexpr const char* kBase = "/api/2.0/preview/scim/v2";

// One kind of resource: its path, its schema, the attribute that is its name.
struct Resource {
  PrincipalKind kind;
  std::string_view path;  // "Users"
  std::string_view what;  // for messages
  std::string_view schema;
  std::string_view name_attribute;
};

constexpr Resource kUsers{PrincipalKind::kUser, "Users", "user", "urn:ietf:params:scim:schemas:core:2.0:User",
                          "userName"};
constexpr Resource kServicePrincipals{PrincipalKind::kServicePrincipal, "ServicePrincipals", "service principal",
                                      "urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal", "applicationId"};
constexpr Resource kGroups{PrincipalKind::kGroup, "Groups", "group", "urn:ietf:params:scim:schemas:core:2.0:Group",
                           "displayName"};

const Resource& resource_of(PrincipalKind kind) {
  switch (kind) {
    case PrincipalKind::kUser:
      return kUsers;
    case PrincipalKind::kServicePrincipal:
      return kServicePrincipals;
    case PrincipalKind::kGroup:
      break;
  }
  return kGroups;
}

Json reference(const Principal& principal) {
  return Json::object({{"value", principal.id},
                       {"display", principal.display_name.empty() ? principal.name : principal.display_name},
                       {"$ref", std::string(resource_of(principal.kind).path) + "/" + principal.id}});
}

Json groups_of(Identity& identity, const Principal& principal) {
  Json list = Json::array();
  for (const std::string& name : principal.groups) {
    if (const auto group = identity.find(name)) list.push_back(reference(*group));
  }
  return list;
}

Json principal_json(Identity& identity, const Principal& principal) {
  const Resource& resource = resource_of(principal.kind);
  Json json = Json::object({{"schemas", Json::array({Json(resource.schema)})}, {"id", principal.id}});
  json.set(resource.name_attribute, principal.name);
  json.set("groups", groups_of(identity, principal));
  if (principal.kind == PrincipalKind::kGroup) {
    Json members = Json::array();
    for (const Principal& member : identity.members_of(principal.name)) members.push_back(reference(member));
    json.set("members", std::move(members));
    return json;
  }
  json.set("displayName", principal.display_name.empty() ? principal.name : principal.display_name);
  json.set("active", principal.active);
  if (principal.kind == PrincipalKind::kUser) {
    json.set("emails", Json::array({Json::object({{"type", "work"}, {"value", principal.name}, {"primary", true}})}));
  }
  return json;
}

Principal find(Identity& identity, const Resource& resource, const std::string& id) {
  auto found = identity.find_by_id(id);
  if (!found || found->kind != resource.kind) {
    throw Error(ErrorCode::kNotFound, "{} with id {} does not exist", resource.what, id.substr(0, 100));
  }
  return std::move(*found);
}

// The one filter that clients send: ATTRIBUTE eq "value".
std::optional<std::pair<std::string, std::string>> filter_of(const Call& call) {
  const std::string text(trim(call.str("filter")));
  if (text.empty()) return {};
  const std::size_t op = ascii_lower(text).find(" eq ");
  const std::string attribute(trim(text.substr(0, op)));
  const std::string value(op == std::string::npos ? std::string_view() : trim(std::string_view(text).substr(op + 4)));
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"' && attribute.find(' ') == std::string::npos) {
    const auto parsed = Json::try_parse(value);
    if (parsed && parsed->is_string()) return std::pair{attribute, parsed->as_string()};
  }
  throw Error(ErrorCode::kInvalidArgument, "filter must be ATTRIBUTE eq \"value\", got {}", text.substr(0, 200))
      .with_param("filter");
}

bool matches(const Resource& resource, const Principal& principal, const std::string& attribute,
             const std::string& value) {
  if (iequals(attribute, "id")) return principal.id == value;
  if (iequals(attribute, resource.name_attribute)) return iequals(principal.name, value);
  if (iequals(attribute, "displayName")) return iequals(principal.display_name, value);
  throw Error(ErrorCode::kInvalidArgument, "filter knows id, displayName and {}, not {}", resource.name_attribute,
              attribute.substr(0, 100))
      .with_param("filter");
}

Json list(Identity& identity, const Resource& resource, const Call& call) {
  const auto filter = filter_of(call);
  std::vector<Principal> found = identity.list(resource.kind);
  if (filter)
    std::erase_if(found, [&](const Principal& p) { return !matches(resource, p, filter->first, filter->second); });
  const std::int64_t start = std::max<std::int64_t>(1, call.integer("startIndex", 1));
  const std::int64_t count = std::clamp<std::int64_t>(call.integer("count", 100), 0, 1000);
  Json resources = Json::array();
  const auto total = static_cast<std::int64_t>(found.size());
  for (std::int64_t i = start - 1; i < total && i - start + 1 < count; ++i) {
    resources.push_back(principal_json(identity, found[static_cast<std::size_t>(i)]));
  }
  return Json::object({{"schemas", Json::array({"urn:ietf:params:scim:api:messages:2.0:ListResponse"})},
                       {"totalResults", total},
                       {"startIndex", start},
                       {"itemsPerPage", resources.size()},
                       {"Resources", std::move(resources)}});
}

// The names behind [{value: id}].
std::vector<std::string> member_names(Identity& identity, const Json& members) {
  if (!members.is_array()) throw Error(ErrorCode::kInvalidArgument, "members must be an array").with_param("members");
  std::vector<std::string> names;
  for (const Json& member : members.items()) {
    const auto found = identity.find_by_id(member.str("value"));
    if (!found) throw Error(ErrorCode::kNotFound, "member with id {} does not exist", member.dump().substr(0, 100));
    names.push_back(found->name);
  }
  return names;
}

Json create(Identity& identity, const Resource& resource, const Call& call) {
  const std::string display_name = call.str("displayName");
  if (resource.kind == PrincipalKind::kUser) {
    return principal_json(identity, identity.create_user(call.str("userName"), display_name, false));
  }
  if (resource.kind == PrincipalKind::kServicePrincipal) {
    return principal_json(identity, identity.create_service_principal(display_name));
  }
  const Json& members = call.fields["members"];
  const auto names = members.is_null() ? std::vector<std::string>() : member_names(identity, members);
  identity.create_group(display_name);
  for (const std::string& name : names) identity.add_to_group(display_name, name);
  return principal_json(identity, identity.find(display_name).value());
}

// An attribute that a PATCH replaces.
void replace(Identity& identity, const Principal& principal, std::string_view attribute, const Json& value) {
  if (iequals(attribute, "active")) {
    // Some directories send the text.
    const bool known = value.is_bool() || (value.is_string() &&
                                           (iequals(value.as_string(), "true") || iequals(value.as_string(), "false")));
    if (!known)
      throw Error(ErrorCode::kInvalidArgument, "active must be true or false, got {}", value.type_name())
          .with_param("active");
    identity.set_active(principal.name, value.is_bool() ? value.as_bool() : iequals(value.as_string(), "true"));
  } else if (iequals(attribute, "displayName") && principal.kind != PrincipalKind::kGroup) {
    if (!value.is_string())
      throw Error(ErrorCode::kInvalidArgument, "displayName must be a string").with_param("displayName");
    identity.set_display_name(principal.name, value.as_string());
  } else {
    throw Error(ErrorCode::kUnimplemented, "{} cannot be changed: active and displayName can",
                attribute.substr(0, 100));
  }
}

// The id in members[value eq "id"].
std::string member_in_path(std::string_view path) {
  const std::size_t open = path.find('"');
  const std::size_t close = path.rfind('"');
  return open == std::string_view::npos || close <= open ? std::string()
                                                         : std::string(path.substr(open + 1, close - open - 1));
}

void change_members(Identity& identity, const Principal& group, const std::string& op, std::string_view path,
                    const Json& value) {
  if (op == "add") {
    const Json& members = value.is_object() ? value["members"] : value;
    for (const std::string& name : member_names(identity, members)) identity.add_to_group(group.name, name);
    return;
  }
  if (op != "remove") {
    throw Error(ErrorCode::kUnimplemented, "{} of members is not supported: add and remove are", op.substr(0, 100));
  }
  const std::string id = member_in_path(path);
  const Json removed = id.empty() ? value : Json::array({Json::object({{"value", id}})});
  for (const std::string& name : member_names(identity, removed)) identity.remove_from_group(group.name, name);
}

Json patch(Identity& identity, const Resource& resource, const Call& call) {
  const Principal principal = find(identity, resource, call.str("id"));
  for (const Json& operation : call.fields["Operations"].items()) {
    const std::string op = ascii_lower(operation.str("op"));
    const std::string path = operation.str("path");
    const Json& value = operation["value"];
    const bool members = ascii_lower(path).starts_with("members") || (path.empty() && value.contains("members"));
    if (members && resource.kind == PrincipalKind::kGroup) {
      change_members(identity, principal, op, path, value);
    } else if (op != "replace" && op != "add") {
      throw Error(ErrorCode::kUnimplemented, "op {} of {} is not supported: replace is", op.substr(0, 100),
                  path.substr(0, 100));
    } else if (!path.empty()) {
      replace(identity, principal, path, value);
    } else if (value.is_object()) {
      for (const auto& [attribute, one] : value.members()) replace(identity, principal, attribute, one);
    } else {
      throw Error(ErrorCode::kInvalidArgument, "an operation needs a path, or an object as its value")
          .with_param("Operations");
    }
  }
  return principal_json(identity, find(identity, resource, call.str("id")));
}

Json remove(Identity& identity, const Resource& resource, const Call& call) {
  const Principal principal = find(identity, resource, call.str("id"));
  if (resource.kind == PrincipalKind::kGroup) {
    throw Error(ErrorCode::kUnimplemented,
                "groups are not deleted, a new one would inherit its grants: remove its members");
  }
  identity.set_active(principal.name, false);
  return Json::object();
}

void add_resource(Routes& routes, Identity& identity, const Resource& resource, std::vector<Field> create_fields) {
  const std::string path = std::string(kBase) + "/" + std::string(resource.path);
  const std::string name = "scim." + ascii_lower(resource.path);
  const std::string what(resource.what);
  const Resource* of = &resource;
  routes.push_back({.method = Method::kGet,
                    .path = path,
                    .scope = Scope::authenticated(),
                    .name = name + ".list",
                    .summary = "Find by filter, page by startIndex and count: " + what,
                    .request = {{"filter", FieldType::kString, false, "ATTRIBUTE eq \"value\""},
                                {"startIndex", FieldType::kInteger, false, "From 1"},
                                {"count", FieldType::kInteger, false, "Rows a page"}},
                    .handler = [&identity, of](Call& call) { return list(identity, *of, call); }});
  routes.push_back({.method = Method::kGet,
                    .path = path + "/{id}",
                    .scope = Scope::authenticated(),
                    .name = name + ".get",
                    .summary = "Read one " + what,
                    .handler = [&identity, of](Call& call) {
                      return principal_json(identity, find(identity, *of, call.str("id")));
                    }});
  routes.push_back({.method = Method::kPost,
                    .path = path,
                    .scope = Scope::admin(),
                    .name = name + ".create",
                    .summary = "Create a " + what,
                    .request = std::move(create_fields),
                    .handler = [&identity, of](Call& call) { return create(identity, *of, call); }});
  routes.push_back({.method = Method::kPatch,
                    .path = path + "/{id}",
                    .scope = Scope::admin(),
                    .name = name + ".patch",
                    .summary = "Change a " + what,
                    .request = {{"Operations", FieldType::kArray, true, "[{op, path, value}]"}},
                    .handler = [&identity, of](Call& call) { return patch(identity, *of, call); }});
  routes.push_back({.method = Method::kDelete,
                    .path = path + "/{id}",
                    .scope = Scope::admin(),
                    .name = name + ".delete",
                    .summary = "Make inactive (names are never given to somebody else): " + what,
                    .handler = [&identity, of](Call& call) { return remove(identity, *of, call); }});
}

}  // namespace

Routes scim_routes(Identity& identity, const std::string& metastore_id) {
  Routes routes;
  const std::string workspace = lakeloop::format("{}", workspace_id(metastore_id));
  routes.push_back({.method = Method::kGet,
                    .path = std::string(kBase) + "/Me",
                    .scope = Scope::authenticated(),
                    .name = "scim.me",
                    .summary = "The caller",
                    .handler = [&identity, workspace](Call& call) {
                      call.response_headers.set("x-databricks-org-id", workspace);
                      Json json = principal_json(identity, call.who);
                      json.set("userName", call.who.name);  // of a service principal too, as clients expect here
                      return json;
                    }});
  add_resource(routes, identity, kUsers,
               {{"userName", FieldType::kString, true, "Name, usually the e-mail address"},
                {"displayName", FieldType::kString, false, "Text"}});
  add_resource(routes, identity, kServicePrincipals, {{"displayName", FieldType::kString, false, "Text"}});
  add_resource(
      routes, identity, kGroups,
      {{"displayName", FieldType::kString, true, "Name"}, {"members", FieldType::kArray, false, "[{value: id}]"}});
  return routes;
}

}  // namespace lakeloop::api::databricks
