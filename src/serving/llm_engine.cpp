#include "serving/llm_engine.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "process/child.h"
#include "process/supervisor.h"
#include "serving/llm_request.h"
#include "serving/memory_admission.h"
#include "serving/worker_link.h"

namespace lakeloop::serving {

namespace {

using namespace std::chrono_literals;
using gateway::ChatChunk;
using gateway::ChatRequest;
using gateway::ChatResult;
using gateway::EmbeddingResult;
using gateway::EngineInfo;

constexpr auto kCheckTimeout = 5min;
constexpr auto kLoadTimeout = 10min;
constexpr auto kLongestDelay = 30s;
constexpr int kFailuresUntilFailed = 3;  // starts in a row: then callers no longer wait
constexpr std::size_t kInputsPerFrame = 512;
constexpr std::size_t kBytesPerFrame = 4 * 1024 * 1024;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
// Address space of libraries, thread stacks and BLAS buffers; little of it is ever touched.
constexpr std::uint64_t kLibrarySpace = 3 * kGiB;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kLimitAddressSpace = false;  // sanitizers reserve terabytes
#else
constexpr bool kLimitAddressSpace = true;
#endif

std::map<std::string, std::string> worker_environment(int threads) {
  const std::string count = std::to_string(threads);
  std::map<std::string, std::string> environment = {{"GGML_NO_BACKTRACE", "1"},
                                                    {"OMP_NUM_THREADS", count},
                                                    {"OPENBLAS_NUM_THREADS", count},
                                                    {"OMP_WAIT_POLICY", "passive"},
                                                    {"LANG", "C.UTF-8"}};
  // Where a package that carries its libraries says they are.
  for (const char* name : {"LAKELOOP_GGML_FOLDER", "LD_LIBRARY_PATH"}) {
    if (const char* value = std::getenv(name)) environment[name] = value;
  }
  return environment;
}

std::uint64_t file_size_or_zero(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

// The last line that says something, for a message to a user.
std::string last_words(const std::string& text) {
  std::string words;
  for (const std::string_view line : split(text, '\n')) {
    if (!trim(line).empty()) words = trim(line);
  }
  constexpr std::string_view kPrefix = "lakeloop-llm: ";
  if (words.starts_with(kPrefix)) words.erase(0, kPrefix.size());
  return words.substr(0, 500);
}

// As the worker's command line takes them.
void check_range(std::string_view name, std::int64_t value, std::int64_t lowest, std::int64_t highest) {
  if (value >= lowest && value <= highest) return;
  throw Error(ErrorCode::kInvalidArgument, "{} is {}: give a number from {} to {}", name, value, lowest, highest)
      .with_param(std::string(name));
}

class LlmEngine final : public gateway::InferenceEngine {
 public:
  explicit LlmEngine(LlmEngineOptions options) : options_(std::move(options)), opener_([this] { open(); }) {}

  ~LlmEngine() override {
    stopping_.request_stop();
    opener_.join();
    supervisor_.reset();  // waits until the worker is gone
  }

  EngineInfo info() override {
    const std::lock_guard lock(mutex_);
    EngineInfo info;
    info.model = options_.model_name;
    info.sha256 = options_.sha256;
    info.chat = info.grammar = !options_.embeddings;
    info.embeddings = options_.embeddings;
    info.context_tokens =
        about_["context_tokens"].int_or(options_.embeddings ? options_.embedding_tokens : options_.context_tokens);
    info.dimension = options_.embeddings ? about_["embedding_dimension"].int_or(0) : 0;
    info.state = state_;
    return info;
  }

  ChatResult chat(const ChatRequest& request, const Deadline& deadline,
                  const std::function<bool(const ChatChunk&)>& on_chunk) override {
    if (options_.embeddings)
      throw Error(ErrorCode::kInvalidArgument, "model {} gives embeddings: it does not chat", options_.model_name);
    const auto start = Steady::now();
    const Json worker_request = worker_request_of(request, on_chunk != nullptr);
    const Turn turn = queue();
    const auto link = ready(deadline);
    ChatResult result;
    result.model = options_.model_name;
    std::int64_t pieces = 0;
    const auto on_event = [&](const Json& event) {
      if (pieces++ == 0)
        result.time_to_first_token_ms = std::chrono::duration<double, std::milli>(Steady::now() - start).count();
      result.content += event.str("text");
      ChatChunk chunk;
      chunk.content = event.str("text");
      return on_chunk(chunk);
    };
    WorkerLink::Answer answer;
    try {
      answer = link->call(worker_request, deadline, {on_event, nullptr});
    } catch (const Error& error) {
      // What was begun cannot be begun again elsewhere.
      if (pieces > 0 && error.code() == ErrorCode::kUnavailable)
        throw Error(ErrorCode::kUpstream, "{}", error.message());
      throw;
    }
    if (answer.cancelled) {
      result.usage.completion_tokens = pieces;  // at least: a piece may be several tokens
      result.usage.estimated = true;
      return result;
    }
    const Json& done = answer.result;
    if (!on_chunk) {
      result.content = done.str("text");
      result.time_to_first_token_ms = done["timings"]["first_token_ms"].double_or(0);
    }
    result.finish_reason = done.str("finish_reason");
    result.usage.prompt_tokens = done["usage"]["prompt_tokens"].int_or(0);
    result.usage.completion_tokens = done["usage"]["completion_tokens"].int_or(0);
    result.usage.cached_tokens = done["usage"]["cached_tokens"].int_or(0);
    if (on_chunk) {
      ChatChunk last;
      last.finish_reason = result.finish_reason;
      static_cast<void>(on_chunk(last));
    }
    return result;
  }

  EmbeddingResult embed(const std::vector<std::string>& inputs, const Deadline& deadline) override {
    if (!options_.embeddings)
      throw Error(ErrorCode::kInvalidArgument, "model {} chats: it gives no embeddings", options_.model_name);
    const Turn turn = queue();
    const auto link = ready(deadline);
    EmbeddingResult result;
    result.model = options_.model_name;
    for_each_frame(inputs, [&](Json texts, std::size_t count) {
      std::string bytes;
      const Json done = link->call(Json::object({{"op", "embed"}, {"inputs", std::move(texts)}}), deadline,
                                   {nullptr, [&](std::string_view raw) { bytes += raw; }})
                            .result;
      const auto dimension = static_cast<std::size_t>(done["dimension"].int_or(0));
      if (dimension == 0 || bytes.size() != count * dimension * sizeof(float)) {
        throw Error(ErrorCode::kInternal, "the worker sent {} bytes for {} embeddings of {} dimensions", bytes.size(),
                    count, dimension);
      }
      for (std::size_t i = 0; i < count; ++i) {
        std::vector<float> vector(dimension);
        std::memcpy(vector.data(), bytes.data() + i * dimension * sizeof(float), dimension * sizeof(float));
        result.vectors.push_back(std::move(vector));
        result.truncated.push_back(done["truncated"].at(i).bool_or(false));
      }
      result.usage.prompt_tokens += done["prompt_tokens"].int_or(0);
    });
    return result;
  }

  std::optional<std::vector<std::int64_t>> count_tokens(const std::vector<std::string>& texts,
                                                        const Deadline& deadline) override {
    const Turn turn = queue();
    const auto link = ready(deadline);
    std::vector<std::int64_t> counts;
    for_each_frame(texts, [&](Json part, std::size_t) {
      const Json done =
          link->call(Json::object({{"op", "count_tokens"}, {"texts", std::move(part)}}), deadline, {}).result;
      for (const Json& count : done["counts"].items()) counts.push_back(count.int_or(0));
    });
    return counts;
  }

 private:
  // A place among those that wait or run.
  class Turn {
   public:
    explicit Turn(std::atomic<std::size_t>& count) : count_(count) {}
    ~Turn() { --count_; }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    std::atomic<std::size_t>& count_;
  };

  Turn queue() {
    const std::size_t limit = options_.queue_limit + static_cast<std::size_t>(options_.parallel);
    if (++requests_ > limit) {
      --requests_;
      throw Error(ErrorCode::kResourceExhausted, "{} requests already wait for model {}: try again",
                  options_.queue_limit, options_.model_name)
          .with_retry_after(1s);
    }
    return Turn(requests_);
  }

  template <typename Send>
  static void for_each_frame(const std::vector<std::string>& texts, const Send& send) {
    Json part = Json::array();
    std::size_t bytes = 0;
    for (const std::string& text : texts) {
      if (part.size() > 0 && (part.size() == kInputsPerFrame || bytes + text.size() > kBytesPerFrame)) {
        const std::size_t count = part.size();
        send(std::exchange(part, Json::array()), count);
        bytes = 0;
      }
      part.push_back(text);
      bytes += text.size();
    }
    const std::size_t count = part.size();
    if (count > 0) send(std::move(part), count);
  }

  std::shared_ptr<WorkerLink> ready(const Deadline& deadline) {
    std::unique_lock lock(mutex_);
    const auto usable = [&] { return link_ != nullptr && !link_->closed(); };
    for (;;) {
      if (usable()) return link_;
      if (!failure_.empty()) {
        throw Error(ErrorCode::kUnavailable, "model {} is not served: {}", options_.model_name, failure_)
            .with_retry_after(1s);
      }
      if (deadline.expired()) {
        throw Error(ErrorCode::kUnavailable, "model {} is still loading: try again", options_.model_name)
            .with_retry_after(1s);
      }
      deadline.check();
      changed_.wait_for(lock, deadline.cancelled(), std::min<std::chrono::milliseconds>(deadline.left(), 1s),
                        [&] { return usable() || !failure_.empty(); });
    }
  }

  // On its own thread: a file is checked once, then its worker is kept running.
  void open() {
    try {
      const ModelCheck check = check_model(options_.worker, options_.model_file);
      if (!check.ok) {
        // The same file will not do better: no further try.
        log_error("model.refused", {{"model", options_.model_name}, {"reason", check.message}});
        set_failed(check.message);
        return;
      }
      const std::lock_guard lock(mutex_);
      about_ = check.about;
    } catch (const Error& error) {
      set_failed(error.message());
      return;
    }
    if (stopping_.stop_requested()) return;
    process::SupervisorOptions options;
    options.name = "llm:" + options_.model_name;
    options.start = [this] { return start_worker(); };
    options.on_start = [this](process::Child&) { load(); };
    options.on_exit = [this](const std::string& reason) { lost(reason); };
    options.longest_delay = kLongestDelay;
    options.grace = 500ms;
    supervisor_ = std::make_unique<process::Supervisor>(std::move(options));
  }

  std::unique_ptr<process::Child> start_worker() {
    const std::uint64_t file = file_size_or_zero(options_.model_file);
    const std::uint64_t cache = cache_bytes();
    admit_memory(file + cache, options_.model_name);
    process::SocketPair pair = process::make_socket_pair();
    process::ChildOptions options;
    options.program = options_.worker;
    options.arguments = arguments();
    options.environment = worker_environment(options_.threads);
    options.log_file = options_.log_file;
    options.hand_over = pair.theirs.release();
    if (kLimitAddressSpace) {
      options.limits.address_space_bytes =
          (options_.memory_limit_bytes != 0 ? options_.memory_limit_bytes : file * 2 + cache) + kLibrarySpace;
    }
    auto child = process::Child::spawn(std::move(options));
    starting_ = std::make_shared<WorkerLink>(std::move(pair.ours));
    return child;
  }

  // Waits until the model is in memory. What it throws ends this worker and is the reason that callers see.
  void load() {
    const std::shared_ptr<WorkerLink> link = std::exchange(starting_, nullptr);
    const Deadline deadline = Deadline::after(kLoadTimeout, stopping_.get_token());
    const Json about = link->call(Json::object({{"op", "info"}}), deadline, {}).result;
    for (const auto& [name, path] : options_.adapters) {
      link->call(Json::object({{"op", "load_adapter"}, {"name", name}, {"path", path.string()}}), deadline, {});
    }
    {
      const std::lock_guard lock(mutex_);
      about_ = about;
      link_ = link;
      state_ = "ready";
      failures_ = 0;
      failure_.clear();
    }
    changed_.notify_all();
  }

  void lost(const std::string& reason) {
    std::shared_ptr<WorkerLink> gone;
    {
      const std::lock_guard lock(mutex_);
      gone = std::exchange(link_, nullptr);
      if (gone == nullptr && ++failures_ >= kFailuresUntilFailed) {
        failure_ = reason;
        state_ = "failed: " + reason;
      } else {
        state_ = "loading";
      }
    }
    changed_.notify_all();
    starting_.reset();
  }

  void set_failed(const std::string& reason) {
    {
      const std::lock_guard lock(mutex_);
      failure_ = reason;
      state_ = "failed: " + reason;
    }
    changed_.notify_all();
  }

  std::vector<std::string> arguments() const {
    std::vector<std::string> arguments = {"serve", "--model", options_.model_file.string(), "--threads",
                                          std::to_string(options_.threads)};
    if (options_.embeddings) {
      arguments.insert(arguments.end(),
                       {"--embeddings", "--embedding-tokens", std::to_string(options_.embedding_tokens)});
    } else {
      arguments.insert(arguments.end(), {"--context", std::to_string(options_.context_tokens), "--parallel",
                                         std::to_string(options_.parallel)});
    }
    return arguments;
  }

  std::uint64_t cache_bytes() const {
    if (options_.embeddings) return 256 * 1024 * 1024;
    const std::lock_guard lock(mutex_);
    const auto tokens =
        static_cast<std::uint64_t>(options_.context_tokens) * static_cast<std::uint64_t>(options_.parallel);
    return tokens * static_cast<std::uint64_t>(about_["cache_bytes_per_token"].int_or(0));
  }

  const LlmEngineOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::string state_ = "loading";
  std::string failure_;  // why callers need not wait
  int failures_ = 0;     // starts in a row that led to no ready worker
  Json about_;
  std::shared_ptr<WorkerLink> link_;      // while the worker is ready
  std::shared_ptr<WorkerLink> starting_;  // supervisor's thread only
  std::atomic<std::size_t> requests_ = 0;
  std::stop_source stopping_;
  std::unique_ptr<process::Supervisor> supervisor_;  // made by opener_
  std::jthread opener_;                              // last: it uses the others
};

}  // namespace

std::shared_ptr<gateway::InferenceEngine> make_llm_engine(LlmEngineOptions options) {
  check_range("context_tokens", options.context_tokens, 16, 1 << 20);
  check_range("embedding_tokens", options.embedding_tokens, 8, 8192);
  check_range("threads", options.threads, 1, 256);
  check_range("parallel", options.parallel, 1, 64);
  return std::make_shared<LlmEngine>(std::move(options));
}

ModelCheck check_model(const std::filesystem::path& worker, const std::filesystem::path& model_file) {
  ModelCheck check;
  const std::uint64_t size = file_size_or_zero(model_file);
  if (size == 0) {
    check.message = "the model file is missing or empty";
    return check;
  }
  process::ChildOptions options;
  options.program = worker;
  options.arguments = {"--check", model_file.string()};
  options.environment = worker_environment(1);
  options.limits.cpu_seconds = 240;
  options.limits.file_size_bytes = 16 * 1024 * 1024;
  if (kLimitAddressSpace) options.limits.address_space_bytes = size * 2 + kLibrarySpace;
  process::RunResult run;
  try {
    run = process::run_child(std::move(options), kCheckTimeout, 1024 * 1024);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kDeadlineExceeded) throw;
    check.message = "the model file could not be checked within 5 minutes";
    return check;
  }
  if (run.exit.ok()) {
    if (auto about = Json::try_parse(trim(run.output)); about && about->is_object()) {
      check.ok = true;
      check.about = std::move(*about);
    } else {
      check.message = "the check of the model file gave no result";
    }
    return check;
  }
  const std::string words = last_words(run.errors);
  check.message = run.exit.signal != 0 ? "loading the model file ends the model process (" + run.exit.text() + ")" : "";
  if (!words.empty()) check.message += (check.message.empty() ? "" : ": ") + words;
  if (check.message.empty()) check.message = "the model file cannot be loaded (" + run.exit.text() + ")";
  return check;
}

}  // namespace lakeloop::serving
