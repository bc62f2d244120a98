// The program lakeloop-llm: one language model, one process. See README.md.

#include <cstdio>
#include <vector>

#include "base/error.h"
#include "llm/model.h"
#include "llm/options.h"
#include "llm/sandbox.h"
#include "llm/worker.h"

namespace {

constexpr int kSocket = 3;  // handed over by the parent

int run(const lakeloop::llm::Options& options) {
  lakeloop::llm::enter_sandbox();
  lakeloop::llm::start_backend();
  if (options.check) {
    const lakeloop::llm::Model model(options.model, true);
    lakeloop::llm::try_model(model);
    std::puts(model.about().dump().c_str());
    return 0;
  }
  lakeloop::llm::serve(options, kSocket);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(lakeloop::llm::parse_options({argv + 1, argv + argc}));
  } catch (const lakeloop::Error& error) {
    std::fprintf(stderr, "lakeloop-llm: %s\n", error.message().c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lakeloop-llm: %s\n", error.what());
  }
  return 1;
}
