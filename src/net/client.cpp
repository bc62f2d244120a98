#include "net/client.h"

#include <curl/curl.h>
#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "base/limits.h"
#include "base/text.h"
#include "net/proxy_environment.h"
#include "net/transfer.h"
#include "net/transfer_loop.h"

namespace lakeloop::net {
namespace {

// Empty when libcurl's compiled-in bundle is there. Containers without one often have it under another distribution's
// name.
std::string find_ca_bundle() {
  if (const char* named = std::getenv("SSL_CERT_FILE"); named != nullptr && *named != 0) return named;
  std::error_code ignored;
  const curl_version_info_data* version = curl_version_info(CURLVERSION_NOW);
  if (version->cainfo != nullptr && std::filesystem::exists(version->cainfo, ignored)) return {};
  for (const char* path : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                           "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/ca-bundle.pem",
                           "/etc/ssl/cert.pem", "/usr/local/share/certs/ca-root-nss.crt"}) {
    if (std::filesystem::exists(path, ignored)) return path;
  }
  return {};
}

// A proxy connects for us, so what it will reach can only be judged by what the name means here.
void check_target_of_proxy(const UrlParts& url, OutboundPolicy policy) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(url.host.c_str(), nullptr, &hints, &found) != 0) {
    if (policy == OutboundPolicy::kAllowPrivate) return;
    throw Error(ErrorCode::kPermissionDenied,
                "{} does not resolve here, so the address that the proxy would call cannot be checked", url.host);
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, ::freeaddrinfo);
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(entry->ai_addr, entry->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0 ||
        !address_allowed(text.data(), policy)) {
      throw Error(ErrorCode::kPermissionDenied,
                  "{} has the address {}, which may not be called; an administrator can allow private networks",
                  url.host, text.data());
    }
  }
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// Where a redirect leads, if it stays on its host. From https to http it does not.
std::string same_host_target(const UrlParts& from, std::string_view location) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url(curl_url(), curl_url_cleanup);
  if (url == nullptr || curl_url_set(url.get(), CURLUPART_URL, to_string(from).c_str(), 0) != CURLUE_OK) return {};
  if (curl_url_set(url.get(), CURLUPART_URL, std::string(location).c_str(), 0) != CURLUE_OK) return {};
  char* text = nullptr;
  if (curl_url_get(url.get(), CURLUPART_URL, &text, 0) != CURLUE_OK) return {};
  const std::unique_ptr<char, decltype(&curl_free)> owned(text, curl_free);
  try {
    const UrlParts to = parse_url(text);
    const bool same = to.scheme == from.scheme && to.port == from.port;
    const bool upgrade = from.scheme == "http" && from.port == 80 && to.scheme == "https" && to.port == 443;
    return to.host == from.host && (same || upgrade) ? to_string(to) : std::string();
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

struct Client::Impl {
  const ProxyEnvironment proxies = ProxyEnvironment::of_process();
  TransferLoop loop;
  const std::string ca_bundle = find_ca_bundle();

  TransferRoute route(const ClientRequest& request) const {
    TransferRoute route{.url = parse_url(request.url), .proxy = {}, .ca_bundle = ca_bundle};
    if (!request.unix_socket.empty()) return route;
    route.proxy = proxies.proxy_for(route.url);
    if (!route.proxy.empty()) check_target_of_proxy(route.url, request.policy);
    return route;
  }

  // One exchange, no redirects.
  void run(const ClientRequest& request, const Deadline& deadline, const std::function<bool(const Response&)>& on_head,
           const std::function<bool(std::string_view)>& on_data) {
    deadline.check();
    const auto transfer = std::make_shared<Transfer>(request, route(request));
    loop.add(transfer);
    struct Removal {
      TransferLoop& from;
      std::shared_ptr<Transfer> transfer;
      ~Removal() { from.remove(transfer); }
    } const removal{loop, transfer};
    const std::stop_callback on_cancel(deadline.cancelled(), [&] { transfer->cancel(); });
    for (;;) {
      const Transfer::Event event = transfer->next(deadline);
      if (event.resume) loop.resume(transfer);
      switch (event.kind) {
        case Transfer::Event::Kind::kHead:
          if (!on_head(transfer->take_head())) return;
          break;
        case Transfer::Event::Kind::kData:
          if (!on_data(event.data)) return;
          break;
        case Transfer::Event::Kind::kEnd:
          return;
      }
    }
  }
};

Client::Client() : impl_(std::make_unique<Impl>()) {}
Client::~Client() = default;

Response Client::fetch(ClientRequest request, const Deadline& deadline) {
  Response response;
  std::string body;
  stream(
      std::move(request), deadline,
      [&](const Response& head) {
        response = head;
        return true;
      },
      [&](std::string_view piece) {
        body.append(piece);
        return true;
      });
  response.body = std::move(body);
  return response;
}

void Client::stream(ClientRequest request, const Deadline& deadline,
                    const std::function<bool(const Response& head)>& on_headers,
                    const std::function<bool(std::string_view)>& on_data) {
  for (std::size_t hops = 0;; ++hops) {
    std::string next;
    int status = 0;
    impl_->run(
        request, deadline,
        [&](const Response& head) {
          status = head.status;
          if (request.follow_redirects && hops < limits::kRedirects && is_redirect(status)) {
            next = same_host_target(parse_url(request.url), head.headers.get("location"));
          }
          return !next.empty() || on_headers(head);
        },
        [&](std::string_view piece) { return !next.empty() || on_data(piece); });
    if (next.empty()) return;
    request.url = std::move(next);
    const bool becomes_get = status == 303 || ((status == 301 || status == 302) && request.method == Method::kPost);
    if (becomes_get && request.method != Method::kHead) {
      request.method = Method::kGet;
      request.body.clear();
      request.headers.erase("content-type");
    }
  }
}

}  // namespace lakeloop::net
