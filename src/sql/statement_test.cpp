#include "sql/statement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <thread>

#include "base/file.h"
#include "base/id.h"
#include "base/text.h"
#include "storage/object_store.h"

namespace lakeloop::sql {
namespace {

using delta::TypeKind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Tables by their last part; "secret" exists but may not be read.
class Tables : public TableResolver {
 public:
  explicit Tables(std::shared_ptr<storage::ObjectStore> store) : store_(std::move(store)) {}

  delta::Table resolve(const std::vector<std::string>& name, Access access) override {
    asked.push_back(join(name, "."));
    if (iequals(name.back(), "secret") || (access != Access::kRead && iequals(name.back(), "fixed"))) {
      throw Error(ErrorCode::kPermissionDenied, "not for you");
    }
    const auto found = tables_.find(ascii_lower(name.back()));
    if (found == tables_.end()) throw Error(ErrorCode::kNotFound, "table '{}' does not exist", join(name, "."));
    return found->second;
  }
  void create(const std::vector<std::string>& name, const delta::CreateOptions& options) override {
    const std::string key = ascii_lower(name.back());
    if (tables_.contains(key)) throw Error(ErrorCode::kAlreadyExists, "table '{}' exists already", key);
    tables_.emplace(key, delta::Table::create(store_, "tables/" + new_uuid(), options));
  }
  void drop(const std::vector<std::string>& name) override {
    if (tables_.erase(ascii_lower(name.back())) == 0) throw Error(ErrorCode::kNotFound, "no such table");
  }
  std::vector<std::string> list(Listed what, const std::vector<std::string>& in) override {
    return {what == Listed::kCatalogs ? "catalogs" : what == Listed::kSchemas ? "schemas" : "tables", join(in, ".")};
  }

  std::vector<std::string> asked;

 private:
  std::shared_ptr<storage::ObjectStore> store_;
  std::map<std::string, delta::Table> tables_;
};

template <typename F>
std::optional<Error> error_of(F&& work) {
  try {
    work();
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  }
}

class StatementTest : public testing::Test {
 protected:
  StatementTest() : folder_(std::filesystem::temp_directory_path() / ("sql_test_" + random_hex(8))) {
    std::filesystem::create_directories(folder_ / "objects");
    store_ = storage::open_local_store(folder_ / "objects");
    tables_ = std::make_unique<Tables>(store_);
    run("CREATE TABLE main.docs.chunks (id BIGINT NOT NULL, text STRING, score DOUBLE)");
    run("INSERT INTO main.docs.chunks VALUES (1, 'one', 0.5), (2, 'two', NULL), (3, NULL, 1.5)");
  }
  ~StatementTest() override {
    tables_.reset();
    std::filesystem::remove_all(folder_);
  }

  StatementResult run(std::string_view statement, std::vector<Parameter> parameters = {}) {
    StatementOptions options;
    options.parameters = std::move(parameters);
    return execute(statement, *tables_, options, Deadline::after(std::chrono::minutes(1)));
  }
  ErrorCode code_of(std::string_view statement, std::vector<Parameter> parameters = {}) {
    const auto error = error_of([&] { run(statement, std::move(parameters)); });
    if (!error) {
      ADD_FAILURE() << "accepted: " << statement;
      return ErrorCode::kInternal;
    }
    return error->code();
  }
  // Cells as text, rows joined by ';', cells by ','.
  std::string text_of(std::string_view statement, std::vector<Parameter> parameters = {}) {
    const StatementResult result = run(statement, std::move(parameters));
    std::string text;
    for (const auto& row : result.rows) {
      if (!text.empty()) text += ';';
      for (std::size_t i = 0; i < row.size(); ++i) {
        if (i > 0) text += ',';
        text += cell_text(row[i], result.schema[i].type).value_or("NULL");
      }
    }
    return text;
  }

  std::filesystem::path folder_;
  std::shared_ptr<storage::ObjectStore> store_;
  std::unique_ptr<Tables> tables_;
};

TEST_F(StatementTest, NamesOfOneToThreePartsInEveryQuoting) {
  for (const std::string name : {"chunks", "docs.chunks", "main.docs.chunks", "`main`.`docs`.`chunks`",
                                 "\"main\".docs.`chunks`", "MAIN.Docs.CHUNKS", "system.ai.chunks", "temp.x.chunks",
                                 "memory.main.chunks", "main.chunks", "main.main.chunks", "`/0`.x.chunks"}) {
    EXPECT_EQ(text_of("SELECT count(*) FROM " + name), "3") << name;
    EXPECT_EQ(text_of("SELECT chunks.id FROM " + name + " WHERE chunks.id = 2"), "2") << name;
  }
  EXPECT_EQ(text_of("SELECT main.docs.chunks.id, docs.chunks.id FROM main.docs.chunks ORDER BY 1 LIMIT 1"), "1,1");
  EXPECT_EQ(text_of("SELECT a.id FROM main.docs.chunks a JOIN docs.chunks b ON a.id = b.id JOIN chunks ON chunks.id = "
                    "b.id ORDER BY 1"),
            "1;2;3");
  EXPECT_EQ(code_of("SELECT * FROM a.b.c.chunks"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of("SELECT * FROM missing"), ErrorCode::kNotFound);
}

TEST_F(StatementTest, TablesAreFoundWhereverTheyAreNamed) {
  EXPECT_EQ(text_of("WITH c AS (SELECT * FROM chunks), d AS (SELECT id FROM c) SELECT count(*) FROM d, c"), "9");
  EXPECT_EQ(text_of("WITH chunks AS (SELECT id + 10 AS id FROM chunks) SELECT max(id) FROM chunks"), "13");
  EXPECT_EQ(
      text_of("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 4) SELECT sum(n)::INT FROM t"),
      "10");
  EXPECT_EQ(text_of("SELECT (SELECT max(id) FROM chunks) + 1"), "4");
  EXPECT_EQ(text_of("SELECT 1 WHERE EXISTS (SELECT 1 FROM chunks) AND 2 IN (SELECT id FROM docs.chunks)"), "1");
  EXPECT_EQ(text_of("FROM chunks SELECT count(*)"), "3");
  EXPECT_EQ(text_of("(SELECT id FROM chunks) UNION ALL (SELECT 9) ORDER BY 1"), "1;2;3;9");
  EXPECT_EQ(text_of("SELECT count(*) FROM (SELECT * FROM chunks) x, LATERAL (SELECT x.id) y"), "3");
  EXPECT_EQ(text_of("VALUES (1, 'a'), (2, 'b')"), "1,a;2,b");
  EXPECT_EQ(text_of("SELECT i FROM range(3) t(i)"), "0;1;2");
  EXPECT_EQ(text_of("SELECT unnest([1,2])"), "1;2");
  // A table that may not be read is refused in every such place.
  for (const std::string statement :
       {"SELECT * FROM secret",
        "SELECT 1 FROM chunks WHERE id IN (SELECT id FROM secret)",
        "WITH x AS (SELECT * FROM secret) SELECT 1",
        "SELECT (SELECT count(*) FROM secret)",
        "SELECT 1 UNION SELECT id FROM secret",
        "SELECT * FROM chunks, LATERAL (SELECT * FROM a.secret)",
        "EXPLAIN SELECT * FROM secret",
        "DESCRIBE secret",
        "DESCRIBE QUERY SELECT * FROM secret",
        "INSERT INTO chunks SELECT * FROM secret",
        "INSERT INTO secret SELECT * FROM chunks",
        "DELETE FROM secret",
        "UPDATE secret SET id = 1",
        "CREATE TABLE y AS SELECT * FROM secret",
        "SELECT * FROM secret VERSION AS OF 0",
        "SELECT * FROM chunks ORDER BY (SELECT max(id) FROM secret)",
        "SHOW COLUMNS IN secret",
        "SELECT * FROM (VALUES ((SELECT 1 FROM secret))) v",
        "SELECT * FROM chunks JOIN secret USING (id)",
        "WITH secret2 AS (SELECT 1), x AS (WITH secret AS (SELECT 1) SELECT * FROM secret) SELECT * FROM secret",
        "PIVOT secret ON id IN (1) USING count(*)",
        "SELECT list_transform([1], x -> (SELECT count(*) FROM secret))"}) {
    EXPECT_EQ(code_of(statement), ErrorCode::kPermissionDenied) << statement;
  }
}

// Whatever is not a read of named tables: each statement alone, inside of others, with tricks.
TEST_F(StatementTest, NothingButNamedTablesCanBeReached) {
  write_file_atomic(folder_ / "secret.csv", "a\n42\n");
  const std::string file = (folder_ / "secret.csv").string();
  std::string parquet;  // a data file that this statement names no table for
  for (const auto& object : store_->list("")) {
    if (object.key.ends_with(".parquet")) parquet = store_->location(object.key);
  }
  ASSERT_FALSE(parquet.empty());
  const std::vector<std::string> statements{
      "SELECT * FROM read_text('/etc/passwd')",
      "SELECT * FROM read_blob('/etc/passwd')",
      "SELECT * FROM read_csv('" + file + "')",
      "SELECT * FROM read_csv_auto('" + file + "')",
      "SELECT * FROM '" + file + "'",
      "SELECT * FROM \"" + file + "\"",
      "SELECT * FROM `" + file + "`",
      "SELECT * FROM read_parquet('" + parquet + "')",
      "SELECT * FROM parquet_scan(['" + parquet + "'])",
      "SELECT * FROM parquet_metadata('" + parquet + "')",
      "SELECT * FROM chunks, read_parquet('" + parquet + "')",
      "SELECT * FROM '" + parquet + "'",
      "SELECT * FROM glob('/etc/*')",
      "SELECT * FROM read_json('/etc/passwd')",
      "SELECT * FROM read_ndjson_objects('/etc/passwd')",
      "SELECT * FROM sniff_csv('" + file + "')",
      "SELECT * FROM read_duckdb('/tmp/x.db')",
      "SELECT * FROM query('SELECT 1')",
      "SELECT * FROM query_table('chunks')",
      "SELECT * FROM json_execute_serialized_sql('{}')",
      "SELECT * FROM duckdb_settings()",
      "SELECT * FROM duckdb_views()",
      "SELECT * FROM duckdb_views",
      "SELECT * FROM information_schema.tables",
      "SELECT * FROM pg_catalog.pg_class",
      "SELECT * FROM sqlite_master",
      "SELECT * FROM pragma_database_size()",
      "SELECT * FROM enable_logging()",
      "SELECT * FROM (SELECT * FROM (SELECT * FROM read_text('/etc/passwd')))",
      "WITH x AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM x",
      "SELECT (SELECT content FROM read_text('/etc/passwd'))",
      "INSERT INTO chunks SELECT 1, content, 1 FROM read_text('/etc/passwd')",
      "CREATE TABLE stolen AS SELECT * FROM read_text('/etc/passwd')",
      "DELETE FROM chunks WHERE text = (SELECT content FROM read_text('/etc/passwd'))",
      "DELETE FROM chunks WHERE id IN (SELECT id FROM secret)",
      "UPDATE chunks SET text = (SELECT content FROM read_text('/etc/passwd'))",
      "UPDATE chunks SET text = text) FROM read_text('/etc/passwd') WHERE (1=1",
      "DELETE FROM chunks WHERE id = 1) OR (1=1",
      "EXPLAIN ANALYZE SELECT * FROM read_text('/etc/passwd')",
      "DESCRIBE QUERY SELECT * FROM read_text('/etc/passwd')",
      "DESCRIBE SELECT * FROM read_text('/etc/passwd')",
      "SELECT * FROM (DESCRIBE chunks)",
      "SUMMARIZE chunks",
      "TABLE chunks",
      "COPY (SELECT 1) TO '" + file + "'",
      "COPY chunks FROM '" + file + "'",
      "EXPORT DATABASE '/tmp/x'",
      "IMPORT DATABASE '/tmp/x'",
      "ATTACH '/tmp/x.db'",
      "ATTACH ':memory:' AS y",
      "DETACH main",
      "INSTALL httpfs",
      "LOAD httpfs",
      "LOAD '/tmp/x.so'",
      "SET memory_limit = '100GB'",
      "SET enable_external_access = true",
      "RESET enable_external_access",
      "PRAGMA database_list",
      "PRAGMA enable_profiling",
      "CALL pragma_version()",
      "CHECKPOINT",
      "USE docs",
      "BEGIN",
      "COMMIT",
      "PREPARE x AS SELECT 1",
      "EXECUTE x",
      "CREATE VIEW v AS SELECT 1",
      "CREATE MACRO m() AS 1",
      "CREATE SECRET s (TYPE S3)",
      "CREATE OR REPLACE TABLE chunks AS SELECT 1",
      "CREATE TEMP TABLE t AS SELECT 1",
      "CREATE SCHEMA s",
      "DROP SCHEMA docs",
      "DROP VIEW chunks",
      "ALTER TABLE chunks ADD COLUMN x INT",
      "TRUNCATE chunks",
      "VACUUM",
      "MERGE INTO chunks USING chunks ON true WHEN MATCHED THEN DELETE",
      "GRANT SELECT ON chunks TO x",
      "SELECT getenv('HOME')",
      "SELECT current_setting('allowed_paths')",
      "SELECT getvariable('x')",
      "SELECT pg_sleep(1)",
      "SELECT sleep_ms(1)",
      "SELECT write_log('x')",
      "SELECT pg_get_viewdef('chunks')",
      "SELECT json_serialize_plan('SELECT 1')",
      "SELECT nextval('x')",
      "DELETE FROM chunks WHERE current_setting('allowed_paths') IS NOT NULL",
      "UPDATE chunks SET text = current_setting('allowed_paths')",
      "SELECT 1; SELECT 2",
      "SELECT 1; DROP TABLE chunks",
      "SELECT 1 -- x\n; DELETE FROM chunks",
      "SELECT 1 /* ; */ ; SELECT 2",
      "SELECT * FROM chunks AT (VERSION => 0)",
      "",
      ";",
      "-- nothing",
      "SELEC 1",
      "SELECT FROM WHERE",
  };
  for (const std::string& statement : statements) {
    const auto error = error_of([&] { run(statement); });
    if (!error) {
      ADD_FAILURE() << "accepted: " << statement;
      continue;
    }
    EXPECT_LT(info(error->code()).http_status, 502) << statement << ": " << error->message();
    EXPECT_NE(error->code(), ErrorCode::kInternal) << statement << ": " << error->message();
    EXPECT_NE(error->code(), ErrorCode::kDataLoss) << statement << ": " << error->message();
    EXPECT_THAT(error->message(), testing::Not(HasSubstr("root:"))) << statement;
  }
  EXPECT_EQ(text_of("SELECT count(*), max(text) FROM chunks"), "3,two");
}

TEST_F(StatementTest, ParametersAreValues) {
  EXPECT_EQ(text_of("SELECT id FROM chunks WHERE text = :t", {{.name = "t", .value = "two"}}), "2");
  EXPECT_EQ(text_of("SELECT count(*) FROM chunks WHERE text = :t", {{.name = "t", .value = "x' OR '1'='1"}}), "0");
  EXPECT_EQ(
      text_of("SELECT :a + 1, :b, :c, :d, :e, :n", {{.name = "a", .value = "41", .type = "INT"},
                                                    {.name = "b", .value = "true", .type = "BOOLEAN"},
                                                    {.name = "c", .value = "2026-01-02", .type = "DATE"},
                                                    {.name = "d", .value = "1.50", .type = "DECIMAL(10,2)"},
                                                    {.name = "e", .value = "2026-01-02 03:04:05", .type = "TIMESTAMP"},
                                                    {.name = "n", .value = std::nullopt, .type = "STRING"}}),
      "42,true,2026-01-02,1.50,2026-01-02T03:04:05.000Z,NULL");
  EXPECT_EQ(text_of("SELECT id FROM chunks ORDER BY id LIMIT :n", {{.name = "n", .value = "2", .type = "BIGINT"}}),
            "1;2");
  for (const std::string value :
       {"A \"test\"", "it's", "back\\slash", "two\nlines", "色 🚀", "100%_x", "", "' OR 1=1 --", "$1", ":t"}) {
    EXPECT_EQ(text_of("SELECT :t", {{.name = "t", .value = value}}), value);
    EXPECT_EQ(run("INSERT INTO chunks (id, text) VALUES (:i, :t)",
                  {{.name = "i", .value = "77", .type = "INT"}, {.name = "t", .value = value}})
                  .affected,
              1);
    EXPECT_EQ(text_of("SELECT text FROM chunks WHERE id = 77"), value);
    EXPECT_EQ(run("DELETE FROM chunks WHERE text = :t", {{.name = "t", .value = value}}).affected, 1) << value;
  }
  EXPECT_EQ(text_of("SELECT count(*) FROM chunks"), "3");
  EXPECT_EQ(code_of("SELECT :n", {{.name = "n", .value = "abc", .type = "INT"}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of("SELECT :missing"), ErrorCode::kInvalidArgument);
}

TEST_F(StatementTest, InsertPlacesColumnsAndCasts) {
  EXPECT_EQ(run("INSERT INTO chunks (text, id) VALUES ('four', 4)").affected, 1);
  EXPECT_EQ(text_of("SELECT * FROM chunks WHERE id = 4"), "4,four,NULL");
  EXPECT_EQ(text_of("INSERT INTO TABLE docs.chunks SELECT id + 10, text, '2.5' FROM chunks"), "4");
  EXPECT_EQ(text_of("SELECT id, score FROM chunks WHERE id > 10 ORDER BY id"), "11,2.5;12,2.5;13,2.5;14,2.5");
  EXPECT_EQ(run("INSERT INTO chunks WITH x AS (SELECT 50 AS a) SELECT a, 'x', a FROM x").affected, 1);
  EXPECT_EQ(run("INSERT INTO chunks SELECT * FROM chunks WHERE false").affected, 0);
  EXPECT_EQ(code_of("INSERT INTO chunks VALUES (1, 'x')"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of("INSERT INTO chunks (id, nope) VALUES (1, 'x')"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of("INSERT INTO chunks (id, ID) VALUES (1, 2)"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of("INSERT INTO chunks VALUES ('abc', 'x', 1)"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of("INSERT INTO chunks"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of("INSERT INTO chunks (text) VALUES ('no id')"), ErrorCode::kInvalidArgument);  // NOT NULL
  EXPECT_EQ(text_of("SELECT count(*) FROM chunks"), "9");
}

TEST_F(StatementTest, DeleteAndUpdateSpeakOfTheirRows) {
  // Unknown is not true: the row with NULL stays.
  EXPECT_EQ(run("DELETE FROM main.docs.chunks AS c WHERE c.text <> 'two'").affected, 1);
  EXPECT_EQ(text_of("SELECT id FROM chunks ORDER BY id"), "2;3");
  EXPECT_EQ(run("UPDATE docs.chunks SET text = upper(docs.chunks.text), score = coalesce(chunks.score, 0) + :x WHERE "
                "chunks.id >= 2",
                {{.name = "x", .value = "1", .type = "INT"}})
                .affected,
            2);
  EXPECT_EQ(text_of("SELECT * FROM chunks ORDER BY id"), "2,TWO,1.0;3,NULL,2.5");
  EXPECT_EQ(run("UPDATE chunks c SET c.text = 'a, b = c WHERE d' WHERE c.id = 3").affected, 1);
  EXPECT_EQ(text_of("SELECT text FROM chunks WHERE id = 3"), "a, b = c WHERE d");
  EXPECT_EQ(run("UPDATE chunks SET text = 'x' WHERE id = 99").affected, 0);
  EXPECT_EQ(code_of("UPDATE chunks SET nope = 1"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of("UPDATE chunks SET text = 'a', TEXT = 'b'"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of("UPDATE chunks SET text"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of("DELETE FROM chunks WHERE"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of("DELETE FROM chunks WHERE nope = 1"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of("DELETE FROM chunks WHERE id IN (SELECT id FROM chunks)"), ErrorCode::kUnimplemented);
  EXPECT_EQ(code_of("DELETE FROM chunks WHERE id = (SELECT count(*) FROM range(10))"), ErrorCode::kUnimplemented);
  EXPECT_EQ(code_of("UPDATE chunks SET id = (SELECT 1)"), ErrorCode::kUnimplemented);
  EXPECT_EQ(run("DELETE FROM chunks").affected, 2);
  EXPECT_EQ(text_of("SELECT count(*) FROM chunks"), "0");
}

TEST_F(StatementTest, TablesAreMadeAndDropped) {
  run("CREATE TABLE IF NOT EXISTS t (id INT NOT NULL COMMENT 'the key', tags ARRAY<STRUCT<k: STRING, v: DECIMAL(10, "
      "2)>>, `at_time` TIMESTAMP) "
      "USING DELTA COMMENT 'things' TBLPROPERTIES ('delta.appendOnly' = 'true', a.b = 1)");
  const auto described = run("DESCRIBE TABLE t");
  ASSERT_EQ(described.rows.size(), 3u);
  EXPECT_EQ(described.rows[0][2].as_string(), "the key");
  EXPECT_EQ(described.rows[1][1].as_string(), "array<struct<k:string,v:decimal(10,2)>>");
  EXPECT_EQ(described.rows[2][0].as_string(), "at_time");
  run("CREATE TABLE IF NOT EXISTS t (other INT)");
  EXPECT_EQ(code_of("CREATE TABLE t (other INT)"), ErrorCode::kAlreadyExists);
  run("CREATE TABLE parts (id INT, day DATE) PARTITIONED BY (day)");
  EXPECT_EQ(run("INSERT INTO parts VALUES (1, '2026-01-02'), (2, NULL)").affected, 2);
  EXPECT_EQ(text_of("SELECT * FROM parts ORDER BY id"), "1,2026-01-02;2,NULL");
  EXPECT_EQ(run("CREATE TABLE copy AS SELECT id, text AS t, [1, 2] AS l FROM chunks").affected, 3);
  EXPECT_EQ(text_of("SELECT * FROM copy WHERE id = 1"), "1,one,[1,2]");
  EXPECT_EQ(run("CREATE TABLE IF NOT EXISTS copy AS SELECT 1 AS x").affected, 0);
  EXPECT_EQ(run("CREATE TABLE none AS SELECT id FROM chunks WHERE false").affected, 0);
  EXPECT_EQ(text_of("SELECT count(*) FROM none"), "0");
  run("DROP TABLE copy");
  EXPECT_EQ(code_of("SELECT * FROM copy"), ErrorCode::kNotFound);
  EXPECT_EQ(code_of("DROP TABLE copy"), ErrorCode::kNotFound);
  run("DROP TABLE IF EXISTS copy");
  for (const std::string bad :
       {"CREATE TABLE x", "CREATE TABLE x ()", "CREATE TABLE x (a)", "CREATE TABLE x (a INT", "CREATE TABLE x (a CAT)",
        "CREATE TABLE x (a INT) AS SELECT 1", "CREATE TABLE x (a INT DEFAULT 1)", "CREATE TABLE x (a INT) USING csv",
        "CREATE TABLE x (a INT) LOCATION '/etc'", "CREATE TABLE x AS SELECT 1/0 AS a FROM missing",
        "CREATE TABLE x (a ARRAY<INT)"}) {
    EXPECT_NE(code_of(bad), ErrorCode::kInternal) << bad;
    EXPECT_EQ(code_of("SELECT * FROM x"), ErrorCode::kNotFound) << bad;
  }
  // The rows of a failed CREATE AS never were.
  EXPECT_EQ(code_of("CREATE TABLE x AS SELECT error('no') AS a FROM chunks"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of("SELECT * FROM x"), ErrorCode::kNotFound);
}

TEST_F(StatementTest, TimeTravel) {
  run("DELETE FROM chunks WHERE id = 1");
  EXPECT_EQ(text_of("SELECT count(*) FROM chunks"), "2");
  EXPECT_EQ(text_of("SELECT count(*) FROM main.docs.chunks VERSION AS OF 1"), "3");
  EXPECT_EQ(text_of("SELECT count(*) FROM chunks@v1 c"), "3");
  EXPECT_EQ(text_of("SELECT count(*) FROM chunks VERSION AS OF 0"), "0");
  EXPECT_EQ(text_of("SELECT old.id FROM chunks VERSION AS OF 1 AS old LEFT JOIN chunks new ON old.id = new.id WHERE "
                    "new.id IS NULL"),
            "1");
  const std::string now = format_rfc3339(Timestamp::now());
  EXPECT_EQ(text_of("SELECT count(*) FROM chunks TIMESTAMP AS OF '" + now + "'"), "2");
  EXPECT_EQ(code_of("SELECT count(*) FROM chunks VERSION AS OF 99"), ErrorCode::kNotFound);
  EXPECT_EQ(code_of("WITH c AS (SELECT 1) SELECT * FROM c VERSION AS OF 1"), ErrorCode::kInvalidArgument);
}

TEST_F(StatementTest, LimitsAreMet) {
  StatementOptions options;
  options.row_limit = 10;
  const Deadline deadline = Deadline::after(std::chrono::minutes(1));
  auto result = execute("SELECT * FROM range(1000000)", *tables_, options, deadline);
  EXPECT_EQ(result.rows.size(), 10u);
  EXPECT_TRUE(result.truncated);
  result = execute("SELECT * FROM range(10)", *tables_, options, deadline);
  EXPECT_EQ(result.rows.size(), 10u);
  EXPECT_FALSE(result.truncated);
  options.row_limit = 100'000;
  options.byte_limit = 10'000;
  result = execute("SELECT repeat('x', 1000) FROM range(100)", *tables_, options, deadline);
  EXPECT_TRUE(result.truncated);
  EXPECT_LE(result.rows.size(), 10u);
  // A result without rows still has columns.
  EXPECT_EQ(execute("SELECT id, text FROM chunks WHERE false", *tables_, options, deadline).schema.size(), 2u);

  options.memory_limit = 64ull * 1024 * 1024;
  const auto error = error_of([&] {
    execute("SELECT count(*) FROM (SELECT DISTINCT hash(i), repeat('x', 200) || i FROM range(3000000) t(i))", *tables_,
            options, deadline);
  });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::kResourceExhausted) << error->message();
  EXPECT_EQ(code_of(std::string(2'000'000, ' ')), ErrorCode::kTooLarge);
}

TEST_F(StatementTest, DeadlinesAndCancellationEndAStatement) {
  const std::string endless =
      "SELECT sum(a.i * b.i * c.i) FROM range(1000000) a(i), range(1000000) b(i), range(1000000) c(i)";
  const std::string silent = "SELECT a.i FROM range(100000000) a(i), range(1000000) b(i) WHERE a.i + b.i < 0";
  for (const std::string& statement : {endless, silent}) {
    const auto late =
        error_of([&] { execute(statement, *tables_, {}, Deadline::after(std::chrono::milliseconds(200))); });
    ASSERT_TRUE(late);
    EXPECT_EQ(late->code(), ErrorCode::kDeadlineExceeded) << late->message();
    std::stop_source client;
    std::jthread leave([&] {
      std::this_thread::yield();
      client.request_stop();
    });
    const auto gone = error_of(
        [&] { execute(statement, *tables_, {}, Deadline::after(std::chrono::minutes(5), client.get_token())); });
    ASSERT_TRUE(gone);
    EXPECT_EQ(gone->code(), ErrorCode::kCancelled) << gone->message();
  }
}

TEST_F(StatementTest, StatementsRunBesideEachOther) {
  std::vector<std::jthread> threads;
  std::atomic<int> right = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < 3; ++k) {
        Tables mine = *tables_;
        StatementOptions options;
        options.parameters = {{.name = "x", .value = std::to_string(i), .type = "INT"}};
        const auto result =
            execute("SELECT count(*) + :x FROM chunks", mine, options, Deadline::after(std::chrono::minutes(1)));
        if (result.rows.at(0).at(0).as_int() == 3 + i) ++right;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(right, 12);
}

TEST_F(StatementTest, ErrorsSayWhere) {
  const auto error = error_of([&] { run("SELECT `id`,\n  FORM chunks WHERE"); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(error->message(), HasSubstr("position"));
  EXPECT_THAT(error_of([&] { run("SELECT nope FROM chunks"); })->message(), HasSubstr("nope"));
  EXPECT_THAT(error_of([&] { run("GRANT x"); })->message(), HasSubstr("GRANT"));
}

TEST_F(StatementTest, DeepAndLongQueriesAreFine) {
  std::string sum = "1", list = "SELECT id FROM chunks WHERE id IN (1";
  for (int i = 0; i < 300; ++i) sum += " + 1";
  for (int i = 0; i < 5000; ++i) list += "," + std::to_string(i);
  EXPECT_EQ(text_of("SELECT " + sum), "301");
  EXPECT_EQ(run(list + ")").rows.size(), 3u);
  EXPECT_NE(code_of("SELECT " + std::string(3000, '(') + "1" + std::string(3000, ')')), ErrorCode::kInternal);
  std::string many = "SELECT 1 FROM t0";
  for (int i = 1; i < 200; ++i) many += ", t" + std::to_string(i);
  EXPECT_EQ(code_of(many), ErrorCode::kNotFound);
}

TEST_F(StatementTest, DescribeExplainShow) {
  EXPECT_EQ(text_of("DESCRIBE chunks"), "id,bigint,NULL;text,string,NULL;score,double,NULL");
  EXPECT_EQ(text_of("DESC EXTENDED main.docs.chunks"), text_of("DESCRIBE TABLE chunks"));
  EXPECT_EQ(text_of("DESCRIBE QUERY SELECT id, 'x' AS y FROM chunks"), "id,bigint,NULL;y,string,NULL");
  EXPECT_THAT(text_of("EXPLAIN SELECT id FROM chunks WHERE id > 1"), HasSubstr("READ_PARQUET"));
  EXPECT_EQ(text_of("SHOW CATALOGS"), "catalogs;");
  EXPECT_EQ(text_of("SHOW SCHEMAS IN `main`"), "schemas;main");
  EXPECT_EQ(text_of("SHOW TABLES FROM main.docs"), "tables;main.docs");
  EXPECT_EQ(text_of("SHOW COLUMNS IN chunks"), "id;text;score");
  EXPECT_EQ(code_of("SHOW GRANTS"), ErrorCode::kUnimplemented);
  EXPECT_EQ(code_of("SHOW TABLES IN a.b.c"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of("DESCRIBE chunks nonsense"), ErrorCode::kInvalidArgument);
}

TEST(CellText, PrintsEveryKind) {
  const auto text = [](const Json& cell, const delta::DataType& type) {
    return cell_text(cell, type).value_or("NULL");
  };
  EXPECT_EQ(text(nullptr, TypeKind::kString), "NULL");
  EXPECT_EQ(text("x", TypeKind::kString), "x");
  EXPECT_EQ(text("", TypeKind::kString), "");
  EXPECT_EQ(text(std::int64_t{INT64_MIN}, TypeKind::kLong), "-9223372036854775808");
  EXPECT_EQ(text(0.1, TypeKind::kDouble), "0.1");
  EXPECT_EQ(text(3.0, TypeKind::kDouble), "3.0");
  EXPECT_EQ(text(1e300, TypeKind::kDouble), "1e+300");
  EXPECT_EQ(text(true, TypeKind::kBoolean), "true");
  EXPECT_EQ(text(-1, TypeKind::kDate), "1969-12-31");
  EXPECT_EQ(text(0, TypeKind::kDate), "1970-01-01");
  EXPECT_EQ(text(std::int64_t{1'767'323'045'000'000}, TypeKind::kTimestamp), "2026-01-02T03:04:05.000Z");
  EXPECT_EQ(text(std::int64_t{1}, TypeKind::kTimestampNtz), "1970-01-01T00:00:00.000001");
  EXPECT_EQ(text(std::string("\0\xff", 2), TypeKind::kBinary), "AP8=");
  EXPECT_EQ(text("12.30", delta::DataType::decimal(10, 2)), "12.30");
  EXPECT_EQ(text(Json::array({1, nullptr}), delta::DataType::array(TypeKind::kDate)), R"(["1970-01-02",null])");
  EXPECT_EQ(text(Json::object({{"a", 1}}), delta::DataType::structure({{.name = "a", .type = TypeKind::kTimestamp}})),
            R"({"a":"1970-01-01T00:00:00.000001Z"})");
  EXPECT_EQ(text(Json::object({{"k", 2}}), delta::DataType::map(TypeKind::kString, TypeKind::kDate)),
            R"({"k":"1970-01-03"})");
}

}  // namespace
}  // namespace lakeloop::sql
