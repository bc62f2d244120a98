#pragma once

// Assertions about our own code. They stay on in release builds: cheap ones on the hot path, dearer ones elsewhere.
// A failed check logs file, line and text and aborts; a user's mistake is never a check but an Error.

namespace lakeloop {

[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace lakeloop

#define LAKELOOP_CHECK(expression) \
  ((expression) ? static_cast<void>(0) : ::lakeloop::check_failed(#expression, __FILE__, __LINE__))
#define LAKELOOP_UNREACHABLE() ::lakeloop::check_failed("unreachable", __FILE__, __LINE__)
