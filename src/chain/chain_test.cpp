#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "chain/citation_check.h"
#include "chain/config.h"
#include "chain/prompt.h"
#include "chain/runner.h"
#include "chain/sentence_ranker.h"
#include "codec/sentences.h"
#include "codec/yaml.h"

namespace lakeloop::chain {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kChain =
    "rag_chain: 1\nretriever: {index: main.docs.chunks_index}\nmodels: {chat: local-chat, embedding: local-embedding}\n"
    "answer: {mode: prose, floor: 0.3}\n";

std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.message();
  }
  return "nothing was thrown";
}

TEST(ChainConfig, RoundTripsThroughYaml) {
  const ChainConfig config = ChainConfig::from_yaml(kChain);
  EXPECT_EQ(config.index, "main.docs.chunks_index");
  EXPECT_EQ(config.mode, AnswerMode::kProse);
  EXPECT_DOUBLE_EQ(config.floor, 0.3);
  EXPECT_EQ(ChainConfig::from_yaml(codec::yaml_dump(config.to_json())).to_json(), config.to_json());
}

TEST(ChainConfig, NamesTheWrongField) {
  const std::pair<const char*, const char*> cases[] = {
      {"rag_chain: 2\n", "rag_chain must be 1"},
      {"- a\n", "must be a mapping"},
      {"rag_chain: 1\n", "retriever.index is required"},
      {"rag_chain: 1\nretriever: {index: a.b.c, indx: x}\n", "retriever.indx is not a known setting"},
      {"rag_chain: 1\nretriever: {index: a.b.c}\nextra: {}\n", "extra is not a known section"},
      {"rag_chain: 1\nretriever: {index: a.b.c, num_results: 0}\n",
       "retriever.num_results must be a number from 1 to 50"},
      {"rag_chain: 1\nretriever: {index: a.b.c, query_type: MAGIC}\n", "retriever.query_type must be"},
      {"rag_chain: 1\nretriever: {index: a.b.c}\nanswer: {mode: poetry}\n", "not one of cited, prose, verifiable"},
      {"rag_chain: 1\nretriever: {index: a.b.c}\nanswer: {mode: prose}\n", "models.chat is required"},
      {"rag_chain: 1\nretriever: {index: a.b.c}\nprompt: {name: x}\n", "prompt.version is required"},
      {"rag_chain: 1\nretriever: {index: a.b.c}\nanswer: {floor: high}\n", "answer.floor must be a number"},
  };
  for (const auto& [yaml, text] : cases) {
    EXPECT_THAT(message_of([&] { ChainConfig::from_yaml(yaml); }), HasSubstr(text)) << yaml;
  }
}

TEST(Prompt, FillsVariablesOnce) {
  const Json messages = parse_prompt(built_in_prompt());
  const Json rendered = render_prompt(messages, {{"context", "{{question}} is text"}, {"question", "Why?"}});
  EXPECT_EQ(rendered.at(1).str("content"), "Context:\n{{question}} is text\n\nQuestion: Why?");
  EXPECT_EQ(render_prompt(parse_prompt("Q: {{ question }}"), {{"question", "x"}}).at(0).str("content"), "Q: x");
  EXPECT_EQ(render_prompt(parse_prompt("open {{ stays"), {}).at(0).str("content"), "open {{ stays");
  EXPECT_THAT(message_of([] { parse_prompt("{{questoin}}"); }), HasSubstr("{{questoin}}"));
  EXPECT_THROW(parse_prompt("[]"), Error);
  EXPECT_THROW(parse_prompt("[{\"role\": \"user\"}]"), Error);
}

std::vector<Passage> passages() {
  return {{.chunk_id = "a",
           .text = "# Ports\n\nThe default port of the server is 8443. The metrics port is 9090.",
           .source_path = "ports.md",
           .start = 100,
           .end = 176},
          {.chunk_id = "b",
           .text = "Refunds are processed within five business days. Gift cards cannot be returned.",
           .source_path = "refunds.md",
           .start = 0,
           .end = 79}};
}

// Vectors by words, so that nearness is overlap.
class WordEngine : public gateway::InferenceEngine {
 public:
  gateway::EngineInfo info() override { return {.model = "words", .sha256 = "0", .embeddings = true}; }
  gateway::ChatResult chat(const gateway::ChatRequest&, const Deadline&,
                           const std::function<bool(const gateway::ChatChunk&)>&) override {
    throw Error(ErrorCode::kUnimplemented, "no chat");
  }
  gateway::EmbeddingResult embed(const std::vector<std::string>& inputs, const Deadline&) override {
    gateway::EmbeddingResult result;
    for (const std::string& input : inputs) {
      std::vector<float> vector(64, 0.0f);
      for (const std::string& word : codec::content_words(input)) vector[std::hash<std::string>{}(word) % 64] += 1;
      result.vectors.push_back(vector);
      ++embedded;
    }
    return result;
  }
  std::optional<std::vector<std::int64_t>> count_tokens(const std::vector<std::string>&, const Deadline&) override {
    return std::nullopt;
  }
  int embedded = 0;
};

TEST(SentenceRanker, FindsTheSentenceAndItsPlace) {
  SentenceRanker ranker;
  WordEngine engine;
  for (gateway::InferenceEngine* with :
       {static_cast<gateway::InferenceEngine*>(&engine), static_cast<gateway::InferenceEngine*>(nullptr)}) {
    const auto ranked = ranker.rank("What is the default port of the server?", passages(), with, Deadline());
    ASSERT_FALSE(ranked.empty());
    EXPECT_EQ(ranked[0].text, "The default port of the server is 8443.");
    EXPECT_EQ(ranked[0].start, 109);
    EXPECT_EQ(ranked[0].end, 148);
  }
  const int before = engine.embedded;
  ranker.rank("What is the default port of the server?", passages(), &engine, Deadline());
  EXPECT_EQ(engine.embedded, before) << "vectors seen before are kept";
}

TEST(SentenceRanker, OverlappingChunksGiveASentenceOnce) {
  std::vector<Passage> twice = passages();
  twice.push_back(twice[0]);
  SentenceRanker ranker;
  EXPECT_EQ(ranker.rank("port", twice, nullptr, Deadline()).size(),
            ranker.rank("port", passages(), nullptr, Deadline()).size());
}

TEST(CitationCheck, MarksWhatIsNotSupported) {
  const auto checked = check_answer(
      "The default port is 8443. The default port is 8080. Elephants can fly. Refunds take five business days.",
      passages());
  ASSERT_EQ(checked.size(), 4u);
  EXPECT_TRUE(checked[0].supported);
  EXPECT_EQ(checked[0].quote, "The default port of the server is 8443.");
  EXPECT_FALSE(checked[1].supported) << "another number";
  EXPECT_FALSE(checked[2].supported);
  EXPECT_TRUE(checked[3].supported);
  EXPECT_EQ(checked[3].passage, 1u);
}

TEST(RunRequest, RefusesWhatAChainCannotDo) {
  const auto body = [](std::string_view text) { return parse_run_request(Json::parse(text)); };
  EXPECT_EQ(body(R"({"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]})").question, "Hi");
  const RunRequest request = body(
      R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},)"
      R"({"role":"user","content":"c"}],"custom_inputs":{"answer_mode":"verifiable"},"max_tokens":5})");
  EXPECT_EQ(request.question, "c");
  EXPECT_EQ(request.history.size(), 3u);
  EXPECT_EQ(request.mode, AnswerMode::kVerifiable);
  EXPECT_EQ(request.max_tokens, 5);
  for (const char* bad : {
           R"({"messages":[]})",
           R"({"messages":"hello"})",
           R"({"messages":[{"role":"assistant","content":"x"}]})",
           R"({"messages":[{"role":"user","content":"  "}]})",
           R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]})",
           R"({"messages":[{"role":"robot","content":"x"}]})",
           R"({"messages":[{"role":"user","content":"x"}],"n":2})",
           R"({"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function"}]})",
           R"({"messages":[{"role":"user","content":"x"}],"max_tokens":0})",
           R"({"messages":[{"role":"user","content":"x"}],"temperature":9})",
           R"({"messages":[{"role":"user","content":"x"}],"custom_inputs":{"answer_mode":"loud"}})",
       }) {
    EXPECT_THROW(body(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace lakeloop::chain
