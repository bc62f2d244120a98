#pragma once

// What the routes of this face share: paging, updates, and the parts that all objects have.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/route.h"
#include "catalog/catalog.h"

namespace lakeloop::api::unity {

inline constexpr std::string_view kBase = "/api/2.1/unity-catalog";

// Appends a route of this face: "/catalogs/{name}" below kBase, any authenticated caller (the catalog decides the
// rest).
void add(Routes& routes, net::Method method, std::string_view path, std::string_view name, std::string_view summary,
         std::vector<Field> fields, JsonHandler handler);

// `own` and the fields of paging.
std::vector<Field> paged(std::vector<Field> own = {});
catalog::Page page_of(const Call& call);

// Fields of comment, owner and properties, and the change that a request asks for; kInvalidArgument for an empty one.
std::vector<Field> update_fields();
catalog::Catalog::Update update_of(const Call& call);

std::map<std::string, std::string> properties_of(const Call& call);
Json properties_json(const std::map<std::string, std::string>& properties);

// owner, comment, created_at, created_by, updated_at, updated_by of any object that has them.
template <typename Object>
void set_audit(Json& json, const Object& object) {
  if (!object.comment.empty()) json.set("comment", object.comment);
  json.set("created_at", object.created.millis());
  json.set("created_by", object.created_by);
  json.set("updated_at", object.updated.millis());
  json.set("updated_by", object.updated_by);
}

// {"<key>": [...], "next_page_token"} with the token only where there is a next page.
template <typename T, typename Render>
Json listing_json(std::string_view key, const catalog::Listing<T>& listing, Render render) {
  Json items = Json::array();
  for (const T& item : listing.items) items.push_back(render(item));
  Json json;
  json.set(key, std::move(items));
  if (!listing.next_page_token.empty()) json.set("next_page_token", listing.next_page_token);
  return json;
}

}  // namespace lakeloop::api::unity
