// The request parser on arbitrary bytes: no crash, no endless loop, and the same outcome however the bytes are cut.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "net/request_parser.h"

namespace {

using lakeloop::net::Request;
using lakeloop::net::RequestParser;

class Session {
 public:
  void feed(std::string_view piece) {
    for (;;) {
      const RequestParser::State before = parser_.state();
      if (before == RequestParser::State::kFailed || (before == RequestParser::State::kHead && piece.empty())) return;
      const std::size_t used = parser_.feed(piece, body_);
      LAKELOOP_CHECK(used <= piece.size());
      piece.remove_prefix(used);
      switch (parser_.state()) {
        case RequestParser::State::kHeadComplete:
          take_head();
          break;
        case RequestParser::State::kComplete:
          outcome_ += body_ + ";";
          body_.clear();
          parser_.next_message();
          break;
        case RequestParser::State::kFailed:
          outcome_ += std::to_string(parser_.failure().status);
          return;
        default:
          if (piece.empty()) return;
      }
    }
  }
  std::string outcome() const { return outcome_ + body_; }

 private:
  void take_head() {
    const Request head = parser_.take_head();
    const RequestParser::Framing& framing = parser_.framing();
    LAKELOOP_CHECK(head.path.starts_with('/') || head.path == "*");
    LAKELOOP_CHECK(!framing.content_length || !head.headers.contains("transfer-encoding"));
    outcome_ += head.target + "|" + head.path;
    for (const auto& [name, value] : head.headers.all()) {
      LAKELOOP_CHECK(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
      outcome_ += "|" + name + ":" + value;
    }
  }

  RequestParser parser_;
  std::string body_, outcome_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t step = data[0] % 16 + 1;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  Session whole, pieces;
  whole.feed(bytes);
  for (std::size_t at = 0; at < bytes.size(); at += step) pieces.feed(bytes.substr(at, step));
  LAKELOOP_CHECK(whole.outcome() == pieces.outcome());
  return 0;
}
