#include "serving/serving.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "base/format.h"
#include "base/id.h"
#include "base/log.h"
#include "base/text.h"
#include "chain/package.h"
#include "chain/prompt.h"
#include "chain/runner.h"
#include "codec/unicode.h"
#include "gateway/openai_engine.h"
#include "serving/endpoint_store.h"
#include "serving/llm_engine.h"
#include "serving/model_artifact.h"
#include "serving/openai_shape.h"

namespace lakeloop::serving {
namespace {

constexpr std::size_t kCachedRunners = 64;
constexpr std::size_t kMaxPredictionRows = 64;
constexpr std::size_t kPreviewBytes = 1000;

using catalog::Privilege;
using catalog::Securable;
using catalog::SecurableType;

Securable securable_of(std::string_view endpoint) {
  return {SecurableType::kEndpoint, std::string(endpoint)};
}

void check_name(const std::string& name) {
  const bool plain =
      !name.empty() && name.size() <= 63 &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == std::string::npos;
  if (!plain) {
    throw Error(ErrorCode::kInvalidArgument, "name must have 1 to 63 letters, digits, dashes or underscores")
        .with_param("name");
  }
}

// What an endpoint answers with at this moment.
struct Target {
  Endpoint endpoint;
  std::string model_version;  // "main.docs.assistant/3"; empty for external models
  std::shared_ptr<chain::Runner> runner;
  std::shared_ptr<gateway::InferenceEngine> engine;
};

}  // namespace

struct Serving::Impl {
  Impl(db::Database& database, identity::Identity& i, catalog::Catalog& c, tracking::Tracking& t, codec::Sealer s,
       std::shared_ptr<net::Client> n, ServingOptions o)
      : store(database),
        identity(i),
        catalog(c),
        tracking(t),
        sealer(std::move(s)),
        client(std::move(n)),
        options(std::move(o)) {}

  EndpointStore store;
  identity::Identity& identity;
  catalog::Catalog& catalog;
  tracking::Tracking& tracking;
  codec::Sealer sealer;
  std::shared_ptr<net::Client> client;
  ServingOptions options;
  search::VectorSearch* search = nullptr;
  InvocationLog* log = nullptr;
  gateway::EngineDirectory* directory = nullptr;

  std::mutex mutex;
  bool stopped = false;
  std::map<std::string, std::shared_ptr<chain::Runner>> runners;  // by owner and model version
  std::map<std::string, std::shared_ptr<gateway::InferenceEngine>>
      engines;  // by model version, or endpoint and config version

  Endpoint must_find(std::string_view name) {
    auto endpoint = store.find(name);
    if (!endpoint) throw Error(ErrorCode::kNotFound, "Endpoint with name '{}' does not exist.", name);
    return std::move(*endpoint);
  }

  Principal owner_of(const Endpoint& endpoint) {
    auto owner = identity.find(endpoint.creator);
    if (!owner || !owner->active) {
      throw Error(ErrorCode::kPermissionDenied, "endpoint {} runs as {}, who is not an active user any more",
                  endpoint.name, endpoint.creator);
    }
    return std::move(*owner);
  }

  catalog::ModelVersionInfo version_of(const Principal& owner, const ServedEntity& entity) {
    const auto number = parse_number<std::int64_t>(entity.entity_version);
    return number ? catalog.get_model_version(owner, entity.entity_name, *number)
                  : catalog.get_model_version_by_alias(owner, entity.entity_name, entity.entity_version);
  }

  std::shared_ptr<gateway::InferenceEngine> external_engine(const Endpoint& endpoint) {
    const std::string key = endpoint.id + "@" + lakeloop::format("{}", endpoint.config_version);
    const std::lock_guard lock(mutex);
    auto& engine = engines[key];
    if (!engine) {
      const ServedEntity& entity = endpoint.entities.front();
      gateway::OpenAiEngineOptions remote;
      remote.base_url = entity.base_url;
      remote.model = entity.model;
      if (!endpoint.sealed_secret.empty()) {
        remote.auth_header = entity.auth_header;
        remote.auth_value = entity.auth_prefix + sealer.unseal(endpoint.sealed_secret);
      }
      remote.policy =
          options.allow_private_upstreams ? net::OutboundPolicy::kAllowPrivate : net::OutboundPolicy::kPublicOnly;
      engine = gateway::make_openai_engine(client, std::move(remote));
    }
    return engine;
  }

  std::shared_ptr<gateway::InferenceEngine> local_engine(const catalog::ModelVersionInfo& version,
                                                         const std::string& key, const GgufModel& gguf) {
    const std::lock_guard lock(mutex);
    if (stopped) throw Error(ErrorCode::kUnavailable, "the server is stopping");
    auto& engine = engines[key];
    if (!engine) {
      LlmEngineOptions local;
      local.worker = options.worker;
      local.model_file = catalog.store().location(version.storage_location + gguf.file);
      local.model_name = key.substr(0, key.rfind('/'));
      local.sha256 = gguf.sha256;
      local.embeddings = gguf.task == "llm/v1/embeddings";
      if (gguf.context_length > 0) local.context_tokens = std::min<std::int64_t>(gguf.context_length, 4096);
      if (gguf.max_input_tokens > 0) local.embedding_tokens = gguf.max_input_tokens;
      local.threads = options.model_threads;
      local.log_file = options.log_folder / (replace_all(key, "/", "-") + ".log");
      engine = make_llm_engine(std::move(local));
    }
    return engine;
  }

  std::shared_ptr<chain::Runner> runner_of(const Principal& owner, const catalog::ModelVersionInfo& version,
                                           const std::string& model_version) {
    const std::string key = owner.id + ":" + model_version;
    {
      const std::lock_guard lock(mutex);
      const auto found = runners.find(key);
      if (found != runners.end()) return found->second;
    }
    const chain::ChainConfig config = chain::load_chain(catalog, version);
    const std::string prompt = config.prompt_name.empty()
                                   ? std::string(chain::built_in_prompt())
                                   : chain::load_prompt_text(catalog, owner, config.prompt_name, config.prompt_version);
    if (search == nullptr || directory == nullptr) throw Error(ErrorCode::kUnavailable, "the server is still starting");
    auto runner = std::make_shared<chain::Runner>(config, chain::parse_prompt(prompt), *search, *directory, owner);
    const std::lock_guard lock(mutex);
    if (runners.size() >= kCachedRunners) runners.clear();
    return runners.try_emplace(key, std::move(runner)).first->second;
  }

  Target target_of(const Principal& who, std::string_view name) {
    Target target{.endpoint = must_find(name), .model_version = {}, .runner = {}, .engine = {}};
    catalog.authorize(who, Privilege::kExecute, securable_of(name));
    const ServedEntity& entity = target.endpoint.entities.front();
    if (entity.kind == EntityKind::kExternal) {
      target.engine = external_engine(target.endpoint);
      return target;
    }
    const Principal owner = owner_of(target.endpoint);
    const catalog::ModelVersionInfo version = version_of(owner, entity);
    target.model_version = lakeloop::format("{}/{}", entity.entity_name, version.version);
    const Artifact artifact = read_artifact(catalog, version);
    if (artifact.is_chain) {
      target.runner = runner_of(owner, version, target.model_version);
    } else {
      target.engine = local_engine(version, target.model_version, artifact.gguf);
    }
    return target;
  }

  void validate_target(const Principal& who, const Endpoint& endpoint) {
    const ServedEntity& entity = endpoint.entities.front();
    if (entity.kind == EntityKind::kExternal) return;
    catalog.authorize(who, Privilege::kExecute, {SecurableType::kModel, entity.entity_name});
    read_artifact(catalog, version_of(who, entity));
  }

  void forget_engines(const Endpoint& endpoint) {
    const std::lock_guard lock(mutex);
    std::erase_if(engines, [&](const auto& entry) { return entry.first.starts_with(endpoint.id + "@"); });
  }
};

Serving::Serving(db::Database& database, identity::Identity& identity, catalog::Catalog& catalog,
                 tracking::Tracking& tracking, codec::Sealer sealer, std::shared_ptr<net::Client> client,
                 ServingOptions options)
    : impl_(std::make_unique<Impl>(database, identity, catalog, tracking, std::move(sealer), std::move(client),
                                   std::move(options))) {
  impl_->directory = this;
}

Serving::~Serving() {
  stop();
}

void Serving::connect(search::VectorSearch& search, InvocationLog& log) {
  impl_->search = &search;
  impl_->log = &log;
}

void Serving::stop() {
  std::map<std::string, std::shared_ptr<gateway::InferenceEngine>> engines;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopped = true;
    engines.swap(impl_->engines);
    impl_->runners.clear();
  }
}

Endpoint Serving::create(const Principal& who, const Json& body) {
  Endpoint endpoint;
  endpoint.name = body.str("name");
  check_name(endpoint.name);
  if (!body["config"].is_object()) {
    throw Error(ErrorCode::kInvalidArgument, "config is required").with_param("config");
  }
  ParsedConfig parsed = parse_endpoint_config(body["config"]);
  endpoint.id = replace_all(new_uuid(), "-", "");
  endpoint.creator = who.name;
  endpoint.description = body.str("description");
  endpoint.created = endpoint.updated = Timestamp::now();
  endpoint.config = std::move(parsed.stored);
  endpoint.entities = std::move(parsed.entities);
  endpoint.ai_gateway = body["ai_gateway"];
  endpoint.tags = body["tags"].is_array() ? body["tags"] : Json::array();
  endpoint.payload_table = payload_table_of(endpoint.ai_gateway);
  if (!parsed.secret.empty()) endpoint.sealed_secret = impl_->sealer.seal(parsed.secret);
  if (impl_->store.find(endpoint.name)) {
    throw Error(ErrorCode::kAlreadyExists, "Endpoint with name '{}' already exists.", endpoint.name);
  }
  impl_->validate_target(who, endpoint);
  const std::string experiment = "/serving/" + endpoint.name;
  const auto existing = impl_->tracking.find_experiment(who, experiment);
  endpoint.experiment_id =
      existing ? existing->experiment_id
               : impl_->tracking.create_experiment(who, experiment, {}, {{"lakeloop.endpoint", endpoint.name}})
                     .experiment_id;
  impl_->store.insert(endpoint);
  impl_->catalog.register_securable(SecurableType::kEndpoint, endpoint.name, who.name);
  log_info("endpoint_created", {{"endpoint", endpoint.name}, {"creator", who.name}});
  return endpoint;
}

Endpoint Serving::update_config(const Principal& who, std::string_view name, const Json& config) {
  Endpoint endpoint = impl_->must_find(name);
  impl_->catalog.authorize(who, Privilege::kManage, securable_of(name));
  ParsedConfig parsed = parse_endpoint_config(config);
  const bool was_external = endpoint.entities.front().kind == EntityKind::kExternal;
  const bool same_host = was_external && parsed.entities.front().kind == EntityKind::kExternal &&
                         endpoint.entities.front().base_url == parsed.entities.front().base_url;
  endpoint.config = std::move(parsed.stored);
  endpoint.entities = std::move(parsed.entities);
  // A key is kept only for the host that it was given for.
  if (!parsed.secret.empty()) {
    endpoint.sealed_secret = impl_->sealer.seal(parsed.secret);
  } else if (!same_host) {
    endpoint.sealed_secret.clear();
  }
  endpoint.updated = Timestamp::now();
  ++endpoint.config_version;
  impl_->validate_target(who, endpoint);
  impl_->store.update(endpoint);
  impl_->forget_engines(endpoint);
  return endpoint;
}

Endpoint Serving::update_ai_gateway(const Principal& who, std::string_view name, const Json& ai_gateway) {
  Endpoint endpoint = impl_->must_find(name);
  impl_->catalog.authorize(who, Privilege::kManage, securable_of(name));
  endpoint.payload_table = payload_table_of(ai_gateway);
  endpoint.ai_gateway = ai_gateway;
  endpoint.updated = Timestamp::now();
  impl_->store.update(endpoint);
  return endpoint;
}

Endpoint Serving::get(const Principal& who, std::string_view name) {
  Endpoint endpoint = impl_->must_find(name);
  impl_->catalog.authorize(who, Privilege::kExecute, securable_of(name));
  return endpoint;
}

std::vector<Endpoint> Serving::list(const Principal& who) {
  std::vector<Endpoint> endpoints = impl_->store.all();
  std::erase_if(endpoints, [&](const Endpoint& endpoint) {
    return !impl_->catalog.allowed(who, Privilege::kExecute, securable_of(endpoint.name));
  });
  return endpoints;
}

void Serving::remove(const Principal& who, std::string_view name) {
  const Endpoint endpoint = impl_->must_find(name);
  impl_->catalog.authorize(who, Privilege::kManage, securable_of(name));
  impl_->store.erase(name);
  impl_->catalog.unregister_securable(SecurableType::kEndpoint, name);
  impl_->forget_engines(endpoint);
}

Json Serving::describe(const Endpoint& endpoint) {
  Json config = endpoint.config;
  config.set("config_version", endpoint.config_version);
  std::string ready = "READY";
  for (Json& entity : config.find("served_entities")->items()) {
    entity.set("creator", endpoint.creator);
    entity.set("creation_timestamp", endpoint.created.millis());
    entity.set("state", Json::object({{"deployment", "DEPLOYMENT_READY"}, {"deployment_state_message", ""}}));
  }
  config.set("served_models", Json::array());
  const ServedEntity& entity = endpoint.entities.front();
  Json json = Json::object({{"id", endpoint.id},
                            {"name", endpoint.name},
                            {"creator", endpoint.creator},
                            {"creation_timestamp", endpoint.created.millis()},
                            {"last_updated_timestamp", endpoint.updated.millis()},
                            {"description", endpoint.description},
                            {"tags", endpoint.tags},
                            {"state", Json::object({{"ready", ready}, {"config_update", "NOT_UPDATING"}})},
                            {"config", std::move(config)},
                            {"permission_level", "CAN_MANAGE"},
                            {"route_optimized", false},
                            {"experiment_id", endpoint.experiment_id}});
  json.set_if("ai_gateway", endpoint.ai_gateway);
  if (entity.kind == EntityKind::kExternal) {
    json.set("task", entity.task);
    json.set("endpoint_type", "EXTERNAL_MODEL");
  } else {
    try {
      const Artifact artifact = read_artifact(impl_->catalog, impl_->version_of(impl_->owner_of(endpoint), entity));
      json.set("task", artifact.is_chain ? "llm/v1/chat" : artifact.gguf.task);
    } catch (const Error& error) {
      // The model is gone: the endpoint is still described, as not ready.
      json.set("state",
               Json::object({{"ready", "NOT_READY"}, {"config_update", "NOT_UPDATING"}, {"message", error.message()}}));
    }
  }
  return json;
}

std::shared_ptr<gateway::InferenceEngine> Serving::engine(const Principal& who, std::string_view endpoint) {
  Target target = impl_->target_of(who, endpoint);
  if (!target.engine) {
    throw Error(ErrorCode::kInvalidArgument, "endpoint {} serves a chain, not a language or embedding model", endpoint);
  }
  return target.engine;
}

namespace {

// One request on its way: trace and payload, written once however it ends.
class Recorder {
 public:
  Recorder(const Invocation& invocation, const Target& target, std::string_view type)
      : invocation_(invocation), target_(target), trace_(target.endpoint.name, type, target.endpoint.experiment_id) {
    Json inputs = invocation.body;
    trace_.inputs(tracking::TraceBuilder::kRoot, inputs);
    tracking::TraceInfo& info = trace_.info();
    info.client_request_id = invocation.body.str("client_request_id", invocation.request_id);
    info.metadata["lakeloop.endpoint"] = target.endpoint.name;
    info.metadata["lakeloop.request_id"] = invocation.request_id;
    if (!target.model_version.empty()) info.metadata["lakeloop.model_version"] = target.model_version;
    info.metadata["mlflow.trace.user"] = invocation.who.name;
    if (const std::string session = invocation.body["context"].str("conversation_id"); !session.empty()) {
      info.metadata["mlflow.trace.session"] = session;
    }
  }

  tracking::TraceBuilder& trace() { return trace_; }
  // What people see of the trace in a list: the words, not the documents around them.
  void preview(std::string request, std::string response) {
    trace_.info().request_preview = codec::truncate_utf8(request, kPreviewBytes);
    trace_.info().response_preview = codec::truncate_utf8(response, kPreviewBytes);
  }

  // `logged`: what the trace and the payload row show of the answer.
  void succeed(InvocationLog& log, const Json& logged) {
    trace_.outputs(tracking::TraceBuilder::kRoot, logged);
    write(log, 200, logged);
  }
  void fail(InvocationLog& log, const Error& error) {
    trace_.fail(tracking::TraceBuilder::kRoot, error.message());
    write(log, info(error.code()).http_status,
          Json::object(
              {{"error", Json::object({{"message", error.message()}, {"type", info(error.code()).openai_type}})}}));
  }

 private:
  void write(InvocationLog& log, std::int64_t status, const Json& response) {
    Payload payload{.databricks_request_id = invocation_.request_id,
                    .client_request_id = invocation_.body.str("client_request_id"),
                    .request_time = trace_.info().request_time,
                    .status_code = status,
                    .execution_duration_ms = (Timestamp::now().micros - trace_.info().request_time.micros) / 1000,
                    .request = invocation_.body.dump(),
                    .response = response.dump(),
                    .served_entity_id = target_.endpoint.id + "-" + target_.endpoint.entities.front().name,
                    .requester = invocation_.who.name};
    log.append(payload, target_.endpoint.payload_table, trace_.finish());
  }

  const Invocation& invocation_;
  const Target& target_;
  tracking::TraceBuilder trace_;
};

void refuse_unknown_choices(const Json& body) {
  const Json& stream = body["stream"];
  if (!stream.is_null() && !stream.is_bool()) {
    throw Error(ErrorCode::kInvalidArgument, "stream must be true or false").with_param("stream");
  }
  const Json& messages = body["messages"];
  if (!messages.is_array() || messages.size() == 0) {
    throw Error(ErrorCode::kInvalidArgument, "messages must be a list with at least one message")
        .with_param("messages");
  }
}

}  // namespace

Json Serving::chat(const Invocation& invocation, const Deadline& deadline,
                   const std::function<bool(const Json&)>& on_chunk) {
  const Target target = impl_->target_of(invocation.who, invocation.endpoint);
  Recorder recorder(invocation, target, target.runner ? "CHAIN" : "CHAT_MODEL");
  const CompletionHead head{.id = "chatcmpl-" + invocation.request_id,
                            .created = Timestamp::now().millis() / 1000,
                            .model = target.endpoint.name};
  const bool include_usage = invocation.body["stream_options"]["include_usage"].bool_or(false);
  bool role_sent = false, client_there = true;
  const auto emit = [&](Json delta, Json finish_reason, const Json& custom_outputs) {
    if (!on_chunk || !client_there) return client_there;
    if (!role_sent) {
      role_sent = true;
      Json first = chunk(head, Json::object({{"role", "assistant"}, {"content", ""}}), nullptr);
      if (include_usage) first.set("usage", nullptr);
      client_there = on_chunk(first);
    }
    Json piece = chunk(head, std::move(delta), std::move(finish_reason));
    if (include_usage) piece.set("usage", nullptr);
    piece.set_if("custom_outputs", custom_outputs);
    client_there = client_there && on_chunk(piece);
    return client_there;
  };
  const auto emit_text = [&](std::string_view text) {
    return emit(Json::object({{"content", text}}), nullptr, nullptr);
  };
  Json answer;
  try {
    refuse_unknown_choices(invocation.body);
    if (target.runner) {
      const chain::RunRequest request = chain::parse_run_request(invocation.body);
      const chain::Answer result = target.runner->run(request, deadline, recorder.trace(), emit_text);
      answer = completion(head, result);
      answer.find("custom_outputs")->set("trace_id", recorder.trace().trace_id());
    } else {
      const gateway::ChatResult result =
          target.engine->chat({.body = invocation.body, .grammar = std::nullopt, .adapter = {}}, deadline,
                              [&](const gateway::ChatChunk& piece) {
                                if (!on_chunk) return true;
                                Json delta = Json::object();
                                if (!piece.content.empty()) delta.set("content", piece.content);
                                delta.set_if("tool_calls", piece.tool_calls);
                                return delta.size() == 0 || emit(std::move(delta), nullptr, nullptr);
                              });
      answer = completion(head, result);
      recorder.trace().token_usage(tracking::TraceBuilder::kRoot, result.usage.prompt_tokens,
                                   result.usage.completion_tokens);
      recorder.trace().set(tracking::TraceBuilder::kRoot, "mlflow.llm.model", result.model);
      recorder.trace().set(tracking::TraceBuilder::kRoot, "gen_ai.response.time_to_first_chunk",
                           result.time_to_first_token_ms / 1000);
    }
  } catch (const Error& error) {
    recorder.fail(*impl_->log, error);
    throw;
  }
  answer.set("databricks_output", Json::object({{"databricks_request_id", invocation.request_id},
                                                {"trace_id", recorder.trace().trace_id()}}));
  const Json& messages = invocation.body["messages"];
  recorder.preview(messages.at(messages.size() - 1)["content"].string_or(""),
                   answer["choices"].at(0)["message"].str("content"));
  // Durable before the end of the answer is seen.
  recorder.succeed(*impl_->log, answer);
  if (on_chunk) {
    const Json& choice = answer["choices"].at(0);
    emit(Json::object(), choice["finish_reason"], answer["custom_outputs"]);
    if (include_usage && client_there) client_there = on_chunk(usage_chunk(head, answer["usage"]));
  }
  return answer;
}

Json Serving::embeddings(const Invocation& invocation, const Deadline& deadline) {
  const Target target = impl_->target_of(invocation.who, invocation.endpoint);
  Recorder recorder(invocation, target, "EMBEDDING");
  try {
    const Json& body = invocation.body;
    const std::vector<std::string> inputs = embedding_inputs(body);
    const std::string encoding = body.str("encoding_format", "float");
    if (encoding != "float" && encoding != "base64") {
      throw Error(ErrorCode::kInvalidArgument, "encoding_format must be float or base64").with_param("encoding_format");
    }
    if (!target.engine) {
      throw Error(ErrorCode::kInvalidArgument, "endpoint {} serves a chain; embeddings need an embedding model",
                  target.endpoint.name)
          .with_param("model");
    }
    const gateway::EmbeddingResult result = target.engine->embed(inputs, deadline);
    const auto dimension = static_cast<std::int64_t>(result.vectors.empty() ? 0 : result.vectors.front().size());
    if (body["dimensions"].is_int() && body["dimensions"].as_int() != dimension) {
      throw Error(ErrorCode::kInvalidArgument, "dimensions must be {}: the model makes vectors of that length only",
                  dimension)
          .with_param("dimensions");
    }
    recorder.trace().token_usage(tracking::TraceBuilder::kRoot, result.usage.prompt_tokens, 0);
    recorder.succeed(*impl_->log, Json::object({{"vectors", inputs.size()}, {"dimension", dimension}}));
    return embedding_list(result, target.endpoint.name, encoding == "base64");
  } catch (const Error& error) {
    recorder.fail(*impl_->log, error);
    throw;
  }
}

Json Serving::predictions(const Invocation& invocation, const Deadline& deadline) {
  const Json& body = invocation.body;
  Json rows = Json::array();
  const auto add = [&](const Json& row) { rows.push_back(row); };
  if (body["dataframe_records"].is_array()) {
    for (const Json& row : body["dataframe_records"].items()) add(row);
  } else if (body["dataframe_split"].is_object()) {
    const Json& columns = body["dataframe_split"]["columns"];
    const Json& data = body["dataframe_split"]["data"];
    if (!columns.is_array() || !data.is_array()) {
      throw Error(ErrorCode::kInvalidArgument, "dataframe_split needs columns and data").with_param("dataframe_split");
    }
    for (const Json& values : data.items()) {
      Json row = Json::object();
      for (std::size_t i = 0; i < columns.size(); ++i) row.set(columns.at(i).string_or(""), values.at(i));
      add(row);
    }
  } else {
    const Json& inputs = body.contains("instances") ? body["instances"] : body["inputs"];
    if (inputs.is_array()) {
      for (const Json& row : inputs.items()) add(row);
    } else if (!inputs.is_null()) {
      add(inputs);
    }
  }
  if (rows.size() == 0 || rows.size() > kMaxPredictionRows) {
    throw Error(ErrorCode::kInvalidArgument,
                "send messages, or one of dataframe_split, dataframe_records, instances, inputs with 1 to {} rows",
                kMaxPredictionRows);
  }
  Json predictions = Json::array();
  std::size_t number = 0;
  for (const Json& row : rows.items()) {
    Invocation one{.who = invocation.who,
                   .endpoint = invocation.endpoint,
                   .body = Json::object(),
                   .request_id = rows.size() == 1 ? invocation.request_id
                                                  : lakeloop::format("{}-{}", invocation.request_id, ++number)};
    std::string question = row.string_or("");
    for (const char* key : {"question", "query", "input", "text"}) {
      if (question.empty()) question = row.str(key);
    }
    if (row["messages"].is_array()) {
      one.body.set("messages", row["messages"]);
    } else {
      one.body.set("messages", Json::array({Json::object({{"role", "user"}, {"content", question}})}));
    }
    one.body.set_if("custom_inputs", row["custom_inputs"]);
    const Json answer = chat(one, deadline);
    Json prediction = Json::object({{"content", answer["choices"].at(0)["message"]["content"]}});
    prediction.set_if("custom_outputs", answer["custom_outputs"]);
    predictions.push_back(std::move(prediction));
  }
  return Json::object({{"predictions", std::move(predictions)}});
}

}  // namespace lakeloop::serving
