#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace lakeloop {

void check_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "lakeloop: check failed: %s at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace lakeloop
