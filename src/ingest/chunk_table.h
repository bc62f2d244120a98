#pragma once

// Keeps a chunks table in step with a pages table, by the change feed: only pages that changed are cut again, and only
// chunks that differ are written. Exactly once: the pages version that was consumed is in the commit's txn action,
// whose application is "chunks:<pages table id>:<hash of the chunker's settings>".

#include <string>

#include "ingest/chunker.h"
#include "ingest/ingest.h"

namespace lakeloop::ingest {

// id STRING (key), text, source_path, title, section, start, end, tokens, chunk_index LONG, content_hash (of the page's
// file), page_version LONG (version of the pages table), chunker STRING (name, version and settings). content_hash and
// page_version are those of the page that the chunk was last written from: a page that changed elsewhere, with this
// chunk still at its place, leaves the row alone.
delta::Schema chunks_schema();

struct ChunkReport {
  std::int64_t version = -1, pages_version = -1;
  std::int64_t pages = 0, inserted = 0, updated = 0, deleted = 0, unchanged = 0;  // of the pages that were looked at
  [[nodiscard]] Json to_json() const;
};

// Needs SELECT on the pages and MODIFY on the chunks, which are made when missing. The pages table needs the columns
// source_path and text; the others of pages_schema are used where they are there. All pages are cut again when the
// settings differ from what the table was made with, the pages table is another one, or its change feed has a gap.
ChunkReport update_chunks(catalog::Catalog& catalog, const catalog::Principal& who, const std::string& pages_table,
                          const std::string& chunks_table, const ChunkOptions& options, const TokenCounter& count,
                          const Deadline& deadline, const OnProgress& on_progress = {});

}  // namespace lakeloop::ingest
