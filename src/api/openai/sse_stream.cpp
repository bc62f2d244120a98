#include "api/openai/sse_stream.h"

#include "codec/sse.h"

namespace lakeloop::api::openai {
namespace {

constexpr auto kHeartbeat = std::chrono::seconds(10);

}  // namespace

SseStream::SseStream(net::ResponseWriter& writer) : writer_(writer), last_(Steady::now()) {}

SseStream::~SseStream() {
  if (heart_.joinable()) {
    heart_.request_stop();
    heart_.join();
  }
}

bool SseStream::send(const Json& event) {
  return write(codec::sse_data(event.dump()));
}

void SseStream::done() {
  static_cast<void>(write("data: [DONE]\n\n"));
  const std::lock_guard lock(mutex_);
  if (open_ && started_) writer_.finish();
  open_ = false;
}

void SseStream::fail(const Json& error) {
  static_cast<void>(send(error));
  const std::lock_guard lock(mutex_);
  if (open_ && started_) writer_.finish();
  open_ = false;
}

bool SseStream::write(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  if (!open_) return false;
  if (!started_) {
    net::Headers headers;
    headers.set("content-type", "text/event-stream; charset=utf-8");
    headers.set("cache-control", "no-cache");
    headers.set("x-accel-buffering", "no");
    writer_.start(200, std::move(headers));
    started_ = true;
    heart_ = std::jthread([this](const std::stop_token& stopped) { beat(stopped); });
  }
  open_ = writer_.write(bytes);
  last_ = Steady::now();
  return open_;
}

void SseStream::beat(const std::stop_token& stopped) {
  std::unique_lock lock(mutex_);
  while (!stopped.stop_requested() && open_) {
    wake_.wait_until(lock, stopped, last_ + kHeartbeat, [] { return false; });
    if (stopped.stop_requested() || !open_ || Steady::now() < last_ + kHeartbeat) continue;
    open_ = writer_.write(codec::kSseHeartbeat);
    last_ = Steady::now();
  }
}

}  // namespace lakeloop::api::openai
