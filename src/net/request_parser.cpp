#include "net/request_parser.h"

#include <llhttp.h>

#include <algorithm>

#include "base/check.h"
#include "base/text.h"

namespace lakeloop::net {
namespace {

constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// Origin form, absolute form with its authority cut off, or "*". Empty when it is none of them.
std::string_view path_and_query(std::string_view target, Method method) {
  if (target.starts_with('/')) return target;
  if (target == "*") return method == Method::kOptions ? target : std::string_view();
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (target.size() <= scheme.size() || !iequals(target.substr(0, scheme.size()), scheme)) continue;
    const std::string_view rest = target.substr(scheme.size());
    const std::size_t end = rest.find_first_of("/?");
    if (end == 0 || rest.substr(0, end).contains('@')) return {};
    if (end == std::string_view::npos) return "/";
    // A target such as "http://host?x" has an empty path; it is rare enough to refuse.
    return rest[end] == '/' ? rest.substr(end) : std::string_view();
  }
  return {};
}

}  // namespace

struct RequestParser::Impl {
  llhttp_t parser{};
  HeadLimits limits;
  State state = State::kHead;
  Failure failure;
  Framing framing;
  Request head;
  std::string name, value;
  std::size_t head_bytes = 0;
  std::size_t trailer_fields = 0;
  std::size_t extension_bytes = 0;
  std::string* body = nullptr;
  bool failed_by_us = false;

  explicit Impl(HeadLimits l) : limits(l) {
    llhttp_init(&parser, HTTP_REQUEST, settings());
    parser.data = this;
  }

  static Impl& of(llhttp_t* p) { return *static_cast<Impl*>(p->data); }

  int refuse(int status, std::string_view reason) {
    failure = {status, reason};
    failed_by_us = true;
    return HPE_USER;
  }

  static const llhttp_settings_t* settings() {
    static const llhttp_settings_t table = [] {
      llhttp_settings_t s;
      llhttp_settings_init(&s);
      s.on_url = [](llhttp_t* p, const char* at, std::size_t n) -> int { return of(p).on_url({at, n}); };
      s.on_header_field = [](llhttp_t* p, const char* at, std::size_t n) -> int { return of(p).on_name({at, n}); };
      s.on_header_value = [](llhttp_t* p, const char* at, std::size_t n) -> int { return of(p).on_value({at, n}); };
      s.on_header_value_complete = [](llhttp_t* p) -> int { return of(p).on_header(); };
      s.on_headers_complete = [](llhttp_t* p) -> int { return of(p).on_head(); };
      s.on_chunk_extension_name = [](llhttp_t* p, const char*, std::size_t n) -> int { return of(p).on_extension(n); };
      s.on_chunk_extension_value = [](llhttp_t* p, const char*, std::size_t n) -> int { return of(p).on_extension(n); };
      s.on_body = [](llhttp_t* p, const char* at, std::size_t n) -> int {
        of(p).body->append(at, n);
        return 0;
      };
      s.on_message_complete = [](llhttp_t* p) -> int {
        // Trailer fields are read and dropped.
        of(p).state = State::kComplete;
        return HPE_PAUSED;
      };
      return s;
    }();
    return &table;
  }

  int on_url(std::string_view part) {
    if (head.target.size() + part.size() > limits.target) return refuse(414, "the request target is too long");
    head.target.append(part);
    return 0;
  }

  int on_name(std::string_view part) { return append(name, part); }
  int on_value(std::string_view part) { return append(value, part); }

  // In a trailer nothing else bounds the length of a field.
  int append(std::string& field, std::string_view part) {
    if (field.size() + part.size() > limits.bytes) return refuse(431, "a header field is too long");
    field.append(part);
    return 0;
  }

  // Extensions carry nothing for us, and a body may not consist of them.
  int on_extension(std::size_t size) {
    extension_bytes += size;
    return extension_bytes > limits.bytes ? refuse(400, "the chunk extensions are too long") : 0;
  }

  int on_header() {
    while (!value.empty() && is_blank(value.back())) value.pop_back();
    if (state == State::kHead) {
      if (head.headers.all().size() >= limits.count) return refuse(431, "the request has too many header fields");
      head.headers.add(name, value);
    } else if (++trailer_fields > limits.count) {
      return refuse(431, "the request has too many trailer fields");
    }
    name.clear();
    value.clear();
    return 0;
  }

  std::size_t count_of(std::string_view header) const {
    return static_cast<std::size_t>(
        std::ranges::count(head.headers.all(), header, [](const auto& h) { return std::string_view(h.first); }));
  }

  int on_head() {
    // Upgrades are not offered (RFC 9110, section 7.8): the request is answered as if it had not asked.
    parser.upgrade = 0;
    const auto method = parse_method(llhttp_method_name(static_cast<llhttp_method_t>(llhttp_get_method(&parser))));
    const int major = llhttp_get_http_major(&parser);
    const int minor = llhttp_get_http_minor(&parser);
    if (major != 1 || minor > 1) return refuse(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    if (!method) return refuse(501, "the method is not implemented");
    head.method = *method;
    framing = {};
    framing.http_1_1 = minor == 1;

    const std::string_view path = path_and_query(head.target, *method);
    if (path.empty() || path.contains('#')) return refuse(400, "the request target is malformed");
    const std::size_t question = path.find('?');
    head.path = path.substr(0, question);
    if (question != std::string_view::npos) head.query = parse_query(path.substr(question + 1));

    const std::size_t hosts = count_of("host");
    if (hosts > 1 || (hosts == 0 && framing.http_1_1)) return refuse(400, "the request needs exactly one Host");

    const std::size_t codings = count_of("transfer-encoding");
    const std::size_t lengths = count_of("content-length");
    if (codings > 0) {
      if (lengths > 0) return refuse(400, "Content-Length and Transfer-Encoding exclude each other");
      if (!framing.http_1_1) return refuse(400, "HTTP/1.0 has no Transfer-Encoding");
      if (codings > 1 || !iequals(head.headers.get("transfer-encoding"), "chunked")) {
        return refuse(400, "the only transfer coding is chunked");
      }
      framing.has_body = true;
    } else {
      const std::string_view text = head.headers.get("content-length");
      const auto length = lengths == 0 ? std::optional<std::uint64_t>(0) : parse_number<std::uint64_t>(text);
      if (lengths > 1 || !length || text.starts_with('+')) return refuse(400, "Content-Length is malformed");
      framing.content_length = *length;
      framing.has_body = *length > 0;
    }

    if (const std::string_view expect = head.headers.get("expect"); !expect.empty() && framing.http_1_1) {
      if (!iequals(expect, "100-continue")) return refuse(417, "the only expectation is 100-continue");
      framing.expects_continue = framing.has_body;
    }
    framing.keep_alive = llhttp_should_keep_alive(&parser) != 0;
    state = State::kHeadComplete;
    return HPE_PAUSED;
  }

  void fail(llhttp_errno_t error) {
    if (!failed_by_us) failure = {400, reason_of(error)};
    state = State::kFailed;
  }

  static std::string_view reason_of(llhttp_errno_t error) {
    switch (error) {
      case HPE_INVALID_METHOD:
        return "the request line has no known method";
      case HPE_INVALID_URL:
        return "the request target is malformed";
      case HPE_INVALID_VERSION:
        return "the HTTP version is malformed";
      case HPE_INVALID_HEADER_TOKEN:
        return "a header field is malformed";
      case HPE_INVALID_CONTENT_LENGTH:
        return "Content-Length is malformed";
      case HPE_UNEXPECTED_CONTENT_LENGTH:
        return "Content-Length is given twice or beside Transfer-Encoding";
      case HPE_INVALID_TRANSFER_ENCODING:
        return "Transfer-Encoding is malformed or beside Content-Length";
      case HPE_INVALID_CHUNK_SIZE:
        return "a chunk size is malformed";
      case HPE_LF_EXPECTED:
      case HPE_CR_EXPECTED:
      case HPE_STRICT:
        return "a line does not end with CR LF";
      default:
        return "the request is malformed";
    }
  }

  // One run of llhttp over `input`; returns the bytes it consumed.
  std::size_t run(std::string_view input) {
    static constexpr char kNothing = 0;
    const char* begin = input.empty() ? &kNothing : input.data();
    const llhttp_errno_t result = llhttp_execute(&parser, begin, input.size());
    if (result == HPE_OK) return input.size();
    const auto consumed = static_cast<std::size_t>(llhttp_get_error_pos(&parser) - begin);
    if (result == HPE_PAUSED) {
      llhttp_resume(&parser);
      return consumed;
    }
    fail(result);
    return input.size();
  }
};

RequestParser::RequestParser(HeadLimits limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;

std::size_t RequestParser::feed(std::string_view input, std::string& body) {
  Impl& impl = *impl_;
  LAKELOOP_CHECK(impl.state != State::kComplete && impl.state != State::kFailed);
  impl.body = &body;
  if (impl.state == State::kHead) {
    // Fed no further than the limit, so that the outcome is the same however the bytes come.
    const std::size_t room = impl.limits.bytes - impl.head_bytes;
    const std::size_t consumed = impl.run(input.substr(0, std::min(input.size(), room)));
    impl.head_bytes += consumed;
    if (impl.state == State::kHead && impl.head_bytes >= impl.limits.bytes) {
      impl.failure = {431, "the request line and headers are too long"};
      impl.state = State::kFailed;
    }
    return consumed;
  }
  if (impl.state == State::kHeadComplete) impl.state = State::kBody;
  return impl.run(input);
}

void RequestParser::next_message() {
  Impl& impl = *impl_;
  LAKELOOP_CHECK(impl.state == State::kComplete);
  impl.state = State::kHead;
  impl.head = {};
  impl.framing = {};
  impl.head_bytes = 0;
  impl.trailer_fields = 0;
  impl.extension_bytes = 0;
  impl.name.clear();
  impl.value.clear();
}

RequestParser::State RequestParser::state() const {
  return impl_->state;
}
const RequestParser::Failure& RequestParser::failure() const {
  return impl_->failure;
}
const RequestParser::Framing& RequestParser::framing() const {
  return impl_->framing;
}
bool RequestParser::head_begun() const {
  return impl_->head_bytes > 0;
}
Request RequestParser::take_head() {
  return std::move(impl_->head);
}

}  // namespace lakeloop::net
