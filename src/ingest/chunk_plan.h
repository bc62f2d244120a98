#pragma once

// Where to cut a run of units into chunks: the cheapest partition by dynamic programming over the units' boundaries.
// Cheap are few, evenly filled chunks that end at a block's end; dear are a cut inside a block that fits whole, inside
// a sentence or word, and between a heading and what follows it. Time is linear in the units (times the units that fit
// into one chunk).

#include <cstdint>
#include <vector>

#include "ingest/chunker.h"
#include "ingest/text_units.h"

namespace lakeloop::ingest {

struct ChunkLimits {
  std::int64_t tokens = 0;   // of one chunk, overlap included
  std::int64_t overlap = 0;  // 0 <= overlap < tokens
  std::int64_t points = 0;   // code points of one chunk
};

// Units [begin, end), of which those from `fresh` on are in no earlier chunk.
struct PlannedChunk {
  std::size_t begin = 0, fresh = 0, end = 0;
};

// `headings[i]` tells whether block i is a heading. A unit over a limit becomes a chunk of its own.
std::vector<PlannedChunk> plan_chunks(const std::vector<Unit>& units, const std::vector<bool>& headings,
                                      const ChunkLimits& limits);

}  // namespace lakeloop::ingest
