#include "chain/runner.h"

#include <algorithm>

#include "base/format.h"
#include "chain/prompt.h"
#include "codec/unicode.h"
#include "gateway/json_schema_grammar.h"

namespace lakeloop::chain {
namespace {

// Floor of the share of words, where sentences are ranked without an embedding model.
constexpr double kWordFloor = 0.5;

void append_cited(Answer& answer, const RankedSentence& sentence, const Passage& passage) {
  if (!answer.text.empty()) answer.text += ' ';
  Citation citation{.mark = static_cast<std::int64_t>(answer.citations.size()) + 1,
                    .chunk_id = passage.chunk_id,
                    .source_path = passage.source_path,
                    .title = passage.title,
                    .section = passage.section,
                    .quote = sentence.text,
                    .start = sentence.start,
                    .end = sentence.end,
                    .answer_start = static_cast<std::int64_t>(codec::count_code_points(answer.text)),
                    .answer_end = 0,
                    .score = sentence.score,
                    .page_version = passage.page_version};
  answer.text += sentence.text + lakeloop::format(" [{}]", citation.mark);
  citation.answer_end = static_cast<std::int64_t>(codec::count_code_points(answer.text));
  answer.citations.push_back(std::move(citation));
}

Answer nothing_found(AnswerMode mode) {
  Answer answer{.text = std::string(kNotFoundText), .mode = mode, .found = false};
  return answer;
}

std::string context_of(const std::vector<Passage>& passages, std::int64_t count) {
  const auto shown = std::min(passages.size(), static_cast<std::size_t>(count));
  if (shown == 1) return passages[0].text;
  std::string context;
  for (std::size_t i = 0; i < shown; ++i) context += lakeloop::format("[{}] {}\n", i + 1, passages[i].text);
  return context;
}

std::string text_of_content(const Json& content) {
  if (content.is_string()) return content.as_string();
  std::string text;
  if (content.is_array()) {
    for (const Json& part : content.items()) {
      if (part.str("type") != "text" && part.str("type") != "input_text") {
        throw Error(ErrorCode::kInvalidArgument, "a RAG chain takes text only; a message has a part of type \"{}\"",
                    part.str("type"))
            .with_param("messages");
      }
      text += part.str("text");
    }
  }
  return text;
}

}  // namespace

RunRequest parse_run_request(const Json& body) {
  const Json& messages = body["messages"];
  if (!messages.is_array() || messages.size() == 0) {
    throw Error(ErrorCode::kInvalidArgument, "messages must be a list with at least one message")
        .with_param("messages");
  }
  for (const char* field : {"tools", "functions", "response_format", "logprobs"}) {
    const Json& value = body[field];
    const bool harmless = value.is_null() || (value.is_bool() && !value.as_bool()) ||
                          (value.is_array() && value.size() == 0) || value.str("type") == "text";
    if (!harmless) {
      throw Error(ErrorCode::kInvalidArgument, "{} is not something a RAG chain can do; call its chat model's endpoint",
                  field)
          .with_param(field);
    }
  }
  if (body["n"].int_or(1) != 1) {
    throw Error(ErrorCode::kInvalidArgument, "n must be 1: a RAG chain gives one answer").with_param("n");
  }
  RunRequest request;
  Json history = Json::array();
  for (const Json& message : messages.items()) {
    const std::string role = message.str("role");
    if (role != "system" && role != "developer" && role != "user" && role != "assistant") {
      throw Error(ErrorCode::kInvalidArgument,
                  "a message has the role \"{}\"; known are system, developer, user, assistant", role)
          .with_param("messages");
    }
    history.push_back(Json::object({{"role", role}, {"content", text_of_content(message["content"])}}));
  }
  if (history.items().back().str("role") != "user") {
    throw Error(ErrorCode::kInvalidArgument, "the last message must be the user's question").with_param("messages");
  }
  request.question = history.items().back().str("content");
  if (request.question.find_first_not_of(" \t\r\n") == std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument, "the question is empty").with_param("messages");
  }
  history.items().pop_back();
  if (history.size() > 0) request.history = std::move(history);
  const Json& custom = body["custom_inputs"];
  if (const Json* mode = custom.find("answer_mode")) request.mode = parse_answer_mode(mode->string_or(""));
  for (const char* name : {"max_completion_tokens", "max_tokens"}) {
    const Json& value = body[name];
    if (value.is_null()) continue;
    if (!value.is_int() || value.as_int() < 1) {
      throw Error(ErrorCode::kInvalidArgument, "{} must be a positive integer", name).with_param(name);
    }
    request.max_tokens = value.as_int();
  }
  if (const Json& value = body["temperature"]; !value.is_null()) {
    if (!value.is_number() || value.as_double() < 0 || value.as_double() > 2) {
      throw Error(ErrorCode::kInvalidArgument, "temperature must be a number from 0 to 2").with_param("temperature");
    }
    request.temperature = value.as_double();
  }
  request.stop = body["stop"];
  return request;
}

Json Answer::citations_json() const {
  Json list = Json::array();
  for (const Citation& citation : citations) {
    list.push_back(Json::object({{"mark", citation.mark},
                                 {"chunk_id", citation.chunk_id},
                                 {"source_path", citation.source_path},
                                 {"title", citation.title},
                                 {"section", citation.section},
                                 {"start", citation.start},
                                 {"end", citation.end},
                                 {"quote", citation.quote},
                                 {"answer_start", citation.answer_start},
                                 {"answer_end", citation.answer_end},
                                 {"score", citation.score},
                                 {"page_version", citation.page_version}}));
  }
  return list;
}

Json Answer::to_custom_outputs() const {
  Json json = Json::object(
      {{"answer_mode", to_string(mode)}, {"found", found}, {"generated", generated}, {"citations", citations_json()}});
  if (generated) {
    Json marked = Json::array();
    for (const CheckedSentence& sentence : unsupported) {
      marked.push_back(Json::object({{"text", sentence.text},
                                     {"answer_start", sentence.answer_start},
                                     {"answer_end", sentence.answer_end},
                                     {"support", sentence.support}}));
    }
    json.set("unsupported", std::move(marked));
  }
  json.set("index_version", index_version);
  return json;
}

Runner::Runner(ChainConfig config, Json prompt, search::VectorSearch& search, gateway::EngineDirectory& engines,
               identity::Principal owner)
    : config_(std::move(config)),
      prompt_(std::move(prompt)),
      search_(search),
      engines_(engines),
      owner_(std::move(owner)) {}

Answer Runner::run(const RunRequest& request, const Deadline& deadline, tracking::TraceBuilder& trace,
                   const std::function<bool(std::string_view)>& on_text) {
  const std::size_t span = trace.open("retrieve", "RETRIEVER");
  trace.inputs(span, Json::object({{"query", request.question}}));
  trace.set(span, "lakeloop.index", config_.index);
  Retrieval retrieval;
  try {
    retrieval = retrieve(search_, owner_, config_, request.question, deadline);
  } catch (const Error& error) {
    trace.fail(span, error.message());
    throw;
  }
  trace.outputs(span, to_documents(retrieval));
  trace.set(span, "lakeloop.index.source_version", retrieval.source_version);
  trace.set(span, "lakeloop.index.manifest", retrieval.manifest);
  trace.set(span, "lakeloop.query_type", retrieval.query_type);
  trace.end(span);
  trace.info().metadata["lakeloop.index"] = config_.index;
  trace.info().metadata["lakeloop.index.source_version"] = lakeloop::format("{}", retrieval.source_version);

  const AnswerMode mode = request.mode.value_or(config_.mode);
  if (mode != AnswerMode::kCited && config_.chat_endpoint.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "this chain has no chat model: answer mode {} needs models.chat",
                to_string(mode))
        .with_param("custom_inputs.answer_mode");
  }
  Answer answer;
  if (retrieval.passages.empty()) {
    answer = nothing_found(mode);
  } else if (mode == AnswerMode::kProse) {
    answer = prose(request, retrieval, deadline, trace, on_text);
  } else if (mode == AnswerMode::kVerifiable) {
    answer = verifiable(request, retrieval, deadline, trace);
  } else {
    answer = cited(request, retrieval, deadline, trace);
  }
  answer.index_version = retrieval.source_version;
  if (!answer.generated && on_text) static_cast<void>(on_text(answer.text));
  return answer;
}

std::vector<RankedSentence> Runner::rank(const RunRequest& request, const Retrieval& retrieval,
                                         const Deadline& deadline, tracking::TraceBuilder& trace, bool& by_words) {
  const std::size_t span = trace.open("rank_sentences", "RERANKER");
  trace.inputs(span, Json::object({{"query", request.question}}));
  std::shared_ptr<gateway::InferenceEngine> engine;
  if (!config_.embedding_endpoint.empty()) {
    try {
      engine = engines_.engine(owner_, config_.embedding_endpoint);
    } catch (const Error& error) {
      // The documents still answer, by words; the trace says why.
      if (error.code() != ErrorCode::kUnavailable && error.code() != ErrorCode::kNotFound) throw;
      trace.set(span, "lakeloop.fallback", error.message());
    }
  }
  by_words = engine == nullptr;
  std::vector<RankedSentence> ranked;
  try {
    ranked = ranker_.rank(request.question, retrieval.passages, engine.get(), deadline);
  } catch (const Error& error) {
    trace.fail(span, error.message());
    throw;
  }
  Json best = Json::array();
  for (std::size_t i = 0; i < std::min<std::size_t>(ranked.size(), 5); ++i) {
    best.push_back(
        Json::object({{"page_content", ranked[i].text},
                      {"metadata", Json::object({{"doc_uri", retrieval.passages[ranked[i].passage].source_path},
                                                 {"score", ranked[i].score}})}}));
  }
  trace.outputs(span, best);
  trace.set(span, "lakeloop.ranked_by", by_words ? "words" : "embedding");
  if (!by_words) trace.set(span, "lakeloop.endpoint", config_.embedding_endpoint);
  trace.end(span);
  return ranked;
}

Answer Runner::cited(const RunRequest& request, const Retrieval& retrieval, const Deadline& deadline,
                     tracking::TraceBuilder& trace) {
  bool by_words = false;
  const std::vector<RankedSentence> ranked = rank(request, retrieval, deadline, trace, by_words);
  const double floor = by_words ? kWordFloor : config_.floor;
  if (ranked.empty() || ranked.front().score < floor) return nothing_found(AnswerMode::kCited);
  Answer answer;
  for (const RankedSentence& sentence : ranked) {
    if (static_cast<std::int64_t>(answer.citations.size()) == config_.max_sentences) break;
    if (sentence.score < ranked.front().score - config_.within || sentence.score < floor) break;
    append_cited(answer, sentence, retrieval.passages[sentence.passage]);
  }
  return answer;
}

gateway::ChatResult Runner::call_model(const Json& body, std::optional<std::string> grammar, const Deadline& deadline,
                                       tracking::TraceBuilder& trace,
                                       const std::function<bool(const gateway::ChatChunk&)>& on_chunk) {
  const std::size_t span = trace.open("chat_model", "CHAT_MODEL");
  trace.inputs(span, body);
  trace.set(span, "lakeloop.endpoint", config_.chat_endpoint);
  try {
    const auto engine = engines_.engine(owner_, config_.chat_endpoint);
    gateway::ChatResult result =
        engine->chat({.body = body, .grammar = std::move(grammar), .adapter = {}}, deadline, on_chunk);
    trace.outputs(span, Json::object({{"role", "assistant"}, {"content", result.content}}));
    trace.set(span, "mlflow.llm.model", result.model);
    trace.set(span, "gen_ai.response.finish_reasons", Json::array({result.finish_reason}));
    trace.set(span, "gen_ai.response.time_to_first_chunk", result.time_to_first_token_ms / 1000);
    if (result.usage.estimated) trace.set(span, "lakeloop.usage_estimated", true);
    trace.token_usage(span, result.usage.prompt_tokens, result.usage.completion_tokens);
    trace.end(span);
    return result;
  } catch (const Error& error) {
    trace.fail(span, error.message());
    throw;
  }
}

Answer Runner::prose(const RunRequest& request, const Retrieval& retrieval, const Deadline& deadline,
                     tracking::TraceBuilder& trace, const std::function<bool(std::string_view)>& on_text) {
  const std::size_t span = trace.open("render_prompt", "PARSER");
  const std::string context = context_of(retrieval.passages, config_.passages);
  Json messages = render_prompt(prompt_, {{"question", request.question}, {"context", context}});
  if (request.history.is_array()) {
    // Earlier turns stand before the question, the prompt's own system message first.
    Json with_history = Json::array();
    for (const Json& message : messages.items()) {
      if (&message == &messages.items().back()) {
        for (const Json& earlier : request.history.items()) with_history.push_back(earlier);
      }
      with_history.push_back(message);
    }
    messages = std::move(with_history);
  }
  trace.set(span, "lakeloop.prompt.name", config_.prompt_name.empty() ? "built-in" : config_.prompt_name);
  trace.set(span, "lakeloop.prompt.version", config_.prompt_version);
  trace.outputs(span, messages);
  trace.end(span);

  Json body = Json::object({{"messages", std::move(messages)},
                            {"max_tokens", request.max_tokens.value_or(config_.max_tokens)},
                            {"temperature", request.temperature.value_or(config_.temperature)}});
  body.set_if("stop", request.stop);
  std::string so_far;
  const gateway::ChatResult result =
      call_model(body, std::nullopt, deadline, trace, [&](const gateway::ChatChunk& chunk) {
        so_far += chunk.content;
        return !on_text || chunk.content.empty() || on_text(chunk.content);
      });
  Answer answer{.text = result.content,
                .mode = AnswerMode::kProse,
                .generated = true,
                .citations = {},
                .unsupported = {},
                .finish_reason = result.finish_reason,
                .usage = result.usage};
  const std::vector<Passage> seen(
      retrieval.passages.begin(),
      retrieval.passages.begin() +
          static_cast<std::ptrdiff_t>(std::min(retrieval.passages.size(), static_cast<std::size_t>(config_.passages))));
  for (CheckedSentence& sentence : check_answer(answer.text, seen)) {
    if (!sentence.supported) {
      answer.unsupported.push_back(std::move(sentence));
      continue;
    }
    const Passage& passage = seen[sentence.passage];
    answer.citations.push_back({.mark = static_cast<std::int64_t>(answer.citations.size()) + 1,
                                .chunk_id = passage.chunk_id,
                                .source_path = passage.source_path,
                                .title = passage.title,
                                .section = passage.section,
                                .quote = sentence.quote,
                                .start = sentence.start,
                                .end = sentence.end,
                                .answer_start = sentence.answer_start,
                                .answer_end = sentence.answer_end,
                                .score = sentence.support,
                                .page_version = passage.page_version});
  }
  return answer;
}

Answer Runner::verifiable(const RunRequest& request, const Retrieval& retrieval, const Deadline& deadline,
                          tracking::TraceBuilder& trace) {
  bool by_words = false;
  std::vector<RankedSentence> ranked = rank(request, retrieval, deadline, trace, by_words);
  if (ranked.empty() || (!by_words && ranked.front().score < config_.floor))
    return nothing_found(AnswerMode::kVerifiable);
  // The models choose best among few, in the order of the text.
  constexpr std::size_t kChoices = 6;
  if (ranked.size() > kChoices) ranked.resize(kChoices);
  std::ranges::stable_sort(ranked, [](const RankedSentence& a, const RankedSentence& b) {
    return std::pair(a.passage, a.start) < std::pair(b.passage, b.start);
  });
  std::string context;
  std::vector<std::string> choices;
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    context += lakeloop::format("[{}] {}\n", i + 1, ranked[i].text);
    choices.push_back(lakeloop::format("[{}]", i + 1));
  }
  choices.emplace_back("I");  // "I cannot find this": one token decides
  const Json body = Json::object(
      {{"messages",
        Json::array({Json::object({{"role", "system"}, {"content", "Answer the question using only the context."}}),
                     Json::object({{"role", "user"},
                                   {"content", lakeloop::format("Question: {}\n\nContext:\n{}\nQuestion: {}",
                                                                request.question, context, request.question)}})})},
       {"max_tokens", 8},
       {"temperature", 0}});
  const gateway::ChatResult result = call_model(body, gateway::grammar_of_choices(choices), deadline, trace,
                                                [](const gateway::ChatChunk&) { return true; });
  Answer answer{.text = {}, .mode = AnswerMode::kVerifiable};
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    if (result.content == choices[i]) append_cited(answer, ranked[i], retrieval.passages[ranked[i].passage]);
  }
  if (answer.citations.empty()) answer = nothing_found(AnswerMode::kVerifiable);
  answer.usage = result.usage;
  return answer;
}

}  // namespace lakeloop::chain
