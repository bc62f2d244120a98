#include "net/server.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>
#include <asio/as_tuple.hpp>
#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/format.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/connection.h"
#include "net/response_head.h"

namespace lakeloop::net {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr auto kAcceptPause = std::chrono::milliseconds(50);

Gauge open_connections("lakeloop_http_connections", "Open connections of the HTTP server.");
Counter refused_connections("lakeloop_http_connections_refused_total", "Connections refused at the limit.");

struct IoThread {
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections;  // touched on its thread only
  std::thread thread;
};

asio::ip::tcp::endpoint resolve(asio::io_context& io, const ServerOptions& options) {
  asio::error_code error;
  const auto address = asio::ip::make_address(options.host, error);
  if (!error) return {address, options.port};
  asio::ip::tcp::resolver resolver(io);
  const auto found =
      resolver.resolve(options.host, std::to_string(options.port), asio::ip::tcp::resolver::passive, error);
  if (error || found.empty())
    throw Error(ErrorCode::kUnavailable, "cannot listen on {}: {}", options.host, error.message());
  return found.begin()->endpoint();
}

std::string text_of(const asio::ip::tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return endpoint.address().is_v6() ? format("[{}]:{}", address, endpoint.port())
                                    : format("{}:{}", address, endpoint.port());
}

// As good as can be without a connection of our own: one attempt, no waiting.
void refuse_connection(int socket) {
  refused_connections.add();
  Response busy = refusal(503, "the server has too many connections; try again");
  busy.headers.set("retry-after", "1");
  const std::string answer =
      render_head(busy.status, busy.headers, {.keep_alive = false, .content_length = busy.body.size()}) + busy.body;
  if (::send(socket, answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) ::shutdown(socket, SHUT_WR);
}

}  // namespace

struct Server::Impl {
  const ServerOptions options;
  const Handler handler;
  std::vector<std::unique_ptr<IoThread>> threads;
  ThreadPool pool;
  const ConnectionContext context;
  std::unique_ptr<asio::ip::tcp::acceptor> acceptor;  // on the first thread
  std::uint16_t port = 0;

  std::mutex mutex;
  std::condition_variable closed;
  std::size_t open = 0;

  std::mutex stop_mutex;
  bool stopped = false;

  Impl(ServerOptions o, Handler h)
      : options(std::move(o)),
        handler(std::move(h)),
        pool("http", std::max<std::size_t>(options.handler_threads, 1), options.handler_queue),
        context{.options = options, .handler = handler, .pool = pool, .on_closed = [this](Connection& c) {
                  on_closed(c);
                }} {
    for (std::size_t i = 0; i < std::max<std::size_t>(options.io_threads, 1); ++i)
      threads.push_back(std::make_unique<IoThread>());
    listen();
    asio::co_spawn(threads[0]->io, accept_loop(this), asio::detached);
    for (std::size_t i = 0; i < threads.size(); ++i) {
      threads[i]->thread = std::thread([io = &threads[i]->io, i] {
        pthread_setname_np(pthread_self(), format("net-{}", i).c_str());
        io->run();
      });
    }
  }

  void listen() {
    asio::io_context& io = threads[0]->io;
    const asio::ip::tcp::endpoint endpoint = resolve(io, options);
    asio::error_code error;
    acceptor = std::make_unique<asio::ip::tcp::acceptor>(io);
    acceptor->open(endpoint.protocol(), error);
    if (!error) acceptor->set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor->bind(endpoint, error);
    if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
    if (!error) acceptor->non_blocking(true, error);
    if (!error) port = acceptor->local_endpoint(error).port();
    if (error) throw Error(ErrorCode::kUnavailable, "cannot listen on {}: {}", text_of(endpoint), error.message());
  }

  static asio::awaitable<void> accept_loop(Impl* impl) {
    asio::steady_timer pause(impl->threads[0]->io);
    std::size_t next = 0;
    while (impl->acceptor->is_open()) {
      auto [error] = co_await impl->acceptor->async_wait(asio::socket_base::wait_read, kTuple);
      if (error) break;
      bool exhausted = false;
      while (impl->acceptor->is_open() && impl->accept_one(next, exhausted)) ++next;
      if (!exhausted) continue;
      // No descriptor is left: the backlog waits until one is.
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(kTuple);
    }
  }

  // False when nobody waits, or (exhausted) when nobody can be taken now.
  bool accept_one(std::size_t turn, bool& exhausted) {
    asio::ip::tcp::endpoint peer;
    auto length = static_cast<socklen_t>(peer.capacity());
    FileHandle socket(::accept4(acceptor->native_handle(), peer.data(), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
      // An aborted connection is over with the next call.
      if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO) return true;
      exhausted = errno != EAGAIN && errno != EWOULDBLOCK;
      return false;
    }
    peer.resize(length);
    {
      const std::lock_guard lock(mutex);
      if (open >= options.connections) {
        refuse_connection(socket.get());
        return true;
      }
      ++open;
    }
    open_connections.add(1);
    IoThread& thread = *threads[turn % threads.size()];
    std::shared_ptr<Connection> connection;
    try {
      connection = make_connection(thread.io, std::move(socket), text_of(peer), context);
    } catch (const std::exception& error) {
      log_error("http.accept_failed", {{"error", error.what()}});
      count_closed();
      return true;
    }
    asio::post(thread.io, [&thread, connection] {
      thread.connections.emplace(connection.get(), connection);
      connection->begin();
    });
    return true;
  }

  void on_closed(Connection& connection) {
    for (const auto& thread : threads) {
      if (thread->io.get_executor().running_in_this_thread()) thread->connections.erase(&connection);
    }
    count_closed();
  }

  void count_closed() {
    open_connections.add(-1);
    const std::lock_guard lock(mutex);
    --open;
    closed.notify_all();
  }

  // Runs on each I/O thread, for each of its connections.
  template <typename Action>
  void for_each_connection(Action action) {
    for (const auto& thread : threads) {
      asio::post(thread->io, [&thread = *thread, action] {
        std::vector<std::shared_ptr<Connection>> all;
        for (const auto& [pointer, connection] : thread.connections) all.push_back(connection);
        for (const auto& connection : all) action(*connection);
      });
    }
  }

  bool wait_until_closed(std::chrono::milliseconds wait) {
    std::unique_lock lock(mutex);
    return closed.wait_for(lock, wait, [this] { return open == 0; });
  }

  void stop(std::chrono::milliseconds grace) {
    const std::lock_guard once(stop_mutex);
    if (stopped) return;
    stopped = true;
    std::promise<void> deaf;
    asio::post(threads[0]->io, [this, &deaf] {
      asio::error_code ignored;
      acceptor->close(ignored);
      deaf.set_value();
    });
    deaf.get_future().wait();
    for_each_connection([](Connection& connection) { connection.drain(); });
    if (!wait_until_closed(grace)) for_each_connection([](Connection& connection) { connection.cut(); });
    while (!wait_until_closed(std::chrono::seconds(1)))
      for_each_connection([](Connection& connection) { connection.cut(); });
    pool.stop();
    for (const auto& thread : threads) thread->work.reset();
    for (const auto& thread : threads) {
      if (thread->thread.joinable()) thread->thread.join();
    }
  }
};

Server::Server(ServerOptions options, Handler handler)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(handler))) {}

Server::~Server() {
  impl_->stop(std::chrono::milliseconds(0));
}

std::uint16_t Server::port() const {
  return impl_->port;
}

void Server::stop(std::chrono::milliseconds grace) {
  impl_->stop(grace);
}

}  // namespace lakeloop::net
