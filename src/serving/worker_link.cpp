#include "serving/worker_link.h"

#include <sys/socket.h>

#include "base/error.h"
#include "base/log.h"

namespace lakeloop::serving {

namespace {

using process::Frame;
using process::FrameKind;

Error lost() {
  return Error(ErrorCode::kUnavailable, "the model's worker process ended while it answered: try again")
      .with_retry_after(std::chrono::seconds(1));
}

// {"error_code", "message", "param"}
Error reported(const Frame& frame) {
  const Json payload = Json::try_parse(frame.payload).value_or(Json());
  Error error = Error(error_code_from_wire(payload.str("error_code")).value_or(ErrorCode::kInternal), "{}",
                      payload.str("message", "the model's worker failed without a reason"))
                    .with_param(payload.str("param"));
  if (error.code() == ErrorCode::kResourceExhausted) return std::move(error).with_retry_after(std::chrono::seconds(1));
  return error;
}

}  // namespace

WorkerLink::WorkerLink(FileHandle socket)
    : socket_(std::move(socket)), frames_(socket_.get()), reader_([this] { read(); }) {}

WorkerLink::~WorkerLink() {
  ::shutdown(socket_.get(), SHUT_RDWR);
  reader_.join();
}

void WorkerLink::read() {
  try {
    while (auto frame = frames_.read()) {
      const std::lock_guard lock(mutex_);
      const auto found = pending_.find(frame->id);
      if (found == pending_.end()) continue;  // given up by its caller
      found->second->frames.push_back(std::move(*frame));
      found->second->arrived.notify_one();
    }
  } catch (const Error& error) {
    log_error("worker.protocol", {{"message", error.message()}});
  }
  ::shutdown(socket_.get(), SHUT_RDWR);  // one that sent a broken frame ends too, and is replaced
  const std::lock_guard lock(mutex_);
  closed_ = true;
  for (auto& [id, pending] : pending_) {
    pending->lost = true;
    pending->arrived.notify_one();
  }
}

bool WorkerLink::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

Frame WorkerLink::next(Pending& pending, const Deadline& deadline) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!pending.frames.empty()) {
      Frame frame = std::move(pending.frames.front());
      pending.frames.pop_front();
      return frame;
    }
    if (pending.lost) throw lost();
    deadline.check();
    pending.arrived.wait_for(lock, deadline.cancelled(), deadline.left(),
                             [&] { return pending.lost || !pending.frames.empty(); });
  }
}

WorkerLink::Answer WorkerLink::call(const Json& request, const Deadline& deadline, const Handlers& handlers) {
  auto pending = std::make_shared<Pending>();
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) throw lost();
    id = next_id_++;
    pending_.emplace(id, pending);
  }
  // Whatever ends the call, late frames of it are dropped; unless the worker ended it, the worker is told.
  struct Guard {
    WorkerLink& link;
    std::uint64_t id;
    bool running = true;
    ~Guard() {
      {
        const std::lock_guard lock(link.mutex_);
        link.pending_.erase(id);
      }
      if (running) static_cast<void>(link.frames_.write({FrameKind::kCancel, id, {}}));
    }
  } guard{*this, id};

  if (!frames_.write({FrameKind::kRequest, id, request.dump()})) throw lost();
  for (;;) {
    const Frame frame = next(*pending, deadline);
    switch (frame.kind) {
      case FrameKind::kEvent:
        if (handlers.on_event && !handlers.on_event(Json::parse(frame.payload))) return {Json(), true};
        break;
      case FrameKind::kVectors:
        if (handlers.on_vectors) handlers.on_vectors(frame.payload);
        break;
      case FrameKind::kDone:
        guard.running = false;
        return {Json::parse(frame.payload), false};
      case FrameKind::kError:
        guard.running = false;
        throw reported(frame);
      default:
        throw Error(ErrorCode::kInternal, "the worker sent a frame of kind {}", static_cast<int>(frame.kind));
    }
  }
}

}  // namespace lakeloop::serving
