#pragma once

// A fixed number of threads behind a bounded queue. Thread-safe. The destructor runs what is queued, then joins.

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace lakeloop {

class ThreadPool {
 public:
  ThreadPool(std::string name, std::size_t threads, std::size_t queue_limit);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // False when the queue is full or the pool is stopping: the caller answers "busy". A task must not throw.
  [[nodiscard]] bool try_submit(std::function<void()> task);
  [[nodiscard]] std::size_t queued() const;
  // Takes no further task, finishes the queued ones, joins. Safe to call twice.
  void stop();

 private:
  void work(std::size_t index);

  const std::string name_;
  const std::size_t queue_limit_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace lakeloop
