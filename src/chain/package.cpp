#include "chain/package.h"

#include "base/format.h"
#include "base/id.h"
#include "base/text.h"
#include "chain/prompt.h"
#include "codec/yaml.h"

namespace lakeloop::chain {
namespace {

constexpr std::string_view kIsPrompt = "mlflow.prompt.is_prompt";
constexpr std::string_view kPromptText = "mlflow.prompt.text";

std::string mlmodel_of(const std::string& name, const ChainConfig& config) {
  const std::string signature_in = R"([{"name":"messages","type":"array","items":{"type":"object"},"required":true}])";
  const std::string signature_out = R"([{"name":"choices","type":"array","items":{"type":"object"},"required":true}])";
  const Json model = Json::object(
      {{"artifact_path", "model"},
       {"flavors", Json::object({{std::string(kChainFlavor), Json::object({{"chain", "chain.yaml"}, {"format", 1}})}})},
       {"mlflow_version", "3.17.0"},
       {"model_uuid", random_hex(16)},
       {"name", name},
       {"signature", Json::object({{"inputs", signature_in}, {"outputs", signature_out}})},
       {"utc_time_created", replace_all(replace_all(format_rfc3339(Timestamp::now()), "T", " "), "Z", "")},
       {"resources", Json::object({{"vector_search_index", Json::array({Json::object({{"name", config.index}})})}})}});
  return codec::yaml_dump(model);
}

void ensure_model(catalog::Catalog& catalog, const catalog::Principal& who, const std::string& name,
                  const std::map<std::string, std::string>& tags) {
  const catalog::FullName parts = catalog::parse_full_name(name);
  catalog.ensure_schema(who, parts.catalog, parts.schema);
  try {
    catalog.create_model(who, name, {}, tags);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kAlreadyExists) throw;
  }
}

}  // namespace

catalog::ModelVersionInfo register_chain(catalog::Catalog& catalog, const catalog::Principal& who,
                                         const std::string& model_name, const ChainConfig& config,
                                         std::string_view comment) {
  // What is registered must load: the prompt is looked at now, not at the first request.
  if (!config.prompt_name.empty())
    parse_prompt(load_prompt_text(catalog, who, config.prompt_name, config.prompt_version));
  ensure_model(catalog, who, model_name, {{"lakeloop.kind", "rag_chain"}});
  const catalog::ModelVersionInfo pending =
      catalog.create_model_version(who, model_name, "lakeloop:chain", {}, comment, {{"lakeloop.kind", "rag_chain"}});
  const std::string folder = pending.storage_location;
  catalog.store().put(folder + "chain.yaml", codec::yaml_dump(config.to_json()));
  catalog.store().put(folder + "MLmodel", mlmodel_of(model_name, config));
  const catalog::ModelVersionInfo ready = catalog.finalize_model_version(who, model_name, pending.version);

  const std::string target = lakeloop::format("{}/{}", model_name, ready.version);
  std::vector<catalog::LineageEdge> edges;
  const auto depends = [&](std::string kind, std::string source) {
    if (!source.empty())
      edges.push_back({std::move(kind), std::move(source), "model_version", target, Json::object(), Timestamp::now()});
  };
  depends("index", config.index);
  depends("endpoint", config.chat_endpoint);
  depends("endpoint", config.embedding_endpoint);
  if (!config.prompt_name.empty())
    depends("prompt", lakeloop::format("{}/{}", config.prompt_name, config.prompt_version));
  catalog.record_lineage(edges);
  return ready;
}

ChainConfig load_chain(catalog::Catalog& catalog, const catalog::ModelVersionInfo& version) {
  const Json mlmodel = codec::yaml_parse(catalog.store().get(version.storage_location + "MLmodel"));
  const Json& flavor = mlmodel["flavors"][kChainFlavor];
  if (!flavor.is_object()) {
    throw Error(ErrorCode::kInvalidArgument, "{}.{}.{} version {} is not a RAG chain: its MLmodel has no flavour {}",
                version.catalog_name, version.schema_name, version.model_name, version.version, kChainFlavor);
  }
  return ChainConfig::from_yaml(catalog.store().get(version.storage_location + "chain.yaml"));
}

std::int64_t register_prompt(catalog::Catalog& catalog, const catalog::Principal& who, const std::string& name,
                             std::string_view text, std::string_view comment) {
  const Json messages = parse_prompt(text);
  ensure_model(catalog, who, name, {{std::string(kIsPrompt), "true"}});
  const bool chat = trim(text).starts_with('[');
  const catalog::ModelVersionInfo version =
      catalog.create_model_version(who, name, "prompt-template", {}, comment,
                                   {{std::string(kIsPrompt), "true"},
                                    {std::string(kPromptText), chat ? messages.dump() : std::string(text)},
                                    {"_mlflow_prompt_type", chat ? "chat" : "text"}});
  catalog.finalize_model_version(who, name, version.version);
  return version.version;
}

std::string load_prompt_text(catalog::Catalog& catalog, const catalog::Principal& who, const std::string& name,
                             std::int64_t version) {
  const catalog::ModelVersionInfo found = catalog.get_model_version(who, name, version);
  const auto text = found.tags.find(std::string(kPromptText));
  if (text == found.tags.end()) {
    throw Error(ErrorCode::kInvalidArgument, "{} version {} is not a prompt: it has no tag {}", name, version,
                kPromptText);
  }
  // MLflow's client stores text prompts as they are and chat prompts as JSON.
  return text->second;
}

}  // namespace lakeloop::chain
