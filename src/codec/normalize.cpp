#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/normalizer2.h>
#include <unicode/stringoptions.h>

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "codec/unicode.h"

namespace lakeloop::codec {
namespace {

// ICU counts in 32 bits, and folding lengthens: the limit leaves room for that.
icu::StringPiece piece_of(std::string_view text) {
  if (text.size() > limits::kCaseFoldBytes) {
    throw Error(ErrorCode::kTooLarge, "a text has {} bytes, the limit is {}", text.size(), limits::kCaseFoldBytes);
  }
  return {text.data(), static_cast<int32_t>(text.size())};
}

bool ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

std::string fold_case(std::string_view utf8) {
  std::string out;
  if (ascii(utf8)) {
    out = utf8;
    for (char& c : out) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    return out;
  }
  out.reserve(utf8.size());
  icu::StringByteSink<std::string> sink(&out);
  UErrorCode state = U_ZERO_ERROR;
  icu::CaseMap::utf8Fold(U_FOLD_CASE_DEFAULT, piece_of(utf8), sink, nullptr, state);
  LAKELOOP_CHECK(U_SUCCESS(state));
  return out;
}

std::string normalize_nfc(std::string_view utf8) {
  if (ascii(utf8)) return std::string(utf8);
  UErrorCode state = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(state);
  LAKELOOP_CHECK(U_SUCCESS(state));
  std::string out;
  out.reserve(utf8.size());
  icu::StringByteSink<std::string> sink(&out);
  nfc->normalizeUTF8(0, piece_of(utf8), sink, nullptr, state);
  LAKELOOP_CHECK(U_SUCCESS(state));
  return out;
}

}  // namespace lakeloop::codec
