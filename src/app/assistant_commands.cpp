// prompt, chain, endpoint, ask, explain, feedback: an assistant and what it said.

#include <cstdio>
#include <cstdlib>

#include "app/commands.h"
#include "base/file.h"
#include "base/text.h"
#include "codec/encoding.h"
#include "codec/yaml.h"

namespace lakeloop::app {
namespace {

constexpr const char* kEndpoints = "/api/2.0/serving-endpoints";

void print(const Json& json) {
  std::printf("%s\n", json.dump_pretty().c_str());
}

void print_citations(const Json& outputs) {
  const Json& citations = outputs["citations"];
  if (citations.is_array()) {
    for (const Json& citation : citations.items()) {
      std::printf("  [%lld] %s", static_cast<long long>(citation["mark"].int_or(0)),
                  citation.str("source_path").c_str());
      if (const std::string section = citation.str("section"); !section.empty()) std::printf(", %s", section.c_str());
      std::printf("  (characters %lld to %lld, score %.2f)\n", static_cast<long long>(citation["start"].int_or(0)),
                  static_cast<long long>(citation["end"].int_or(0)), citation["score"].double_or(0));
    }
  }
  const Json& unsupported = outputs["unsupported"];
  if (unsupported.is_array()) {
    for (const Json& sentence : unsupported.items()) {
      std::printf("  not supported by the documents: %s\n", sentence.str("text").c_str());
    }
  }
}

// "main.docs.assistant@champion" or "main.docs.assistant/3" -> name and version or alias.
Json served_model(const std::string& model) {
  const std::size_t at = model.find_first_of("@/");
  if (at == std::string::npos || at + 1 == model.size()) {
    throw Error(ErrorCode::kInvalidArgument, "--model must be NAME@ALIAS or NAME/VERSION, got {}", model);
  }
  return Json::object({{"entity_name", model.substr(0, at)}, {"entity_version", model.substr(at + 1)}});
}

Json external_model(const EndpointArguments& arguments) {
  Json provider = Json::object({{"custom_provider_url", arguments.url}});
  if (!arguments.key_environment.empty()) {
    const char* key = std::getenv(arguments.key_environment.c_str());
    if (key == nullptr || *key == 0) {
      throw Error(ErrorCode::kInvalidArgument, "the environment variable {} is not set", arguments.key_environment);
    }
    provider.set("bearer_token_auth", Json::object({{"token_plaintext", key}}));
  }
  return Json::object({{"external_model", Json::object({{"name", arguments.external_model},
                                                        {"provider", "custom"},
                                                        {"task", arguments.task},
                                                        {"custom_provider_config", std::move(provider)}})}});
}

Json gateway_of(const std::string& payload) {
  const std::vector<std::string_view> parts = split(payload, '.');
  if (parts.size() != 3)
    throw Error(ErrorCode::kInvalidArgument, "--payload must be CATALOG.SCHEMA.PREFIX, got {}", payload);
  return Json::object({{"inference_table_config", Json::object({{"enabled", true},
                                                                {"catalog_name", parts[0]},
                                                                {"schema_name", parts[1]},
                                                                {"table_name_prefix", parts[2]}})}});
}

Json message_body(const AskArguments& arguments) {
  Json body =
      Json::object({{"model", arguments.endpoint},
                    {"messages", Json::array({Json::object({{"role", "user"}, {"content", arguments.question}})})}});
  if (!arguments.mode.empty()) body.set("custom_inputs", Json::object({{"answer_mode", arguments.mode}}));
  if (arguments.max_tokens > 0) body.set("max_tokens", arguments.max_tokens);
  return body;
}

// A value as it was typed: number, true, false, JSON, or text.
Json typed(const std::string& text) {
  return Json::try_parse(text).value_or(Json(text));
}

}  // namespace

void register_prompt(ApiClient& client, const std::string& name, const std::string& file, bool json) {
  const Json result =
      client.post("/api/2.0/lakeloop/prompts",
                  Json::object({{"name", name}, {"template", read_file(file, 1024 * 1024)}, {"if_changed", true}}));
  if (json) return print(result);
  std::printf("prompt %s: version %lld%s\n", name.c_str(), static_cast<long long>(result["version"].int_or(0)),
              result["changed"].bool_or(true) ? "" : " (unchanged)");
}

void register_chain(ApiClient& client, const ChainArguments& arguments, bool json) {
  Json body = Json::object({{"name", arguments.name},
                            {"config", codec::yaml_parse(read_file(arguments.file, 1024 * 1024))},
                            {"if_changed", arguments.if_changed}});
  if (!arguments.alias.empty()) body.set("alias", arguments.alias);
  const Json result = client.post("/api/2.0/lakeloop/chains", body);
  if (json) return print(result);
  std::printf("model %s: version %lld%s%s\n", arguments.name.c_str(),
              static_cast<long long>(result["version"].int_or(0)),
              result["changed"].bool_or(true) ? "" : " (unchanged)",
              arguments.alias.empty() ? "" : (", alias " + arguments.alias).c_str());
}

void create_endpoint(ApiClient& client, const EndpointArguments& arguments, bool json) {
  if (arguments.model.empty() == arguments.url.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "give either --model, or --url with --external-model");
  }
  const Json entity = arguments.model.empty() ? external_model(arguments) : served_model(arguments.model);
  const Json config = Json::object({{"served_entities", Json::array({entity})}});
  const std::string path = std::string(kEndpoints) + "/" + codec::percent_encode(arguments.name);
  Json result;
  bool there = false;
  if (arguments.replace) {
    try {
      result = client.get(path);
      there = true;
    } catch (const Error&) {
      there = false;
    }
  }
  if (there) {
    result = client.call(net::Method::kPut, path + "/config", config);
    if (!arguments.payload.empty()) client.call(net::Method::kPut, path + "/ai-gateway", gateway_of(arguments.payload));
  } else {
    Json body = Json::object({{"name", arguments.name}, {"config", config}});
    if (!arguments.payload.empty()) body.set("ai_gateway", gateway_of(arguments.payload));
    result = client.post(kEndpoints, body);
  }
  if (json) return print(result);
  std::printf("endpoint %s: %s\n", arguments.name.c_str(), result["state"].str("ready").c_str());
}

void show_endpoint(ApiClient& client, const std::string& name, const std::string& field, bool json) {
  const Json endpoint = client.get(std::string(kEndpoints) + "/" + codec::percent_encode(name));
  if (!field.empty()) {
    const Json& value = endpoint[field];
    std::printf("%s\n", value.is_string() ? value.as_string().c_str() : value.dump().c_str());
    return;
  }
  if (json) return print(endpoint);
  std::printf("endpoint %s: %s, task %s, experiment %s\n", name.c_str(), endpoint["state"].str("ready").c_str(),
              endpoint.str("task", "-").c_str(), endpoint.str("experiment_id").c_str());
}

void list_endpoints(ApiClient& client, bool json) {
  const Json answer = client.get(kEndpoints);
  if (json) return print(answer);
  for (const Json& endpoint : answer["endpoints"].items()) {
    std::printf("%-24s %-10s %s\n", endpoint.str("name").c_str(), endpoint["state"].str("ready").c_str(),
                endpoint.str("task", "-").c_str());
  }
}

void ask(ApiClient& client, const AskArguments& arguments, bool json) {
  Json body = message_body(arguments);
  Json outputs, usage;
  if (arguments.stream) {
    body.set("stream", true).set("stream_options", Json::object({{"include_usage", true}}));
    client.stream("/v1/chat/completions", body, [&](const Json& event) {
      if (event["error"].is_object()) throw Error(ErrorCode::kUpstream, "{}", event["error"].str("message"));
      if (json) return print(event);
      std::printf("%s", event["choices"].at(0)["delta"].str("content").c_str());
      std::fflush(stdout);
      if (event["custom_outputs"].is_object()) outputs = event["custom_outputs"];
      if (event["usage"].is_object()) usage = event["usage"];
    });
    if (json) return;
    std::printf("\n");
  } else {
    const Json answer = client.post("/v1/chat/completions", body);
    if (json) return print(answer);
    std::printf("%s\n", answer["choices"].at(0)["message"].str("content").c_str());
    outputs = answer["custom_outputs"];
    usage = answer["usage"];
    if (!outputs.is_object()) outputs = Json::object({{"trace_id", answer["databricks_output"]["trace_id"]}});
  }
  print_citations(outputs);
  if (usage["total_tokens"].int_or(0) > 0) {
    std::printf("  %lld prompt tokens, %lld written\n", static_cast<long long>(usage["prompt_tokens"].int_or(0)),
                static_cast<long long>(usage["completion_tokens"].int_or(0)));
  }
  if (const std::string trace = outputs.str("trace_id"); !trace.empty()) std::printf("  trace %s\n", trace.c_str());
}

void explain(ApiClient& client, const std::string& trace_id, bool json) {
  const Json walk = client.get("/api/2.0/lakeloop/traces/" + codec::percent_encode(trace_id) + "/explain");
  if (json) return print(walk);
  const auto line = [](const char* label, const std::string& text) {
    if (!text.empty()) std::printf("%-10s %s\n", label, text.c_str());
  };
  line("answer", walk.str("response").substr(0, 300));
  line("trace", walk.str("trace_id") + " of " + walk.str("request_time") + ", " + walk.str("state"));
  line("endpoint", walk.str("endpoint"));
  const auto versioned = [](const Json& step) {
    return step["unknown"].is_string()
               ? "unknown: " + step.str("unknown")
               : step.str("name") + (step["version"].is_int() ? " version " + step["version"].dump() : "");
  };
  if (walk.contains("model_version")) line("model", versioned(walk["model_version"]));
  if (walk.contains("prompt")) line("prompt", versioned(walk["prompt"]));
  if (walk.contains("model_call"))
    line("called", walk["model_call"].str("endpoint") + " (" + walk["model_call"].str("model") + ")");
  if (walk.contains("index"))
    line("index", walk["index"].str("name") + " at source version " + walk["index"]["source_version"].dump());
  for (const Json& citation : walk["citations"].items()) {
    std::printf("[%lld] %s\n", static_cast<long long>(citation["mark"].int_or(0)),
                citation.str("quote").substr(0, 200).c_str());
    const auto step = [&](const char* label, const Json& value, const std::string& text) {
      line(label, value["unknown"].is_string() ? "unknown: " + value.str("unknown") : text);
    };
    const Json &found = citation["chunk"], &page = citation["page"], &file = citation["file"];
    step("  chunk", found, found.str("id") + " in " + found.str("table") + " version " + found["table_version"].dump());
    step("  page", page,
         page.str("source_path") + " in " + page.str("table") + " version " + page["table_version"].dump());
    if (file.is_object()) {
      line("  file", file.str("path") + ", characters " + file["start"].dump() + " to " + file["end"].dump() +
                         ", sha256 " + file.str("sha256").substr(0, 16));
      line("  commit", file.str("git_commit", "not in a Git work tree"));
    }
  }
}

void feedback(ApiClient& client, const FeedbackArguments& arguments, bool json) {
  Json assessment = Json::object(
      {{"assessment_name", arguments.name},
       {"trace_id", arguments.trace_id},
       {"source",
        Json::object({{"source_type", "HUMAN"}, {"source_id", arguments.source.empty() ? "cli" : arguments.source}})}});
  assessment.set(arguments.expectation ? "expectation" : "feedback", Json::object({{"value", typed(arguments.value)}}));
  if (!arguments.rationale.empty()) assessment.set("rationale", arguments.rationale);
  const Json answer =
      client.post("/api/3.0/mlflow/traces/" + codec::percent_encode(arguments.trace_id) + "/assessments",
                  Json::object({{"assessment", std::move(assessment)}}));
  if (json) return print(answer);
  std::printf("%s %s = %s on %s\n", answer["assessment"].str("assessment_id").c_str(), arguments.name.c_str(),
              arguments.value.c_str(), arguments.trace_id.c_str());
}

}  // namespace lakeloop::app
