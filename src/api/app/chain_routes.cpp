#include "api/app/routes.h"
#include "chain/explain.h"
#include "chain/package.h"

namespace lakeloop::api::app {
namespace {

constexpr const char* kBase = "/api/2.0/lakeloop";

// Registers a new version unless the newest one has the same configuration.
Json register_chain(Services services, Call& call) {
  const std::string name = call.str("name");
  const chain::ChainConfig config = chain::ChainConfig::from_json(call.fields["config"]);
  std::int64_t version = 0;
  bool changed = true;
  if (call.flag("if_changed")) {
    try {
      for (const auto& known : services.catalog.list_model_versions(call.who, name, {}).items)
        version = std::max(version, known.version);
      if (version > 0) {
        const auto newest = services.catalog.get_model_version(call.who, name, version);
        changed = chain::load_chain(services.catalog, newest).to_json() != config.to_json();
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;
    }
  }
  if (changed) version = chain::register_chain(services.catalog, call.who, name, config, call.str("comment")).version;
  if (const std::string alias = call.str("alias"); !alias.empty())
    services.catalog.set_alias(call.who, name, alias, version);
  return Json::object({{"name", name}, {"version", version}, {"changed", changed}});
}

Json register_prompt(Services services, Call& call) {
  const std::string name = call.str("name"), text = call.str("template");
  if (call.flag("if_changed")) {
    try {
      std::int64_t newest = 0;
      for (const auto& known : services.catalog.list_model_versions(call.who, name, {}).items)
        newest = std::max(newest, known.version);
      if (newest > 0 && chain::load_prompt_text(services.catalog, call.who, name, newest) == text) {
        return Json::object({{"name", name}, {"version", newest}, {"changed", false}});
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;
    }
  }
  const std::int64_t version = chain::register_prompt(services.catalog, call.who, name, text, call.str("comment"));
  return Json::object({{"name", name}, {"version", version}, {"changed", true}});
}

}  // namespace

Routes chain_routes(Services services) {
  Routes routes;
  const std::string base = kBase;
  routes.push_back(
      {.method = net::Method::kPost,
       .path = base + "/chains",
       .scope = Scope::authenticated(),
       .name = "app.registerChain",
       .summary = "Package a RAG chain and register it as a model version",
       .request = {{"name", FieldType::kString, true, "Full name of the registered model"},
                   {"config", FieldType::kObject, true, "What chain.yaml holds"},
                   {"alias", FieldType::kString, false, "Set to the version"},
                   {"comment", FieldType::kString, false, ""},
                   {"if_changed", FieldType::kBoolean, false, "Keep the newest version when it is the same"}},
       .handler = [services](Call& call) { return register_chain(services, call); }});
  routes.push_back({.method = net::Method::kPost,
                    .path = base + "/prompts",
                    .scope = Scope::authenticated(),
                    .name = "app.registerPrompt",
                    .summary = "Register a version of a prompt",
                    .request = {{"name", FieldType::kString, true, "Full name"},
                                {"template", FieldType::kString, true, "Text, or a JSON list of {role, content}"},
                                {"comment", FieldType::kString, false, ""},
                                {"if_changed", FieldType::kBoolean, false, ""}},
                    .handler = [services](Call& call) { return register_prompt(services, call); }});
  routes.push_back({.method = net::Method::kGet,
                    .path = base + "/traces/{trace_id}/explain",
                    .scope = Scope::authenticated(),
                    .name = "app.explain",
                    .summary = "From an answer back to model, prompt, index, chunk, table version, file and commit",
                    .handler = [services](Call& call) {
                      return chain::explain(services.tracking, services.catalog, services.search, call.who,
                                            call.str("trace_id"));
                    }});
  return routes;
}

}  // namespace lakeloop::api::app
