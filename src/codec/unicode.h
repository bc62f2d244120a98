#pragma once

// Text encodings. Inside Lakeloop text is UTF-8, valid, without NUL; offsets into text are counted in bytes internally
// and in code points (Python's unit) wherever a user sees them: citations, chunk `start` and `end`.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace lakeloop::codec {

bool is_valid_utf8(std::string_view text);
std::size_t count_code_points(std::string_view utf8);
// Byte offset of code point `index`; the size of the text when past its end.
std::size_t byte_offset(std::string_view utf8, std::size_t index);
// Cuts after at most `bytes` without splitting a code point.
std::string_view truncate_utf8(std::string_view text, std::size_t bytes);

// A file's bytes to UTF-8: byte order marks (UTF-8, UTF-16, UTF-32), UTF-16 without a mark where its zero bytes are
// unmistakable, UTF-8, else refused by name ("not text: ..."). Never guesses a legacy 8-bit encoding silently.
// `encoding` is filled with the one used ("utf-8", "utf-16le", ...). NUL bytes in the result are refused.
Expected<std::string> decode_text(std::string_view bytes, std::string* encoding = nullptr);

// Case folding for search (ICU full folding) and NFC.
std::string fold_case(std::string_view utf8);
std::string normalize_nfc(std::string_view utf8);

}  // namespace lakeloop::codec
