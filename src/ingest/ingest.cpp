#include "ingest/ingest.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/hash.h"
#include "ingest/git_head.h"
#include "ingest/parser.h"
#include "ingest/source_folder.h"
#include "ingest/table_rows.h"

namespace lakeloop::ingest {
namespace {

using delta::TypeKind;

constexpr std::size_t kReportedSkips = 1000;  // in the JSON of a report

struct KnownPage {
  std::string content_hash, parser, parser_version;
};

struct Target {
  std::optional<delta::Table> table;
  std::map<std::string, KnownPage> pages;
};

std::string all_extensions() {
  std::vector<std::string> names;
  for (const auto& parser : parsers()) names.insert(names.end(), parser.extensions.begin(), parser.extensions.end());
  return join(names, ", ");
}

// Empty: all.
std::set<std::string> wanted_extensions(const IngestOptions& options) {
  std::set<std::string> wanted;
  for (const auto& text : options.extensions) {
    auto extension = ascii_lower(trim(text));
    if (!extension.starts_with('.')) extension.insert(0, 1, '.');
    if (parser_for("x" + extension) == nullptr) {
      throw Error(ErrorCode::kInvalidArgument, "extensions: no parser for {}; there are parsers for {}", extension,
                  all_extensions());
    }
    wanted.insert(std::move(extension));
  }
  return wanted;
}

std::string extension_of(std::string_view path) {
  const auto name = path.substr(path.rfind('/') + 1);
  const auto dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string() : ascii_lower(name.substr(dot));
}

class Run {
 public:
  Run(catalog::Catalog& catalog, const catalog::Principal& who, const IngestOptions& options, const Deadline& deadline,
      const OnProgress& on_progress)
      : catalog_(catalog),
        who_(who),
        options_(options),
        deadline_(deadline),
        on_progress_(on_progress),
        folder_(options.folder) {}

  IngestReport run() {
    const auto wanted = wanted_extensions(options_);
    auto listing = folder_.list(deadline_);
    report_.skipped = std::move(listing.skipped);
    unread_ = std::move(listing.unread);
    const auto files = with_parser(std::move(listing.files), wanted);
    open_target();
    git_commit_ = git_head(folder_.root());
    read_all(files);
    find_deleted(files);
    write();
    std::ranges::sort(report_.skipped, {}, &SkippedFile::path);
    return std::move(report_);
  }

 private:
  struct Page {
    std::string path;
    ParsedPage page;
    const ParserInfo* parser = nullptr;
    std::string content_hash;
    std::int64_t size = 0;
    Timestamp modified;
  };

  std::vector<FoundFile> with_parser(std::vector<FoundFile> found, const std::set<std::string>& wanted) {
    std::vector<FoundFile> files;
    for (auto& file : found) {
      const auto extension = extension_of(file.path);
      if (parser_for(file.path) == nullptr) {
        if (wanted.empty() || folder_.is_one_file()) {
          skip(file.path, extension.empty() ? "no parser for a name without extension" : "no parser for " + extension);
        }
      } else if (wanted.empty() || wanted.contains(extension)) {
        files.push_back(std::move(file));
      }
    }
    if (files.empty()) {
      throw Error(ErrorCode::kInvalidArgument, "\"{}\" holds no file that a parser knows ({}); {} names were skipped",
                  folder_.root().string(),
                  wanted.empty() ? all_extensions() : join({wanted.begin(), wanted.end()}, ", "),
                  report_.skipped.size());
    }
    report_.seen = static_cast<std::int64_t>(files.size());
    return files;
  }

  void open_target() {
    try {
      target_.table = catalog_.open_table(who_, options_.table, catalog::Privilege::kModify);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;
      return;  // made when there is something to write
    }
    const auto snapshot = target_.table->snapshot();
    Columns(snapshot.schema).require(options_.table, {"source_path", "title", "text", "sections", "content_hash"});
    delta::ScanOptions scan;
    for (const auto* name : {"source_path", "content_hash", "parser", "parser_version"}) {
      if (delta::find_column(snapshot.schema, name)) scan.columns.emplace_back(name);
    }
    const auto rows = target_.table->scan(snapshot, scan);
    const Columns columns(rows.schema);
    for (const auto& row : rows.rows) {
      target_.pages[columns.get(row, "source_path").string_or("")] = {columns.get(row, "content_hash").string_or(""),
                                                                      columns.get(row, "parser").string_or(""),
                                                                      columns.get(row, "parser_version").string_or("")};
    }
  }

  void read_all(const std::vector<FoundFile>& files) {
    std::uintmax_t bytes = 0;
    for (std::size_t i = 0; i < files.size(); ++i) {
      deadline_.check();
      if (on_progress_) on_progress_({static_cast<std::int64_t>(i), report_.seen, files[i].path});
      try {
        read_one(files[i]);
      } catch (const Error& error) {
        ++failed_;
        if (first_failure_.empty()) first_failure_ = files[i].path + ": " + error.message();
        skip(files[i].path, error.message());
        continue;
      }
      if (!changed_.empty() && changed_.back().path == files[i].path) bytes += changed_.back().page.text.size();
      if (bytes > limits::kIngestBytes) {
        throw Error(ErrorCode::kTooLarge,
                    "the pages to write hold more than {} MiB of text; ingest parts of the folder one by one",
                    limits::kIngestBytes >> 20U);
      }
    }
    if (failed_ == report_.seen) {
      throw Error(ErrorCode::kInvalidArgument, "none of the {} files in \"{}\" could be read; the first is {}",
                  report_.seen, folder_.root().string(), first_failure_);
    }
    if (on_progress_) on_progress_({report_.seen, report_.seen, options_.table});
  }

  void read_one(const FoundFile& file) {
    const auto source = folder_.read(file);
    const auto* parser = parser_for(file.path);
    Page page{
        file.path,      {}, parser, codec::sha256_hex(source.bytes), static_cast<std::int64_t>(source.bytes.size()),
        source.modified};
    const auto known = target_.pages.find(file.path);
    if (known != target_.pages.end() && known->second.content_hash == page.content_hash &&
        known->second.parser == parser->name && known->second.parser_version == parser->version) {
      ++report_.unchanged;
      return;
    }
    page.page = parse_page(source.bytes, parser->media_type, file.path);
    ++(known == target_.pages.end() ? report_.added : report_.updated);
    changed_.push_back(std::move(page));
  }

  // Pages whose file is gone. A file that was skipped, or lies in a folder that could not be read, may still be there.
  void find_deleted(const std::vector<FoundFile>& files) {
    if (folder_.is_one_file()) return;
    std::set<std::string_view> there;
    for (const auto& file : files) there.insert(file.path);
    for (const auto& skipped : report_.skipped) there.insert(skipped.path);
    for (const auto& [path, page] : target_.pages) {
      const bool hidden = std::ranges::any_of(unread_, [&](const auto& folder) { return path.starts_with(folder); });
      if (!hidden && !there.contains(path)) deleted_.emplace_back(path);
    }
    report_.deleted = static_cast<std::int64_t>(deleted_.size());
  }

  void write() {
    if (changed_.empty() && deleted_.empty()) {
      report_.version = target_.table->snapshot().version;
      return;
    }
    if (!target_.table) {
      delta::CreateOptions create;
      create.schema = pages_schema();
      create.description = "Pages read from files";
      target_.table = catalog_.open_or_create_table(who_, options_.table, create);
    }
    const auto snapshot = target_.table->snapshot();
    const Columns columns(snapshot.schema);
    delta::Upsert upsert{"source_path", {}, std::move(deleted_)};
    const auto now = Timestamp::now();
    for (const auto& page : changed_) upsert.rows.push_back(row_of(page, columns, now));
    delta::CommitOptions commit;
    commit.operation = "INGEST";
    commit.user = who_.name;
    commit.parameters = Json::object({{"folder", options_.folder.string()}, {"files", report_.seen}});
    const auto result = target_.table->upsert(upsert, commit);
    report_.version = result.version;
    catalog_.record_lineage({{"file", folder_.root().string(), "table", options_.table,
                              Json::object({{"version", result.version}, {"git_commit", git_commit_}}), now}});
  }

  [[nodiscard]] delta::Row row_of(const Page& page, const Columns& columns, Timestamp now) const {
    auto row = columns.empty_row();
    columns.set(row, "source_path", page.path);
    columns.set(row, "title", page.page.title);
    columns.set(row, "text", page.page.text);
    columns.set(row, "sections", sections_cell(page.page.sections));
    columns.set(row, "blocks", blocks_cell(page.page.blocks));
    columns.set(row, "media_type", page.parser->media_type);
    columns.set(row, "content_hash", page.content_hash);
    columns.set(row, "size", page.size);
    columns.set(row, "modified", page.modified.micros);
    columns.set(row, "parser", page.parser->name);
    columns.set(row, "parser_version", page.parser->version);
    columns.set(row, "git_commit", git_commit_.empty() ? Json() : Json(git_commit_));
    columns.set(row, "ingested_at", now.micros);
    return row;
  }

  void skip(std::string path, std::string reason) { report_.skipped.push_back({std::move(path), std::move(reason)}); }

  catalog::Catalog& catalog_;
  const catalog::Principal& who_;
  const IngestOptions& options_;
  const Deadline& deadline_;
  const OnProgress& on_progress_;
  SourceFolder folder_;
  IngestReport report_;
  std::vector<std::string> unread_;
  Target target_;
  std::string git_commit_;
  std::int64_t failed_ = 0;
  std::string first_failure_;
  std::vector<Page> changed_;
  std::vector<Json> deleted_;
};

}  // namespace

delta::Schema pages_schema() {
  return {
      {"source_path", TypeKind::kString},
      {"title", TypeKind::kString},
      {"text", TypeKind::kString},
      {"sections", sections_type()},
      {"blocks", blocks_type()},
      {"media_type", TypeKind::kString},
      {"content_hash", TypeKind::kString},
      {"size", TypeKind::kLong},
      {"modified", TypeKind::kTimestamp},
      {"parser", TypeKind::kString},
      {"parser_version", TypeKind::kString},
      {"git_commit", TypeKind::kString},
      {"ingested_at", TypeKind::kTimestamp},
  };
}

Json IngestReport::to_json() const {
  auto skips = Json::array();
  for (std::size_t i = 0; i < std::min(skipped.size(), kReportedSkips); ++i) {
    skips.push_back(Json::object({{"path", skipped[i].path}, {"reason", skipped[i].reason}}));
  }
  return Json::object({{"version", version},
                       {"seen", seen},
                       {"added", added},
                       {"updated", updated},
                       {"deleted", deleted},
                       {"unchanged", unchanged},
                       {"skipped_count", skipped.size()},
                       {"skipped", std::move(skips)}});
}

IngestReport ingest_folder(catalog::Catalog& catalog, const catalog::Principal& who, const IngestOptions& options,
                           const Deadline& deadline, const OnProgress& on_progress) {
  (void)catalog::parse_full_name(options.table);
  return Run(catalog, who, options, deadline, on_progress).run();
}

}  // namespace lakeloop::ingest
