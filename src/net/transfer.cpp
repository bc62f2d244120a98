#include "net/transfer.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"
#include "net/response_head.h"

namespace lakeloop::net {
namespace {

// These follow from the body and the connection.
bool is_ours(std::string_view name) {
  static constexpr std::string_view kNames[] = {"connection", "content-length", "expect", "transfer-encoding"};
  return std::ranges::find(kNames, name) != std::end(kNames);
}

std::string address_text(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = address->sa_family == AF_INET
                          ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr)
                          : static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
  return ::inet_ntop(address->sa_family, bytes, text.data(), text.size()) == nullptr ? "" : text.data();
}

}  // namespace

struct Transfer::Handle {
  CURL* easy = curl_easy_init();
  curl_slist* headers = nullptr;
  std::string url;
  std::array<char, CURL_ERROR_SIZE> error{};

  Handle() { LAKELOOP_CHECK(easy != nullptr); }
  ~Handle() {
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  template <typename Value>
  void set(CURLoption option, Value value) {
    LAKELOOP_CHECK(curl_easy_setopt(easy, option, value) == CURLE_OK);
  }
};

// Called by libcurl on the loop's thread. Nothing may be thrown through it.
struct Transfer::Callbacks {
  static std::size_t header(char* data, std::size_t, std::size_t size, void* user) {
    Transfer& self = *static_cast<Transfer*>(user);
    std::string_view line(data, size);
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with("HTTP/")) {
      self.parsing_ = {};
      const std::size_t blank = line.find(' ');
      const std::string_view status = blank == std::string_view::npos ? "" : line.substr(blank + 1, 3);
      self.parsing_.status = parse_number<int>(status).value_or(0);
      return size;
    }
    if (!line.empty()) {
      const std::size_t colon = line.find(':');
      if (colon != std::string_view::npos)
        self.parsing_.headers.add(line.substr(0, colon), trim(line.substr(colon + 1)));
      return size;
    }
    if (self.parsing_.status < 200) return size;  // an interim answer
    {
      const std::lock_guard lock(self.mutex_);
      if (self.head_ready_) return size;  // trailers
      self.head_ = std::move(self.parsing_);
      self.head_ready_ = true;
      self.active_at_ = Steady::now();
    }
    self.changed_.notify_one();
    return size;
  }

  static std::size_t write(char* data, std::size_t, std::size_t size, void* user) {
    Transfer& self = *static_cast<Transfer*>(user);
    {
      const std::lock_guard lock(self.mutex_);
      if (self.buffer_.size() >= limits::kClientBufferBytes) {
        self.paused_ = true;
        return CURL_WRITEFUNC_PAUSE;
      }
      self.received_ += size;
      self.too_large_ = self.received_ > self.request_.response_limit;
      if (self.too_large_) return CURL_WRITEFUNC_ERROR;
      self.buffer_.append(data, size);
      self.active_at_ = Steady::now();
    }
    self.changed_.notify_one();
    return size;
  }

  // Uploading is activity too.
  static int progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t uploaded) {
    Transfer& self = *static_cast<Transfer*>(user);
    if (uploaded == self.uploaded_) return 0;
    self.uploaded_ = uploaded;
    const std::lock_guard lock(self.mutex_);
    self.active_at_ = Steady::now();
    return 0;
  }

  static curl_socket_t open_socket(void* user, curlsocktype, curl_sockaddr* address) {
    Transfer& self = *static_cast<Transfer*>(user);
    const bool internet = address->family == AF_INET || address->family == AF_INET6;
    if (internet ? !self.may_connect(address_text(&address->addr)) : self.request_.unix_socket.empty())
      return CURL_SOCKET_BAD;
    return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  }

  // Before every request, also on a connection that another call opened under another policy.
  static int before_request(void* user, char* address, char*, int, int) {
    Transfer& self = *static_cast<Transfer*>(user);
    if (!self.request_.unix_socket.empty()) return CURL_PREREQFUNC_OK;
    return self.may_connect(address == nullptr ? "" : address) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
  }
};

Transfer::Transfer(ClientRequest request, TransferRoute route)
    : request_(std::move(request)), route_(std::move(route)), handle_(std::make_unique<Handle>()) {
  set_method();
  set_headers();
  set_network();
}

Transfer::~Transfer() = default;

void Transfer::set_method() {
  Handle& handle = *handle_;
  const bool has_body = !request_.body.empty();
  const bool sends_length = has_body || request_.method == Method::kPost || request_.method == Method::kPut ||
                            request_.method == Method::kPatch;
  if (sends_length) {
    handle.set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    handle.set(CURLOPT_POSTFIELDS, request_.body.c_str());
  } else if (request_.method == Method::kHead) {
    handle.set(CURLOPT_NOBODY, 1L);
  }
  if (request_.method != Method::kHead || sends_length)
    handle.set(CURLOPT_CUSTOMREQUEST, std::string(to_string(request_.method)).c_str());
}

void Transfer::set_headers() {
  Handle& handle = *handle_;
  const auto append = [&](const std::string& line) {
    curl_slist* longer = curl_slist_append(handle.headers, line.c_str());
    LAKELOOP_CHECK(longer != nullptr);
    handle.headers = longer;
  };
  for (const auto& [name, value] : request_.headers.all()) {
    if (!valid_header(name, value))
      throw Error(ErrorCode::kInvalidArgument, "the request header {} has a character that headers may not have", name);
    if (is_ours(name)) continue;
    append(value.empty() ? name + ";" : name + ": " + value);
  }
  append("expect:");
  if (!request_.headers.contains("content-type")) append("content-type:");
  if (!request_.headers.contains("user-agent")) handle.set(CURLOPT_USERAGENT, "lakeloop");
  handle.set(CURLOPT_HTTPHEADER, handle.headers);
}

void Transfer::set_network() {
  Handle& handle = *handle_;
  handle.url = to_string(route_.url);
  handle.set(CURLOPT_URL, handle.url.c_str());
  handle.set(CURLOPT_PATH_AS_IS, 1L);
  handle.set(CURLOPT_PROTOCOLS_STR, "http,https");
  handle.set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  // An empty proxy keeps libcurl from reading the environment by itself.
  handle.set(CURLOPT_PROXY, request_.unix_socket.empty() ? route_.proxy.c_str() : "");
  handle.set(CURLOPT_NOPROXY, "");
  handle.set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (!route_.ca_bundle.empty()) handle.set(CURLOPT_CAINFO, route_.ca_bundle.c_str());
  if (!request_.unix_socket.empty()) {
    if (request_.unix_socket.size() > 100)
      throw Error(ErrorCode::kInvalidArgument, "the socket's path {} is too long", request_.unix_socket);
    handle.set(CURLOPT_UNIX_SOCKET_PATH, request_.unix_socket.c_str());
  }
  handle.set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(request_.connect_timeout.count(), 1)));
  handle.set(CURLOPT_NOSIGNAL, 1L);
  handle.set(CURLOPT_TCP_KEEPALIVE, 1L);
  handle.set(CURLOPT_QUICK_EXIT, 1L);
  handle.set(CURLOPT_ERRORBUFFER, handle.error.data());
  handle.set(CURLOPT_HEADERFUNCTION, &Callbacks::header);
  handle.set(CURLOPT_HEADERDATA, this);
  handle.set(CURLOPT_WRITEFUNCTION, &Callbacks::write);
  handle.set(CURLOPT_WRITEDATA, this);
  handle.set(CURLOPT_NOPROGRESS, 0L);
  handle.set(CURLOPT_XFERINFOFUNCTION, &Callbacks::progress);
  handle.set(CURLOPT_XFERINFODATA, this);
  handle.set(CURLOPT_OPENSOCKETFUNCTION, &Callbacks::open_socket);
  handle.set(CURLOPT_OPENSOCKETDATA, this);
  handle.set(CURLOPT_PREREQFUNCTION, &Callbacks::before_request);
  handle.set(CURLOPT_PREREQDATA, this);
}

bool Transfer::may_connect(const std::string& address) {
  // The proxy is the administrator's choice; the target was checked before.
  if (!route_.proxy.empty() || address_allowed(address, request_.policy)) return true;
  refused_address_ = address;
  return false;
}

// --- the caller's thread

Transfer::Event Transfer::next(const Deadline& deadline) {
  std::unique_lock lock(mutex_);
  active_at_ = Steady::now();
  const auto ready = [&] { return cancelled_ || (head_ready_ && !head_taken_) || !buffer_.empty() || done_; };
  while (!ready()) {
    const auto stalled_at = active_at_ + request_.stall_timeout;
    changed_.wait_until(lock, std::min(deadline.at(), stalled_at));
    if (ready()) break;
    if (deadline.expired())
      throw Error(ErrorCode::kDeadlineExceeded, "{}:{} did not answer before the deadline", route_.url.host,
                  route_.url.port);
    if (Steady::now() >= active_at_ + request_.stall_timeout) {
      throw Error(ErrorCode::kUpstream, "{}:{} sent nothing for {} ms", route_.url.host, route_.url.port,
                  request_.stall_timeout.count());
    }
  }
  if (cancelled_)
    throw Error(ErrorCode::kCancelled, "the call to {}:{} was cancelled", route_.url.host, route_.url.port);
  if (deadline.expired())
    throw Error(ErrorCode::kDeadlineExceeded, "{}:{} did not end its answer before the deadline", route_.url.host,
                route_.url.port);
  if (head_ready_ && !head_taken_) return {.kind = Event::Kind::kHead, .data = {}};
  if (!buffer_.empty()) {
    return {.kind = Event::Kind::kData, .data = std::exchange(buffer_, {}), .resume = std::exchange(paused_, false)};
  }
  if (error_) throw *error_;
  return {.kind = Event::Kind::kEnd, .data = {}};
}

Response Transfer::take_head() {
  const std::lock_guard lock(mutex_);
  head_taken_ = true;
  return std::move(head_);
}

void Transfer::cancel() {
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
  }
  changed_.notify_one();
}

// --- the loop's thread

void* Transfer::easy() const {
  return handle_->easy;
}

void Transfer::resume() {
  curl_easy_pause(handle_->easy, CURLPAUSE_CONT);
}

void Transfer::complete(int code) {
  auto error = error_of(code);
  {
    const std::lock_guard lock(mutex_);
    if (!done_) error_ = std::move(error);
    done_ = true;
  }
  changed_.notify_one();
}

void Transfer::fail(Error error) {
  {
    const std::lock_guard lock(mutex_);
    if (!done_) error_ = std::move(error);
    done_ = true;
  }
  changed_.notify_one();
}

std::optional<Error> Transfer::error_of(int code) const {
  const UrlParts& url = route_.url;
  if (code == CURLE_OK) {
    if (head_ready_) return std::nullopt;
    return Error(ErrorCode::kUpstream, "{}:{} sent no answer", url.host, url.port);
  }
  if (too_large_)
    return Error(ErrorCode::kUpstream, "the answer of {}:{} is larger than {} bytes", url.host, url.port,
                 request_.response_limit);
  if (!refused_address_.empty()) {
    return Error(ErrorCode::kPermissionDenied,
                 "{} has the address {}, which may not be called; an administrator can allow private networks",
                 url.host, refused_address_);
  }
  // Text of libcurl: names hosts and ports, never headers or bodies.
  const char* detail = handle_->error[0] != 0 ? handle_->error.data() : curl_easy_strerror(static_cast<CURLcode>(code));
  return Error(ErrorCode::kUpstream, "the call to {}:{} failed: {}", url.host, url.port, detail);
}

}  // namespace lakeloop::net
