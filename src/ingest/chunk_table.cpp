#include "ingest/chunk_table.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/format.h"
#include "codec/hash.h"
#include "ingest/table_rows.h"

namespace lakeloop::ingest {
namespace {

using delta::TypeKind;

constexpr std::string_view kChunkerVersion = "lakeloop/1";
constexpr std::size_t kFeedBatch = 256;
constexpr std::size_t kPagesAtOnce = 64;  // read into memory
constexpr int kOvertaken = 5;             // runs, where others keep writing the chunks meanwhile

// The columns that make two rows of one id differ.
constexpr std::string_view kCompared[] = {"text", "source_path", "title",       "section", "start",
                                          "end",  "tokens",      "chunk_index", "chunker"};

class Update {
 public:
  Update(catalog::Catalog& catalog, const catalog::Principal& who, const std::string& pages_table,
         const std::string& chunks_table, const ChunkOptions& options, const TokenCounter& count,
         const Deadline& deadline, const OnProgress& on_progress, bool all)
      : catalog_(catalog),
        who_(who),
        pages_name_(pages_table),
        chunks_name_(chunks_table),
        options_(options),
        count_(count),
        deadline_(deadline),
        on_progress_(on_progress),
        all_(all),
        pages_(catalog.open_table(who, pages_table, catalog::Privilege::kSelect)),
        chunks_(catalog.open_or_create_table(who, chunks_table, create_options())),
        pages_at_(pages_.snapshot()),
        chunks_at_(chunks_.snapshot()),
        columns_(chunks_at_.schema),
        chunker_(lakeloop::format("{} max={} overlap={} tokenizer={}", kChunkerVersion, options.max_tokens,
                                  options.overlap_tokens, options.tokenizer)),
        app_id_(lakeloop::format("chunks:{}:{}", pages_at_.table_id, codec::sha256_hex(chunker_).substr(0, 16))) {
    Columns(pages_at_.schema).require(pages_name_, {"source_path", "text"});
    columns_.require(chunks_name_, {"id", "text", "source_path", "chunker"});
  }

  ChunkReport run() {
    report_.version = chunks_at_.version;
    report_.pages_version = pages_at_.version;
    const auto consumed = consumed_version();
    if (consumed && *consumed >= pages_at_.version) return report_;
    auto paths = consumed ? changed_paths(*consumed) : std::nullopt;
    if (paths) {
      read_existing(*paths);
    } else {
      paths = all_paths();
      read_all_existing();
    }
    cut(*paths);
    for (const auto& [id, row] : existing_) upsert_.deletes.emplace_back(id);
    report_.deleted = static_cast<std::int64_t>(upsert_.deletes.size());
    write();
    return report_;
  }

  // Others wrote between this run's look at the chunks and its commit: what it did not see it could not delete.
  [[nodiscard]] bool overtaken() const { return overtaken_; }

 private:
  static delta::CreateOptions create_options() {
    delta::CreateOptions create;
    create.schema = chunks_schema();
    create.description = "Chunks of pages";
    return create;
  }

  // Nothing when all pages must be cut: never done with these settings, or the table holds chunks of others since.
  std::optional<std::int64_t> consumed_version() {
    const auto found = chunks_at_.transactions.find(app_id_);
    if (found == chunks_at_.transactions.end()) return std::nullopt;
    if (all_) {
      stale_ = true;
      return std::nullopt;
    }
    delta::ScanOptions foreign;
    foreign.columns = {"id"};
    foreign.where = "chunker IS DISTINCT FROM $1";
    foreign.parameters = {chunker_};
    foreign.limit = 1;
    if (!chunks_.scan(chunks_at_, foreign).rows.empty()) {
      stale_ = true;
      return std::nullopt;
    }
    return found->second;
  }

  // Nothing when the feed cannot tell.
  std::optional<std::vector<std::string>> changed_paths(std::int64_t consumed) const {
    const Columns columns(pages_at_.schema);
    std::set<std::string> paths;
    try {
      pages_.changes(consumed + 1, pages_at_.version, kFeedBatch, [&](const std::vector<delta::Change>& changes) {
        deadline_.check();
        for (const auto& change : changes) paths.insert(columns.get(change.row, "source_path").string_or(""));
      });
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInvalidArgument && error.code() != ErrorCode::kNotFound) throw;
      return std::nullopt;
    }
    return std::vector<std::string>(paths.begin(), paths.end());
  }

  std::vector<std::string> all_paths() const {
    delta::ScanOptions scan;
    scan.columns = {"source_path"};
    std::set<std::string> paths;
    for (const auto& row : pages_.scan(pages_at_, scan).rows) paths.insert(row.at(0).string_or(""));
    return {paths.begin(), paths.end()};
  }

  // "source_path IN ($1, $2)" over paths[begin, end).
  static void limit_to(delta::ScanOptions& scan, const std::vector<std::string>& paths, std::size_t begin,
                       std::size_t end) {
    scan.where = "source_path IN (";
    for (auto i = begin; i < end; ++i) {
      scan.where += lakeloop::format("{}${}", i > begin ? ", " : "", i - begin + 1);
      scan.parameters.emplace_back(paths[i]);
    }
    scan.where += ')';
  }

  void read_all_existing(const delta::ScanOptions& scan = {}) {
    for (auto& row : chunks_.scan(chunks_at_, scan).rows) {
      auto id = columns_.get(row, "id").string_or("");
      existing_.insert_or_assign(std::move(id), std::move(row));
    }
  }

  // Rows of these pages.
  void read_existing(const std::vector<std::string>& paths) {
    for (std::size_t begin = 0; begin < paths.size(); begin += kFeedBatch) {
      delta::ScanOptions scan;
      limit_to(scan, paths, begin, std::min(paths.size(), begin + kFeedBatch));
      read_all_existing(scan);
    }
  }

  void cut(const std::vector<std::string>& paths) {
    delta::ScanOptions scan;
    for (const auto* name : {"source_path", "title", "text", "sections", "blocks", "content_hash"}) {
      if (delta::find_column(pages_at_.schema, name)) scan.columns.emplace_back(name);
    }
    upsert_.key_column = "id";
    for (std::size_t begin = 0; begin < paths.size(); begin += kPagesAtOnce) {
      deadline_.check();
      auto some = scan;
      limit_to(some, paths, begin, std::min(paths.size(), begin + kPagesAtOnce));
      some.order_by = "source_path";
      const auto pages = pages_.scan(pages_at_, some);
      const Columns columns(pages.schema);
      for (const auto& row : pages.rows) {
        deadline_.check();
        if (on_progress_)
          on_progress_(
              {report_.pages, static_cast<std::int64_t>(paths.size()), columns.get(row, "source_path").string_or("")});
        cut_page(row, columns);
        ++report_.pages;
      }
    }
    if (on_progress_)
      on_progress_({static_cast<std::int64_t>(paths.size()), static_cast<std::int64_t>(paths.size()), chunks_name_});
  }

  void cut_page(const delta::Row& row, const Columns& columns) {
    const auto path = columns.get(row, "source_path").string_or("");
    const ParsedPage page{columns.get(row, "title").string_or(""), columns.get(row, "text").string_or(""),
                          sections_of(columns.get(row, "sections")), blocks_of(columns.get(row, "blocks"))};
    for (auto& chunk : chunk_page(path, page, options_, count_)) {
      auto fresh = columns_.empty_row();
      columns_.set(fresh, "id", chunk.id);
      columns_.set(fresh, "text", std::move(chunk.text));
      columns_.set(fresh, "source_path", path);
      columns_.set(fresh, "title", page.title);
      columns_.set(fresh, "section", std::move(chunk.section));
      columns_.set(fresh, "start", chunk.start);
      columns_.set(fresh, "end", chunk.end);
      columns_.set(fresh, "tokens", chunk.tokens);
      columns_.set(fresh, "chunk_index", chunk.index);
      columns_.set(fresh, "content_hash", columns.get(row, "content_hash"));
      columns_.set(fresh, "page_version", pages_at_.version);
      columns_.set(fresh, "chunker", chunker_);
      keep_or_write(chunk.id, std::move(fresh));
    }
  }

  void keep_or_write(const std::string& id, delta::Row fresh) {
    const auto old = existing_.find(id);
    if (old == existing_.end()) {
      ++report_.inserted;
    } else {
      const bool same = std::ranges::all_of(
          kCompared, [&](auto name) { return columns_.get(old->second, name) == columns_.get(fresh, name); });
      existing_.erase(old);
      if (same) {
        ++report_.unchanged;
        return;
      }
      ++report_.updated;
    }
    upsert_.rows.push_back(std::move(fresh));
  }

  void write() {
    if (upsert_.rows.empty() && upsert_.deletes.empty()) return;
    delta::CommitOptions commit;
    commit.operation = "CHUNK";
    commit.user = who_.name;
    commit.parameters =
        Json::object({{"pages", pages_name_}, {"pages_version", pages_at_.version}, {"chunker", chunker_}});
    // After a detour by other settings the table may hold this version's txn already; it is right again after this
    // commit.
    if (!stale_ || chunks_at_.transactions.at(app_id_) < pages_at_.version) {
      commit.app_id = app_id_;
      commit.app_version = pages_at_.version;
    }
    report_.version = chunks_.upsert(upsert_, commit).version;
    overtaken_ = report_.version != chunks_at_.version + 1;
    catalog_.record_lineage(
        {{"table", pages_name_, "table", chunks_name_,
          Json::object({{"source_version", pages_at_.version}, {"target_version", report_.version}}),
          Timestamp::now()}});
  }

  catalog::Catalog& catalog_;
  const catalog::Principal& who_;
  const std::string& pages_name_;
  const std::string& chunks_name_;
  const ChunkOptions& options_;
  const TokenCounter& count_;
  const Deadline& deadline_;
  const OnProgress& on_progress_;
  bool all_;
  delta::Table pages_, chunks_;
  delta::Snapshot pages_at_, chunks_at_;
  Columns columns_;  // of the chunks table
  std::string chunker_, app_id_;
  bool stale_ = false;  // the table's txn is right, its rows are not
  bool overtaken_ = false;
  std::map<std::string, delta::Row> existing_;  // by id; what is left after cutting is deleted
  delta::Upsert upsert_;
  ChunkReport report_;
};

}  // namespace

delta::Schema chunks_schema() {
  return {
      {"id", TypeKind::kString},          {"text", TypeKind::kString},
      {"source_path", TypeKind::kString}, {"title", TypeKind::kString},
      {"section", TypeKind::kString},     {"start", TypeKind::kLong},
      {"end", TypeKind::kLong},           {"tokens", TypeKind::kLong},
      {"chunk_index", TypeKind::kLong},   {"content_hash", TypeKind::kString},
      {"page_version", TypeKind::kLong},  {"chunker", TypeKind::kString},
  };
}

Json ChunkReport::to_json() const {
  return Json::object({{"version", version},
                       {"pages_version", pages_version},
                       {"pages", pages},
                       {"inserted", inserted},
                       {"updated", updated},
                       {"deleted", deleted},
                       {"unchanged", unchanged}});
}

ChunkReport update_chunks(catalog::Catalog& catalog, const catalog::Principal& who, const std::string& pages_table,
                          const std::string& chunks_table, const ChunkOptions& options, const TokenCounter& count,
                          const Deadline& deadline, const OnProgress& on_progress) {
  check_chunk_options(options);
  ChunkReport total;
  for (int attempt = 0; attempt < kOvertaken; ++attempt) {
    Update update(catalog, who, pages_table, chunks_table, options, count, deadline, on_progress, attempt > 0);
    const auto report = update.run();
    total = {report.version,
             report.pages_version,
             report.pages,
             total.inserted + report.inserted,
             total.updated + report.updated,
             total.deleted + report.deleted,
             report.unchanged};
    if (!update.overtaken()) return total;
  }
  throw Error(ErrorCode::kConflict, "{} is written by others all the time; update it again later", chunks_table);
}

}  // namespace lakeloop::ingest
