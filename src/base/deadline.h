#pragma once

// What travels with a request through every call: until when, and whether anyone still waits for it.

#include <stop_token>

#include "base/clock.h"
#include "base/error.h"

namespace lakeloop {

class Deadline {
 public:
  // Never expires, cannot be cancelled.
  Deadline() : at_(Steady::time_point::max()) {}
  Deadline(Steady::time_point at, std::stop_token cancelled) : at_(at), cancelled_(std::move(cancelled)) {}
  static Deadline after(Steady::duration wait, std::stop_token cancelled = {}) {
    return {Steady::now() + wait, std::move(cancelled)};
  }

  [[nodiscard]] Steady::time_point at() const { return at_; }
  [[nodiscard]] const std::stop_token& cancelled() const { return cancelled_; }
  [[nodiscard]] bool expired() const { return Steady::now() >= at_; }
  // Time left, never negative; capped at one day.
  [[nodiscard]] std::chrono::milliseconds left() const {
    const auto now = Steady::now();
    if (now >= at_) return std::chrono::milliseconds(0);
    return std::chrono::duration_cast<std::chrono::milliseconds>(
        std::min<Steady::duration>(at_ - now, std::chrono::hours(24)));
  }
  // Ends the request when nobody waits for its result any more.
  void check() const {
    if (cancelled_.stop_requested()) throw Error(ErrorCode::kCancelled, "the client left before the answer was ready");
    if (expired()) throw Error(ErrorCode::kDeadlineExceeded, "the request ran past its deadline");
  }

 private:
  Steady::time_point at_;
  std::stop_token cancelled_;
};

}  // namespace lakeloop
