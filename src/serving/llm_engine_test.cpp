#include "serving/llm_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <latch>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/id.h"
#include "base/text.h"
#include "gateway/json_schema_grammar.h"
#include "gateway/testing/schema_cases.h"

namespace lakeloop::serving {
namespace {

using namespace std::chrono_literals;
using gateway::ChatChunk;
using gateway::ChatRequest;
using gateway::ChatResult;

const std::filesystem::path kWorker = LAKELOOP_LLM_PROGRAM;
const std::filesystem::path kTiny = LAKELOOP_TINY_MODEL;

class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / ("lakeloop-llm-" + random_hex(8))) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

LlmEngineOptions tiny_options() {
  LlmEngineOptions options;
  options.worker = kWorker;
  options.model_file = kTiny;
  options.model_name = "tiny";
  options.context_tokens = 1024;
  options.parallel = 4;
  return options;
}

Deadline soon() {
  return Deadline::after(60s);
}

std::string port_question() {
  const std::string question = "Question: What is the default port of the server?";
  return question +
         "\n\nContext:\n[1] To reset the password, open Settings and click Security.\n[2] The default port of the "
         "server is 8443.\n"
         "[3] Logs are kept for 30 days.\n\n" +
         question;
}
constexpr const char* kPortAnswer = "[2] The default port of the server is 8443.";

ChatRequest ask(const std::string& user, int max_tokens = 96) {
  ChatRequest request;
  request.body = Json::object(
      {{"model", "x"},
       {"messages",
        Json::array({Json::object({{"role", "system"}, {"content", "Answer the question using only the context."}}),
                     Json::object({{"role", "user"}, {"content", user}})})},
       {"temperature", 0},
       {"max_tokens", max_tokens}});
  return request;
}
ChatRequest endless() {
  ChatRequest request = ask("Tell me something.", 900);
  request.grammar = "root ::= [a-z ]{1500}";
  return request;
}

// Our worker processes, found as the kernel lists them.
std::vector<pid_t> workers() {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const auto pid = parse_number<pid_t>(entry.path().filename().string());
    if (!pid) continue;
    std::ifstream file(entry.path() / "stat");
    std::string stat((std::istreambuf_iterator<char>(file)), {});
    const std::size_t end = stat.rfind(") ");
    if (end == std::string::npos || stat.find("(lakeloop-llm") == std::string::npos) continue;
    const auto fields = split(std::string_view(stat).substr(end + 2), ' ');
    if (fields.size() > 1 && fields[0] != "Z" && fields[1] == std::to_string(getpid())) found.push_back(*pid);
  }
  return found;
}

template <typename Condition>
bool eventually(const Condition& condition) {
  for (int i = 0; i < 3000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

ErrorCode code_of(const std::function<void()>& work, std::string* message = nullptr, std::string* param = nullptr) {
  try {
    work();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.message();
    if (param != nullptr) *param = error.param();
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kInternal;
}

TEST(LlmEngine, StreamedJoinedIsUnstreamed) {
  const auto engine = make_llm_engine(tiny_options());
  std::string joined, reason;
  const ChatResult streamed = engine->chat(ask(port_question()), soon(), [&](const ChatChunk& chunk) {
    EXPECT_TRUE(reason.empty());
    joined += chunk.content;
    reason = chunk.finish_reason;
    return true;
  });
  const ChatResult whole = engine->chat(ask(port_question()), soon(), nullptr);
  EXPECT_EQ(joined, kPortAnswer);
  EXPECT_EQ(streamed.content, kPortAnswer);
  EXPECT_EQ(whole.content, kPortAnswer);
  EXPECT_EQ(reason, "stop");
  EXPECT_EQ(whole.finish_reason, "stop");
  EXPECT_EQ(streamed.usage.completion_tokens, whole.usage.completion_tokens);
  EXPECT_EQ(streamed.usage.prompt_tokens, whole.usage.prompt_tokens);
  EXPECT_GT(whole.usage.cached_tokens, 0);
  EXPECT_GT(streamed.time_to_first_token_ms, 0);
  EXPECT_EQ(engine->info().state, "ready");
  EXPECT_EQ(engine->info().context_tokens, 1024);
  const auto counts = engine->count_tokens({"", "hello world"}, soon());
  ASSERT_TRUE(counts && counts->size() == 2);
  EXPECT_EQ((*counts)[0], 0);
  EXPECT_GT((*counts)[1], 0);
}

TEST(LlmEngine, ManyCallersAtOnce) {
  const auto engine = make_llm_engine(tiny_options());
  std::vector<std::jthread> threads;
  std::atomic<int> right = 0;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      const auto on_chunk = [](const ChatChunk&) { return true; };
      const ChatResult result = engine->chat(ask(port_question()), soon(),
                                             i % 2 == 0 ? std::function<bool(const ChatChunk&)>(on_chunk) : nullptr);
      if (result.content == kPortAnswer) ++right;
    });
  }
  threads.clear();
  EXPECT_EQ(right, 16);
}

TEST(LlmEngine, AnySchemaGivesADocumentThatFits) {
  const auto engine = make_llm_engine(tiny_options());
  int whole = 0;
  for (const char* text : gateway::testing::schemas()) {
    const Json schema = Json::parse(text);
    for (int seed = 0; seed < 3; ++seed) {
      ChatRequest request = ask("Fill in the form.", 400);
      request.body.set("temperature", seed == 0 ? 0.0 : 1.0);
      request.body.set("seed", seed);
      request.body.set(
          "response_format",
          Json::object({{"type", "json_schema"}, {"json_schema", Json::object({{"name", "x"}, {"schema", schema}})}}));
      const ChatResult result = engine->chat(request, soon(), nullptr);
      if (result.finish_reason == "length") continue;  // a model of a million weights does not always end
      const auto value = Json::try_parse(result.content);
      ASSERT_TRUE(value) << text << "\n" << result.content;
      if (std::string_view(text).find("~1") == std::string_view::npos) {
        ASSERT_TRUE(gateway::testing::fits(schema, schema, *value)) << text << "\n" << result.content;
      }
      ++whole;
    }
  }
  EXPECT_GT(whole, static_cast<int>(gateway::testing::schemas().size()) * 2);
  ChatRequest request = ask("Fill in the form.", 400);
  request.body.set("response_format", Json::object({{"type", "json_object"}}));
  const ChatResult result = engine->chat(request, soon(), nullptr);
  if (result.finish_reason == "stop") {
    EXPECT_TRUE(Json::try_parse(result.content) && Json::parse(result.content).is_object()) << result.content;
  }
  ChatRequest choice = ask(port_question());
  choice.grammar =
      gateway::grammar_of_choices({"[1] \"quoted\" \\ text", "[2] The default port of the server is 8443.", "ü 世"});
  EXPECT_EQ(engine->chat(choice, soon(), nullptr).content, kPortAnswer);
}

TEST(LlmEngine, RefusesFieldsByName) {
  const auto engine = make_llm_engine(tiny_options());
  const auto refused = [&](const std::string& key, Json value) {
    ChatRequest request = ask("hi", 2);
    request.body.set(key, std::move(value));
    std::string param;
    EXPECT_EQ(code_of([&] { engine->chat(request, soon(), nullptr); }, nullptr, &param), ErrorCode::kInvalidArgument)
        << key;
    return param;
  };
  EXPECT_EQ(refused("tools", Json::array({Json::object({{"type", "function"}})})), "tools");
  EXPECT_EQ(refused("n", 2), "n");
  EXPECT_EQ(refused("logprobs", true), "logprobs");
  EXPECT_EQ(refused("logit_bias", Json::object({{"50256", -100}})), "logit_bias");
  EXPECT_EQ(refused("reasoning_effort", "high"), "reasoning_effort");
  EXPECT_EQ(refused("temperature", 9), "temperature");
  EXPECT_EQ(refused("response_format", Json::object({{"type", "xml"}})), "response_format");
  EXPECT_EQ(refused("messages", Json::array({Json::object({{"role", "tool"}, {"content", "x"}})})), "messages[0].role");
  EXPECT_EQ(
      refused("messages", Json::array({Json::object(
                              {{"role", "user"}, {"content", Json::array({Json::object({{"type", "image_url"}})})}})})),
      "messages[0].content[0]");
  // What asks for nothing is no request.
  ChatRequest plain = ask("hi", 2);
  for (const char* key : {"tools", "tool_choice", "logprobs", "logit_bias", "functions", "audio"})
    plain.body.set(key, nullptr);
  plain.body.set("n", 1);
  plain.body.set("user", "someone");
  plain.body.set("messages",
                 Json::array({Json::object({{"role", "developer"},
                                            {"content", Json::array({Json::object({{"type", "text"}, {"text", "a"}}),
                                                                     Json::object({{"type", "text"}, {"text", "b"}})})},
                                            {"tool_calls", nullptr}})}));
  EXPECT_EQ(engine->chat(plain, soon(), nullptr).usage.completion_tokens, 2);
  std::string message;
  EXPECT_EQ(code_of([&] { engine->chat(ask(std::string(20000, 'z')), soon(), nullptr); }, &message),
            ErrorCode::kInvalidArgument);
  EXPECT_THAT(message, ::testing::HasSubstr("1024 tokens"));
  EXPECT_EQ(code_of([&] { engine->embed({"a"}, soon()); }), ErrorCode::kInvalidArgument);
}

TEST(LlmEngine, StopsWhenTheCallerHasEnoughOrLeavesOrIsLate) {
  const auto engine = make_llm_engine(tiny_options());
  int pieces = 0;
  const ChatResult cut = engine->chat(endless(), soon(), [&](const ChatChunk&) { return ++pieces < 3; });
  EXPECT_EQ(pieces, 3);
  EXPECT_TRUE(cut.finish_reason.empty());
  EXPECT_FALSE(cut.content.empty());

  std::stop_source left;
  EXPECT_EQ(code_of([&] {
              engine->chat(endless(), Deadline::after(60s, left.get_token()), [&](const ChatChunk&) {
                left.request_stop();
                return true;
              });
            }),
            ErrorCode::kCancelled);
  Steady::time_point at = Steady::now() + 50ms;
  const ErrorCode late = code_of([&] {
    for (;;) engine->chat(endless(), Deadline(at, {}), nullptr);
  });
  EXPECT_TRUE(late == ErrorCode::kDeadlineExceeded || late == ErrorCode::kUnavailable);
  EXPECT_EQ(engine->chat(ask(port_question()), soon(), nullptr).content, kPortAnswer);  // the slots are free again
}

TEST(LlmEngine, AFullQueueAnswersAtOnce) {
  LlmEngineOptions options = tiny_options();
  options.parallel = 1;
  options.queue_limit = 2;
  const auto engine = make_llm_engine(options);
  std::latch running(1);
  std::atomic<bool> go_on = true;
  std::vector<std::jthread> threads;
  threads.emplace_back([&] {
    bool first = true;
    engine->chat(endless(), soon(), [&](const ChatChunk&) {
      if (std::exchange(first, false)) running.count_down();
      return go_on.load();
    });
  });
  running.wait();
  std::atomic<int> waiting = 0, refused = 0;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      ++waiting;
      try {
        engine->chat(endless(), soon(), [&](const ChatChunk&) { return go_on.load(); });
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kResourceExhausted);
        EXPECT_EQ(error.retry_after(), 1s);
        ++refused;
      }
    });
  }
  EXPECT_TRUE(eventually([&] { return refused >= 4 || waiting < 0; }));
  go_on = false;
  threads.clear();
  EXPECT_GE(refused, 4);
}

TEST(LlmEngine, AKilledWorkerIsReplaced) {
  const auto engine = make_llm_engine(tiny_options());
  EXPECT_EQ(engine->chat(ask(port_question()), soon(), nullptr).content, kPortAnswer);
  const auto kill_all = [] {
    for (const pid_t pid : workers()) ::kill(pid, SIGKILL);
  };
  // After pieces were given, the answer is lost for good.
  EXPECT_EQ(code_of([&] {
              bool killed = false;
              engine->chat(endless(), soon(), [&](const ChatChunk&) {
                if (!std::exchange(killed, true)) kill_all();
                return true;
              });
            }),
            ErrorCode::kUpstream);
  EXPECT_EQ(engine->chat(ask(port_question()), soon(), nullptr).content, kPortAnswer);
  // Before the first piece: try elsewhere, or again.
  std::jthread killer([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      kill_all();
      std::this_thread::sleep_for(5ms);
    }
  });
  std::string message;
  EXPECT_EQ(code_of(
                [&] {
                  for (;;) engine->chat(endless(), soon(), nullptr);
                },
                &message),
            ErrorCode::kUnavailable);
  killer.request_stop();
  killer.join();
  EXPECT_TRUE(eventually([&] {
    try {
      return engine->chat(ask(port_question()), soon(), nullptr).content == kPortAnswer;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
      return false;
    }
  }));
}

TEST(LlmEngine, EndsItsWorker) {
  {
    const auto engine = make_llm_engine(tiny_options());
    EXPECT_EQ(engine->chat(ask(port_question()), soon(), nullptr).content, kPortAnswer);
    EXPECT_EQ(workers().size(), 1U);
  }
  EXPECT_TRUE(eventually([] { return workers().empty(); }));
  make_llm_engine(tiny_options());  // gone while it loads
  EXPECT_TRUE(eventually([] { return workers().empty(); }));
}

TEST(LlmEngine, Embeddings) {
  LlmEngineOptions options = tiny_options();
  options.embeddings = true;
  options.embedding_tokens = 64;
  const auto engine = make_llm_engine(options);
  std::vector<std::string> texts;
  for (int i = 0; i < 1200; ++i) texts.push_back("text number " + std::to_string(i % 600));
  texts.emplace_back();
  texts.push_back(std::string(100'000, 'w'));
  const auto result = engine->embed(texts, soon());
  ASSERT_EQ(result.vectors.size(), texts.size());
  ASSERT_EQ(result.truncated.size(), texts.size());
  EXPECT_TRUE(result.truncated.back());
  EXPECT_FALSE(result.truncated.front());
  for (std::size_t i = 0; i < 600; ++i) {
    double dot = 0;
    for (std::size_t k = 0; k < result.vectors[i].size(); ++k)
      dot += static_cast<double>(result.vectors[i][k]) * result.vectors[i + 600][k];
    ASSERT_NEAR(dot, 1.0, 1e-3) << i;
  }
  EXPECT_GT(result.usage.prompt_tokens, 1200);
  EXPECT_EQ(engine->info().dimension, 128);
  EXPECT_TRUE(engine->embed({}, soon()).vectors.empty());
  EXPECT_EQ(code_of([&] { engine->chat(ask("hi"), soon(), nullptr); }), ErrorCode::kInvalidArgument);
}

TEST(LlmEngine, AdaptersAreThereAfterARestart) {
  const char* data = std::getenv("LAKELOOP_TEST_DATA");
  const std::filesystem::path file =
      data == nullptr ? "" : std::filesystem::path(data) / "tiny_model/lakeloop-tiny-style-lora.gguf";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "needs the style adapter of LAKELOOP_TEST_DATA";
  LlmEngineOptions options = tiny_options();
  options.adapters["style"] = file;
  const auto engine = make_llm_engine(options);
  ChatRequest styled = ask(port_question());
  styled.adapter = "style";
  const std::string answer = "According to source 2: The default port of the server is 8443.";
  EXPECT_EQ(engine->chat(styled, soon(), nullptr).content, answer);
  for (const pid_t pid : workers()) ::kill(pid, SIGKILL);
  EXPECT_TRUE(eventually([&] {
    try {
      return engine->chat(styled, soon(), nullptr).content == answer;
    } catch (const Error&) {
      return false;
    }
  }));
  styled.adapter = "other";
  EXPECT_EQ(code_of([&] { engine->chat(styled, soon(), nullptr); }), ErrorCode::kNotFound);
}

TEST(CheckModel, DescribesAGoodFile) {
  const ModelCheck check = check_model(kWorker, kTiny);
  ASSERT_TRUE(check.ok) << check.message;
  EXPECT_EQ(check.about.str("architecture"), "qwen3");
  EXPECT_EQ(check.about["embedding_dimension"], Json(128));
  EXPECT_EQ(check.about["chat_template_present"], Json(true));
}

TEST(CheckModel, BadFilesAreRefusedWithAReasonAndHarmNobody) {
  const Folder folder;
  const std::string good = read_file(kTiny);
  const auto message = [&](const std::string& bytes) {
    const auto path = folder / ("m" + random_hex(4) + ".gguf");
    write_file_atomic(path, bytes);
    const ModelCheck check = check_model(kWorker, path);
    EXPECT_FALSE(check.ok);
    EXPECT_FALSE(check.message.empty());
    return check.message;
  };
  // Two tokens of one text: libllama asserts.
  std::string duplicate = good;
  const std::string prefix("\x02\0\0\0\0\0\0\0", 8);
  const std::size_t at = duplicate.find(prefix + "in");
  ASSERT_NE(at, std::string::npos);
  ASSERT_NE(duplicate.find(prefix + "on"), std::string::npos);
  duplicate.replace(at + 8, 2, "on");
  EXPECT_THAT(message(duplicate), ::testing::HasSubstr("signal 6"));
  EXPECT_THAT(message(good.substr(0, 100'000)), ::testing::HasSubstr("cannot be loaded"));
  EXPECT_THAT(message("this is no model"), ::testing::HasSubstr("cannot be loaded"));
  EXPECT_THAT(message(""), ::testing::HasSubstr("empty"));
  std::string many = good;
  many.replace(8, 8, std::string("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x0F", 8));  // number of tensors
  message(many);
  std::string pairs = good;
  pairs.replace(16, 8, std::string("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x0F", 8));  // number of metadata pairs
  message(pairs);
  EXPECT_FALSE(check_model(kWorker, folder / "missing.gguf").ok);
  EXPECT_EQ(code_of([&] { check_model(folder / "no-program", kTiny); }), ErrorCode::kNotFound);
}

TEST(CheckModel, AnEngineOnABadFileSaysSo) {
  const Folder folder;
  write_file_atomic(folder / "bad.gguf", "no model");
  LlmEngineOptions options = tiny_options();
  options.model_file = folder / "bad.gguf";
  const auto engine = make_llm_engine(options);
  std::string message;
  EXPECT_EQ(code_of([&] { engine->chat(ask("hi"), soon(), nullptr); }, &message), ErrorCode::kUnavailable);
  EXPECT_THAT(message, ::testing::HasSubstr("cannot be loaded"));
  EXPECT_THAT(engine->info().state, ::testing::StartsWith("failed: "));
  options.model_file = kTiny;
  options.worker = folder / "no-program";
  const auto without = make_llm_engine(options);
  EXPECT_EQ(code_of([&] { without->chat(ask("hi"), soon(), nullptr); }, &message), ErrorCode::kUnavailable);
  EXPECT_THAT(message, ::testing::HasSubstr("no-program"));
}

TEST(LlmEngine, NumbersOutOfRangeAreRefused) {
  LlmEngineOptions options = tiny_options();
  options.parallel = 0;
  std::string param;
  EXPECT_EQ(code_of([&] { make_llm_engine(options); }, nullptr, &param), ErrorCode::kInvalidArgument);
  EXPECT_EQ(param, "parallel");
}

TEST(MemoryAdmission, SaysBothNumbers) {
  LlmEngineOptions options = tiny_options();
  options.context_tokens = 1 << 20;
  options.parallel = 64;
  options.worker = kWorker;
  const auto engine = make_llm_engine(options);
  std::string message;
  EXPECT_EQ(code_of([&] { engine->chat(ask("hi"), soon(), nullptr); }, &message), ErrorCode::kUnavailable);
  EXPECT_THAT(message, ::testing::ContainsRegex("needs about [0-9]+ MiB"));
}

}  // namespace
}  // namespace lakeloop::serving
