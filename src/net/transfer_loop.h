#pragma once

// The thread that runs libcurl's multi interface. Thread-safe; requests are posted and never wait.

#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "net/transfer.h"

namespace lakeloop::net {

class TransferLoop {
 public:
  TransferLoop();
  // Cuts what still runs.
  ~TransferLoop();
  TransferLoop(const TransferLoop&) = delete;
  TransferLoop& operator=(const TransferLoop&) = delete;

  // kUnavailable past limits::kClientTransfers.
  void add(std::shared_ptr<Transfer> transfer);
  void resume(std::shared_ptr<Transfer> transfer);
  // Cuts the transfer if it still runs. Needed after every add().
  void remove(std::shared_ptr<Transfer> transfer);

 private:
  enum class Command { kAdd, kResume, kRemove };
  void post(Command command, std::shared_ptr<Transfer> transfer);
  void run();
  void apply(Command command, const std::shared_ptr<Transfer>& transfer);
  void collect_finished();

  struct Multi;
  std::unique_ptr<Multi> multi_;
  std::unordered_map<void*, std::shared_ptr<Transfer>> running_;  // by CURL*; the loop's thread only

  std::mutex mutex_;
  std::vector<std::pair<Command, std::shared_ptr<Transfer>>> commands_;
  std::size_t added_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lakeloop::net
