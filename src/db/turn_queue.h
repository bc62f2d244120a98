#pragma once

// A lock that is taken in order of arrival and whose wait has an end. A plain mutex lets one busy thread starve others.

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>

namespace lakeloop::db {

class TurnQueue {
 public:
  // False when `wait` passed first.
  [[nodiscard]] bool enter(std::chrono::milliseconds wait);
  // Gives the turn to the one who waits longest; without one it is free.
  void leave();
  // The same, but keeps the turn and is false when nobody waits.
  [[nodiscard]] bool hand_over();

 private:
  struct Waiter {
    std::condition_variable wake;
    bool mine = false;
  };
  bool wake_next();

  std::mutex mutex_;
  bool taken_ = false;
  std::deque<Waiter*> waiting_;
};

}  // namespace lakeloop::db
