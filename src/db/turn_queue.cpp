#include "db/turn_queue.h"

#include <algorithm>

namespace lakeloop::db {

bool TurnQueue::enter(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  if (!taken_) {
    taken_ = true;
    return true;
  }
  Waiter self;
  waiting_.push_back(&self);
  if (self.wake.wait_for(lock, wait, [&] { return self.mine; })) return true;
  std::erase(waiting_, &self);
  return false;
}

void TurnQueue::leave() {
  const std::lock_guard lock(mutex_);
  if (!wake_next()) taken_ = false;
}

bool TurnQueue::hand_over() {
  const std::lock_guard lock(mutex_);
  return wake_next();
}

bool TurnQueue::wake_next() {
  if (waiting_.empty()) return false;
  Waiter* next = waiting_.front();
  waiting_.pop_front();
  next->mine = true;
  next->wake.notify_one();  // under the lock: the waiter lives on its thread's stack
  return true;
}

}  // namespace lakeloop::db
