#include "search/vector_search.h"

#include <gmock/gmock.h>

#include <atomic>
#include <cmath>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#include "base/format.h"
#include "catalog/catalog.h"
#include "db/database.h"
#include "search/fixture_test.h"

namespace lakeloop::search {
namespace {

using catalog::Privilege;
using catalog::SecurableType;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

// A model by name: a hashed bag of words, with switches for its faults.
class FakeEngine : public gateway::InferenceEngine {
 public:
  gateway::EngineInfo info() override {
    const std::lock_guard lock(mutex_);
    gateway::EngineInfo info;
    info.model = "bag-of-words";
    info.sha256 = sha_;
    info.embeddings = true;
    info.dimension = dimension_;
    info.state = "ready";
    return info;
  }
  gateway::ChatResult chat(const gateway::ChatRequest&, const Deadline&,
                           const std::function<bool(const gateway::ChatChunk&)>&) override {
    throw Error(ErrorCode::kUnimplemented, "no chat");
  }
  gateway::EmbeddingResult embed(const std::vector<std::string>& inputs, const Deadline&) override {
    const std::lock_guard lock(mutex_);
    gateway::EmbeddingResult result;
    for (const std::string& text : inputs) {
      if (text.find("forbidden") != std::string::npos)
        throw Error(ErrorCode::kInvalidArgument, "input {} is not allowed", 1);
    }
    for (const std::string& text : inputs) {
      embedded_.insert(text);
      auto vector = bag_of_words(text, static_cast<std::size_t>(dimension_));
      if (text.find("nonumber") != std::string::npos) vector[0] = NAN;
      result.vectors.push_back(std::move(vector));
    }
    return result;
  }
  std::optional<std::vector<std::int64_t>> count_tokens(const std::vector<std::string>&, const Deadline&) override {
    return std::nullopt;
  }

  void become(std::string sha, std::int64_t dimension) {
    const std::lock_guard lock(mutex_);
    sha_ = std::move(sha);
    dimension_ = dimension;
  }
  std::multiset<std::string> take_embedded() {
    const std::lock_guard lock(mutex_);
    return std::exchange(embedded_, {});
  }

 private:
  std::mutex mutex_;
  std::string sha_ = "aa";
  std::int64_t dimension_ = 64;
  std::multiset<std::string> embedded_;
};

class FakeDirectory : public gateway::EngineDirectory {
 public:
  std::shared_ptr<gateway::InferenceEngine> engine(const identity::Principal&, std::string_view endpoint) override {
    if (endpoint != "embed") throw Error(ErrorCode::kNotFound, "endpoint {} does not exist", endpoint);
    if (!available) throw Error(ErrorCode::kUnavailable, "endpoint {} is starting", endpoint);
    return fake;
  }
  std::atomic<bool> available{true};
  std::shared_ptr<FakeEngine> fake = std::make_shared<FakeEngine>();
};

catalog::Principal person(std::string name, bool admin = false) {
  catalog::Principal who;
  who.name = std::move(name);
  who.admin = admin;
  return who;
}

Deadline soon() {
  return Deadline::after(std::chrono::seconds(60));
}

template <typename F>
std::string message_of(ErrorCode code, F&& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.message();
    return error.message();
  }
  ADD_FAILURE() << "no error was thrown";
  return {};
}

class VectorSearchTest : public testing::Test {
 protected:
  VectorSearchTest() {
    std::filesystem::create_directories(folder_.path() / "objects");
    auto all = catalog::migrations();
    for (auto& migration : migrations()) all.push_back(migration);
    database_ = db::Database::open(folder_.path() / "meta.db", all);
    catalog_ = std::make_unique<catalog::Catalog>(*database_, storage::open_local_store(folder_.path() / "objects"));
    catalog_->ensure_schema(root_, "main", "docs");
    delta::CreateOptions options;
    options.schema = chunk_schema();
    catalog_->create_table(root_, "main.docs.chunks", options);
    start();
    search_->create_endpoint(root_, "ep", "STANDARD");
  }
  void start() {
    search_ = std::make_unique<VectorSearch>(*database_, *catalog_, directory_, folder_.path() / "indexes");
  }
  void restart() {
    search_.reset();
    start();
  }

  static IndexSpec spec(std::string name = "main.docs.index") {
    IndexSpec spec;
    spec.name = std::move(name);
    spec.endpoint_name = "ep";
    spec.primary_key = "id";
    spec.source_table = "main.docs.chunks";
    spec.embedding_source_column = "text";
    spec.embedding_endpoint = "embed";
    spec.text_columns = {"text"};
    return spec;
  }
  delta::Table table() { return catalog_->open_table(root_, "main.docs.chunks", Privilege::kModify); }
  std::int64_t write(const std::vector<delta::Row>& rows) { return table().upsert({"id", rows, {}}).version; }
  std::int64_t remove(const std::string& key) { return table().upsert({"id", {}, {Json(key)}}).version; }
  void settle(std::int64_t version, bool vectors = true, std::string_view name = "main.docs.index") {
    ASSERT_TRUE(search_->wait_for(root_, name, version, vectors, soon())) << search_->get_index(root_, name).message;
  }
  // Two rows under an index of that spec, settled.
  void settle_spec(const IndexSpec& wanted) {
    const std::int64_t version = write({chunk_row("a", "one text"), chunk_row("b", "other words")});
    search_->create_index(root_, wanted);
    settle(version);
  }
  std::vector<std::string> find(std::string_view text, QueryType type, const Json& filters = {},
                                std::int64_t count = 10) {
    SearchQuery query;
    query.text = text;
    query.type = type;
    query.filters = filters;
    query.num_results = count;
    std::vector<std::string> result;
    for (const Hit& hit : search_->query(root_, "main.docs.index", query, soon()).hits)
      result.push_back(hit.values.at(0).as_string());
    return result;
  }
  void grant(SecurableType type, const std::string& name, const std::string& to, std::vector<Privilege> privileges) {
    catalog_->change_grants(root_, {type, name}, {{.principal = to, .add = std::move(privileges), .remove = {}}});
  }

  const catalog::Principal root_ = person("root@example.org", true);
  const catalog::Principal ann_ = person("ann@example.org");
  TemporaryFolder folder_;
  std::unique_ptr<db::Database> database_;
  std::unique_ptr<catalog::Catalog> catalog_;
  FakeDirectory directory_;
  std::unique_ptr<VectorSearch> search_;
};

TEST_F(VectorSearchTest, FollowsTheTableWithinAllQueryTypes) {
  const std::int64_t first =
      write({chunk_row("a", "delta lake tables keep versions"), chunk_row("b", "vector search finds meaning")});
  const IndexStatus created = search_->create_index(root_, spec());
  EXPECT_EQ(created.creator, root_.name);
  settle(first);
  EXPECT_EQ(find("lake tables", QueryType::kFullText).front(), "a");
  EXPECT_EQ(find("finds meaning", QueryType::kAnn).front(), "b");
  EXPECT_EQ(find("finds meaning", QueryType::kHybrid).front(), "b");

  settle(write({chunk_row("c", "new text about tables"), chunk_row("a", "nothing of the kind")}));
  EXPECT_THAT(find("tables", QueryType::kFullText), ElementsAre("c"));
  settle(remove("c"));
  EXPECT_THAT(find("tables", QueryType::kFullText), IsEmpty());

  const IndexStatus status = search_->get_index(root_, "MAIN.docs.Index");
  EXPECT_TRUE(status.ready);
  EXPECT_EQ(status.indexed_rows, 2);
  EXPECT_EQ(status.rows_with_vectors, 2);
  EXPECT_EQ(status.source_version, first + 2);
  EXPECT_EQ(status.embedding_model, "bag-of-words");
  EXPECT_EQ(status.embedding_sha256, "aa");
  EXPECT_THAT(status.detailed_state, HasSubstr("ONLINE"));
}

TEST_F(VectorSearchTest, ResultsCarryColumnsScoresAndVersions) {
  settle_spec(spec());
  SearchQuery query;
  query.text = "other words";
  query.type = QueryType::kHybrid;
  query.columns = {"id", "N", "ok", "tags", "section"};
  const SearchResult result = search_->query(root_, "main.docs.index", query, soon());
  ASSERT_FALSE(result.hits.empty());
  EXPECT_THAT(result.hits[0].values, ElementsAre(Json("b"), Json(0), Json(true), Json::array({"x"}), Json()));
  EXPECT_EQ(result.columns[1].name, "n");
  EXPECT_EQ(result.columns[3].type.text(), "array<string>");
  EXPECT_NEAR(result.hits[0].score, 1, 1e-5);
  EXPECT_NEAR(*result.hits[0].vector_score, 1, 1e-5);
  EXPECT_GT(*result.hits[0].text_score, 0);
  EXPECT_EQ(result.source_version, table().snapshot().version);
  EXPECT_EQ(result.manifest, search_->get_index(root_, "main.docs.index").manifest);
  query.type = QueryType::kAnn;
  EXPECT_NEAR(search_->query(root_, "main.docs.index", query, soon()).hits[0].score, 1, 1e-5);
  query.score_threshold = 0.99;
  EXPECT_THAT(search_->query(root_, "main.docs.index", query, soon()).hits, SizeIs(1));
}

TEST_F(VectorSearchTest, AThousandChangedRowsAreFoundAfterTheirCommit) {
  std::vector<delta::Row> rows;
  for (int i = 0; i < 1000; ++i) rows.push_back(chunk_row(format("k{}", i), format("first words number{}", i)));
  write(rows);
  search_->create_index(root_, spec());
  settle(table().snapshot().version);
  for (delta::Row& row : rows) row[1] = "second " + row[1].as_string();
  const std::int64_t version = write(rows);
  const auto committed = Steady::now();
  settle(version, false);
  const double ms = std::chrono::duration<double, std::milli>(Steady::now() - committed).count();
  std::printf("[          ] 1,000 changed rows: searchable %.0f ms after their commit\n", ms);
  EXPECT_EQ(find("second number77", QueryType::kFullText).front(), "k77");
  EXPECT_EQ(search_->get_index(root_, "main.docs.index").indexed_rows, 1000);
}

TEST_F(VectorSearchTest, UnchangedTextIsNotEmbeddedAgain) {
  write({chunk_row("a", "one text"), chunk_row("b", "other text"), chunk_row("twin", "one text")});
  search_->create_index(root_, spec());
  settle(table().snapshot().version);
  EXPECT_THAT(directory_.fake->take_embedded(), UnorderedElementsAre("one text", "other text"));
  auto changed = chunk_row("a", "one text");
  changed[4] = 77;
  settle(write({changed, chunk_row("b", "third text")}));
  EXPECT_THAT(directory_.fake->take_embedded(), ElementsAre("third text"));
  settle(remove("a"));
  settle(write({chunk_row("a", "one text")}));
  EXPECT_THAT(directory_.fake->take_embedded(), IsEmpty());
}

TEST_F(VectorSearchTest, RestartOpensWithoutARebuild) {
  write({chunk_row("a", "one text"), chunk_row("b", "other text")});
  search_->create_index(root_, spec());
  settle(table().snapshot().version);
  const std::int64_t manifest = search_->get_index(root_, "main.docs.index").manifest;
  directory_.fake->take_embedded();
  directory_.available = false;
  restart();
  EXPECT_THAT(find("other", QueryType::kFullText), ElementsAre("b"));
  EXPECT_EQ(search_->get_index(root_, "main.docs.index").manifest, manifest);
  // What was committed while it was down is caught up.
  search_.reset();
  const std::int64_t version = write({chunk_row("c", "late text")});
  start();
  settle(version, false);
  EXPECT_THAT(find("late", QueryType::kFullText), ElementsAre("c"));
  directory_.available = true;
  settle(version);
  EXPECT_THAT(directory_.fake->take_embedded(), ElementsAre("late text"));
}

TEST_F(VectorSearchTest, WithoutTheModelTextIsSearchedAndTheStatusSaysSo) {
  directory_.available = false;
  const std::int64_t version = write({chunk_row("a", "one text"), chunk_row("b", "other words")});
  search_->create_index(root_, spec());
  settle(version, false);
  SearchQuery query;
  query.text = "other";
  query.type = QueryType::kHybrid;
  const SearchResult result = search_->query(root_, "main.docs.index", query, soon());
  EXPECT_EQ(result.query_type, "FULL_TEXT");
  ASSERT_THAT(result.hits, SizeIs(1));
  EXPECT_FALSE(result.hits[0].vector_score.has_value());
  query.type = QueryType::kAnn;
  message_of(ErrorCode::kUnavailable, [&] { search_->query(root_, "main.docs.index", query, soon()); });
  const auto until = Steady::now() + std::chrono::seconds(30);
  while (search_->get_index(root_, "main.docs.index").message.find("is starting") == std::string::npos &&
         Steady::now() < until) {
    std::this_thread::yield();
  }
  EXPECT_THAT(search_->get_index(root_, "main.docs.index").message, HasSubstr("2 rows wait for their vector"));
  directory_.available = true;
  settle(version);
  EXPECT_EQ(search_->query(root_, "main.docs.index", query, soon()).query_type, "ANN");
}

TEST_F(VectorSearchTest, AnotherModelIsFilledInBehind) {
  const std::int64_t version = write({chunk_row("a", "one text"), chunk_row("b", "other words")});
  search_->create_index(root_, spec());
  settle(version);
  directory_.fake->become("bb", 32);
  const auto until = Steady::now() + std::chrono::seconds(60);
  while (search_->get_index(root_, "main.docs.index").embedding_sha256 != "bb" && Steady::now() < until) {
    EXPECT_THAT(find("other words", QueryType::kHybrid).front(), "b");
    std::this_thread::yield();
  }
  settle(version);
  EXPECT_EQ(search_->get_index(root_, "main.docs.index").embedding_sha256, "bb");
  EXPECT_EQ(find("other words", QueryType::kAnn).front(), "b");
}

TEST_F(VectorSearchTest, RowsThatCannotBeIndexedAreNamed) {
  auto null_key = chunk_row("x", "no key");
  null_key[0] = {};
  auto blank = chunk_row("blank", "  ");
  auto null_text = chunk_row("nulltext", "");
  null_text[1] = {};
  table().append({null_key, blank, null_text, chunk_row("bad", "a forbidden text"), chunk_row("nan", "nonumber here"),
                  chunk_row("good", "fine text"), chunk_row("long", std::string(2 << 20, 'y'))});
  search_->create_index(root_, spec());
  settle(table().snapshot().version);
  const IndexStatus status = search_->get_index(root_, "main.docs.index");
  EXPECT_EQ(status.indexed_rows, 5);
  EXPECT_EQ(status.rows_with_vectors, 1);
  EXPECT_THAT(status.message, HasSubstr("4 rows refused"));
  EXPECT_THAT(status.message, HasSubstr("the primary key is NULL"));
  EXPECT_THAT(status.message, HasSubstr("bad: the embedding model refused its text"));
  EXPECT_THAT(status.message, HasSubstr("nan: the model gave a vector without direction"));
  EXPECT_THAT(status.message, HasSubstr("long: the row has 2097"));
  EXPECT_THAT(find("forbidden", QueryType::kFullText), ElementsAre("bad"));
  EXPECT_THAT(find("fine", QueryType::kHybrid, Json::object({{"id", "good"}})), ElementsAre("good"));
}

TEST_F(VectorSearchTest, DamageIsRepairedFromTheTable) {
  const std::int64_t version = write({chunk_row("a", "one text"), chunk_row("b", "other words")});
  const std::string id = search_->create_index(root_, spec()).id;
  settle(version);
  directory_.fake->take_embedded();
  search_.reset();
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / "indexes" / id)) {
    if (entry.path().extension() == ".segment") std::filesystem::resize_file(entry.path(), 100);
  }
  start();
  settle(version);
  EXPECT_THAT(find("other", QueryType::kHybrid).front(), "b");
  EXPECT_THAT(search_->get_index(root_, "main.docs.index").message, HasSubstr("rebuilt from the table"));
}

TEST_F(VectorSearchTest, DeletingTheFolderLosesNothing) {
  const std::int64_t version = write({chunk_row("a", "one text"), chunk_row("b", "other words")});
  search_->create_index(root_, spec());
  settle(version);
  search_.reset();
  std::filesystem::remove_all(folder_.path() / "indexes");
  start();
  settle(version);
  EXPECT_THAT(find("other", QueryType::kFullText), ElementsAre("b"));
}

TEST_F(VectorSearchTest, TriggeredIndexesWaitForSync) {
  IndexSpec triggered = spec();
  triggered.pipeline_type = "TRIGGERED";
  const std::int64_t first = write({chunk_row("a", "one text")});
  search_->create_index(root_, triggered);
  settle(first);
  const std::int64_t second = write({chunk_row("b", "other words")});
  EXPECT_FALSE(
      search_->wait_for(root_, "main.docs.index", second, false, Deadline::after(std::chrono::milliseconds(600))));
  search_->sync(root_, "main.docs.index");
  search_->sync(root_, "main.docs.index");
  settle(second);
}

TEST_F(VectorSearchTest, TextOnlyIndexAnswersHybridByText) {
  IndexSpec text = spec();
  text.embedding_source_column = text.embedding_endpoint = "";
  text.columns_to_sync = {"text", "n"};
  settle_spec(text);
  SearchQuery query;
  query.text = "other";
  query.type = QueryType::kHybrid;
  EXPECT_EQ(search_->query(root_, "main.docs.index", query, soon()).query_type, "FULL_TEXT");
  query.type = QueryType::kAnn;
  EXPECT_THAT(message_of(ErrorCode::kInvalidArgument, [&] { search_->query(root_, "main.docs.index", query, soon()); }),
              HasSubstr("FULL_TEXT"));
  query.type = QueryType::kFullText;
  query.columns = {"ID", "n"};
  EXPECT_THAT(search_->query(root_, "main.docs.index", query, soon()).columns, SizeIs(2));
  for (const std::string hidden : {"tag", "nope"}) {
    query.columns = {hidden};
    EXPECT_THAT(
        message_of(ErrorCode::kInvalidArgument, [&] { search_->query(root_, "main.docs.index", query, soon()); }),
        HasSubstr(hidden));
    query.columns = {};
    query.filter_string = hidden + " = 'x'";
    EXPECT_THAT(
        message_of(ErrorCode::kInvalidArgument, [&] { search_->query(root_, "main.docs.index", query, soon()); }),
        HasSubstr(hidden));
    query.filter_string = "";
  }
}

TEST_F(VectorSearchTest, QueriesAreChecked) {
  settle_spec(spec());
  const auto message = [&](auto change) {
    SearchQuery query;
    query.text = "words";
    change(query);
    return message_of(ErrorCode::kInvalidArgument, [&] { search_->query(root_, "main.docs.index", query, soon()); });
  };
  EXPECT_THAT(message([](SearchQuery& q) { q.num_results = 0; }), HasSubstr("num_results"));
  EXPECT_THAT(message([](SearchQuery& q) { q.num_results = 10'001; }), HasSubstr("10000"));
  EXPECT_THAT(message([](SearchQuery& q) {
                q.type = QueryType::kHybrid;
                q.num_results = 201;
              }),
              HasSubstr("200"));
  EXPECT_THAT(message([](SearchQuery& q) { q.text = ""; }), HasSubstr("query_vector"));
  EXPECT_THAT(message([](SearchQuery& q) { q.text = std::string(40'000, 'x'); }), HasSubstr("32764"));
  EXPECT_THAT(message([](SearchQuery& q) { q.vector = {1, 0}; }), HasSubstr("2 numbers"));
  EXPECT_THAT(message([](SearchQuery& q) { q.vector.assign(64, 0.0F); }), HasSubstr("no direction"));
  EXPECT_THAT(message([](SearchQuery& q) { q.vector.assign(64, NAN); }), HasSubstr("no direction"));
  EXPECT_THAT(message([](SearchQuery& q) { q.filters = Json::object({{"tag <", Json()}}); }), HasSubstr("tag"));
  EXPECT_THAT(message([](SearchQuery& q) { q.filter_string = "tag = "; }), HasSubstr("position"));
  SearchQuery query;
  query.text = "words";
  message_of(ErrorCode::kNotFound, [&] { search_->query(root_, "main.docs.nope", query, soon()); });
}

TEST_F(VectorSearchTest, CreationIsChecked) {
  const auto message = [&](ErrorCode code, auto change) {
    IndexSpec wrong = spec();
    change(wrong);
    return message_of(code, [&] { search_->create_index(root_, wrong); });
  };
  for (const std::string name :
       {"index", "a.b", "main.docs.in-dex", "main.docs.", "main.docs.x y", "a.b.c.d", "main.docs.`x`"}) {
    EXPECT_EQ(message(ErrorCode::kInvalidArgument, [&](IndexSpec& s) { s.name = name; }),
              "Invalid index name. Must specify the full index name <catalog>.<schema>.<table>. Only alphanumerics and "
              "underscores are allowed.");
  }
  message(ErrorCode::kNotFound, [](IndexSpec& s) { s.endpoint_name = "nope"; });
  message(ErrorCode::kNotFound, [](IndexSpec& s) { s.source_table = "main.docs.nope"; });
  message(ErrorCode::kNotFound, [](IndexSpec& s) { s.embedding_endpoint = "nope"; });
  EXPECT_THAT(message(ErrorCode::kInvalidArgument, [](IndexSpec& s) { s.primary_key = "nope"; }),
              HasSubstr("primary_key"));
  EXPECT_THAT(message(ErrorCode::kInvalidArgument, [](IndexSpec& s) { s.primary_key = "price"; }),
              HasSubstr("string or an integer"));
  EXPECT_THAT(message(ErrorCode::kInvalidArgument, [](IndexSpec& s) { s.embedding_source_column = "n"; }),
              HasSubstr("type string"));
  EXPECT_THAT(message(ErrorCode::kInvalidArgument, [](IndexSpec& s) { s.embedding_endpoint = ""; }), HasSubstr("both"));
  EXPECT_THAT(message(ErrorCode::kInvalidArgument, [](IndexSpec& s) { s.pipeline_type = "SOMETIMES"; }),
              HasSubstr("SOMETIMES"));
  delta::CreateOptions options;
  options.schema = chunk_schema();
  options.properties["delta.enableChangeDataFeed"] = "false";
  catalog_->create_table(root_, "main.docs.nofeed", options);
  EXPECT_THAT(message(ErrorCode::kInvalidArgument, [](IndexSpec& s) { s.source_table = "main.docs.nofeed"; }),
              HasSubstr("ALTER TABLE"));
  message(ErrorCode::kAlreadyExists, [](IndexSpec& s) { s.name = "main.docs.chunks"; });
  search_->create_index(root_, spec());
  message(ErrorCode::kAlreadyExists, [](IndexSpec& s) { s.name = "MAIN.docs.INDEX"; });
}

TEST_F(VectorSearchTest, OneOfManyCreatorsWins) {
  std::atomic<int> made{0}, refused{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        try {
          search_->create_index(root_, spec());
          ++made;
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::kAlreadyExists) << error.message();
          ++refused;
        }
      });
    }
  }
  EXPECT_EQ(made, 1);
  EXPECT_EQ(refused, 7);
}

TEST_F(VectorSearchTest, RightsAreAskedAtEveryDoor) {
  settle_spec(spec());
  SearchQuery query;
  query.text = "words";
  const std::string name = "main.docs.index";
  const std::vector<std::function<void()>> doors = {
      [&] { search_->get_index(ann_, name); },    [&] { search_->query(ann_, name, query, soon()); },
      [&] { search_->sync(ann_, name); },         [&] { search_->wait_for(ann_, name, 0, false, soon()); },
      [&] { search_->delete_index(ann_, name); }, [&] { search_->create_index(ann_, spec("main.docs.other")); },
  };
  for (const auto& door : doors) EXPECT_THROW(door(), Error);
  EXPECT_THAT(search_->list_indexes(ann_, "ep"), IsEmpty());
  message_of(ErrorCode::kPermissionDenied, [&] { search_->delete_endpoint(ann_, "ep"); });

  grant(SecurableType::kCatalog, "main", ann_.name, {Privilege::kUseCatalog});
  grant(SecurableType::kSchema, "main.docs", ann_.name, {Privilege::kUseSchema});
  for (const auto& door : doors) message_of(ErrorCode::kPermissionDenied, door);
  grant(SecurableType::kTable, name, ann_.name, {Privilege::kSelect});
  EXPECT_NO_THROW(search_->query(ann_, name, query, soon()));
  EXPECT_THAT(search_->list_indexes(ann_, "ep"), SizeIs(1));
  message_of(ErrorCode::kPermissionDenied, [&] { search_->delete_index(ann_, name); });
  message_of(ErrorCode::kPermissionDenied, [&] { search_->sync(ann_, name); });
}

TEST_F(VectorSearchTest, EndpointsGroupIndexes) {
  message_of(ErrorCode::kAlreadyExists, [&] { search_->create_endpoint(root_, "EP", "STANDARD"); });
  message_of(ErrorCode::kInvalidArgument, [&] { search_->create_endpoint(root_, "a b", "STANDARD"); });
  message_of(ErrorCode::kInvalidArgument, [&] { search_->create_endpoint(root_, "x", "FAST"); });
  search_->create_index(root_, spec());
  const Json endpoint = search_->get_endpoint(root_, "ep");
  EXPECT_EQ(endpoint["num_indexes"].int_or(0), 1);
  EXPECT_EQ(endpoint["endpoint_status"].str("state"), "ONLINE");
  message_of(ErrorCode::kConflict, [&] { search_->delete_endpoint(root_, "ep"); });
  search_->delete_index(root_, "main.docs.index");
  message_of(ErrorCode::kNotFound, [&] { search_->get_index(root_, "main.docs.index"); });
  message_of(ErrorCode::kNotFound, [&] { search_->delete_index(root_, "main.docs.index"); });
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() / "indexes"));
  search_->create_index(root_, spec());  // the name is free again
  search_->delete_index(root_, "main.docs.index");
  search_->delete_endpoint(root_, "ep");
  EXPECT_THAT(search_->list_endpoints(root_), IsEmpty());
}

TEST_F(VectorSearchTest, QueriesRunWhileTheTableChanges) {
  settle_spec(spec());
  std::atomic<bool> stop{false};
  std::atomic<int> answers{0};
  std::vector<std::jthread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        EXPECT_THAT(find("other words", QueryType::kHybrid), testing::Contains("b"));
        ++answers;
      }
    });
  }
  std::int64_t version = 0;
  for (int i = 0; i < 12; ++i) {
    version =
        write({chunk_row(format("k{}", i), format("more words {}", i)), chunk_row("b", format("other words {}", i))});
  }
  settle(version);
  stop = true;
  readers.clear();
  EXPECT_GT(answers, 0);
  EXPECT_EQ(search_->get_index(root_, "main.docs.index").indexed_rows, 14);
}

}  // namespace
}  // namespace lakeloop::search
