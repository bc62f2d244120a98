#pragma once

// From files to rows: a folder (or one file) becomes a Delta table of pages, and pages become chunks. Run again,
// unchanged files are not touched; changed and deleted ones become updates and deletes in one commit. A broken file is
// reported with its reason and skipped; the page that it had before stays. Files are read through a descriptor that
// stays below the folder (source_folder.h): symbolic links that leave it are skipped by name.

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
  std::vector<std::string> extensions;  // ".md" or "md"; empty: all that a parser knows. Other files are not looked at
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
//   source_path STRING (key, '/'-separated, relative), title, text (the page as the parser reads it, UTF-8), sections
//   (array of struct {path array<string>, start, end}: headings with code point offsets), blocks (array of struct
//   {kind, start, end}), media_type, content_hash (sha-256 of the file), size LONG, modified TIMESTAMP, parser,
//   parser_version, git_commit (HEAD of the work tree around the folder when the page was written; the file itself may
//   have differed from that commit), ingested_at
delta::Schema pages_schema();

// One commit (operation INGEST), or none when nothing changed. Files are told apart by their content, not their times.
// kInvalidArgument, and nothing written, when the folder cannot be read or holds no file that a parser knows (so an
// emptied folder never empties the table), or when not one of its files could be read; kTooLarge when the pages to
// write hold more text than limits::kIngestBytes. One file as `folder` is added or updated alone: nothing is deleted.
IngestReport ingest_folder(catalog::Catalog& catalog, const catalog::Principal& who, const IngestOptions& options,
                           const Deadline& deadline, const OnProgress& on_progress = {});

}  // namespace lakeloop::ingest
