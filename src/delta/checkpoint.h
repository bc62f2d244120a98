#pragma once

// Writes classic V1 checkpoints and the hint _last_checkpoint (PROTOCOL.md, "Checkpoints").

#include "delta/state.h"

namespace lakeloop::delta {

void write_checkpoint(const Log& log, const TableState& state);

}  // namespace lakeloop::delta
