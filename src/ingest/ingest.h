#pragma once

// From files to rows: a folder (or one file) becomes a Delta table of pages, and pages become chunks. Run again, unchanged files
// are not touched; changed and deleted ones become updates and deletes in one commit. A broken file is reported with its
// reason and skipped; the page that it had before stays. Files are read through a descriptor that stays below the folder:
// symbolic links that leave it are skipped by name.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "catalog/catalog.h"
#include "delta/table.h"

namespace lakeloop::ingest {

struct IngestOptions {
  std::filesystem::path folder;
  std::string table;                    // full name; made when missing
  std::vector<std::string> extensions;  // empty: all that a parser knows
};

struct SkippedFile {
  std::string path, reason;
};

struct IngestReport {
  std::int64_t version = -1;  // of the table after the run
  std::int64_t seen = 0, added = 0, updated = 0, deleted = 0, unchanged = 0;
  std::vector<SkippedFile> skipped;
  [[nodiscard]] Json to_json() const;
};

struct Progress {
  std::int64_t done = 0, total = 0;
  std::string what;
};
using OnProgress = std::function<void(const Progress&)>;

// The schema of a pages table:
//   source_path STRING (key, '/'-separated, relative), title, text (the page as the parser reads it, UTF-8), sections (array of
//   struct {path array<string>, start, end}: headings with code point offsets), media_type, content_hash (sha-256 of the file),
//   size LONG, modified TIMESTAMP, parser, parser_version, git_commit (of the folder, when it is a clean checkout), ingested_at
delta::Schema pages_schema();

IngestReport ingest_folder(catalog::Catalog& catalog, const catalog::Principal& who, const IngestOptions& options,
                           const Deadline& deadline, const OnProgress& on_progress = {});

}  // namespace lakeloop::ingest
