// The real program over its real protocol, with the tiny model: its true outputs are known (greedy, Q8_0).

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <thread>

#include "base/file.h"
#include "base/id.h"
#include "base/text.h"
#include "codec/json.h"
#include "codec/unicode.h"
#include "process/child.h"
#include "process/frame.h"

namespace lakeloop::llm {
namespace {

using process::Frame;
using process::FrameKind;

struct Reply {
  std::string text;  // events joined, or the text of the last frame
  std::vector<std::string> pieces;
  std::vector<float> vectors;
  Json done, error;
};

class ModelWorker {
 public:
  explicit ModelWorker(std::vector<std::string> arguments, const std::string& model = LAKELOOP_TINY_MODEL) {
    process::SocketPair pair = process::make_socket_pair();
    process::ChildOptions options;
    options.program = LAKELOOP_LLM_PROGRAM;
    options.arguments = {"serve", "--model", model};
    options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
    options.environment = {{"OPENBLAS_NUM_THREADS", "1"}, {"ASAN_OPTIONS", "detect_leaks=0"}};
    options.hand_over = pair.theirs.release();
    ours_ = std::move(pair.ours);
    socket_ = std::make_unique<process::FrameSocket>(ours_.get());
    child_ = process::Child::spawn(std::move(options));
  }
  process::Child& child() { return *child_; }
  std::uint64_t send(const Json& request) {
    EXPECT_TRUE(socket_->write({FrameKind::kRequest, ++last_id_, request.dump()}));
    return last_id_;
  }
  void cancel(std::uint64_t id) { EXPECT_TRUE(socket_->write({FrameKind::kCancel, id, {}})); }
  void send_raw(std::string_view bytes) { write_all(ours_.get(), bytes, "socket"); }
  std::optional<Frame> read() { return socket_->read(); }

  // Reads until all of `ids` have ended.
  std::map<std::uint64_t, Reply> collect(std::vector<std::uint64_t> ids) {
    std::map<std::uint64_t, Reply> replies;
    while (!ids.empty()) {
      const auto frame = read();
      if (!frame) {
        ADD_FAILURE() << "the worker died";
        return replies;
      }
      Reply& reply = replies[frame->id];
      if (frame->kind == FrameKind::kEvent) {
        const std::string text = Json::parse(frame->payload).str("text");
        reply.text += text;
        reply.pieces.push_back(text);
      } else if (frame->kind == FrameKind::kVectors) {
        const std::size_t before = reply.vectors.size();
        reply.vectors.resize(before + frame->payload.size() / sizeof(float));
        std::memcpy(reply.vectors.data() + before, frame->payload.data(), frame->payload.size());
      } else {
        (frame->kind == FrameKind::kDone ? reply.done : reply.error) = Json::parse(frame->payload);
        if (reply.done.contains("text")) reply.text = reply.done.str("text");
        std::erase(ids, frame->id);
      }
    }
    return replies;
  }
  Reply call(const Json& request) {
    const std::uint64_t id = send(request);
    return collect({id})[id];
  }

 private:
  FileHandle ours_;
  std::unique_ptr<process::FrameSocket> socket_;
  std::unique_ptr<process::Child> child_;
  std::uint64_t last_id_ = 0;
};

constexpr const char* kContract1 = "[1] Contract C-1182 was signed by Maria Lopez on 4 May 2023.";
constexpr const char* kContract2 = "[2] Contract C-2044 was signed by Ivan Petrov on 9 June 2024.";

std::string framed(const std::string& question, const std::string& passages) {
  return "Question: " + question + "\n\nContext:\n" + passages + "\n\nQuestion: " + question;
}
Json messages(const std::string& user) {
  return Json::array({Json::object({{"role", "system"}, {"content", "Answer the question using only the context."}}),
                      Json::object({{"role", "user"}, {"content", user}})});
}
std::string contract_question() {
  return framed("Who signed contract C-2044?", std::string(kContract1) + "\n" + kContract2);
}
std::string port_question() {
  return framed(
      "What is the default port of the server?",
      "[1] To reset the password, open Settings and click Security.\n[2] The default port of the server is 8443.\n"
      "[3] Logs are kept for 30 days.");
}
Json greedy(const std::string& user, int max_tokens = 96) {
  return Json::object({{"op", "chat"}, {"messages", messages(user)}, {"temperature", 0}, {"max_tokens", max_tokens}});
}
std::string grammar() {
  return std::string("root ::= \"") + kContract1 + "\" | \"" + kContract2 +
         "\" | \"I cannot find this in the context.\"\n";
}

TEST(Worker, TellsWhatItServes) {
  ModelWorker worker({"--context", "4096", "--parallel", "2"});
  const Json info = worker.call(Json::object({{"op", "info"}})).done;
  EXPECT_EQ(info.str("architecture"), "qwen3");
  EXPECT_EQ(info["parameters"], Json(1000832));
  EXPECT_EQ(info["context_tokens"], Json(1024));  // more than the model was trained for is not served
  EXPECT_EQ(info.str("chat_template"), "file");
  EXPECT_EQ(info["cache_bytes_per_token"], Json(4 * 2 * 64 * 2));
}

TEST(Worker, KnownAnswersFreeAndWithAGrammar) {
  ModelWorker worker({"--context", "1024"});
  EXPECT_EQ(worker.call(greedy(contract_question())).text,
            "[2] Contract C-2044 was signed by Maria Lopez on 4 May 2023.");
  Json bound = greedy(contract_question());
  bound.set("grammar", grammar());
  const Reply reply = worker.call(bound);
  EXPECT_EQ(reply.text, kContract2);
  EXPECT_EQ(reply.done.str("finish_reason"), "stop");
  EXPECT_EQ(worker.call(greedy(port_question())).text, "[2] The default port of the server is 8443.");
  Json raw = Json::object(
      {{"op", "complete"},
       {"temperature", 0},
       {"max_tokens", 96},
       {"prompt", "<|im_start|>system\nAnswer the question using only the context.<|im_end|>\n<|im_start|>user\n" +
                      port_question() + "<|im_end|>\n<|im_start|>assistant\n"}});
  EXPECT_EQ(worker.call(raw).text, "[2] The default port of the server is 8443.");
}

TEST(Worker, StreamedJoinedIsUnstreamed) {
  ModelWorker worker({"--context", "1024"});
  const Reply streamed = worker.call(greedy(contract_question()));
  Json request = greedy(contract_question());
  request.set("stream", false);
  const Reply whole = worker.call(request);
  EXPECT_GT(streamed.pieces.size(), 10U);
  EXPECT_TRUE(whole.pieces.empty());
  EXPECT_EQ(streamed.text, whole.text);
  EXPECT_EQ(streamed.done["usage"]["completion_tokens"], whole.done["usage"]["completion_tokens"]);
}

// Every part of the answer up to six characters as a stop string: what comes is the answer up to its first place.
TEST(Worker, EverySubstringAsStop) {
  ModelWorker worker({"--context", "1024", "--parallel", "4"});
  const std::string text = worker.call(greedy(contract_question())).text;
  std::map<std::uint64_t, std::pair<std::string, std::string>> expected;
  std::vector<std::uint64_t> ids;
  for (std::size_t from = 0; from < text.size(); ++from) {
    for (std::size_t length = 1; length <= 6 && from + length <= text.size(); ++length) {
      const std::string stop = text.substr(from, length);
      for (const bool stream : {true, false}) {
        Json request = greedy(contract_question());
        request.set("stop", Json::array({stop}));
        request.set("stream", stream);
        const std::uint64_t id = worker.send(request);
        expected[id] = {stop, text.substr(0, text.find(stop))};
        ids.push_back(id);
      }
    }
  }
  auto replies = worker.collect(ids);
  for (const auto& [id, pair] : expected) {
    EXPECT_EQ(replies[id].text, pair.second) << pair.first;
    EXPECT_EQ(replies[id].done.str("finish_reason"), "stop");
  }
}

TEST(Worker, StopsThatOnlyBeginLoseNothing) {
  ModelWorker worker({"--context", "1024"});
  Json request = greedy(port_question());
  request.set("stop", Json::array({"8443.!", "8443. and more", "zzz"}));
  EXPECT_EQ(worker.call(request).text, "[2] The default port of the server is 8443.");
  request.set("stop", Json::array({"server is", "server"}));
  EXPECT_EQ(worker.call(request).text, "[2] The default port of the ");
}

TEST(Worker, ManyAtOnceAnswerAsOneByOne) {
  ModelWorker worker({"--context", "1024", "--parallel", "8"});
  std::vector<Json> requests;
  for (int i = 0; i < 8; ++i) {
    const std::string name = "C-" + std::to_string(3000 + i * 137);
    requests.push_back(greedy(framed("Who signed contract " + name + "?",
                                     "[1] Contract " + name + " was signed by Ivan Petrov on " + std::to_string(i + 1) +
                                         " June 2024.\n"
                                         "[2] The default port of the server is 8443.")));
    requests.push_back(greedy(i % 2 == 0 ? port_question() : contract_question()));
  }
  std::vector<std::string> sequential;
  for (const Json& request : requests) sequential.push_back(worker.call(request).text);
  std::vector<std::uint64_t> ids;
  for (const Json& request : requests) ids.push_back(worker.send(request));
  auto replies = worker.collect(ids);
  for (std::size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(replies[ids[i]].text, sequential[i]) << i;
}

TEST(Worker, ReusesTheBeginningOfThePrompt) {
  ModelWorker worker({"--context", "1024", "--parallel", "1"});
  const Json first = worker.call(greedy(contract_question())).done["usage"];
  EXPECT_EQ(first["cached_tokens"], Json(0));
  const Reply again = worker.call(greedy(contract_question()));
  EXPECT_EQ(again.done["usage"]["cached_tokens"].as_int(), first["prompt_tokens"].as_int() - 1);
  EXPECT_EQ(again.text, "[2] Contract C-2044 was signed by Maria Lopez on 4 May 2023.");
  const Reply other = worker.call(greedy(port_question()));
  EXPECT_GT(other.done["usage"]["cached_tokens"].as_int(), 5);  // the system line
  EXPECT_EQ(other.text, "[2] The default port of the server is 8443.");
}

TEST(Worker, SeedDecidesAndPenaltiesAndTopKAreTaken) {
  ModelWorker worker({"--context", "1024", "--parallel", "2"});
  const auto with = [&](int seed) {
    Json request = greedy("Tell me something.", 24);
    request.set("temperature", 2.0);
    request.set("top_k", 0);
    request.set("top_p", 1);
    request.set("min_p", 0);
    request.set("seed", seed);
    request.set("frequency_penalty", 0.5);
    request.set("presence_penalty", 0.5);
    return worker.call(request);
  };
  const Reply one = with(1);
  EXPECT_EQ(one.done["seed"], Json(1));
  EXPECT_EQ(one.text, with(1).text);
  EXPECT_NE(one.text, with(2).text);
  for (const std::string& piece : one.pieces) EXPECT_TRUE(codec::is_valid_utf8(piece)) << piece;
}

TEST(Worker, AdapterByRequestAndNeverMixed) {
  const char* data = std::getenv("LAKELOOP_TEST_DATA");
  const std::filesystem::path file =
      data == nullptr ? "" : std::filesystem::path(data) / "tiny_model/lakeloop-tiny-style-lora.gguf";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "needs the style adapter of LAKELOOP_TEST_DATA";
  ModelWorker worker({"--context", "1024", "--parallel", "4"});
  Json styled = greedy(port_question());
  styled.set("adapter", "style");
  EXPECT_EQ(worker.call(styled).error.str("error_code"), "RESOURCE_DOES_NOT_EXIST");
  const Json load = Json::object({{"op", "load_adapter"}, {"name", "style"}, {"path", file.string()}});
  EXPECT_TRUE(worker.call(load).error.is_null());
  const std::string with = "According to source 2: The default port of the server is 8443.";
  const std::string without = "[2] The default port of the server is 8443.";
  for (int round = 0; round < 3; ++round) {
    std::vector<std::uint64_t> ids;
    for (int i = 0; i < 6; ++i) ids.push_back(worker.send(i % 2 == 0 ? styled : greedy(port_question())));
    auto replies = worker.collect(ids);
    for (int i = 0; i < 6; ++i) EXPECT_EQ(replies[ids[static_cast<std::size_t>(i)]].text, i % 2 == 0 ? with : without);
  }
  // A slot that wrote under the adapter gives nothing to a prompt without it.
  EXPECT_EQ(worker.call(greedy(port_question())).text, without);
  EXPECT_TRUE(worker.call(load).error.is_null());  // again: a new number, nothing of the old one is reused
  EXPECT_EQ(worker.call(styled).done["usage"]["cached_tokens"], Json(0));
  EXPECT_TRUE(worker.call(Json::object({{"op", "unload_adapter"}, {"name", "style"}})).error.is_null());
  EXPECT_EQ(worker.call(styled).error.str("error_code"), "RESOURCE_DOES_NOT_EXIST");
  EXPECT_EQ(worker.call(greedy(port_question())).text, without);
  const Reply bad = worker.call(Json::object({{"op", "load_adapter"}, {"name", "x"}, {"path", LAKELOOP_TINY_MODEL}}));
  EXPECT_EQ(bad.error.str("error_code"), "INVALID_PARAMETER_VALUE");
}

TEST(Worker, RefusesByName) {
  ModelWorker worker({"--context", "256", "--parallel", "1"});
  const auto param = [&](Json request) {
    const Reply reply = worker.call(request);
    EXPECT_EQ(reply.error.str("error_code"), "INVALID_PARAMETER_VALUE") << request.dump();
    return reply.error.str("param");
  };
  const auto with = [](const std::string& key, Json value) {
    Json request = greedy("hi");
    request.set(key, std::move(value));
    return request;
  };
  EXPECT_EQ(param(with("temperature", -1)), "temperature");
  EXPECT_EQ(param(with("temperature", "hot")), "temperature");
  EXPECT_EQ(param(with("top_p", 1.5)), "top_p");
  EXPECT_EQ(param(with("max_tokens", 0)), "max_tokens");
  EXPECT_EQ(param(with("logprobs", true)), "logprobs");
  EXPECT_EQ(param(with("n", 2)), "n");
  EXPECT_EQ(param(with("stop", Json::array({""}))), "stop");
  EXPECT_EQ(param(with("stop", 7)), "stop");
  EXPECT_EQ(param(with("seed", 1.5)), "seed");
  EXPECT_EQ(param(with("mirostat", 2)), "mirostat");
  EXPECT_EQ(param(with("grammar", "root ::= (")), "grammar");
  EXPECT_EQ(param(with("grammar", "root ::= root \"a\"")), "grammar");
  EXPECT_EQ(param(with("grammar", "noroot ::= \"a\"")), "grammar");
  EXPECT_EQ(param(with("messages", Json::array())), "messages");
  EXPECT_EQ(param(Json::object({{"op", "dance"}})), "op");
  EXPECT_EQ(worker.call(Json::object({{"op", "embed"}, {"inputs", Json::array({"a"})}})).error.str("error_code"),
            "INVALID_PARAMETER_VALUE");
  std::string words;
  for (int i = 0; i < 400; ++i) words += "word ";
  const Reply longer = worker.call(greedy(words));
  EXPECT_EQ(longer.error.str("error_code"), "INVALID_PARAMETER_VALUE");
  EXPECT_THAT(longer.error.str("message"), testing::ContainsRegex("[0-9]+ tokens.* 256 tokens"));
  EXPECT_THAT(worker.call(greedy(std::string(3'000'000, 'x'))).error.str("message"), testing::HasSubstr("at least"));
  // And it still works.
  EXPECT_TRUE(worker.call(greedy("hi", 3)).error.is_null());
}

TEST(Worker, EndsAtTheContext) {
  ModelWorker worker({"--context", "64", "--parallel", "1"});
  Json request = greedy("Tell me something long.");
  request.set("grammar", "root ::= [a-z ]{1000}");
  request.erase("max_tokens");
  const Reply reply = worker.call(request);
  EXPECT_EQ(reply.done.str("finish_reason"), "length");
  EXPECT_EQ(reply.done["usage"]["prompt_tokens"].as_int() + reply.done["usage"]["completion_tokens"].as_int(), 64);
}

TEST(Worker, MessagesCannotForgeControlTokens) {
  ModelWorker worker({"--context", "1024"});
  const auto tokens = [&](const std::string& text) {
    return worker.call(greedy(text, 1)).done["usage"]["prompt_tokens"].as_int();
  };
  const std::int64_t empty = tokens("");
  const std::int64_t spelled =
      worker.call(Json::object({{"op", "count_tokens"}, {"texts", Json::array({"<|im_end|>"})}}))
          .done["counts"]
          .at(0)
          .as_int();
  EXPECT_GT(spelled, 1);
  EXPECT_EQ(tokens("<|im_end|>") - empty, spelled);
  EXPECT_EQ(tokens("<|im_end|><|im_end|>") - empty, 2 * spelled);
  // Raw prompts are what they are.
  const auto raw = [&](const std::string& prompt) {
    return worker.call(Json::object({{"op", "complete"}, {"prompt", prompt}, {"max_tokens", 1}}))
        .done["usage"]["prompt_tokens"]
        .as_int();
  };
  EXPECT_EQ(raw("<|im_end|>"), 1);
}

TEST(Worker, CancelEndsOneAndOnlyOne) {
  ModelWorker worker({"--context", "1024", "--parallel", "2"});
  Json endless = greedy("Tell me something.", 900);
  endless.set("grammar", "root ::= [a-z ]{1500}");
  const std::uint64_t running = worker.send(endless), other = worker.send(greedy(port_question()));
  const std::uint64_t second = worker.send(endless), waiting = worker.send(endless);
  worker.cancel(waiting);
  worker.cancel(running);
  worker.cancel(second);
  worker.cancel(123456);  // unknown: ignored
  auto replies = worker.collect({running, other, second, waiting});
  EXPECT_EQ(replies[running].error.str("error_code"), "CANCELLED");
  EXPECT_EQ(replies[second].error.str("error_code"), "CANCELLED");
  EXPECT_EQ(replies[waiting].error.str("error_code"), "CANCELLED");
  EXPECT_EQ(replies[other].text, "[2] The default port of the server is 8443.");
}

TEST(Worker, BrokenFramesEndItQuietly) {
  ModelWorker worker({"--context", "256"});
  EXPECT_TRUE(worker.call(Json::object({{"op", "info"}})).error.is_null());
  EXPECT_EQ(worker.call(Json("no object")).error.str("error_code"), "INVALID_PARAMETER_VALUE");
  worker.send_raw(std::string(13, '\xFF'));
  while (worker.read()) {
  }
  EXPECT_TRUE(worker.child().wait_for(std::chrono::seconds(10)));
}

double cosine(const float* a, const float* b, std::size_t n) {
  double dot = 0;
  for (std::size_t i = 0; i < n; ++i) dot += static_cast<double>(a[i]) * b[i];
  return dot;
}

TEST(Worker, EmbeddingsAreUnitVectorsInOrder) {
  ModelWorker worker({"--embeddings", "--embedding-tokens", "32"});
  std::vector<std::string> texts = {"the cat sat on the mat", "", "server invoice 42", "the cat sat on the mat"};
  for (int i = 0; i < 150; ++i) texts.push_back("sentence number " + std::to_string(i) + " of many");
  std::string longer;
  for (int i = 0; i < 100; ++i) longer += "many words ";
  texts.push_back(longer);
  const Json request = Json::object({{"op", "embed"}, {"inputs", Json::strings(texts)}});
  const Reply reply = worker.call(request);
  ASSERT_TRUE(reply.error.is_null()) << reply.error.dump();
  const auto dimension = static_cast<std::size_t>(reply.done["dimension"].as_int());
  ASSERT_EQ(reply.vectors.size(), dimension * texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const float* vector = reply.vectors.data() + i * dimension;
    EXPECT_NEAR(cosine(vector, vector, dimension), 1.0, 1e-4) << i;
    EXPECT_EQ(reply.done["truncated"].at(i), Json(i + 1 == texts.size())) << i;
  }
  EXPECT_GT(cosine(reply.vectors.data(), reply.vectors.data() + 3 * dimension, dimension), 0.9999);
  // Alone, and beside others: the same vector.
  const Reply alone = worker.call(Json::object({{"op", "embed"}, {"inputs", Json::array({texts[10]})}}));
  EXPECT_GT(cosine(alone.vectors.data(), reply.vectors.data() + 10 * dimension, dimension), 0.999);
  EXPECT_TRUE(worker.call(Json::object({{"op", "embed"}, {"inputs", Json::array()}})).error.is_null());
  EXPECT_EQ(worker.call(greedy("hi")).error.str("error_code"), "INVALID_PARAMETER_VALUE");
}

TEST(Worker, AShortEmbeddingDoesNotWaitBehindALongList) {
  ModelWorker worker({"--embeddings"});
  std::vector<std::string> many(600, "a sentence of some length that is repeated over and over again in this list");
  const std::uint64_t list = worker.send(Json::object({{"op", "embed"}, {"inputs", Json::strings(many)}}));
  const std::uint64_t one = worker.send(Json::object({{"op", "embed"}, {"inputs", Json::array({"short"})}}));
  bool list_done = false;
  for (bool one_done = false; !one_done;) {
    const auto frame = worker.read();
    ASSERT_TRUE(frame);
    if (frame->kind != FrameKind::kDone) continue;
    if (frame->id == list) list_done = true;
    if (frame->id == one) one_done = true;
  }
  EXPECT_FALSE(list_done);
}

}  // namespace
}  // namespace lakeloop::llm
