#include <lexbor/encoding/encoding.h>
#include <lexbor/html/encoding.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"
#include "codec/unicode.h"
#include "ingest/html_page.h"

namespace lakeloop::ingest {
namespace {

constexpr std::size_t kPrescanBytes = 1024;  // WHATWG

const lxb_char_t* raw(std::string_view text) {
  return reinterpret_cast<const lxb_char_t*>(text.data());
}

// The name in the first <meta> that declares a character set.
std::optional<std::string> declared_charset(std::string_view bytes) {
  lxb_html_encoding_t scan{};
  std::optional<std::string> name;
  if (lxb_html_encoding_init(&scan) == LXB_STATUS_OK) {
    const auto head = bytes.substr(0, kPrescanBytes);
    const auto status = lxb_html_encoding_determine(&scan, raw(head), raw(head) + head.size());
    if (status == LXB_STATUS_OK && lxb_html_encoding_meta_length(&scan) > 0) {
      const auto* entry = lxb_html_encoding_meta_entry(&scan, 0);
      name.emplace(reinterpret_cast<const char*>(entry->name), static_cast<std::size_t>(entry->end - entry->name));
    }
  }
  lxb_html_encoding_destroy(&scan, false);
  return name;
}

void append_utf8(std::string& out, lxb_codepoint_t c) {
  std::array<lxb_char_t, 4> bytes{};
  const auto size = c < 0x80 ? 1U : c < 0x800 ? 2U : c < 0x10000 ? 3U : 4U;
  static constexpr std::array<unsigned, 5> kLead = {0, 0, 0xC0, 0xE0, 0xF0};
  for (auto i = size; i-- > 1; c >>= 6) bytes[i] = static_cast<lxb_char_t>(0x80 | (c & 0x3F));
  bytes[0] = static_cast<lxb_char_t>(kLead[size] | c);
  out.append(reinterpret_cast<const char*>(bytes.data()), size);
}

std::string decode_as(std::string_view bytes, const lxb_encoding_data_t* encoding) {
  const std::string name(reinterpret_cast<const char*>(encoding->name));
  std::array<lxb_codepoint_t, 4096> buffer{};
  lxb_encoding_decode_t decode{};
  if (lxb_encoding_decode_init(&decode, encoding, buffer.data(), buffer.size()) != LXB_STATUS_OK) {
    throw Error(ErrorCode::kInternal, "no decoder for {}", name);
  }
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 4);
  const auto take = [&] {
    for (std::size_t i = 0; i < lxb_encoding_decode_buf_used(&decode); ++i) append_utf8(out, buffer[i]);
    lxb_encoding_decode_buf_used_set(&decode, 0);
  };
  const auto* at = raw(bytes);
  const auto* end = at + bytes.size();
  for (;;) {
    const auto status = encoding->decode(&decode, &at, end);
    take();
    if (status == LXB_STATUS_SMALL_BUFFER) continue;
    if (status != LXB_STATUS_OK || lxb_encoding_decode_finish(&decode) != LXB_STATUS_OK) {
      throw Error(ErrorCode::kInvalidArgument,
                  "not text: it declares the character set {}, but byte {} does not fit it", name, at - raw(bytes));
    }
    break;
  }
  if (out.contains('\0')) throw Error(ErrorCode::kInvalidArgument, "not text: it holds NUL characters");
  return out;
}

}  // namespace

std::string decode_html(std::string_view bytes) {
  const bool marked = lxb_encoding_bom_sniff(raw(bytes), bytes.size()) != LXB_ENCODING_DEFAULT;
  if (const auto charset = marked ? std::nullopt : declared_charset(bytes)) {
    const auto* encoding = lxb_encoding_data_prescan_validate(raw(*charset), charset->size());
    if (encoding == nullptr || encoding->encoding == LXB_ENCODING_REPLACEMENT) {
      throw Error(ErrorCode::kInvalidArgument,
                  "it declares the character set \"{}\", which is not known; save it as UTF-8",
                  codec::is_valid_utf8(*charset) ? *charset : "?");
    }
    if (encoding->encoding != LXB_ENCODING_UTF_8) return decode_as(bytes, encoding);
  }
  auto text = codec::decode_text(bytes);
  if (!text) throw text.error();
  return std::move(*text);
}

}  // namespace lakeloop::ingest
