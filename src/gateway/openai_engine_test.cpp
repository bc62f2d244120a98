#include "gateway/openai_engine.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/format.h"
#include "codec/encoding.h"

namespace lakeloop::gateway {
namespace {

using namespace std::chrono_literals;

// A TCP server that answers each connection with the next script: bytes as they are, in the given pieces. Remembers the
// requests. An empty script closes without a word.
class ScriptedServer {
 public:
  struct Script {
    std::vector<std::string> pieces;
    std::chrono::milliseconds silence{0};  // after the first piece
  };
  explicit ScriptedServer(std::vector<Script> scripts) : scripts_(scripts.begin(), scripts.end()) {
    listener_ = FileHandle(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this] { serve(); });
  }
  ~ScriptedServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1"; }
  [[nodiscard]] std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  [[nodiscard]] Json body(std::size_t i) const {
    const std::string request = requests().at(i);
    return Json::parse(request.substr(request.find("\r\n\r\n") + 4));
  }
  [[nodiscard]] bool cut_by_client() const { return cut_; }

 private:
  void serve() {
    for (;;) {
      const FileHandle peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!peer) return;
      std::string request;
      char buffer[4096];
      for (;;) {
        const std::size_t head = request.find("\r\n\r\n");
        if (head != std::string::npos) {
          std::size_t length = 0;
          for (const char* name : {"content-length: ", "Content-Length: "}) {
            const std::size_t at = request.find(name);
            if (at != std::string::npos) length = std::stoul(request.substr(at + 16));
          }
          if (request.size() >= head + 4 + length) break;
        }
        const auto n = ::recv(peer.get(), buffer, sizeof(buffer), 0);
        if (n <= 0) break;
        request.append(buffer, static_cast<std::size_t>(n));
      }
      Script script;
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
        if (!scripts_.empty()) {
          script = scripts_.front();
          scripts_.pop_front();
        }
      }
      bool first = true;
      for (const std::string& piece : script.pieces) {
        if (!first && script.silence > 0ms) {
          pollfd wait{peer.get(), POLLIN | POLLRDHUP, 0};
          if (::poll(&wait, 1, static_cast<int>(script.silence.count())) > 0) {
            cut_ = true;
            break;
          }
        }
        first = false;
        if (::send(peer.get(), piece.data(), piece.size(), MSG_NOSIGNAL) < 0) {
          cut_ = true;
          break;
        }
      }
    }
  }

  FileHandle listener_;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::deque<Script> scripts_;
  std::vector<std::string> requests_;
  std::atomic<bool> cut_ = false;
  std::jthread thread_;
};

std::string chunked(const std::string& data) {
  return lakeloop::format("{:x}\r\n", data.size()) + data + "\r\n";
}
const std::string kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
std::string event(const std::string& json) {
  return "data: " + json + "\n\n";
}
std::string text(const std::string& content) {
  return event(Json::object({{"id", "c"},
                             {"model", "up-1"},
                             {"choices", Json::array({Json::object({{"index", 0},
                                                                    {"delta", Json::object({{"content", content}})},
                                                                    {"finish_reason", nullptr}})})}})
                   .dump());
}
const std::string kStop = event(R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})");
const std::string kUsage =
    event(R"({"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14}})");
const std::string kDone = "data: [DONE]\n\n";

ScriptedServer::Script stream_of(const std::vector<std::string>& events, bool ends = true) {
  ScriptedServer::Script script{{kStreamHead}, 0ms};
  for (const std::string& piece : events) script.pieces.push_back(chunked(piece));
  if (ends) script.pieces.emplace_back("0\r\n\r\n");
  return script;
}
ScriptedServer::Script plain(int status, const std::string& body, const std::string& headers = "") {
  return {{"HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\nConnection: close\r\n" + headers + "\r\n" + body},
          0ms};
}

std::shared_ptr<InferenceEngine> engine_for(const ScriptedServer& server, int retries = 2) {
  OpenAiEngineOptions options;
  options.base_url = server.url() + "/";
  options.model = "up";
  options.auth_header = "Authorization";
  options.auth_value = "Bearer sk-very-secret-value-123";
  options.policy = net::OutboundPolicy::kAllowPrivate;
  options.retries = retries;
  return make_openai_engine(std::make_shared<net::Client>(), options);
}
ChatRequest hello() {
  ChatRequest request;
  request.body =
      Json::object({{"model", "ours"},
                    {"messages", Json::array({Json::object({{"role", "user"}, {"content", "hello there"}})})},
                    {"temperature", 0},
                    {"stop", nullptr},
                    {"stream", false}});
  return request;
}
Deadline soon() {
  return Deadline::after(30s);
}

struct Outcome {
  std::string streamed;
  int pieces = 0;
  std::optional<ChatResult> result;
  std::optional<Error> error;
};
Outcome run(InferenceEngine& engine, const Deadline& deadline = soon()) {
  Outcome outcome;
  try {
    outcome.result = engine.chat(hello(), deadline, [&](const ChatChunk& chunk) {
      outcome.streamed += chunk.content;
      ++outcome.pieces;
      return true;
    });
  } catch (const Error& error) {
    outcome.error = error;
  }
  return outcome;
}

TEST(OpenAiEngine, RelaysAStreamAndForcesUsage) {
  ScriptedServer server({stream_of({text("Hel"), text("lo"), kStop, kUsage, kDone})});
  const auto engine = engine_for(server);
  const Outcome outcome = run(*engine);
  ASSERT_TRUE(outcome.result) << outcome.error->message();
  EXPECT_EQ(outcome.streamed, "Hello");
  EXPECT_EQ(outcome.result->content, "Hello");
  EXPECT_EQ(outcome.result->finish_reason, "stop");
  EXPECT_EQ(outcome.result->model, "up-1");
  EXPECT_EQ(outcome.result->usage.prompt_tokens, 11);
  EXPECT_FALSE(outcome.result->usage.estimated);
  EXPECT_GT(outcome.result->time_to_first_token_ms, 0);
  const Json sent = server.body(0);
  EXPECT_EQ(sent.str("model"), "up");
  EXPECT_EQ(sent["stream"], Json(true));
  EXPECT_EQ(sent["stream_options"]["include_usage"], Json(true));
  EXPECT_FALSE(sent.contains("stop"));  // nulls stay here
  EXPECT_THAT(server.requests()[0], ::testing::StartsWith("POST /v1/chat/completions HTTP/1.1"));
  EXPECT_THAT(server.requests()[0], ::testing::HasSubstr("Bearer sk-very-secret-value-123"));
}

TEST(OpenAiEngine, SseInEverySlicingWithCommentsMarksAndSeparators) {
  std::string body =
      "\xEF\xBB\xBF: PROCESSING\r\n\r\nid: 7\r\n" + text("line\u2028sep\u2029par\u0085nel ü🚀") + ": ping\n\n";
  body += "data:{\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"!\"},\"finish_reason\":\"stop\"}]}\r\r";
  for (const std::size_t piece : {1U, 2U, 3U, 7U, 1000U}) {
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < body.size(); at += piece) pieces.push_back(body.substr(at, piece));
    ScriptedServer server({stream_of(pieces)});
    const auto engine = engine_for(server);
    const Outcome outcome = run(*engine);
    ASSERT_TRUE(outcome.result) << outcome.error->message();
    EXPECT_EQ(outcome.streamed, "line\u2028sep\u2029par\u0085nel ü🚀!");
    EXPECT_TRUE(outcome.result->usage.estimated);
    EXPECT_GT(outcome.result->usage.prompt_tokens, 0);
    EXPECT_GT(outcome.result->usage.completion_tokens, 0);
  }
}

TEST(OpenAiEngine, AnEndThatIsNoEnd) {
  std::vector<std::string> forty;
  for (int i = 0; i < 40; ++i) forty.push_back(text("x"));
  {  // (a) the socket closes
    ScriptedServer server({stream_of(forty, false)});
    const auto engine = engine_for(server);
    const Outcome outcome = run(*engine);
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->code(), ErrorCode::kUpstream);
    EXPECT_EQ(outcome.streamed, std::string(40, 'x'));
    EXPECT_EQ(server.requests().size(), 1U);  // something was given: no second try
  }
  {  // (b) well-formed, no finish_reason
    ScriptedServer server({stream_of(forty)});
    const auto engine = engine_for(server);
    const Outcome outcome = run(*engine);
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->code(), ErrorCode::kUpstream);
    EXPECT_THAT(outcome.error->message(), ::testing::HasSubstr("finish_reason"));
    EXPECT_EQ(outcome.streamed, std::string(40, 'x'));
  }
  {  // (c) finish_reason, no [DONE]; and the same with a cut after it
    for (const bool ends : {true, false}) {
      ScriptedServer server({stream_of({text("all"), kStop}, ends)});
      const auto engine = engine_for(server);
      const Outcome outcome = run(*engine);
      ASSERT_TRUE(outcome.result) << outcome.error->message();
      EXPECT_EQ(outcome.result->content, "all");
    }
  }
  {  // nothing given yet: another try, of which the client sees nothing
    ScriptedServer server(
        {stream_of({event(R"({"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]})")}, false),
         {},
         stream_of({text("yes"), kStop, kDone})});
    const auto engine = engine_for(server);
    const Outcome outcome = run(*engine);
    ASSERT_TRUE(outcome.result) << outcome.error->message();
    EXPECT_EQ(outcome.streamed, "yes");
    EXPECT_EQ(server.requests().size(), 3U);
  }
}

TEST(OpenAiEngine, RetriesThenGivesUpWithTheReason) {
  {
    ScriptedServer server({plain(503, "{}"), plain(429, R"({"error":{"message":"slow"}})", "retry-after-ms: 10\r\n"),
                           stream_of({text("ok"), kStop})});
    const auto engine = engine_for(server);
    EXPECT_EQ(run(*engine).streamed, "ok");
  }
  {
    ScriptedServer server(
        {plain(429, R"({"error":{"message":"slow"}})", "Retry-After: 0\r\n"),
         plain(429, R"({"error":{"message":"slow"}})", "Retry-After: 0\r\n"),
         plain(429, R"({"error":{"message":"slow sk-very-secret-value-123"}})", "Retry-After: 7\r\n")});
    const auto engine = engine_for(server);
    const Outcome outcome = run(*engine);
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->code(), ErrorCode::kRateLimited);
    EXPECT_EQ(outcome.error->retry_after(), 7s);
    EXPECT_THAT(outcome.error->message(), ::testing::Not(::testing::HasSubstr("secret")));
    EXPECT_EQ(server.requests().size(), 3U);
  }
  {  // a wait that the deadline does not allow is the client's to wait
    ScriptedServer server({plain(429, "{}", "Retry-After: 50\r\n")});
    const auto engine = engine_for(server);
    const Outcome outcome = run(*engine, Deadline::after(5s));
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->code(), ErrorCode::kRateLimited);
    EXPECT_EQ(outcome.error->retry_after(), 50s);
  }
  for (const int status : {400, 401, 403, 404, 413, 422}) {
    ScriptedServer server({plain(status, R"({"error":{"message":"no"}})")});
    const auto engine = engine_for(server);
    EXPECT_TRUE(run(*engine).error);
    EXPECT_EQ(server.requests().size(), 1U) << status;
  }
}

TEST(OpenAiEngine, AsksAgainWithoutStreamOptions) {
  const auto refusal = plain(400, R"({"error":{"message":"Unrecognized request argument supplied: stream_options"}})");
  ScriptedServer server({refusal, stream_of({text("a"), kStop}), stream_of({text("b"), kStop})});
  const auto engine = engine_for(server);
  EXPECT_EQ(run(*engine).streamed, "a");
  EXPECT_EQ(run(*engine).streamed, "b");
  ASSERT_EQ(server.requests().size(), 3U);
  EXPECT_TRUE(server.body(0).contains("stream_options"));
  EXPECT_FALSE(server.body(1).contains("stream_options"));
  EXPECT_FALSE(server.body(2).contains("stream_options"));  // remembered
}

TEST(OpenAiEngine, AServerThatDoesNotStream) {
  ScriptedServer server({plain(
      200,
      R"({"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"whole","tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}})")});
  const auto engine = engine_for(server);
  const Outcome outcome = run(*engine);
  ASSERT_TRUE(outcome.result) << outcome.error->message();
  EXPECT_EQ(outcome.streamed, "whole");
  EXPECT_EQ(outcome.result->tool_calls.size(), 1U);
  EXPECT_EQ(outcome.result->finish_reason, "tool_calls");
  EXPECT_EQ(outcome.result->usage.completion_tokens, 2);
}

TEST(OpenAiEngine, ErrorsInsideTheStream) {
  {
    ScriptedServer server(
        {stream_of({text("part"), event(R"({"error":{"message":"overloaded, key sk-very-secret-value-123"}})")})});
    const auto engine = engine_for(server);
    const Outcome outcome = run(*engine);
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->code(), ErrorCode::kUpstream);
    EXPECT_THAT(outcome.error->message(), ::testing::HasSubstr("overloaded"));
    EXPECT_THAT(outcome.error->message(), ::testing::Not(::testing::HasSubstr("secret")));
    EXPECT_EQ(outcome.streamed, "part");
  }
  {
    ScriptedServer server(
        {stream_of({"data: {broken\n\n"}), stream_of({"data: {broken\n\n"}), stream_of({"data: {broken\n\n"})});
    const auto engine = engine_for(server);
    const Outcome outcome = run(*engine);
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->code(), ErrorCode::kUpstream);
  }
}

TEST(OpenAiEngine, StopsTheUpstreamWhenTheCallerHasEnough) {
  ScriptedServer::Script slow = stream_of({text("a"), text("b"), text("c")});
  slow.silence = 20s;
  slow.pieces = {slow.pieces[0] + slow.pieces[1], slow.pieces[2]};
  ScriptedServer server({slow, slow, slow});
  const auto engine = engine_for(server);
  int pieces = 0;
  const ChatResult result = engine->chat(hello(), soon(), [&](const ChatChunk&) { return ++pieces < 1; });
  EXPECT_TRUE(result.finish_reason.empty());
  EXPECT_EQ(result.content, "a");
  EXPECT_TRUE(result.usage.estimated);
  std::stop_source left;
  EXPECT_THROW(engine->chat(hello(), Deadline::after(30s, left.get_token()),
                            [&](const ChatChunk&) {
                              left.request_stop();
                              return true;
                            }),
               Error);
  const Outcome late = run(*engine, Deadline::after(200ms));
  ASSERT_TRUE(late.error);
  EXPECT_EQ(late.error->code(), ErrorCode::kDeadlineExceeded);
  EXPECT_TRUE(server.cut_by_client());
}

TEST(OpenAiEngine, EmbeddingsInEveryShape) {
  const float one[] = {1.0F, 0.5F}, two[] = {-1.0F, 0.25F};
  const auto base64 = [](const float (&v)[2]) {
    return codec::base64_encode({reinterpret_cast<const char*>(v), sizeof(v)});
  };
  const std::vector<std::string> answers = {
      R"({"data":[{"index":0,"embedding":[1,0.5]},{"index":1,"embedding":[-1,0.25]}],"model":"e","usage":{"prompt_tokens":4,"total_tokens":4}})",
      R"({"data":[{"index":1,"embedding":[-1,0.25]},{"index":0,"embedding":[1,0.5]}],"model":"e","usage":{"prompt_tokens":4,"total_tokens":4}})",
      R"({"data":[{"index":0,"embedding":")" + base64(one) + R"("},{"index":1,"embedding":")" + base64(two) +
          R"("}],"model":"e","usage":{"prompt_tokens":4,"total_tokens":4}})",
  };
  for (const std::string& answer : answers) {
    ScriptedServer server({plain(200, answer)});
    const auto engine = engine_for(server);
    const EmbeddingResult result = engine->embed({"a", "bbb"}, soon());
    EXPECT_EQ(result.vectors, (std::vector<std::vector<float>>{{1.0F, 0.5F}, {-1.0F, 0.25F}}));
    EXPECT_EQ(result.usage.prompt_tokens, 4);
    EXPECT_EQ(result.model, "e");
    EXPECT_EQ(server.body(0).str("encoding_format"), "float");
    EXPECT_EQ(server.body(0)["input"], Json::array({"a", "bbb"}));
  }
  const std::vector<std::string> broken = {
      R"({"data":[{"index":0,"embedding":[1,0.5]}]})",
      R"({"data":[{"index":0,"embedding":[1,0.5]},{"index":0,"embedding":[1,0.5]}]})",
      R"({"data":[{"index":0,"embedding":[1,0.5]},{"index":7,"embedding":[1,0.5]}]})",
      R"({"data":[{"index":0,"embedding":[1,0.5]},{"index":1,"embedding":[1]}]})",
      R"({"data":[{"index":0,"embedding":[1,0.5]},{"index":1,"embedding":[]}]})",
      R"({"data":[{"index":0,"embedding":[1,0.5]},{"index":1,"embedding":[1,null]}]})",
      R"({"data":[{"index":0,"embedding":[1,0.5]},{"index":1,"embedding":[1,1e300]}]})",
      R"({"data":[{"index":0,"embedding":[1,0.5]},{"index":1,"embedding":"abc"}]})",
      R"(not json)",
  };
  for (const std::string& answer : broken) {
    ScriptedServer server({plain(200, answer), plain(200, answer), plain(200, answer)});
    const auto engine = engine_for(server, 0);
    EXPECT_THROW(engine->embed({"a", "bbb"}, soon()), Error) << answer;
  }
  ScriptedServer server(
      {plain(400, R"({"error":{"message":"encoding_format is not supported"}})"), plain(200, answers[0])});
  const auto engine = engine_for(server);
  EXPECT_EQ(engine->embed({"a", "b"}, soon()).vectors.size(), 2U);
  EXPECT_FALSE(server.body(1).contains("encoding_format"));
  EXPECT_TRUE(engine->embed({}, soon()).vectors.empty());
  EXPECT_EQ(engine->count_tokens({"a"}, soon()), std::nullopt);
}

TEST(OpenAiEngine, RefusesWhatOnlyLocalModelsDo) {
  ScriptedServer server({});
  const auto engine = engine_for(server);
  ChatRequest request = hello();
  request.grammar = "root ::= \"a\"";
  EXPECT_THROW(engine->chat(request, soon(), nullptr), Error);
  request = hello();
  request.adapter = "style";
  EXPECT_THROW(engine->chat(request, soon(), nullptr), Error);
  request = hello();
  request.body.set("n", 2);
  EXPECT_THROW(engine->chat(request, soon(), nullptr), Error);
  EXPECT_TRUE(server.requests().empty());
}

TEST(OpenAiEngine, NobodyThere) {
  std::string url;
  {
    const ScriptedServer server({});
    url = server.url();
  }
  OpenAiEngineOptions options;
  options.base_url = url;
  options.model = "up";
  options.policy = net::OutboundPolicy::kAllowPrivate;
  options.retries = 1;
  const auto engine = make_openai_engine(std::make_shared<net::Client>(), options);
  const Outcome outcome = run(*engine);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code(), ErrorCode::kUpstream);
  options.base_url = "ftp://example.org";
  EXPECT_THROW(make_openai_engine(std::make_shared<net::Client>(), options), Error);
  options.base_url = url;
  options.policy = net::OutboundPolicy::kPublicOnly;
  const auto guarded = make_openai_engine(std::make_shared<net::Client>(), options);
  const Outcome refused = run(*guarded);
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->code(), ErrorCode::kPermissionDenied);
}

// A genuine llama-server with the tiny model.
class LlamaServer : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kProgram)) GTEST_SKIP() << kProgram << " is not installed";
    for (int attempt = 0; attempt < 3 && pid_ <= 0; ++attempt) start();
    ASSERT_GT(pid_, 0) << "llama-server did not become healthy";
  }
  void TearDown() override { stop(); }

  static constexpr const char* kProgram = "/usr/bin/llama-server";
  std::uint16_t port_ = 0;

 private:
  void start() {
    {  // a port that is free now
      const FileHandle probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      ASSERT_EQ(::bind(probe.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
      socklen_t size = sizeof(address);
      ASSERT_EQ(::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
      port_ = ntohs(address.sin_port);
    }
    const std::string port = std::to_string(port_);
    pid_ = ::fork();
    if (pid_ == 0) {
      static_cast<void>(std::freopen("/dev/null", "w", stdout));
      static_cast<void>(std::freopen("/dev/null", "w", stderr));
      ::execl(kProgram, kProgram, "-m", LAKELOOP_TINY_MODEL, "-c", "1024", "-np", "1", "-t", "1", "--port",
              port.c_str(), "--embeddings", "--pooling", "mean", nullptr);
      ::_exit(127);
    }
    net::Client client;
    for (int i = 0; i < 300; ++i) {
      int status = 0;
      if (::waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = 0;
        return;
      }
      try {
        net::ClientRequest health;
        health.url = "http://127.0.0.1:" + port + "/health";
        health.policy = net::OutboundPolicy::kAllowPrivate;
        if (client.fetch(health, Deadline::after(2s)).status == 200) return;
      } catch (const Error&) {  // not listening yet
      }
      std::this_thread::sleep_for(50ms);
    }
    stop();
  }
  void stop() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  pid_t pid_ = 0;
};

TEST_F(LlamaServer, ChatStreamedAndEmbeddings) {
  OpenAiEngineOptions options;
  options.base_url = "http://127.0.0.1:" + std::to_string(port_) + "/v1";
  options.model = "tiny";
  options.policy = net::OutboundPolicy::kAllowPrivate;
  const auto engine = make_openai_engine(std::make_shared<net::Client>(), options);
  const std::string question = "Question: What is the default port of the server?";
  ChatRequest request;
  request.body = Json::object(
      {{"messages",
        Json::array(
            {Json::object({{"role", "system"}, {"content", "Answer the question using only the context."}}),
             Json::object(
                 {{"role", "user"},
                  {"content", question +
                                  "\n\nContext:\n[1] To reset the password, open Settings and click Security.\n"
                                  "[2] The default port of the server is 8443.\n[3] Logs are kept for 30 days.\n\n" +
                                  question}})})},
       {"temperature", 0},
       {"max_tokens", 96}});
  std::string streamed;
  const ChatResult result = engine->chat(request, soon(), [&](const ChatChunk& chunk) {
    streamed += chunk.content;
    return true;
  });
  EXPECT_EQ(result.content, "[2] The default port of the server is 8443.");
  EXPECT_EQ(streamed, result.content);
  EXPECT_EQ(result.finish_reason, "stop");
  EXPECT_FALSE(result.usage.estimated);
  EXPECT_GT(result.usage.prompt_tokens, 50);
  EXPECT_EQ(engine->chat(request, soon(), nullptr).content, result.content);

  request.body.set("messages", Json::array({Json::object({{"role", "user"}, {"content", std::string(20000, 'z')}})}));
  try {
    engine->chat(request, soon(), nullptr);
    ADD_FAILURE() << "an over-long prompt was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.message();
  }
  const EmbeddingResult vectors = engine->embed({"the cat sat", "server invoice 42"}, soon());
  ASSERT_EQ(vectors.vectors.size(), 2U);
  EXPECT_EQ(vectors.vectors[0].size(), 128U);
  EXPECT_NE(vectors.vectors[0], vectors.vectors[1]);
}

}  // namespace
}  // namespace lakeloop::gateway
