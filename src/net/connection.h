#pragma once

// One accepted connection: reads requests, hands them to the pool, writes the answers in order. It lives on one I/O
// thread and all functions are called there.

#include <functional>
#include <memory>
#include <string>

#include "base/file.h"
#include "base/thread_pool.h"
#include "net/server.h"

namespace asio {
class io_context;
}

namespace lakeloop::net {

class Connection {
 public:
  virtual ~Connection() = default;
  virtual void begin() = 0;
  // Closes at once when idle, else after the answer that is under way.
  virtual void drain() = 0;
  virtual void cut() = 0;
};

// What all connections of a server share; outlives them.
struct ConnectionContext {
  const ServerOptions& options;
  const Handler& handler;
  ThreadPool& pool;
  std::function<void(Connection&)> on_closed;  // once a connection, on its I/O thread
};

// `socket` is connected and non-blocking.
std::shared_ptr<Connection> make_connection(asio::io_context& io, FileHandle socket, std::string peer,
                                            const ConnectionContext& context);

}  // namespace lakeloop::net
