#pragma once

// The worker behind a socket: one thread reads frames, parses, tokenizes and checks; the scheduler's thread evaluates.
// Ops: info, chat, complete, embed, count_tokens, load_adapter, unload_adapter (README.md has the fields).

#include "llm/options.h"

namespace lakeloop::llm {

// Serves until the peer closes the socket `fd`.
void serve(const Options& options, int fd);

}  // namespace lakeloop::llm
