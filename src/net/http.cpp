#include "net/http.h"

#include <algorithm>

#include "base/check.h"
#include "base/text.h"
#include "net/percent.h"

namespace lakeloop::net {
namespace {

constexpr std::string_view kMethodNames[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

std::string decode_or_keep(std::string_view text) {
  if (auto decoded = decode_component(text, PlusSign::kBlank)) return *std::move(decoded);
  std::string kept(text);
  std::ranges::replace(kept, '+', ' ');
  return kept;
}

}  // namespace

std::string_view to_string(Method method) {
  return kMethodNames[static_cast<std::size_t>(method)];
}

std::optional<Method> parse_method(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kMethodNames); ++i) {
    if (kMethodNames[i] == text) return static_cast<Method>(i);
  }
  return std::nullopt;
}

std::string_view Headers::get(std::string_view name) const {
  for (const auto& [key, value] : items_) {
    if (iequals(key, name)) return value;
  }
  return {};
}

bool Headers::contains(std::string_view name) const {
  return std::ranges::any_of(items_, [&](const auto& item) { return iequals(item.first, name); });
}

void Headers::add(std::string_view name, std::string_view value) {
  items_.emplace_back(ascii_lower(name), value);
}

void Headers::set(std::string_view name, std::string_view value) {
  // The new value may be a view into the one that is erased.
  std::pair<std::string, std::string> item(ascii_lower(name), value);
  erase(item.first);
  items_.push_back(std::move(item));
}

void Headers::erase(std::string_view name) {
  const std::string key = ascii_lower(name);
  std::erase_if(items_, [&](const auto& item) { return item.first == key; });
}

Query parse_query(std::string_view raw) {
  Query query;
  for (const std::string_view part : split(raw, '&')) {
    if (part.empty()) continue;
    const std::size_t equals = part.find('=');
    const std::string_view value = equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    query.emplace_back(decode_or_keep(part.substr(0, equals)), decode_or_keep(value));
  }
  return query;
}

Response Response::json(int status, std::string body) {
  Response response{.status = status, .headers = {}, .body = std::move(body)};
  response.headers.set("content-type", "application/json");
  return response;
}

Response Response::text(int status, std::string body) {
  Response response{.status = status, .headers = {}, .body = std::move(body)};
  response.headers.set("content-type", "text/plain; charset=utf-8");
  return response;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Unknown";
  }
}

}  // namespace lakeloop::net
