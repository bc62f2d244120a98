#include "gateway/upstream_error.h"

#include <algorithm>
#include <array>
#include <ctime>

#include "base/text.h"
#include "codec/unicode.h"

namespace lakeloop::gateway {

namespace {

constexpr std::size_t kMessageBytes = 500;

bool is_key_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
         c == '*' || c == '.';
}

// "Wed, 21 Oct 2015 07:28:00 GMT" (RFC 9110, section 5.6.7; the two old forms are not sent by servers of today).
std::optional<std::chrono::system_clock::time_point> parse_http_date(const std::string& text) {
  std::tm parts{};
  const char* end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

// {"error":{"message"}}, {"error":"..."}, {"message"}, {"detail"}: servers differ.
std::string message_in(const Json& body) {
  const Json& error = body["error"];
  for (const Json* candidate : {&error["message"], &error, &body["message"], &body["detail"]}) {
    if (candidate->is_string() && !candidate->as_string().empty()) return candidate->as_string();
  }
  return {};
}

}  // namespace

std::string without_secrets(std::string text, const std::vector<std::string>& secrets) {
  constexpr std::string_view kHidden = "[hidden]";
  for (const std::string& secret : secrets) {
    if (secret.size() >= 4) text = replace_all(std::move(text), secret, kHidden);
  }
  static constexpr std::array<std::string_view, 12> kPrefixes = {"sk-",  "sk_",  "pk-",  "hf_",  "gsk_", "xai-",
                                                                 "AKIA", "AIza", "dapi", "key-", "r8_",  "eyJ"};
  for (const std::string_view prefix : kPrefixes) {
    for (std::size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix, at)) {
      std::size_t end = at;
      while (end < text.size() && is_key_character(text[end])) ++end;
      const bool starts_word = at == 0 || !is_key_character(text[at - 1]);
      if (!starts_word || end - at < prefix.size() + 5) {
        at += prefix.size();
        continue;
      }
      text.replace(at, end - at, kHidden);
      at += kHidden.size();
    }
  }
  return std::string(codec::truncate_utf8(text, kMessageBytes));
}

std::optional<std::chrono::milliseconds> retry_after_of(const net::Headers& headers,
                                                        std::chrono::system_clock::time_point now) {
  using std::chrono::milliseconds;
  const auto bounded = [](double ms) {
    return milliseconds(static_cast<std::int64_t>(std::clamp(ms, 0.0, 86'400'000.0)));
  };
  for (const std::string_view name : {"retry-after-ms", "x-ms-retry-after-ms"}) {
    if (const auto value = parse_number<double>(trim(headers.get(name)))) return bounded(*value);
  }
  const std::string text(trim(headers.get("retry-after")));
  if (text.empty()) return std::nullopt;
  if (const auto seconds = parse_number<double>(text)) return bounded(*seconds * 1000);
  if (const auto date = parse_http_date(text)) {
    return bounded(static_cast<double>(std::chrono::duration_cast<milliseconds>(*date - now).count()));
  }
  return std::nullopt;
}

Refusal refusal_of(const net::Response& response, const std::vector<std::string>& secrets) {
  const Json body = Json::try_parse(response.body).value_or(Json());
  const std::string code = body["error"].str("code"), type = body["error"].str("type");
  std::string message = without_secrets(message_in(body), secrets);
  const std::string said = message.empty() ? "it gave no reason" : message;
  const int status = response.status;
  const bool quota = code == "insufficient_quota" || type == "insufficient_quota";

  Refusal refusal{Error(ErrorCode::kUpstream, "the provider answered with status {}: {}", status, said), false,
                  std::nullopt, message};
  if (status == 401 || status == 403) {
    // Its words are about our credentials, not about the client's: they are not passed on.
    refusal.error = Error(ErrorCode::kUpstream,
                          "the provider refused its credentials (status {}): an administrator must renew them", status);
  } else if (status == 400 || status == 422) {
    refusal.error = Error(ErrorCode::kInvalidArgument, "the provider refused the request: {}", said)
                        .with_param(body["error"].str("param"));
  } else if (status == 413) {
    refusal.error = Error(ErrorCode::kTooLarge, "the request is too large for the provider: {}", said);
  } else if (status == 429) {
    refusal.error = Error(ErrorCode::kRateLimited, "the provider limits our requests: {}", said);
    refusal.retry = !quota;
  } else if (status == 408 || status >= 500) {
    refusal.retry = true;
  }
  const std::string_view should_retry = response.headers.get("x-should-retry");
  if (should_retry == "true") refusal.retry = true;
  if (should_retry == "false") refusal.retry = false;
  refusal.wait = retry_after_of(response.headers, std::chrono::system_clock::now());
  if (refusal.wait && (status == 429 || status == 503)) {
    static_cast<void>(
        std::move(refusal.error).with_retry_after(std::chrono::ceil<std::chrono::seconds>(*refusal.wait)));
  }
  return refusal;
}

Error error_in_stream(const Json& error) {
  const std::string message = error.is_string() ? error.as_string() : error.str("message", "no reason given");
  const std::string type = error.str("type");
  const std::int64_t code = error["code"].int_or(0);
  if (code == 429 || type == "rate_limit_error" || type == "rate_limit_exceeded") {
    return {ErrorCode::kRateLimited, "the provider limits our requests: {}", message};
  }
  if (code == 400) return {ErrorCode::kInvalidArgument, "the provider refused the request: {}", message};
  return {ErrorCode::kUpstream, "the provider reported an error while it answered: {}", message};
}

}  // namespace lakeloop::gateway
