#include "llm/worker.h"

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/limits.h"
#include "llm/adapters.h"
#include "llm/chat_prompt.h"
#include "llm/embedder.h"
#include "llm/generator.h"
#include "llm/model.h"
#include "llm/request.h"
#include "process/frame.h"

namespace lakeloop::llm {

namespace {

using process::Frame;
using process::FrameKind;

constexpr std::size_t kLongText = 1024 * 1024;

class SocketOutbox final : public Outbox {
 public:
  explicit SocketOutbox(int fd) : socket_(fd) {}
  process::FrameSocket& socket() { return socket_; }
  [[nodiscard]] bool broken() const { return broken_; }

  void event(std::uint64_t id, const Json& event) override { send({FrameKind::kEvent, id, event.dump()}); }
  void vectors(std::uint64_t id, std::span<const float> numbers) override {
    std::string bytes(numbers.size_bytes(), '\0');
    std::memcpy(bytes.data(), numbers.data(), bytes.size());
    send({FrameKind::kVectors, id, std::move(bytes)});
  }
  void done(std::uint64_t id, const Json& result) override { send({FrameKind::kDone, id, result.dump()}); }
  void error(std::uint64_t id, const Error& error) override {
    Json payload = Json::object({{"error_code", info(error.code()).wire}, {"message", error.message()}});
    if (!error.param().empty()) payload.set("param", error.param());
    send({FrameKind::kError, id, payload.dump()});
  }

 private:
  void send(const Frame& frame) {
    if (!socket_.write(frame)) broken_ = true;
  }
  process::FrameSocket socket_;
  std::atomic<bool> broken_ = false;
};

// Commands for the scheduler's thread, in order.
class Inbox {
 public:
  using Command = std::function<void()>;
  void push(Command command) {
    {
      const std::lock_guard lock(mutex_);
      commands_.push_back(std::move(command));
    }
    arrived_.notify_one();
  }
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    arrived_.notify_one();
  }
  // What has come; waits for it when `idle`. nullopt once closed.
  std::optional<std::deque<Command>> take(bool idle) {
    std::unique_lock lock(mutex_);
    if (idle) arrived_.wait(lock, [&] { return closed_ || !commands_.empty(); });
    if (closed_) return std::nullopt;
    return std::exchange(commands_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Command> commands_;
  bool closed_ = false;
};

class Worker {
 public:
  Worker(const Options& options, int fd)
      : options_(options), outbox_(fd), model_(options.model), prompt_(model_), adapters_(model_) {
    context_ = std::min<std::int64_t>(options.context, model_.trained_context());
    if (options.embeddings) {
      embedder_ =
          std::make_unique<Embedder>(model_, EmbedderOptions{options.embedding_tokens, options.threads}, outbox_);
    } else {
      if (!model_.generates_text()) {
        throw Error(ErrorCode::kInvalidArgument, "the model writes no text: serve it with --embeddings");
      }
      generator_ = std::make_unique<Generator>(
          model_, GeneratorOptions{static_cast<std::int32_t>(context_), options.parallel, options.threads}, outbox_);
    }
  }

  void run() {
    std::jthread reader([this] { read(); });
    bool idle = true;
    for (;;) {
      auto commands = inbox_.take(idle);
      if (!commands || outbox_.broken()) break;
      for (auto& command : *commands) command();
      idle = !(generator_ ? generator_->step() : embedder_->step());
      load_ = generator_ ? generator_->waiting() + generator_->running() : embedder_->waiting();
    }
    // The reader ends with the socket; when only writing failed, the process ends anyway.
    if (outbox_.broken()) std::_Exit(0);
  }

 private:
  void read() {
    try {
      while (auto frame = outbox_.socket().read()) handle(std::move(*frame));
    } catch (const Error& error) {
      outbox_.error(0, error);
    }
    inbox_.close();
  }

  void handle(Frame frame) {
    const std::uint64_t id = frame.id;
    if (frame.kind == FrameKind::kCancel) {
      inbox_.push([this, id] {
        if (generator_) static_cast<void>(generator_->cancel(id));
        if (embedder_) static_cast<void>(embedder_->cancel(id));
      });
      return;
    }
    try {
      if (frame.kind != FrameKind::kRequest)
        throw Error(ErrorCode::kMalformedRequest, "the worker takes requests and cancels");
      const Json request = Json::parse(frame.payload);
      const std::string op = request.str("op");
      if (op == "info") {
        answer_info(id);
      } else if (op == "count_tokens") {
        count_tokens(id, request);
      } else if (op == "chat" || op == "complete") {
        generate(id, request);
      } else if (op == "embed") {
        embed(id, request);
      } else if (op == "load_adapter") {
        on_scheduler(id, [this, name = request.str("name"), path = request.str("path")] {
          forget_adapter();
          adapters_.load(name, path);
        });
      } else if (op == "unload_adapter") {
        on_scheduler(id, [this, name = request.str("name")] {
          forget_adapter();
          adapters_.unload(name);
        });
      } else {
        throw Error(ErrorCode::kInvalidArgument, "op \"{}\" is unknown", op).with_param("op");
      }
    } catch (const Error& error) {
      outbox_.error(id, error);
    } catch (const std::exception& error) {
      outbox_.error(id, Error(ErrorCode::kInternal, "the worker failed: {}", std::string_view(error.what())));
    }
  }

  // Runs on the scheduler's thread; an empty kDone when it worked.
  void on_scheduler(std::uint64_t id, std::function<void()> work) {
    inbox_.push([this, id, work = std::move(work)] {
      try {
        work();
        outbox_.done(id, Json::object());
      } catch (const Error& error) {
        outbox_.error(id, error);
      }
    });
  }

  void forget_adapter() {
    if (!generator_) throw Error(ErrorCode::kInvalidArgument, "adapters are for models that write text");
    generator_->forget_adapter();
  }

  void answer_info(std::uint64_t id) {
    inbox_.push([this, id] {
      Json result = model_.about();
      result.set("context_tokens", embedder_ ? embedder_->input_tokens() : context_);
      result.set("parallel", options_.parallel);
      result.set("embeddings", embedder_ != nullptr);
      result.set("chat_template", prompt_.source());
      result.set("adapters", Json::strings(adapters_.names()));
      if (embedder_) {
        result.set("pooling", embedder_->pooling());
        result.set("embedding_dimension", embedder_->dimension());
      }
      outbox_.done(id, result);
    });
  }

  void count_tokens(std::uint64_t id, const Json& request) {
    std::size_t bytes = 0;
    Json counts = Json::array();
    for (const std::string& text : parse_texts(request, "texts")) {
      bytes += text.size();
      if (bytes > limits::kCountedBytes) {
        throw Error(ErrorCode::kTooLarge, "texts are longer than {} bytes together: send fewer", limits::kCountedBytes)
            .with_param("texts");
      }
      counts.push_back(model_.tokenize(text, false, false).size());
    }
    outbox_.done(id, Json::object({{"counts", std::move(counts)}}));
  }

  void check_load() const {
    if (load_ >= limits::kModelRequests) {
      throw Error(ErrorCode::kResourceExhausted, "{} requests are waiting for the model", limits::kModelRequests);
    }
  }

  [[nodiscard]] std::vector<Token> prompt_tokens(const GenerateOptions& options) const {
    std::size_t bytes = options.prompt.size();
    for (const ChatMessage& message : options.messages) bytes += message.content.size();
    const std::size_t at_least = bytes / model_.longest_token_bytes();
    // Certainly too long, without the work of tokenizing megabytes.
    if (bytes > kLongText && at_least >= static_cast<std::size_t>(context_)) throw_too_long(at_least, "at least ");
    std::vector<Token> tokens =
        options.raw ? model_.tokenize(options.prompt, true, true) : prompt_.tokens(options.messages);
    // A raw prompt may spell out the BOS token that the tokenizer adds.
    const std::vector<Token> bos = model_.tokenize("", true, false);
    if (bos.size() == 1 && tokens.size() > 1 && tokens[0] == bos[0] && tokens[1] == bos[0])
      tokens.erase(tokens.begin());
    if (tokens.empty()) throw Error(ErrorCode::kInvalidArgument, "prompt has no tokens").with_param("prompt");
    if (tokens.size() >= static_cast<std::size_t>(context_)) throw_too_long(tokens.size(), "");
    return tokens;
  }

  [[noreturn]] void throw_too_long(std::size_t tokens, std::string_view at_least) const {
    throw Error(ErrorCode::kInvalidArgument,
                "the prompt has {}{} tokens, the context of this model holds {} tokens, prompt and answer together: "
                "shorten the messages",
                at_least, tokens, context_)
        .with_param("messages");
  }

  void generate(std::uint64_t id, const Json& request) {
    if (!generator_) throw Error(ErrorCode::kInvalidArgument, "this worker gives embeddings only");
    check_load();
    GenerateOptions options = parse_generate(request);
    auto work = std::make_shared<Generation>();
    work->id = id;
    work->prompt = prompt_tokens(options);
    const std::int64_t left = context_ - static_cast<std::int64_t>(work->prompt.size());
    work->max_tokens = options.max_tokens == 0 ? left : std::min(options.max_tokens, left);
    work->sampler = std::make_unique<Sampler>(model_, options.sampling, static_cast<std::int32_t>(context_));
    work->text = TextFilter(std::move(options.stops));
    work->stream = options.stream;
    work->seed = options.sampling.seed;
    inbox_.push([this, work, adapter = options.adapter] {
      try {
        work->adapter = adapters_.find(adapter);
        generator_->add(std::move(*work));
      } catch (const Error& error) {
        outbox_.error(work->id, error);
      }
    });
  }

  void embed(std::uint64_t id, const Json& request) {
    if (!embedder_) throw Error(ErrorCode::kInvalidArgument, "this worker writes text: it gives no embeddings");
    check_load();
    auto job = std::make_shared<EmbeddingJob>();
    job->id = id;
    const std::vector<std::string> inputs = parse_texts(request, "inputs");
    if (inputs.size() > limits::kEmbeddingInputs) {
      throw Error(ErrorCode::kTooLarge, "inputs has {} texts, {} are allowed", inputs.size(), limits::kEmbeddingInputs)
          .with_param("inputs");
    }
    for (const std::string& input : inputs) job->inputs.push_back(embedder_->tokenize(input));
    inbox_.push([this, job] { embedder_->add(std::move(*job)); });
  }

  Options options_;
  SocketOutbox outbox_;
  Model model_;
  ChatPrompt prompt_;
  Adapters adapters_;
  std::int64_t context_ = 0;
  std::unique_ptr<Generator> generator_;
  std::unique_ptr<Embedder> embedder_;
  Inbox inbox_;
  std::atomic<std::size_t> load_ = 0;
};

}  // namespace

void serve(const Options& options, int fd) {
  std::unique_ptr<Worker> worker;
  try {
    worker = std::make_unique<Worker>(options, fd);
  } catch (const Error& error) {
    // The parent asks something first: it learns why there will be no worker.
    SocketOutbox outbox(fd);
    if (const auto frame = outbox.socket().read()) outbox.error(frame->id, error);
    throw;
  }
  worker->run();
}

}  // namespace lakeloop::llm
