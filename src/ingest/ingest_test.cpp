#include "ingest/ingest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <thread>

#include "base/error.h"
#include "codec/unicode.h"
#include "db/database.h"
#include "ingest/chunk_table.h"
#include "ingest/table_rows.h"
#include "storage/object_store.h"

namespace lakeloop::ingest {
namespace {

namespace fs = std::filesystem;
using catalog::Privilege;
using testing::ElementsAre;
using testing::HasSubstr;

class IngestTest : public testing::Test {
 protected:
  IngestTest() {
    auto pattern = (fs::temp_directory_path() / "lakeloop_ingest_XXXXXX").string();
    home_ = fs::canonical(::mkdtemp(pattern.data()));
    docs_ = home_ / "docs";
    fs::create_directories(docs_);
    fs::create_directories(home_ / "objects");
    database_ = db::Database::open(home_ / "meta.db", catalog::migrations());
    store_ = storage::open_local_store(home_ / "objects");
    catalog_ = std::make_unique<catalog::Catalog>(*database_, store_);
    who_.id = "1";
    who_.name = "admin";
    who_.admin = true;
    catalog_->ensure_schema(who_, "main", "docs");
  }
  ~IngestTest() override {
    catalog_.reset();
    database_.reset();
    std::error_code ignored;
    fs::remove_all(home_, ignored);
  }

  void write(const fs::path& path, std::string_view bytes) const {
    fs::create_directories((docs_ / path).parent_path());
    std::ofstream(docs_ / path, std::ios::binary | std::ios::trunc) << bytes;
  }

  IngestReport ingest(std::vector<std::string> extensions = {}) { return ingest_at(docs_, std::move(extensions)); }
  IngestReport ingest_at(const fs::path& folder, std::vector<std::string> extensions = {}) {
    return ingest_folder(*catalog_, who_, {folder, pages_, std::move(extensions)}, {});
  }
  ChunkReport chunk(const ChunkOptions& options = {}) {
    return update_chunks(*catalog_, who_, pages_, chunks_, options, approximate_token_counter(), {});
  }

  delta::Rows rows(const std::string& table, std::string where = {}) {
    const auto opened = catalog_->open_table(who_, table, Privilege::kSelect);
    delta::ScanOptions scan;
    scan.where = std::move(where);
    scan.order_by = table == pages_ ? "source_path" : "source_path, chunk_index";
    return opened.scan(opened.snapshot(), scan);
  }

  std::vector<std::string> paths() {
    std::vector<std::string> found;
    const auto all = rows(pages_);
    for (const auto& row : all.rows) found.push_back(Columns(all.schema).get(row, "source_path").as_string());
    return found;
  }

  std::string message_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      code_ = error.code();
      return error.message();
    }
    return "no error";
  }

  void chunk_if_there() {
    if (message_in_thread([&] { (void)rows(pages_); }).empty()) (void)chunk();
  }
  // A lost race may end in kConflict; what counts is what the table holds in the end.
  static std::string message_in_thread(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.message();
    }
    return {};
  }

  // Every chunk is a slice of its page at the offsets it names.
  void check_chunks() {
    std::map<std::string, std::string> texts;
    const auto pages = rows(pages_);
    const Columns page_columns(pages.schema);
    for (const auto& row : pages.rows) {
      texts[page_columns.get(row, "source_path").as_string()] = page_columns.get(row, "text").as_string();
    }
    const auto chunks = rows(chunks_);
    const Columns columns(chunks.schema);
    for (const auto& row : chunks.rows) {
      const auto& text = texts.at(columns.get(row, "source_path").as_string());
      const auto begin = codec::byte_offset(text, static_cast<std::size_t>(columns.get(row, "start").as_int()));
      const auto end = codec::byte_offset(text, static_cast<std::size_t>(columns.get(row, "end").as_int()));
      ASSERT_EQ(text.substr(begin, end - begin), columns.get(row, "text").as_string());
    }
  }

  fs::path home_, docs_;
  std::unique_ptr<db::Database> database_;
  std::shared_ptr<storage::ObjectStore> store_;
  std::unique_ptr<catalog::Catalog> catalog_;
  catalog::Principal who_;
  const std::string pages_ = "main.docs.pages", chunks_ = "main.docs.chunks";
  ErrorCode code_ = ErrorCode::kInternal;
};

TEST_F(IngestTest, WritesOneCommitAndThenNothing) {
  write("a.md", "# Eins\n\nText \U0001F600.\n");
  write("sub/b.html", "<title>Zwei</title><h1>Head</h1><p>Text");
  write("c.txt", "plain");
  const auto first = ingest();
  EXPECT_EQ(first.seen, 3);
  EXPECT_EQ(first.added, 3);
  EXPECT_EQ(first.version, 1);
  EXPECT_THAT(paths(), ElementsAre("a.md", "c.txt", "sub/b.html"));
  const auto all = rows(pages_);
  const Columns columns(all.schema);
  EXPECT_EQ(columns.get(all.rows[0], "title").as_string(), "Eins");
  EXPECT_EQ(columns.get(all.rows[2], "title").as_string(), "Zwei");
  EXPECT_EQ(columns.get(all.rows[0], "text").as_string(), "# Eins\n\nText \U0001F600.\n");
  EXPECT_THAT(sections_of(columns.get(all.rows[0], "sections")), ElementsAre(Section{{"Eins"}, 0, 16}));
  EXPECT_THAT(blocks_of(columns.get(all.rows[0], "blocks")),
              ElementsAre(Block{BlockKind::kHeading, 0, 6}, Block{BlockKind::kParagraph, 8, 15}));
  EXPECT_EQ(columns.get(all.rows[0], "size").as_int(), 19);
  EXPECT_TRUE(columns.get(all.rows[0], "git_commit").is_null());

  fs::last_write_time(docs_ / "a.md", fs::file_time_type::clock::now() + std::chrono::hours(1));
  const auto again = ingest();
  EXPECT_EQ(again.version, 1) << "a new time alone is no change";
  EXPECT_EQ(again.unchanged, 3);

  const auto history = catalog_->open_table(who_, pages_, Privilege::kSelect).history(10);
  ASSERT_EQ(history.size(), 2U);
  EXPECT_EQ(history[0].operation, "INGEST");
}

TEST_F(IngestTest, UpdatesDeletesAndKeepsWhatBroke) {
  write("a.md", "one");
  write("b.md", "two");
  write("c.md", "three");
  (void)ingest();
  write("a.md", "one, changed");
  fs::remove(docs_ / "b.md");
  write("c.md", "caf\xe9 is Latin-1");
  write("d.md", "four");
  write("image.png", "png");
  const auto report = ingest();
  EXPECT_EQ(report.version, 2);
  EXPECT_EQ(report.seen, 3);
  EXPECT_EQ(report.updated, 1);
  EXPECT_EQ(report.deleted, 1);
  EXPECT_EQ(report.added, 1);
  ASSERT_EQ(report.skipped.size(), 2U);
  EXPECT_EQ(report.skipped[0].path, "c.md");
  EXPECT_THAT(report.skipped[0].reason, HasSubstr("not text"));
  EXPECT_EQ(report.skipped[1].reason, "no parser for .png");
  EXPECT_THAT(paths(), ElementsAre("a.md", "c.md", "d.md"));
  EXPECT_EQ(Columns(rows(pages_).schema).get(rows(pages_).rows[1], "text").as_string(), "three");
  EXPECT_EQ(report.to_json()["skipped_count"].as_int(), 2);
}

TEST_F(IngestTest, ReadsUtf16AsUtf8) {
  using namespace std::string_view_literals;
  write("le.txt", "\xff\xfe\x0a\x01 \0\x0a\x4e"sv);
  write("be.txt", "\xfe\xff\x01\x0a\0 \x4e\x0a"sv);
  write("nul.txt", "a\0b"sv);
  const auto report = ingest();
  ASSERT_EQ(report.skipped.size(), 1U);
  EXPECT_EQ(report.skipped[0].path, "nul.txt");
  const auto all = rows(pages_);
  for (const auto& row : all.rows) EXPECT_EQ(Columns(all.schema).get(row, "text").as_string(), "\u010a \u4e0a");
}

TEST_F(IngestTest, NeverEmptiesATableByMistake) {
  write("a.md", "one");
  (void)ingest();
  fs::remove(docs_ / "a.md");
  EXPECT_THAT(message_of([&] { (void)ingest(); }),
              HasSubstr("holds no file that a parser knows (.md, .markdown, .html"));
  EXPECT_EQ(code_, ErrorCode::kInvalidArgument);
  write("a.png", "x");
  EXPECT_THAT(message_of([&] { (void)ingest(); }), HasSubstr("1 names were skipped"));
  write("a.md", "\xff");
  write("b.md", "\xfe\xfe\xfe");
  EXPECT_THAT(message_of([&] { (void)ingest(); }), HasSubstr("none of the 2 files"));
  EXPECT_THAT(message_of([&] { (void)ingest_at(home_ / "missing"); }), HasSubstr("missing"));
  EXPECT_THAT(paths(), ElementsAre("a.md"));
}

TEST_F(IngestTest, MakesNoTableWhenNothingCanBeRead) {
  write("a.md", "\xff");
  EXPECT_THAT(message_of([&] { (void)ingest(); }), HasSubstr("none of the 1 files"));
  EXPECT_THAT(message_of([&] { (void)rows(pages_); }), testing::Ne("no error"));
}

TEST_F(IngestTest, SkipsAHugeFileUnread) {
  write("a.md", "one");
  write("huge.md", "");
  ASSERT_EQ(::truncate((docs_ / "huge.md").c_str(), 2LL * 1024 * 1024 * 1024), 0);
  const auto report = ingest();
  EXPECT_EQ(report.added, 1);
  ASSERT_EQ(report.skipped.size(), 1U);
  EXPECT_THAT(report.skipped[0].reason, HasSubstr("over the limit of 64 MiB"));
}

TEST_F(IngestTest, TakesOnlyTheExtensionsAskedFor) {
  write("a.md", "one");
  write("b.txt", "two");
  EXPECT_EQ(ingest({"MD"}).added, 1);
  EXPECT_THAT(message_of([&] { (void)ingest({".exe"}); }), HasSubstr("no parser for .exe"));
}

TEST_F(IngestTest, AddsOneFileAndDeletesNothing) {
  write("a.md", "one");
  write("b.md", "two");
  (void)ingest();
  write("b.md", "two, changed");
  const auto report = ingest_at(docs_ / "b.md");
  EXPECT_EQ(report.updated, 1);
  EXPECT_EQ(report.deleted, 0);
  EXPECT_THAT(paths(), ElementsAre("a.md", "b.md"));
}

TEST_F(IngestTest, KeepsOddNamesAndTheCommit) {
  const std::string commit(40, 'c');
  fs::create_directories(home_ / ".git");
  std::ofstream(home_ / ".git" / "HEAD") << commit << "\n";
  write("new\nline 'quoted' \"twice\" \u00e4.md", "text");
  (void)ingest();
  EXPECT_THAT(paths(), ElementsAre("new\nline 'quoted' \"twice\" \u00e4.md"));
  const auto all = rows(pages_);
  EXPECT_EQ(Columns(all.schema).get(all.rows[0], "git_commit").as_string(), commit);
  EXPECT_EQ(chunk().inserted, 1);
  write("new\nline 'quoted' \"twice\" \u00e4.md", "text, changed");
  (void)ingest();
  EXPECT_EQ(chunk().inserted, 1);
  check_chunks();
}

TEST_F(IngestTest, NeedsRights) {
  write("a.md", "one");
  (void)ingest();
  catalog::Principal other;
  other.id = "2";
  other.name = "nobody";
  EXPECT_NE(message_of([&] { (void)ingest_folder(*catalog_, other, {docs_, pages_, {}}, {}); }), "no error");
  EXPECT_NE(
      message_of([&] { (void)update_chunks(*catalog_, other, pages_, chunks_, {}, approximate_token_counter(), {}); }),
      "no error");
}

TEST_F(IngestTest, ChunksFollowThePages) {
  write("a.md", "# A\n\nFirst.\n\n## B\n\nSecond stays.\n");
  write("b.md", "Other page.\n");
  (void)ingest();
  const auto first = chunk();
  EXPECT_EQ(first.inserted, 3);
  EXPECT_EQ(first.pages, 2);
  EXPECT_EQ(first.pages_version, 1);
  EXPECT_EQ(chunk().version, first.version) << "nothing new, no commit";

  write("a.md", "# A\n\nFirst, and longer.\n\n## B\n\nSecond stays.\n");
  (void)ingest();
  const auto second = chunk();
  EXPECT_EQ(second.pages, 1) << "only the page that changed";
  EXPECT_EQ(second.inserted, 1);
  EXPECT_EQ(second.updated, 1) << "the same text at another place";
  EXPECT_EQ(second.deleted, 1);
  EXPECT_EQ(second.version, first.version + 1);

  fs::remove(docs_ / "b.md");
  (void)ingest();
  const auto third = chunk();
  EXPECT_EQ(third.deleted, 1);
  EXPECT_EQ(rows(chunks_).rows.size(), 2U);
  check_chunks();
}

TEST_F(IngestTest, CutsAnewWithOtherSettingsAndBack) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "This is sentence number " + std::to_string(i) + ". ";
  write("a.txt", text);
  (void)ingest();
  const auto wide = chunk();
  const auto narrow = chunk({50, 0, "approximate"});
  EXPECT_GT(narrow.inserted, wide.inserted);
  EXPECT_EQ(narrow.deleted, wide.inserted);
  const auto back = chunk();
  EXPECT_EQ(back.inserted, wide.inserted);
  EXPECT_EQ(rows(chunks_).rows.size(), static_cast<std::size_t>(wide.inserted));
  EXPECT_EQ(chunk({220, 30, "another model"}).updated, wide.inserted);
  check_chunks();
}

TEST_F(IngestTest, ChunksAnyTableWithTextAndPath) {
  const delta::Schema schema = {
      {"text", delta::TypeKind::kString}, {"id", delta::TypeKind::kLong}, {"source_path", delta::TypeKind::kString}};
  auto table = catalog_->open_or_create_table(who_, pages_, {schema, {}, {}, {}, {}});
  table.append({{"One paragraph.\n\nAnother.", 1, "x"}, {Json(), 2, "empty"}});
  EXPECT_EQ(chunk().inserted, 1);
  EXPECT_THAT(message_of([&] { (void)ingest(); }), testing::Ne("no error"));
  catalog_->open_or_create_table(who_, "main.docs.other", {{{"x", delta::TypeKind::kLong}}, {}, {}, {}, {}});
  EXPECT_THAT(message_of([&] {
                (void)update_chunks(*catalog_, who_, "main.docs.other", chunks_, {}, approximate_token_counter(), {});
              }),
              HasSubstr("source_path"));
}

TEST_F(IngestTest, CutsAllPagesWhereTheFeedHasAGap) {
  write("a.md", "one");
  write("b.md", "two");
  (void)ingest();
  EXPECT_EQ(chunk().inserted, 2);
  catalog_->open_table(who_, pages_, Privilege::kModify).set_properties({{"delta.enableChangeDataFeed", "false"}});
  write("a.md", "one, changed");
  (void)ingest();
  const auto report = chunk();
  EXPECT_EQ(report.pages, 2);
  EXPECT_EQ(report.inserted, 1);
  EXPECT_EQ(report.deleted, 1);
  EXPECT_EQ(report.unchanged, 1);
}

TEST_F(IngestTest, TwoUpdatesAtOnceLeaveNothingBehind) {
  for (int round = 0; round < 3; ++round) {
    for (int page = 0; page < 4; ++page) {
      write(std::to_string(page) + ".md", "# Page\n\nText of round " + std::to_string(round) + ".\n");
    }
    std::vector<std::jthread> writers;
    writers.emplace_back([&] { (void)message_in_thread([&] { (void)chunk_if_there(); }); });
    (void)ingest();
    for (int i = 0; i < 2; ++i) writers.emplace_back([&] { (void)message_in_thread([&] { (void)chunk(); }); });
    writers.clear();
    (void)chunk();
    const auto all = rows(chunks_);
    EXPECT_EQ(all.rows.size(), 4U);
    for (const auto& row : all.rows) {
      EXPECT_THAT(Columns(all.schema).get(row, "text").as_string(), HasSubstr("round " + std::to_string(round)));
    }
  }
}

TEST_F(IngestTest, EndsWhenNobodyWaits) {
  write("a.md", "one");
  std::stop_source source;
  source.request_stop();
  const Deadline gone = Deadline::after(std::chrono::hours(1), source.get_token());
  (void)message_of([&] { (void)ingest_folder(*catalog_, who_, {docs_, pages_, {}}, gone); });
  EXPECT_EQ(code_, ErrorCode::kCancelled);
}

TEST_F(IngestTest, ReadsTheRustBook) {
  const auto* data = std::getenv("LAKELOOP_TEST_DATA");
  if (data == nullptr || !fs::exists(fs::path(data) / "rust_book")) GTEST_SKIP() << "no test data";
  fs::copy(fs::path(data) / "rust_book", docs_, fs::copy_options::recursive);
  const auto timed = [](const char* what, const auto& action) {
    const auto start = Steady::now();
    const auto report = action();
    RecordProperty(
        what, static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - start).count()));
    RecordProperty(std::string(what) + "_report", report.to_json().dump());
    return report;
  };
  const auto first = timed("ingest", [&] { return ingest(); });
  EXPECT_EQ(first.added, 112);
  const auto chunks = timed("chunk", [&] { return chunk(); });
  EXPECT_EQ(chunks.pages, 112);
  EXPECT_GT(chunks.inserted, 1000);
  check_chunks();
  EXPECT_EQ(timed("ingest_again", [&] { return ingest(); }).version, first.version);
  EXPECT_EQ(timed("chunk_again", [&] { return chunk(); }).version, chunks.version);

  std::ofstream(docs_ / "ch01-01-installation.md", std::ios::app) << "\n\nOne more paragraph.\n";
  fs::remove(docs_ / "ch01-02-hello-world.md");
  write("broken.md", "\xff\xff\xff");
  const auto edited = timed("ingest_edit", [&] { return ingest(); });
  EXPECT_EQ(edited.updated, 1);
  EXPECT_EQ(edited.deleted, 1);
  EXPECT_EQ(edited.added, 0);
  EXPECT_EQ(edited.unchanged, 110);
  EXPECT_TRUE(std::ranges::any_of(edited.skipped, [](const auto& skipped) { return skipped.path == "broken.md"; }));
  const auto follow = timed("chunk_edit", [&] { return chunk(); });
  EXPECT_EQ(follow.pages, 1);
  EXPECT_LE(follow.inserted, 2);
  EXPECT_GT(follow.unchanged, 5);
  EXPECT_GT(follow.deleted, 0);
  check_chunks();
}

}  // namespace
}  // namespace lakeloop::ingest
