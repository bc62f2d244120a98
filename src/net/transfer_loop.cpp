#include "net/transfer_loop.h"

#include <curl/curl.h>
#include <pthread.h>

#include "base/check.h"
#include "base/limits.h"

namespace lakeloop::net {
namespace {

constexpr int kPollMillis = 1000;  // nothing depends on it: whoever has news wakes the poll

void initialise_curl_once() {
  static const bool done = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  LAKELOOP_CHECK(done);
}

}  // namespace

struct TransferLoop::Multi {
  CURLM* handle = nullptr;
  Multi() {
    initialise_curl_once();
    handle = curl_multi_init();
    LAKELOOP_CHECK(handle != nullptr);
  }
  ~Multi() { curl_multi_cleanup(handle); }
  Multi(const Multi&) = delete;
  Multi& operator=(const Multi&) = delete;
};

TransferLoop::TransferLoop() : multi_(std::make_unique<Multi>()), thread_([this] { run(); }) {}

TransferLoop::~TransferLoop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  curl_multi_wakeup(multi_->handle);
  thread_.join();
}

void TransferLoop::post(Command command, std::shared_ptr<Transfer> transfer) {
  {
    const std::lock_guard lock(mutex_);
    if (command == Command::kAdd) {
      if (added_ >= limits::kClientTransfers) {
        throw Error(ErrorCode::kUnavailable, "too many outbound calls at once (limit {}); try again",
                    limits::kClientTransfers);
      }
      ++added_;
    } else if (command == Command::kRemove) {
      --added_;
    }
    commands_.emplace_back(command, std::move(transfer));
  }
  curl_multi_wakeup(multi_->handle);
}

void TransferLoop::add(std::shared_ptr<Transfer> transfer) {
  post(Command::kAdd, std::move(transfer));
}
void TransferLoop::resume(std::shared_ptr<Transfer> transfer) {
  post(Command::kResume, std::move(transfer));
}
void TransferLoop::remove(std::shared_ptr<Transfer> transfer) {
  post(Command::kRemove, std::move(transfer));
}

void TransferLoop::run() {
  pthread_setname_np(pthread_self(), "http-client");
  for (;;) {
    std::vector<std::pair<Command, std::shared_ptr<Transfer>>> commands;
    bool stopping = false;
    {
      const std::lock_guard lock(mutex_);
      commands.swap(commands_);
      stopping = stopping_;
    }
    for (const auto& [command, transfer] : commands) apply(command, transfer);
    if (stopping) break;
    int still_running = 0;
    curl_multi_perform(multi_->handle, &still_running);
    collect_finished();
    curl_multi_poll(multi_->handle, nullptr, 0, kPollMillis, nullptr);
  }
  for (const auto& [easy, transfer] : running_) {
    curl_multi_remove_handle(multi_->handle, easy);
    transfer->fail(Error(ErrorCode::kCancelled, "the HTTP client is shutting down"));
  }
  running_.clear();
}

void TransferLoop::apply(Command command, const std::shared_ptr<Transfer>& transfer) {
  void* easy = transfer->easy();
  if (command == Command::kAdd) {
    running_.emplace(easy, transfer);
    LAKELOOP_CHECK(curl_multi_add_handle(multi_->handle, easy) == CURLM_OK);
    return;
  }
  if (!running_.contains(easy)) return;  // it has finished
  if (command == Command::kResume) return transfer->resume();
  curl_multi_remove_handle(multi_->handle, easy);
  running_.erase(easy);
}

void TransferLoop::collect_finished() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_->handle, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    const auto found = running_.find(message->easy_handle);
    LAKELOOP_CHECK(found != running_.end());
    const std::shared_ptr<Transfer> transfer = std::move(found->second);
    running_.erase(found);
    curl_multi_remove_handle(multi_->handle, transfer->easy());
    transfer->complete(code);
  }
}

}  // namespace lakeloop::net
