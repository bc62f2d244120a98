#include "net/connection.h"

#include <algorithm>
#include <array>
#include <asio/as_tuple.hpp>
#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <atomic>

#include "base/check.h"
#include "base/log.h"
#include "net/exchange.h"
#include "net/request_parser.h"

namespace lakeloop::net {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr auto kNever = Steady::time_point::max();
constexpr std::size_t kReadBuffer = 16 * 1024;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// Reading and writing are two coroutines, started when there is something to do and ended when there is not; between
// them stands a plain state machine. `phase_` is about what is read, `exchange_` about what is answered.
class HttpConnection final : public Connection, public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(asio::io_context& io, FileHandle socket, std::string peer, const ConnectionContext& context)
      : context_(context), options_(context.options), socket_(io), timer_(io), peer_(std::move(peer)) {
    socket_.assign(asio::ip::tcp::v4(), socket.release());
  }

  void begin() override {
    asio::error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    wait_for_input(options_.header_timeout);
    resume_reading();
  }

  void drain() override {
    draining_ = true;
    if (exchange_) {
      exchange_->close_after();
    } else if (phase_ == Phase::kHead && !parser_.head_begun()) {
      close();
    }
  }

  void cut() override { close(); }

 private:
  enum class Phase {
    kHead,       // before or inside a head
    kBody,       // inside a body
    kAnswering,  // the request has ended, its answer has not; further input waits
    kClosing,    // the answer under way is the last; input is dropped
    kLingering,  // all is written; input is dropped until the client closes
    kClosed,
  };
  using Self = std::shared_ptr<HttpConnection>;

  [[nodiscard]] bool closed() const { return phase_ == Phase::kClosed; }

  void spawn(asio::awaitable<void> work) {
    asio::co_spawn(socket_.get_executor(), std::move(work), [self = shared_from_this()](std::exception_ptr failure) {
      if (!failure) return;
      log_error("http.connection_failed", {{"peer", self->peer_}});
      self->close();
    });
  }

  // --- reading

  [[nodiscard]] bool may_read() const {
    if (closed() || eof_) return false;
    if (phase_ == Phase::kBody) return !exchange_ || !exchange_->body_full();
    if (phase_ == Phase::kAnswering) return pending_.size() < kReadBuffer;
    return true;
  }

  void resume_reading() {
    if (reading_ || !may_read()) return;
    reading_ = true;
    if (paused_at_ != kNever) {
      // Time in which we did not read is not the sender's.
      body_began_ += Steady::now() - std::exchange(paused_at_, kNever);
      if (phase_ == Phase::kBody) wait_for_body();
    }
    spawn(read_loop(shared_from_this()));
  }

  static asio::awaitable<void> read_loop(Self self) {
    while (self->may_read()) {
      auto [error, size] = co_await self->socket_.async_read_some(asio::buffer(self->buffer_), kTuple);
      if (self->closed()) break;
      if (error == asio::error::eof) {
        self->on_eof();
      } else if (error) {
        self->close();
      } else {
        self->on_bytes({self->buffer_.data(), size});
      }
    }
    self->reading_ = false;
    if (self->closed() || self->eof_) co_return;
    if (self->phase_ == Phase::kBody) {
      self->paused_at_ = Steady::now();
      self->read_deadline_ = kNever;
    }
    // While nothing is read, only a reset tells that the client is gone.
    if (!std::exchange(self->watching_, true)) self->spawn(watch_for_reset(self));
  }

  static asio::awaitable<void> watch_for_reset(Self self) {
    auto [error] = co_await self->socket_.async_wait(asio::socket_base::wait_error, kTuple);
    self->watching_ = false;
    if (!error) self->close();
  }

  void on_bytes(std::string_view bytes) {
    if (pending_.empty()) {
      const std::size_t used = advance(bytes);
      pending_.assign(bytes.substr(used));
    } else {
      pending_.append(bytes);
      advance_pending();
    }
    if (phase_ == Phase::kClosing || phase_ == Phase::kLingering) pending_.clear();
  }

  void advance_pending() {
    std::string input = std::exchange(pending_, {});
    input.erase(0, advance(input));
    pending_ = std::move(input);
  }

  void on_eof() {
    eof_ = true;
    if (phase_ == Phase::kAnswering) {
      if (exchange_ && pending_.empty()) exchange_->client_left(false);
    } else if (phase_ != Phase::kClosing) {
      close();
    }
  }

  // Parses as far as the phase allows; returns how many bytes were used.
  std::size_t advance(std::string_view input) {
    std::size_t used = 0;
    for (;;) {
      const std::string_view rest = input.substr(used);
      if (phase_ == Phase::kHead) {
        if (rest.empty()) break;
        const bool fresh = !parser_.head_begun();
        used += parser_.feed(rest, body_);
        if (parser_.state() == RequestParser::State::kFailed) {
          refuse(parser_.failure().status, parser_.failure().reason);
        } else if (parser_.state() == RequestParser::State::kHeadComplete) {
          on_head(input.size() > used);
        } else if (fresh) {
          wait_for_input(options_.header_timeout);
        }
      } else if (phase_ == Phase::kBody) {
        used += parser_.feed(rest, body_);
        on_body();
        if (phase_ == Phase::kBody && used == input.size()) break;
      } else {
        break;
      }
    }
    if (eof_ && (phase_ == Phase::kHead || phase_ == Phase::kBody)) close();
    return used;
  }

  void on_head(bool more_has_come) {
    const RequestParser::Framing& framing = parser_.framing();
    request_ = parser_.take_head();
    request_.peer = peer_;
    policy_ = {.limit = limits::kRequestBodyBytes};
    if (context_.handler.body_policy) {
      try {
        policy_ = context_.handler.body_policy(request_);
      } catch (const std::exception& error) {
        log_error("http.body_policy_threw", {{"path", request_.path}, {"error", error.what()}});
        return refuse(500, "the request could not be routed");
      }
    }
    if (framing.content_length.value_or(0) > policy_.limit)
      return refuse(413, "the body is larger than this address takes");

    phase_ = Phase::kBody;
    received_ = 0;
    body_began_ = Steady::now();
    // A client that has begun its body does not wait for a word from us.
    awaits_continue_ = framing.expects_continue && !more_has_come;
    read_deadline_ = kNever;
    if (policy_.stream) {
      dispatch();
    } else {
      if (framing.content_length) request_.body.reserve(std::min<std::size_t>(*framing.content_length, kReadBuffer));
      ask_for_body();
    }
    if (phase_ == Phase::kBody && framing.has_body && !awaits_continue_) wait_for_body();
  }

  void ask_for_body() {
    if (!std::exchange(awaits_continue_, false)) return;
    interim_ = kContinue;
    if (phase_ == Phase::kBody) wait_for_body();
    start_writing();
  }

  // What the parser has found since the last call.
  void on_body() {
    received_ += body_.size();
    if (received_ > policy_.limit) {
      if (!exchange_) return refuse(413, "the body is larger than this address takes");
      exchange_->fail_body(
          Error(ErrorCode::kTooLarge, "the body is larger than the {} bytes that this address takes", policy_.limit));
      phase_ = Phase::kClosing;
    } else if (!body_.empty()) {
      awaits_continue_ = false;
      if (exchange_) {
        exchange_->push_body(body_);
      } else {
        request_.body.append(body_);
      }
      wait_for_body();
    }
    body_.clear();
    if (phase_ != Phase::kBody) return;
    if (parser_.state() == RequestParser::State::kFailed) {
      refuse(parser_.failure().status, parser_.failure().reason);
    } else if (parser_.state() == RequestParser::State::kComplete) {
      phase_ = Phase::kAnswering;
      read_deadline_ = kNever;
      awaits_continue_ = false;
      if (exchange_) {
        exchange_->end_body();
      } else {
        dispatch();
      }
    }
  }

  void dispatch() {
    const RequestParser::Framing& framing = parser_.framing();
    const Exchange::Traits traits{.http_1_1 = framing.http_1_1,
                                  .head_only = request_.method == Method::kHead,
                                  .keep_alive = framing.keep_alive && !draining_,
                                  .streamed = policy_.stream};
    auto exchange = std::make_shared<Exchange>(std::move(request_), traits, Steady::now() + options_.request_deadline,
                                               [weak = weak_from_this()] {
                                                 if (const Self self = weak.lock()) self->wake();
                                               });
    request_ = {};
    if (context_.pool.try_submit([exchange, &handler = context_.handler] { exchange->run(handler); })) {
      exchange_ = std::move(exchange);
      return;
    }
    Response busy = refusal(503, "the server has too many requests waiting; try again");
    busy.headers.set("retry-after", "1");
    answer_ourselves(busy, traits.keep_alive && phase_ == Phase::kAnswering, traits.head_only);
  }

  // Answers what cannot be understood or taken, and closes.
  void refuse(int status, std::string_view reason) {
    if (exchange_) {
      exchange_->fail_body(Error(ErrorCode::kMalformedRequest, "the body is malformed: {}", reason));
      phase_ = Phase::kClosing;
      return;
    }
    log_debug("http.refused", {{"peer", peer_}, {"status", status}, {"reason", reason}});
    answer_ourselves(refusal(status, reason), false, false);
  }

  void answer_ourselves(const Response& response, bool keep_alive, bool head_only) {
    own_.bytes = render_head(response.status, response.headers,
                             {.http_1_1 = true, .keep_alive = keep_alive, .content_length = response.body.size()});
    if (!head_only) own_.body = response.body;
    own_.end = true;
    own_keep_alive_ = keep_alive;
    if (!keep_alive) phase_ = Phase::kClosing;
    read_deadline_ = kNever;
    start_writing();
  }

  // --- writing

  // From any thread. Many wakes become one.
  void wake() {
    if (woken_.exchange(true)) return;
    asio::post(socket_.get_executor(), [self = shared_from_this()] { self->on_wake(); });
  }

  void on_wake() {
    woken_ = false;
    if (closed()) return;
    if (exchange_ && exchange_->take_wants_body()) ask_for_body();
    resume_reading();
    start_writing();
  }

  void start_writing() {
    if (closed() || std::exchange(writing_, true)) return;
    spawn(write_loop(shared_from_this()));
  }

  static asio::awaitable<void> write_loop(Self self) {
    while (!self->closed()) {
      const std::shared_ptr<Exchange> exchange = self->exchange_;
      Exchange::Output output;
      if (!self->interim_.empty()) {
        output.bytes = std::exchange(self->interim_, {});
      } else if (self->own_.end) {
        output = std::exchange(self->own_, {});
      } else if (exchange) {
        output = exchange->take_output();
      }
      if (output.bytes.empty() && output.body.empty() && !output.end) break;

      std::array<asio::const_buffer, 2> rest{asio::buffer(output.bytes), asio::buffer(output.body)};
      while (rest[0].size() + rest[1].size() > 0) {
        self->write_deadline_ = Steady::now() + self->options_.write_stall_timeout;
        self->arm_timer();
        auto [error, size] = co_await self->socket_.async_write_some(rest, kTuple);
        self->write_deadline_ = kNever;
        if (error) self->close();
        if (self->closed()) break;
        const std::size_t first = std::min(size, rest[0].size());
        rest[0] += first;
        rest[1] += size - first;
        if (exchange) exchange->report_written(first);
      }
      if (output.end && !self->closed()) self->on_answered(output.cut);
    }
    self->writing_ = false;
  }

  void on_answered(bool was_cut) {
    if (was_cut) return close();
    const bool keep_alive = exchange_ ? exchange_->keeps_alive() : own_keep_alive_;
    exchange_.reset();
    if (!keep_alive || draining_ || phase_ != Phase::kAnswering) return linger();
    phase_ = Phase::kHead;
    parser_.next_message();
    wait_for_input(options_.keep_alive_timeout);
    advance_pending();
    resume_reading();
  }

  // --- ending

  // Closing a socket with unread input resets it, and the client might lose the answer: so we say that nothing follows
  // and read on for a while.
  void linger() {
    if (eof_) return close();
    phase_ = Phase::kLingering;
    pending_.clear();
    asio::error_code ignored;
    socket_.shutdown(asio::socket_base::shutdown_send, ignored);
    wait_for_input(options_.linger_timeout);
    resume_reading();
  }

  void close() {
    if (closed()) return;
    phase_ = Phase::kClosed;
    if (const auto exchange = std::exchange(exchange_, nullptr)) exchange->client_left(true);
    asio::error_code ignored;
    socket_.close(ignored);
    timer_.cancel();
    context_.on_closed(*this);
  }

  // --- time

  void wait_for_input(Steady::duration timeout) {
    read_deadline_ = Steady::now() + timeout;
    arm_timer();
  }

  void wait_for_body() {
    const auto stall = Steady::duration(options_.body_stall_timeout);
    const auto earned = std::chrono::seconds(received_ / limits::kBodyBytesPerSecond);
    read_deadline_ = std::min(Steady::now() + stall, body_began_ + stall + earned);
    arm_timer();
  }

  // The timer is moved only to an earlier time: most deadlines pass by without touching it.
  void arm_timer() {
    const auto next = std::min(read_deadline_, write_deadline_);
    if (next >= timer_at_) return;
    timer_at_ = next;
    timer_.expires_at(next);
    timer_.async_wait([weak = weak_from_this()](const asio::error_code& error) {
      if (error) return;
      if (const Self self = weak.lock()) self->on_timer();
    });
  }

  void on_timer() {
    timer_at_ = kNever;
    if (closed()) return;
    const auto now = Steady::now();
    if (now >= write_deadline_) {
      // With a reset: else the kernel would go on offering what it holds to a reader that takes nothing.
      asio::error_code ignored;
      socket_.set_option(asio::socket_base::linger(true, 0), ignored);
      return close();
    }
    if (now >= read_deadline_) on_read_timeout();
    if (!closed()) arm_timer();
  }

  void on_read_timeout() {
    read_deadline_ = kNever;
    if (phase_ == Phase::kHead && parser_.head_begun()) return refuse(408, "the request did not come in time");
    if (phase_ != Phase::kBody) return close();
    if (!exchange_) return refuse(408, "the body did not come in time");
    exchange_->fail_body(Error(ErrorCode::kDeadlineExceeded, "the body did not come in time"));
    phase_ = Phase::kClosing;
  }

  const ConnectionContext& context_;
  const ServerOptions& options_;
  asio::ip::tcp::socket socket_;
  asio::steady_timer timer_;
  const std::string peer_;

  Phase phase_ = Phase::kHead;
  RequestParser parser_;
  std::array<char, kReadBuffer> buffer_;  // of the read that is under way
  std::string pending_;                   // came, but not yet its turn
  bool reading_ = false;
  bool eof_ = false;
  bool watching_ = false;
  bool draining_ = false;

  Request request_;
  BodyPolicy policy_;
  std::string body_;  // between parser and request or exchange; empty between calls
  std::uint64_t received_ = 0;
  bool awaits_continue_ = false;
  Steady::time_point body_began_{};
  Steady::time_point paused_at_ = kNever;

  std::shared_ptr<Exchange> exchange_;
  std::string interim_;
  Exchange::Output own_;
  bool own_keep_alive_ = false;
  bool writing_ = false;
  std::atomic<bool> woken_ = false;

  Steady::time_point read_deadline_ = kNever;
  Steady::time_point write_deadline_ = kNever;
  Steady::time_point timer_at_ = kNever;
};

}  // namespace

std::shared_ptr<Connection> make_connection(asio::io_context& io, FileHandle socket, std::string peer,
                                            const ConnectionContext& context) {
  return std::make_shared<HttpConnection>(io, std::move(socket), std::move(peer), context);
}

}  // namespace lakeloop::net
