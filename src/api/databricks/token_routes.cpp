#include "api/databricks/identity_routes.h"

namespace lakeloop::api::databricks {
namespace {

using identity::Identity;
using identity::TokenInfo;
using net::Method;

Json token_json(const TokenInfo& info) {
  return Json::object({{"token_id", info.token_id},
                       {"creation_time", info.created.millis()},
                       {"expiry_time", info.expires ? info.expires->millis() : -1},
                       {"comment", info.comment}});
}

Json create(Identity& identity, const Call& call, const std::string& owner) {
  std::optional<std::chrono::seconds> lifetime;
  if (const std::int64_t seconds = call.integer("lifetime_seconds"); seconds != 0)
    lifetime = std::chrono::seconds(seconds);
  const identity::NewToken made = identity.create_token(owner, call.str("comment"), lifetime);
  return Json::object({{"token_value", made.token}, {"token_info", token_json(made.info)}});
}

const Field kComment{"comment", FieldType::kString, false, "What it is for"};
const Field kLifetime{"lifetime_seconds", FieldType::kInteger, false, "Without one it does not expire"};

}  // namespace

Routes token_routes(Identity& identity) {
  Routes routes;
  routes.push_back({.method = Method::kPost,
                    .path = "/api/2.0/token/create",
                    .scope = Scope::authenticated(),
                    .name = "tokens.create",
                    .summary = "Create a token of one's own; it is shown once",
                    .request = {kComment, kLifetime},
                    .handler = [&identity](Call& call) { return create(identity, call, call.who.name); }});
  routes.push_back({.method = Method::kGet,
                    .path = "/api/2.0/token/list",
                    .scope = Scope::authenticated(),
                    .name = "tokens.list",
                    .summary = "Tokens of one's own",
                    .handler = [&identity](Call& call) {
                      Json list = Json::array();
                      for (const TokenInfo& info : identity.list_tokens(call.who.name))
                        list.push_back(token_json(info));
                      return Json::object({{"token_infos", std::move(list)}});
                    }});
  routes.push_back({.method = Method::kPost,
                    .path = "/api/2.0/token/delete",
                    .scope = Scope::authenticated(),
                    .name = "tokens.delete",
                    .summary = "Revoke a token",
                    .request = {{"token_id", FieldType::kString, true, "Of token_info"}},
                    .handler = [&identity](Call& call) {
                      identity.revoke_token(call.str("token_id"), call.who);
                      return Json::object();
                    }});
  routes.push_back(
      {.method = Method::kPost,
       .path = "/api/2.0/token-management/on-behalf-of/tokens",
       .scope = Scope::admin(),
       .name = "tokens.createOnBehalfOf",
       .summary = "Create a token for a service principal, or for a user by name",
       .request = {{"application_id", FieldType::kString, true, "Application id, or user name"}, kComment, kLifetime},
       .handler = [&identity](Call& call) { return create(identity, call, call.str("application_id")); }});
  return routes;
}

}  // namespace lakeloop::api::databricks
