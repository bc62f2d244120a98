#pragma once

// HTTP/1.1 requests out of bytes, on llhttp in its strict mode, with the rules of RFC 9112 that llhttp leaves to its
// user. Knows no socket. The outcome does not depend on how the bytes were cut into pieces. Not thread-safe.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/limits.h"
#include "net/http.h"

namespace lakeloop::net {

struct HeadLimits {
  std::size_t bytes = limits::kRequestHeaderBytes;
  std::size_t count = limits::kRequestHeaderCount;
  std::size_t target = limits::kRequestTargetBytes;
};

class RequestParser {
 public:
  enum class State : std::uint8_t {
    kHead,          // before or inside a head
    kHeadComplete,  // head() may be taken; the next feed() goes on with the body
    kBody,
    kComplete,  // the message has ended; next_message() goes on
    kFailed,
  };
  struct Failure {
    int status = 400;
    std::string_view reason;  // static text
  };
  struct Framing {
    bool http_1_1 = true;
    bool keep_alive = true;
    bool has_body = false;                        // a body of at least one byte, or a chunked one
    std::optional<std::uint64_t> content_length;  // absent when chunked
    bool expects_continue = false;
  };

  explicit RequestParser(HeadLimits limits = {});
  ~RequestParser();

  // Consumes bytes up to the end of the head, of the message, or of the input; returns how many. Bytes of the body are
  // appended to `body`. In kHead, kHeadComplete (goes on) and kBody only; an empty input is allowed.
  std::size_t feed(std::string_view input, std::string& body);
  void next_message();

  [[nodiscard]] State state() const;
  [[nodiscard]] const Failure& failure() const;  // in kFailed
  [[nodiscard]] const Framing& framing() const;  // from kHeadComplete on
  [[nodiscard]] bool head_begun() const;         // at least one byte of a head has come
  // The request without its body and peer, once a message.
  Request take_head();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::net
