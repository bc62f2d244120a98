#pragma once

// One route descriptor per endpoint: it drives routing, authentication, decoding and checking of the request, errors in
// the face's dialect, OpenAPI, metric labels and the tests. An endpoint that is not described does not exist; one
// without a scope does not compile. A handler is a plain function: it calls one service function and renders.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/deadline.h"
#include "base/limits.h"
#include "codec/json.h"
#include "identity/identity.h"
#include "net/http.h"
#include "net/server.h"

namespace lakeloop::api {

// Who may call at all; what they may do with an object is the catalog's answer. There is no default.
class Scope {
 public:
  static constexpr Scope everyone() { return Scope(0); }       // no token: health, version, discovery
  static constexpr Scope authenticated() { return Scope(1); }  // any active principal
  static constexpr Scope admin() { return Scope(2); }
  bool operator==(const Scope&) const = default;

 private:
  constexpr explicit Scope(int level) : level_(level) {}
  int level_;
};

// How errors look: {"error_code","message"} with Databricks' or MLflow's statuses, {"error":{...}} of OpenAI,
// {"detail"} of OTLP.
enum class Dialect : std::uint8_t { kDatabricks, kMlflow, kOpenAi, kOtlp };

enum class FieldType : std::uint8_t { kString, kInteger, kNumber, kBoolean, kArray, kObject, kAny };

struct Field {
  std::string name;
  FieldType type = FieldType::kString;
  bool required = false;
  std::string doc;
};

// One request on its way through a handler.
struct Call {
  identity::Principal who;  // empty for everyone()
  net::Request& http;
  // Path parameters over body over query, by name. Query values have the type that the descriptor states. Always an
  // object.
  Json fields;
  const Deadline& deadline;
  std::string request_id;           // also the answer's x-request-id
  net::BodyReader* body = nullptr;  // for routes that take their body as a stream
  // Headers for the answer of a JSON handler.
  net::Headers response_headers;

  [[nodiscard]] std::string str(std::string_view name) const { return fields[name].string_or(""); }
  [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t fallback = 0) const {
    return fields[name].int_or(fallback);
  }
  [[nodiscard]] bool flag(std::string_view name) const { return fields[name].bool_or(false); }
};

// Returns the body of a 200 answer.
using JsonHandler = std::function<Json(Call&)>;
// Answers by itself: streams, files, other content types. What it throws before it has started is rendered as an error.
using RawHandler = std::function<void(Call&, net::ResponseWriter&)>;

struct Route {
  net::Method method;
  std::string path;  // net::Router pattern
  Scope scope;
  std::string name;  // "mlflow.getExperiment": operation id, metric label
  std::string summary;
  Dialect dialect = Dialect::kDatabricks;
  std::vector<Field> request = {};
  std::vector<Field> response = {};
  std::variant<JsonHandler, RawHandler> handler;
  bool raw_body = false;     // the body is not JSON: left in http.body
  bool stream_body = false;  // the body comes through Call::body
  std::size_t body_limit = limits::kRequestBodyBytes;
};

using Routes = std::vector<Route>;

// The same route under a second path, as "/ajax-api" beside "/api".
void add_with_twin(Routes& routes, Route route, std::string_view prefix, std::string_view twin_prefix);

}  // namespace lakeloop::api
