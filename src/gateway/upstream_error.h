#pragma once

// What a provider's refusal means for our client: whose fault it is, whether another try may help, and what may be said
// about it. A provider's own words never carry a credential further.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "codec/json.h"
#include "net/http.h"

namespace lakeloop::gateway {

// Takes out the secrets themselves, and everything that looks like a key of a known provider, whole or masked.
std::string without_secrets(std::string text, const std::vector<std::string>& secrets);

// Retry-After of an answer in the order of the field: retry-after-ms, x-ms-retry-after-ms, retry-after as seconds or
// date.
std::optional<std::chrono::milliseconds> retry_after_of(const net::Headers& headers,
                                                        std::chrono::system_clock::time_point now);

struct Refusal {
  Error error;
  bool retry = false;  // 408, 429 (but no exhausted quota), 5xx; x-should-retry decides where it is sent
  std::optional<std::chrono::milliseconds> wait;
  std::string message;  // the provider's, without secrets
};
Refusal refusal_of(const net::Response& response, const std::vector<std::string>& secrets);

// An error object inside a stream, before anything else is known about it.
Error error_in_stream(const Json& error);

}  // namespace lakeloop::gateway
