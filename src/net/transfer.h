#pragma once

// One outbound transfer: where the caller's thread, which waits, and the loop's thread, which runs libcurl, meet. The
// body goes through a buffer of limits::kClientBufferBytes; when it is full the transfer is paused.

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/deadline.h"
#include "base/error.h"
#include "net/client.h"

namespace lakeloop::net {

// How to reach the URL, decided before the transfer begins.
struct TransferRoute {
  UrlParts url;
  std::string proxy;      // empty: direct
  std::string ca_bundle;  // empty: libcurl's own
};

class Transfer {
 public:
  // kInvalidArgument when a header cannot be sent.
  Transfer(ClientRequest request, TransferRoute route);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // --- the caller's thread
  struct Event {
    enum class Kind { kHead, kData, kEnd } kind = Kind::kEnd;
    std::string data;
    bool resume = false;  // the transfer waits for the loop's resume()
  };
  // Waits for the next part. Throws what ended the transfer, after all parts that came; kDeadlineExceeded, kCancelled.
  Event next(const Deadline& deadline);
  [[nodiscard]] Response take_head();
  void cancel();

  // --- the loop's thread
  [[nodiscard]] void* easy() const;  // CURL*
  void resume();
  void complete(int code);  // CURLcode
  void fail(Error error);

 private:
  struct Callbacks;
  void set_method();
  void set_headers();
  void set_network();
  [[nodiscard]] std::optional<Error> error_of(int code) const;
  [[nodiscard]] bool may_connect(const std::string& address);

  const ClientRequest request_;
  const TransferRoute route_;
  struct Handle;
  std::unique_ptr<Handle> handle_;

  // Loop's thread only.
  std::string refused_address_;
  std::int64_t uploaded_ = 0;
  std::size_t received_ = 0;
  bool too_large_ = false;
  Response parsing_;

  std::mutex mutex_;
  std::condition_variable changed_;
  Response head_;
  bool head_ready_ = false;
  bool head_taken_ = false;
  std::string buffer_;
  bool paused_ = false;
  bool done_ = false;
  bool cancelled_ = false;
  std::optional<Error> error_;
  Steady::time_point active_at_{};
};

}  // namespace lakeloop::net
