#pragma once

// Keeps a chunks table in step with a pages table, by the change feed: only pages that changed are cut again, and only chunks
// that differ are written. Exactly once: the pages version that was consumed is in the commit's txn action.

#include <string>

#include "ingest/chunker.h"
#include "ingest/ingest.h"

namespace lakeloop::ingest {

// id STRING (key), text, source_path, title, section, start, end, tokens, chunk_index LONG, content_hash (of the page's file),
// page_version LONG (version of the pages table), chunker STRING (name, version and settings)
delta::Schema chunks_schema();

struct ChunkReport {
  std::int64_t version = -1, pages_version = -1;
  std::int64_t pages = 0, inserted = 0, updated = 0, deleted = 0, unchanged = 0;
  [[nodiscard]] Json to_json() const;
};

ChunkReport update_chunks(catalog::Catalog& catalog, const catalog::Principal& who, const std::string& pages_table,
                          const std::string& chunks_table, const ChunkOptions& options, const TokenCounter& count,
                          const Deadline& deadline, const OnProgress& on_progress = {});

}  // namespace lakeloop::ingest
