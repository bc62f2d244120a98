#include "base/error.h"

#include <fmt/format.h>

#include <array>

namespace lakeloop {

const ErrorCodeInfo& info(ErrorCode code) {
  static constexpr std::array table = {
#define X(name, wire, status, openai) ErrorCodeInfo{wire, status, openai},
      LAKELOOP_ERROR_CODES(X)
#undef X
  };
  return table[static_cast<std::size_t>(code)];
}

std::optional<ErrorCode> error_code_from_wire(std::string_view wire) {
#define X(name, text, status, openai) \
  if (wire == (text)) return ErrorCode::name;
  LAKELOOP_ERROR_CODES(X)
#undef X
  return std::nullopt;
}

Error::Error(Formatted, ErrorCode code, fmt::string_view text, fmt::format_args values)
    : code_(code), template_(text.data(), text.size()), message_(fmt::vformat(text, values)) {}

}  // namespace lakeloop
