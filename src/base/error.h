#pragma once

// The one error type. Throw an Error to end a request or a job step; return std::expected where the caller branches;
// use LAKELOOP_CHECK (base/check.h) for our own bugs. Every code, its wire names and its HTTP status stand in the one
// table below; faces only choose the dialect.

#include <fmt/base.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace lakeloop {

// X(enumerator, wire error_code of MLflow and Databricks, HTTP status, OpenAI error type)
#define LAKELOOP_ERROR_CODES(X)                                                     \
  X(kInvalidArgument, "INVALID_PARAMETER_VALUE", 400, "invalid_request_error")      \
  X(kMalformedRequest, "BAD_REQUEST", 400, "invalid_request_error")                 \
  X(kUnsupportedFeature, "UNSUPPORTED_TABLE_FEATURE", 400, "invalid_request_error") \
  X(kUnauthenticated, "UNAUTHENTICATED", 401, "authentication_error")               \
  X(kPermissionDenied, "PERMISSION_DENIED", 403, "permission_error")                \
  X(kNotFound, "RESOURCE_DOES_NOT_EXIST", 404, "not_found_error")                   \
  X(kRouteNotFound, "ENDPOINT_NOT_FOUND", 404, "not_found_error")                   \
  X(kMethodNotAllowed, "METHOD_NOT_ALLOWED", 405, "invalid_request_error")          \
  X(kAlreadyExists, "RESOURCE_ALREADY_EXISTS", 409, "invalid_request_error")        \
  X(kConflict, "RESOURCE_CONFLICT", 409, "invalid_request_error")                   \
  X(kTooLarge, "REQUEST_TOO_LARGE", 413, "invalid_request_error")                   \
  X(kUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", 415, "invalid_request_error")  \
  X(kRateLimited, "REQUEST_LIMIT_EXCEEDED", 429, "rate_limit_error")                \
  X(kResourceExhausted, "RESOURCE_EXHAUSTED", 429, "rate_limit_error")              \
  X(kCancelled, "CANCELLED", 499, "invalid_request_error")                          \
  X(kInternal, "INTERNAL_ERROR", 500, "server_error")                               \
  X(kDataLoss, "DATA_LOSS", 500, "server_error")                                    \
  X(kUnimplemented, "NOT_IMPLEMENTED", 501, "server_error")                         \
  X(kUpstream, "UPSTREAM_ERROR", 502, "server_error")                               \
  X(kUnavailable, "TEMPORARILY_UNAVAILABLE", 503, "server_error")                   \
  X(kDeadlineExceeded, "DEADLINE_EXCEEDED", 504, "server_error")

enum class ErrorCode : std::uint8_t {
#define X(name, wire, status, openai) name,
  LAKELOOP_ERROR_CODES(X)
#undef X
};

struct ErrorCodeInfo {
  std::string_view wire;         // "RESOURCE_DOES_NOT_EXIST"
  int http_status;               // 404
  std::string_view openai_type;  // "not_found_error"
};
const ErrorCodeInfo& info(ErrorCode code);
std::optional<ErrorCode> error_code_from_wire(std::string_view wire);

// A message states what was wrong, which field or object, and what to do. It is shown to users: it never holds a
// secret. The template (text before its values are filled in) labels the error in metrics.
class Error : public std::exception {
 public:
  template <typename... T>
  Error(ErrorCode code, fmt::format_string<T...> text, const T&... values)
      : Error(Formatted{}, code, fmt::string_view(text), fmt::make_format_args(values...)) {}

  [[nodiscard]] ErrorCode code() const noexcept { return code_; }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }
  [[nodiscard]] std::string_view message_template() const noexcept { return template_; }
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

  // Seconds a client should wait; becomes the header Retry-After.
  [[nodiscard]] std::optional<std::chrono::seconds> retry_after() const noexcept { return retry_after_; }
  Error&& with_retry_after(std::chrono::seconds wait) && {
    retry_after_ = wait;
    return std::move(*this);
  }
  // The field of the request that was wrong, where there is one: OpenAI's `param`.
  [[nodiscard]] const std::string& param() const noexcept { return param_; }
  Error&& with_param(std::string param) && {
    param_ = std::move(param);
    return std::move(*this);
  }

 private:
  struct Formatted {};
  Error(Formatted, ErrorCode code, fmt::string_view text, fmt::format_args values);

  ErrorCode code_;
  std::string template_;
  std::string message_;
  std::string param_;
  std::optional<std::chrono::seconds> retry_after_;
};

template <typename T>
using Expected = std::expected<T, Error>;

}  // namespace lakeloop
