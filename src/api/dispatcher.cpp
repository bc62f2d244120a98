#include "api/dispatcher.h"

#include <exception>

#include "api/fields.h"
#include "base/format.h"
#include "base/id.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "codec/encoding.h"

namespace lakeloop::api {
namespace {

Counter requests("lakeloop_http_requests_total", "Requests by route and status.", {"route", "status"});
Counter errors("lakeloop_errors_total", "Errors by code and message template.", {"code", "template"});
Histogram seconds("lakeloop_http_request_seconds", "Time from the whole request to the end of the answer.",
                  {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}, {"route"});

int status_of(const Error& error, Dialect dialect) {
  // MLflow answers 400 where Databricks answers 409; its client looks at error_code, old ones at the status.
  if (dialect == Dialect::kMlflow && error.code() == ErrorCode::kAlreadyExists) return 400;
  return info(error.code()).http_status;
}

std::string bearer_token(const net::Request& request) {
  const std::string_view header = request.headers.get("authorization");
  if (header.size() > 7 && iequals(header.substr(0, 7), "bearer ")) return std::string(trim(header.substr(7)));
  if (header.size() > 6 && iequals(header.substr(0, 6), "basic ")) {
    // MLflow's user name and password: the password is the token.
    const auto pair = codec::base64_decode(trim(header.substr(6)));
    if (pair && pair->contains(':')) return pair->substr(pair->find(':') + 1);
  }
  return {};
}

// Counts one answer and passes it on.
class MeasuredWriter : public net::ResponseWriter {
 public:
  MeasuredWriter(net::ResponseWriter& inner, std::string route, std::string request_id)
      : inner_(inner), route_(std::move(route)), request_id_(std::move(request_id)) {}
  MeasuredWriter(const MeasuredWriter&) = delete;
  MeasuredWriter& operator=(const MeasuredWriter&) = delete;
  ~MeasuredWriter() override {
    requests.add(1, {route_, lakeloop::format("{}", status_)});
    seconds.observe(std::chrono::duration<double>(Steady::now() - begin_).count(), {route_});
  }
  void send(net::Response response) override {
    status_ = response.status;
    response.headers.set("x-request-id", request_id_);
    inner_.send(std::move(response));
  }
  void start(int status, net::Headers headers) override {
    status_ = status;
    headers.set("x-request-id", request_id_);
    inner_.start(status, std::move(headers));
  }
  bool write(std::string_view bytes) override { return inner_.write(bytes); }
  void finish() override { inner_.finish(); }
  [[nodiscard]] bool started() const override { return inner_.started(); }
  void set_route(std::string route) { route_ = std::move(route); }

 private:
  net::ResponseWriter& inner_;
  std::string route_;
  std::string request_id_;
  int status_ = 0;
  Steady::time_point begin_ = Steady::now();
};

// A client may name its request; what it sends becomes part of logs and ids, so only plain characters pass.
std::string request_id_of(const net::Request& request) {
  const std::string_view sent = request.headers.get("x-request-id");
  const bool plain = !sent.empty() && sent.size() <= 64 &&
                     sent.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
                         std::string_view::npos;
  return plain ? std::string(sent) : new_uuid();
}

}  // namespace

void add_with_twin(Routes& routes, Route route, std::string_view prefix, std::string_view twin_prefix) {
  Route twin = route;
  twin.path = std::string(twin_prefix) + route.path.substr(prefix.size());
  twin.name += ".twin";
  routes.push_back(std::move(route));
  routes.push_back(std::move(twin));
}

net::Response render_error(const Error& error, Dialect dialect, const std::string& request_id) {
  errors.add(1, {std::string(info(error.code()).wire), std::string(error.message_template())});
  const int status = status_of(error, dialect);
  std::string message = error.message();
  if (error.code() == ErrorCode::kInternal) {
    log_error("internal_error", {{"request_id", request_id}, {"message", message}});
    message = lakeloop::format("internal error; the server's log has more under request id {}", request_id);
  }
  Json body;
  switch (dialect) {
    case Dialect::kOpenAi: {
      Json inner = Json::object({{"message", message}, {"type", info(error.code()).openai_type}});
      inner.set("param", error.param().empty() ? Json() : Json(error.param()));
      inner.set("code", ascii_lower(info(error.code()).wire));
      body.set("error", std::move(inner));
      break;
    }
    case Dialect::kOtlp:
      body = Json::object({{"detail", message}});
      break;
    default:
      body = Json::object({{"error_code", info(error.code()).wire}, {"message", message}});
      break;
  }
  net::Response response = net::Response::json(status, body.dump());
  if (error.retry_after()) response.headers.set("retry-after", lakeloop::format("{}", error.retry_after()->count()));
  if (status == 401) response.headers.set("www-authenticate", "Bearer");
  return response;
}

Dispatcher::Dispatcher(identity::Identity& identity, Routes routes) : identity_(identity), routes_(std::move(routes)) {
  for (std::size_t i = 0; i < routes_.size(); ++i) router_.add(routes_[i].method, routes_[i].path, i);
}

Dispatcher::~Dispatcher() = default;

net::Handler Dispatcher::handler() {
  return {.body_policy = [this](const net::Request& request) { return body_policy(request); },
          .handle = [this](net::Request&& request, net::BodyReader* body, net::ResponseWriter& writer,
                           const Deadline& deadline) { handle(std::move(request), body, writer, deadline); }};
}

net::BodyPolicy Dispatcher::body_policy(const net::Request& request) const {
  const auto match = router_.find(request.method, request.path);
  if (!match) return {.limit = limits::kRequestBodyBytes, .stream = false};
  const Route& route = routes_[match->route];
  return {.limit = route.body_limit, .stream = route.stream_body};
}

// The dialect of an answer to a path that no route has.
Dialect Dispatcher::dialect_of(std::string_view path) const {
  if (path.starts_with("/v1/traces")) return Dialect::kOtlp;
  if (path.starts_with("/v1/") || path.starts_with("/serving-endpoints")) return Dialect::kOpenAi;
  if (path.contains("/mlflow")) return Dialect::kMlflow;
  return Dialect::kDatabricks;
}

void Dispatcher::handle(net::Request&& request, net::BodyReader* body, net::ResponseWriter& raw_writer,
                        const Deadline& deadline) const {
  const std::string request_id = request_id_of(request);
  MeasuredWriter writer(raw_writer, "none", request_id);
  Dialect dialect = dialect_of(request.path);
  try {
    const auto match = router_.find(request.method, request.path);
    if (!match) {
      if (router_.methods_of(request.path).empty()) {
        throw Error(ErrorCode::kRouteNotFound, "no such endpoint: {} {}", net::to_string(request.method), request.path);
      }
      throw Error(ErrorCode::kMethodNotAllowed, "{} does not take {}", request.path, net::to_string(request.method));
    }
    const Route& route = routes_[match->route];
    dialect = route.dialect;
    writer.set_route(route.name);
    Call call{.who = {},
              .http = request,
              .fields = {},
              .deadline = deadline,
              .request_id = request_id,
              .body = body,
              .response_headers = {}};
    run(route, *match, call, writer);
  } catch (const Error& error) {
    if (writer.started()) {
      log_error("failed_after_start", {{"request_id", request_id}, {"message", error.message()}});
    } else {
      writer.send(render_error(error, dialect, request_id));
    }
  } catch (const std::exception& error) {
    log_error("unexpected_exception", {{"request_id", request_id}, {"what", error.what()}});
    if (!writer.started())
      writer.send(render_error(Error(ErrorCode::kInternal, "unexpected exception"), dialect, request_id));
  }
}

void Dispatcher::run(const Route& route, const net::Router::Match& match, Call& call,
                     net::ResponseWriter& writer) const {
  if (route.scope != Scope::everyone()) {
    const std::string token = bearer_token(call.http);
    if (token.empty()) {
      throw Error(ErrorCode::kUnauthenticated, "no token: send it in the header \"Authorization: Bearer <token>\"");
    }
    call.who = identity_.authenticate(token);
    if (route.scope == Scope::admin() && !call.who.admin) {
      throw Error(ErrorCode::kPermissionDenied, "{} needs an administrator", route.name);
    }
  }
  call.fields = decode_fields(route, call.http, match);
  if (const auto* json = std::get_if<JsonHandler>(&route.handler)) {
    net::Response response = net::Response::json(200, (*json)(call).dump());
    for (const auto& [name, value] : call.response_headers.all()) response.headers.set(name, value);
    writer.send(std::move(response));
  } else {
    std::get<RawHandler>(route.handler)(call, writer);
  }
}

}  // namespace lakeloop::api
