#pragma once

// From an HTTP request to a handler and back: routing, authentication, decoding, the one mapping of errors to answers,
// request ids, metrics. Thread-safe once made.

#include <memory>
#include <string>

#include "api/route.h"
#include "net/router.h"

namespace lakeloop::api {

// Status and body of an error in a dialect. Internal errors are logged with the request id and shown without detail.
net::Response render_error(const Error& error, Dialect dialect, const std::string& request_id);

class Dispatcher {
 public:
  Dispatcher(identity::Identity& identity, Routes routes);
  ~Dispatcher();

  [[nodiscard]] net::Handler handler();
  [[nodiscard]] const Routes& routes() const { return routes_; }

 private:
  net::BodyPolicy body_policy(const net::Request& request) const;
  void handle(net::Request&& request, net::BodyReader* body, net::ResponseWriter& writer,
              const Deadline& deadline) const;
  void run(const Route& route, const net::Router::Match& match, Call& call, net::ResponseWriter& writer) const;
  [[nodiscard]] Dialect dialect_of(std::string_view path) const;

  identity::Identity& identity_;
  Routes routes_;
  net::Router router_;
};

// OpenAPI 3.1 of all routes.
Json openapi(const Routes& routes, std::string_view version);

}  // namespace lakeloop::api
