#include "net/exchange.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

namespace lakeloop::net {

Exchange::Exchange(Request request, Traits traits, Steady::time_point deadline, std::function<void()> wake)
    : request_(std::move(request)),
      traits_(traits),
      deadline_(deadline),
      wake_(std::move(wake)),
      keep_alive_(traits.keep_alive) {
  // A body that does not come through read() has come already.
  body_ended_ = !traits.streamed;
}

// --- the handler's thread

void Exchange::run(const Handler& handler) {
  const std::string target = request_.path;
  const Deadline deadline(deadline_, stop_.get_token());
  // Nobody waits any more for what stood in the queue too long. One that has only said that it sends no more does wait.
  if (!gone_) {
    try {
      handler.handle(std::move(request_), traits_.streamed ? this : nullptr, *this, deadline);
    } catch (const std::exception& error) {
      log_error("http.handler_threw", {{"path", target}, {"error", error.what()}});
    } catch (...) {
      log_error("http.handler_threw", {{"path", target}});
    }
  }
  Stage stage;
  {
    const std::lock_guard lock(mutex_);
    stage = stage_;
    if (stage == Stage::kStreaming) {
      output_.cut = output_.end = true;
      stage_ = Stage::kEnded;
    }
  }
  if (stage == Stage::kNone) {
    if (!deadline.cancelled().stop_requested()) log_error("http.handler_without_answer", {{"path", target}});
    answer(refusal(500, "the request was not answered"));
  } else if (stage == Stage::kStreaming) {
    wake_();
  }
}

std::string Exchange::read() {
  std::unique_lock lock(mutex_);
  if (body_.empty() && !body_ended_ && !body_error_ && !left_) {
    wants_body_ = true;
    lock.unlock();
    wake_();
    lock.lock();
  }
  const bool in_time = changed_.wait_until(
      lock, deadline_, [this] { return left_ || !body_.empty() || body_ended_ || body_error_.has_value(); });
  if (!body_.empty()) {
    const bool was_full = body_.size() >= limits::kBodyBufferBytes;
    std::string piece = std::exchange(body_, {});
    lock.unlock();
    if (was_full) wake_();
    return piece;
  }
  if (body_error_) throw *body_error_;
  if (body_ended_) return {};
  if (!in_time) throw Error(ErrorCode::kDeadlineExceeded, "the request ran past its deadline before its body was read");
  throw Error(ErrorCode::kCancelled, "the client left before its request was complete");
}

bool Exchange::decide_keep_alive(const Headers& headers) {
  // A body that has not ended might never end: the next request could not be told from it.
  if (!body_ended_ || iequals(headers.get("connection"), "close")) keep_alive_ = false;
  return keep_alive_;
}

void Exchange::send(Response response) {
  if (!valid_headers(response.headers) || response.status < 200 || response.status > 599) {
    log_error("http.header_refused", {{"status", response.status}});
    response = refusal(500, "the answer had an invalid header");
  }
  answer(std::move(response));
}

void Exchange::answer(Response response) {
  {
    const std::lock_guard lock(mutex_);
    LAKELOOP_CHECK(stage_ == Stage::kNone);
    stage_ = Stage::kEnded;
    HeadFraming framing{
        .http_1_1 = traits_.http_1_1, .keep_alive = decide_keep_alive(response.headers), .content_length = {}};
    std::size_t length = response.body.size();
    if (traits_.head_only) {
      // The length a GET would have had, if the handler knows it without the body.
      length = std::max(length, parse_number<std::size_t>(response.headers.get("content-length")).value_or(0));
      response.body.clear();
    }
    if (status_forbids_body(response.status)) {
      response.body.clear();
    } else {
      framing.content_length = length;
    }
    output_.bytes = render_head(response.status, response.headers, framing);
    output_.body = std::move(response.body);
    output_.end = true;
  }
  wake_();
}

void Exchange::start(int status, Headers headers) {
  bool refused = false;
  {
    const std::lock_guard lock(mutex_);
    LAKELOOP_CHECK(stage_ == Stage::kNone);
    refused = !valid_headers(headers) || status < 200 || status > 599;
    if (!refused) {
      stage_ = Stage::kStreaming;
      bodyless_ = traits_.head_only || status_forbids_body(status);
      chunked_ = traits_.http_1_1 && !status_forbids_body(status);
      if (!traits_.http_1_1 && !bodyless_) keep_alive_ = false;
      output_.bytes = render_head(status, headers,
                                  {.http_1_1 = traits_.http_1_1,
                                   .keep_alive = decide_keep_alive(headers),
                                   .chunked = chunked_,
                                   .content_length = {}});
    }
  }
  if (refused) {
    log_error("http.header_refused", {{"status", status}});
    answer(refusal(500, "the answer had an invalid header"));
    const std::lock_guard lock(mutex_);
    stage_ = Stage::kRefused;
    return;
  }
  wake_();
}

void Exchange::wait_for_room(std::unique_lock<std::mutex>& lock) {
  // The I/O thread drops a connection that takes nothing, so this ends.
  changed_.wait(lock, [this] { return left_ || output_.bytes.size() + in_flight_ < limits::kWriteBufferBytes; });
}

bool Exchange::write(std::string_view bytes) {
  std::unique_lock lock(mutex_);
  LAKELOOP_CHECK(stage_ == Stage::kStreaming || stage_ == Stage::kRefused);
  if (stage_ == Stage::kRefused || left_) return false;
  if (bodyless_) return true;
  while (!bytes.empty()) {
    wait_for_room(lock);
    if (left_) return false;
    const std::string_view piece = bytes.substr(0, kPiece);
    bytes.remove_prefix(piece.size());
    const bool was_empty = output_.bytes.empty();
    if (chunked_) {
      append_chunk(output_.bytes, piece);
    } else {
      output_.bytes.append(piece);
    }
    if (!was_empty) continue;
    lock.unlock();
    wake_();
    lock.lock();
  }
  return true;
}

void Exchange::finish() {
  {
    const std::lock_guard lock(mutex_);
    LAKELOOP_CHECK(stage_ == Stage::kStreaming || stage_ == Stage::kRefused);
    if (stage_ == Stage::kRefused) return;
    stage_ = Stage::kEnded;
    if (chunked_ && !bodyless_) output_.bytes += kLastChunk;
    output_.end = true;
  }
  wake_();
}

bool Exchange::started() const {
  const std::lock_guard lock(mutex_);
  return stage_ != Stage::kNone;
}

// --- the I/O thread

Exchange::Output Exchange::take_output() {
  const std::lock_guard lock(mutex_);
  Output taken = std::move(output_);
  output_ = {};
  in_flight_ += taken.bytes.size();
  return taken;
}

void Exchange::report_written(std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    in_flight_ -= std::min(bytes, in_flight_);
  }
  changed_.notify_one();
}

void Exchange::push_body(std::string_view bytes) {
  if (bytes.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    body_.append(bytes);
  }
  changed_.notify_one();
}

void Exchange::end_body() {
  {
    const std::lock_guard lock(mutex_);
    body_ended_ = true;
  }
  changed_.notify_one();
}

void Exchange::fail_body(Error error) {
  {
    const std::lock_guard lock(mutex_);
    if (!body_ended_ && !body_error_) body_error_ = std::move(error);
  }
  changed_.notify_one();
}

bool Exchange::body_full() const {
  const std::lock_guard lock(mutex_);
  return body_.size() >= limits::kBodyBufferBytes;
}

bool Exchange::take_wants_body() {
  const std::lock_guard lock(mutex_);
  return std::exchange(wants_body_, false);
}

void Exchange::client_left(bool gone) {
  if (gone) gone_ = true;
  // First, so that a handler whose write() failed finds its deadline cancelled.
  stop_.request_stop();
  {
    const std::lock_guard lock(mutex_);
    left_ = true;
  }
  changed_.notify_all();
}

void Exchange::close_after() {
  const std::lock_guard lock(mutex_);
  if (stage_ == Stage::kNone) keep_alive_ = false;
}

bool Exchange::keeps_alive() const {
  const std::lock_guard lock(mutex_);
  return keep_alive_;
}

}  // namespace lakeloop::net
