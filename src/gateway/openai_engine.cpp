#include "gateway/openai_engine.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <random>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/encoding.h"
#include "codec/sse.h"
#include "gateway/chat_stream.h"
#include "gateway/upstream_error.h"

namespace lakeloop::gateway {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kInputsPerCall = 256;
constexpr std::size_t kErrorBodyBytes = 64 * 1024;
constexpr std::size_t kResponseBytes = 64 * 1024 * 1024;
constexpr auto kSilence = 10min;  // a model may read a long prompt before its first word; the deadline is the rule

static_assert(std::endian::native == std::endian::little, "vectors are float32 in little-endian order");

// Waits unless the client leaves first.
void pause(std::chrono::milliseconds wait, const Deadline& deadline) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait_for(lock, deadline.cancelled(), wait, [] { return false; });
  deadline.check();
}

std::chrono::milliseconds backoff(int attempt) {
  static thread_local std::mt19937 random{std::random_device{}()};
  const double base = std::min(500.0 * std::pow(2.0, attempt), 8000.0);
  return std::chrono::milliseconds(
      static_cast<std::int64_t>(base * std::uniform_real_distribution<>(0.75, 1.0)(random)));
}

// What happened to one try.
struct Attempt {
  std::optional<Refusal> refusal;  // the upstream answered, with an error
  std::optional<Error> broken;     // no answer, or it broke off before its first piece
};

class OpenAiEngine final : public InferenceEngine {
 public:
  OpenAiEngine(std::shared_ptr<net::Client> client, OpenAiEngineOptions options)
      : client_(std::move(client)), options_(std::move(options)) {
    while (options_.base_url.ends_with('/')) options_.base_url.pop_back();
    static_cast<void>(net::parse_url(options_.base_url));
    if (options_.model.empty())
      throw Error(ErrorCode::kInvalidArgument, "the external model has no name at its provider");
    if (!options_.auth_value.empty()) {
      secrets_.push_back(options_.auth_value);
      const std::size_t blank = options_.auth_value.rfind(' ');
      if (blank != std::string::npos) secrets_.push_back(options_.auth_value.substr(blank + 1));
    }
  }

  EngineInfo info() override {
    EngineInfo info;
    info.model = options_.model;
    info.chat = info.embeddings = true;  // which of them the upstream serves is known to it only
    info.state = "ready";
    return info;
  }

  ChatResult chat(const ChatRequest& request, const Deadline& deadline,
                  const std::function<bool(const ChatChunk&)>& on_chunk) override {
    const auto start = Steady::now();
    Json body = chat_body(request);
    double first_ms = 0;
    const std::function<bool(const ChatChunk&)> timed = [&](const ChatChunk& chunk) {
      if (first_ms == 0) first_ms = std::chrono::duration<double, std::milli>(Steady::now() - start).count();
      return !on_chunk || on_chunk(chunk);
    };
    bool include_usage = !usage_option_refused_;
    for (int attempt = 0;;) {
      deadline.check();
      if (include_usage) {
        body.set("stream_options", Json::object({{"include_usage", true}}));
      } else {
        body.erase("stream_options");
      }
      ChatStream stream(timed);
      const Attempt tried = try_chat(body, deadline, stream);
      if (!tried.refusal && !tried.broken) {
        ChatResult result = stream.result();
        if (!stream.has_usage()) result.usage = estimate_usage(request.body, result);
        if (result.model.empty()) result.model = options_.model;
        result.time_to_first_token_ms = first_ms;
        return result;
      }
      if (include_usage && tried.refusal && names(*tried.refusal, "stream_options")) {
        include_usage = false;  // an older server: ask again without it, and remember
        usage_option_refused_ = true;
        continue;
      }
      wait_or_throw(tried, attempt++, deadline);
    }
  }

  EmbeddingResult embed(const std::vector<std::string>& inputs, const Deadline& deadline) override {
    EmbeddingResult result;
    result.model = options_.model;
    result.truncated.assign(inputs.size(), false);
    bool has_usage = true;
    for (std::size_t from = 0; from < inputs.size(); from += kInputsPerCall) {
      const std::size_t count = std::min(kInputsPerCall, inputs.size() - from);
      Json list = Json::array();
      for (std::size_t i = 0; i < count; ++i) list.push_back(inputs[from + i]);
      const Json answer = post_embeddings(std::move(list), deadline);
      take_vectors(answer, count, result.vectors);
      has_usage = has_usage && answer["usage"].is_object();
      const Usage usage = usage_of(answer["usage"]);
      result.usage.prompt_tokens += usage.prompt_tokens;
      if (!answer.str("model").empty()) result.model = answer.str("model");
    }
    if (!has_usage) {
      result.usage = Usage();
      result.usage.estimated = true;
      for (const std::string& input : inputs)
        result.usage.prompt_tokens += static_cast<std::int64_t>((input.size() + 3) / 4);
    }
    return result;
  }

  std::optional<std::vector<std::int64_t>> count_tokens(const std::vector<std::string>&, const Deadline&) override {
    return std::nullopt;
  }

 private:
  Json chat_body(const ChatRequest& request) const {
    if (request.grammar)
      throw Error(ErrorCode::kInvalidArgument, "a grammar is for local models: this one is behind a URL")
          .with_param("grammar");
    if (!request.adapter.empty()) {
      throw Error(ErrorCode::kInvalidArgument, "adapter {} is for local models: this one is behind a URL",
                  request.adapter)
          .with_param("adapter");
    }
    if (!request.body.is_object()) throw Error(ErrorCode::kInvalidArgument, "the request is not a JSON object");
    if (request.body["n"].int_or(1) != 1) throw Error(ErrorCode::kInvalidArgument, "n must be 1").with_param("n");
    Json body = Json::object();
    // Several servers refuse a null where others mean "not given" by it.
    for (const auto& [key, value] : request.body.members()) {
      if (!value.is_null() && key != "stream_options") body.set(key, value);
    }
    body.set("model", options_.model);
    body.set("stream", true);
    return body;
  }

  net::ClientRequest request_to(std::string_view path, const Json& body) const {
    net::ClientRequest request;
    request.method = net::Method::kPost;
    request.url = options_.base_url + std::string(path);
    request.headers.set("content-type", "application/json");
    request.headers.set("accept", path == "/embeddings" ? "application/json" : "text/event-stream, application/json");
    if (!options_.auth_header.empty()) request.headers.set(options_.auth_header, options_.auth_value);
    request.body = body.dump();
    request.response_limit = kResponseBytes;
    request.stall_timeout = kSilence;
    request.policy = options_.policy;
    return request;
  }

  Attempt try_chat(const Json& body, const Deadline& deadline, ChatStream& stream) {
    net::Response head;
    std::string whole;  // of an answer that is no event stream
    bool events = false, more = true;
    codec::SseParser parser([&](const codec::SseEvent& event) {
      if (!more) return;
      if (event.event == "error") throw in_stream(Json::try_parse(event.data).value_or(Json(event.data)));
      more = stream.event(event.data);
    });
    Attempt attempt;
    try {
      client_->stream(
          request_to("/chat/completions", body), deadline,
          [&](const net::Response& response) {
            head = response;
            events = response.status == 200 && !response.headers.get("content-type").starts_with("application/json");
            return true;
          },
          [&](std::string_view bytes) {
            if (events) {
              parser.feed(bytes);
              return more;
            }
            if (whole.size() + bytes.size() > (head.status == 200 ? kResponseBytes : kErrorBodyBytes)) {
              if (head.status != 200) return false;  // enough to know why
              throw Error(ErrorCode::kUpstream, "the provider's answer is larger than {} bytes", kResponseBytes);
            }
            whole += bytes;
            return true;
          });
      if (events) parser.feed("\n\n");  // a last event that nothing ends
    } catch (const Error& error) {
      if (stream.finished() && error.code() == ErrorCode::kUpstream)
        return attempt;  // broken off after the end of the answer
      if (error.code() == ErrorCode::kDeadlineExceeded || error.code() == ErrorCode::kCancelled) throw;
      if (!error_is_upstreams(error)) throw clean(error, error.code());
      const Error cleaned = clean(error, stream.started() ? ErrorCode::kUpstream : error.code());
      if (stream.started()) throw cleaned;
      if (head.status >= 400) {
        head.body = whole;
        attempt.refusal = refusal_of(head, secrets_);
      } else {
        attempt.broken = cleaned;
      }
      return attempt;
    }
    if (head.status != 200) {
      head.body = whole;
      attempt.refusal = refusal_of(head, secrets_);
      return attempt;
    }
    if (!events && !stream.stopped()) take_completion(whole, stream, attempt);
    if (attempt.broken || stream.stopped() || stream.finished()) return attempt;
    // Well-formed, and still not an end: a proxy between us that gave up looks like this.
    const Error cut(ErrorCode::kUpstream, "the provider's answer ended without a finish_reason: it is incomplete");
    if (stream.started()) throw cut;
    attempt.broken = cut;
    return attempt;
  }

  void take_completion(const std::string& whole, ChatStream& stream, Attempt& attempt) const {
    try {
      const auto body = Json::try_parse(whole);
      if (!body) throw Error(ErrorCode::kUpstream, "the provider's answer is not JSON");
      stream.completion(*body);
    } catch (const Error& error) {
      if (stream.started()) throw;
      attempt.broken = clean(error, error.code());
    }
  }

  // Errors of the caller's own on_chunk pass as they are.
  static bool error_is_upstreams(const Error& error) {
    switch (error.code()) {
      case ErrorCode::kUpstream:
      case ErrorCode::kUnavailable:
      case ErrorCode::kRateLimited:
      case ErrorCode::kTooLarge:
      case ErrorCode::kMalformedRequest:
        return true;
      default:
        return false;
    }
  }
  Error clean(const Error& error, ErrorCode code) const {
    if (code == ErrorCode::kTooLarge || code == ErrorCode::kMalformedRequest) code = ErrorCode::kUpstream;
    return {code, "{}", without_secrets(error.message(), secrets_)};
  }
  Error in_stream(const Json& data) const { return error_in_stream(data.contains("error") ? data["error"] : data); }

  static bool names(const Refusal& refusal, std::string_view field) {
    return refusal.error.code() == ErrorCode::kInvalidArgument && refusal.message.find(field) != std::string::npos;
  }

  void wait_or_throw(const Attempt& tried, int attempt, const Deadline& deadline) const {
    const bool may_retry = tried.refusal ? tried.refusal->retry : tried.broken->code() != ErrorCode::kInvalidArgument;
    const std::chrono::milliseconds wait =
        tried.refusal && tried.refusal->wait ? *tried.refusal->wait : backoff(attempt);
    if (!may_retry || attempt >= options_.retries || wait > limits::kLongestRetryAfter || wait >= deadline.left()) {
      if (tried.refusal) throw tried.refusal->error;
      throw *tried.broken;
    }
    pause(wait, deadline);
  }

  Json post_embeddings(Json inputs, const Deadline& deadline) {
    Json body = Json::object({{"model", options_.model}, {"input", std::move(inputs)}});
    bool name_encoding = !encoding_option_refused_;
    for (int attempt = 0;;) {
      deadline.check();
      if (name_encoding) {
        body.set("encoding_format", "float");
      } else {
        body.erase("encoding_format");
      }
      Attempt tried;
      try {
        net::Response response = client_->fetch(request_to("/embeddings", body), deadline);
        if (response.status == 200) {
          if (auto answer = Json::try_parse(response.body); answer && answer->is_object()) return std::move(*answer);
          tried.broken = Error(ErrorCode::kUpstream, "the provider's answer is not JSON");
        } else {
          tried.refusal = refusal_of(response, secrets_);
        }
      } catch (const Error& error) {
        if (!error_is_upstreams(error)) throw;
        tried.broken = clean(error, error.code());
      }
      if (name_encoding && tried.refusal && names(*tried.refusal, "encoding_format")) {
        name_encoding = false;
        encoding_option_refused_ = true;
        continue;
      }
      wait_or_throw(tried, attempt++, deadline);
    }
  }

  static std::vector<float> vector_of(const Json& embedding) {
    std::vector<float> vector;
    if (embedding.is_array()) {
      vector.reserve(embedding.size());
      for (const Json& number : embedding.items()) {
        if (!number.is_number())
          throw Error(ErrorCode::kUpstream, "the provider sent an embedding that holds more than numbers");
        vector.push_back(static_cast<float>(number.as_double()));
      }
    } else if (embedding.is_string()) {  // float32, whatever was asked for
      const auto bytes = codec::base64_decode(embedding.as_string());
      if (!bytes || bytes->size() % sizeof(float) != 0)
        throw Error(ErrorCode::kUpstream, "the provider sent an embedding that is no base64 of float32");
      vector.resize(bytes->size() / sizeof(float));
      std::memcpy(vector.data(), bytes->data(), bytes->size());
    }
    if (vector.empty()) throw Error(ErrorCode::kUpstream, "the provider sent an empty embedding");
    if (!std::ranges::all_of(vector, [](float x) { return std::isfinite(x); })) {
      throw Error(ErrorCode::kUpstream, "the provider sent an embedding with numbers that are not finite");
    }
    return vector;
  }

  // Appends one vector an input, in the order of the inputs: `data` may come in any order.
  static void take_vectors(const Json& answer, std::size_t count, std::vector<std::vector<float>>& vectors) {
    const Json& data = answer["data"];
    if (data.size() != count) {
      throw Error(ErrorCode::kUpstream, "the provider sent {} embeddings for {} inputs", data.size(), count);
    }
    std::vector<std::vector<float>> sorted(count);
    for (std::size_t i = 0; i < count; ++i) {
      const std::int64_t index = data.at(i)["index"].int_or(static_cast<std::int64_t>(i));
      if (index < 0 || index >= static_cast<std::int64_t>(count) || !sorted[static_cast<std::size_t>(index)].empty()) {
        throw Error(ErrorCode::kUpstream, "the provider sent embeddings with the index {} twice or out of range",
                    index);
      }
      sorted[static_cast<std::size_t>(index)] = vector_of(data.at(i)["embedding"]);
    }
    for (auto& vector : sorted) {
      if (!vectors.empty() && vectors.front().size() != vector.size()) {
        throw Error(ErrorCode::kUpstream, "the provider sent embeddings of {} and of {} dimensions",
                    vectors.front().size(), vector.size());
      }
      vectors.push_back(std::move(vector));
    }
  }

  std::shared_ptr<net::Client> client_;
  OpenAiEngineOptions options_;
  std::vector<std::string> secrets_;
  std::atomic<bool> usage_option_refused_ = false;
  std::atomic<bool> encoding_option_refused_ = false;
};

}  // namespace

std::shared_ptr<InferenceEngine> make_openai_engine(std::shared_ptr<net::Client> client, OpenAiEngineOptions options) {
  return std::make_shared<OpenAiEngine>(std::move(client), std::move(options));
}

}  // namespace lakeloop::gateway
