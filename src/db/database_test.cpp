#include "db/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <thread>

#include "base/file.h"
#include "base/id.h"

namespace lakeloop::db {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const std::vector<Migration> kSchema = {
    {"people", 1,
     "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, score REAL, note TEXT) STRICT;"},
    {"pets", 1,
     "CREATE TABLE pet (name TEXT PRIMARY KEY, owner INTEGER NOT NULL REFERENCES person(id) ON DELETE CASCADE) "
     "STRICT;\n"
     "CREATE INDEX pet_owner ON pet(owner);"},
};

class DatabaseTest : public testing::Test {
 protected:
  DatabaseTest() : folder_(fs::temp_directory_path() / ("db-" + random_hex(8))) {
    fs::create_directories(folder_);
    open(kSchema);
  }
  ~DatabaseTest() override {
    db_.reset();
    fs::remove_all(folder_);
  }
  void open(const std::vector<Migration>& migrations) {
    db_.reset();
    db_ = Database::open(file_, migrations);
  }
  void add(const std::string& name) {
    db_->write([&](Transaction& t) { t.execute("INSERT INTO person (name) VALUES ($1)", {name}); });
  }
  std::int64_t count(const std::string& table = "person") {
    return db_->reading([&](Transaction& t) { return t.query_one("SELECT count(*) FROM " + table)->integer(0); });
  }

  const fs::path folder_;
  const fs::path file_ = folder_ / "lakeloop.db";
  std::unique_ptr<Database> db_;
};

Error error_of(auto&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return Error(ErrorCode::kInternal, "none");
}

TEST_F(DatabaseTest, KeepsEveryValueAsItWas) {
  const std::vector<Value> values = {std::int64_t{0},
                                     INT64_MIN,
                                     INT64_MAX,
                                     0.0,
                                     -1.5,
                                     1e300,
                                     std::numeric_limits<double>::infinity(),
                                     std::string(),
                                     std::string("a\0b", 3),
                                     std::string("it's \"q\" \\ 100%_ 色 🚀\n$1 ? ' OR 1=1 --"),
                                     std::string(1'000'000, 'x'),
                                     std::monostate()};
  db_->write([&](Transaction& t) {
    t.execute("CREATE TABLE anything (position INTEGER, v ANY) STRICT");
    for (std::size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(t.execute("INSERT INTO anything VALUES ($1, $2)", {static_cast<std::int64_t>(i), values[i]}), 1);
    }
  });
  db_->read([&](Transaction& t) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Row row = *t.query_one("SELECT v FROM anything WHERE position = $1", {static_cast<std::int64_t>(i)});
      if (const auto* integer = std::get_if<std::int64_t>(&values[i])) {
        EXPECT_EQ(row.integer(0), *integer);
      } else if (const auto* real = std::get_if<double>(&values[i])) {
        EXPECT_EQ(row.real(0), *real);
      } else if (const auto* text = std::get_if<std::string>(&values[i])) {
        EXPECT_EQ(row.maybe_text(0), *text);
      } else {
        EXPECT_TRUE(row.is_null(0));
        continue;
      }
      const std::size_t same = i == 0 || i == 3 ? 2 : 1;  // 0 = 0.0
      EXPECT_EQ(t.query("SELECT 1 FROM anything WHERE v = $1", {values[i]}).size(), same);
    }
  });
}

TEST_F(DatabaseTest, NullZeroEmptyAndNanAreFourThings) {
  db_->write([&](Transaction& t) {
    t.execute("INSERT INTO person (name, score, note) VALUES ($1, $2, $3)", {"a", 0.0, ""});
    t.execute("INSERT INTO person (name, score, note) VALUES ($1, $2, $3)", {"b", std::monostate(), std::monostate()});
    EXPECT_EQ(
        error_of([&] { t.execute("INSERT INTO person (name, score) VALUES ($1, $2)", {"c", std::nan("")}); }).code(),
        ErrorCode::kInvalidArgument);
  });
  db_->read([&](Transaction& t) {
    const std::vector<Row> rows = t.query("SELECT score, note, id FROM person ORDER BY id");
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[0].real(0, 7), 0.0);
    EXPECT_EQ(rows[0].maybe_text(1), "");
    EXPECT_EQ(rows[1].real(0, 7), 7.0);
    EXPECT_EQ(rows[1].maybe_text(1), std::nullopt);
    EXPECT_EQ(rows[1].text(1), "");
    EXPECT_EQ(rows[1].integer(0, -1), -1);
    EXPECT_EQ(rows[1].maybe_integer(0), std::nullopt);
    EXPECT_EQ(rows[0].real(2), 1.0);  // an integer reads as a number
    EXPECT_EQ(error_of([&] { (void)rows[0].integer(1); }).code(), ErrorCode::kInternal);
    EXPECT_EQ(t.query_one("SELECT 1 WHERE 0"), std::nullopt);
  });
}

TEST_F(DatabaseTest, PlaceholdersGoByNumber) {
  db_->read([&](Transaction& t) {
    const Row row = *t.query_one("SELECT $2, $1, $3 || $2", {"one", "two", "three"});
    EXPECT_EQ(row.text(0) + row.text(1) + row.text(2), "twoonethreetwo");
    EXPECT_EQ(t.query_one("SELECT $10 || $1 || $2 || $3 || $4 || $5 || $6 || $7 || $8 || $9",
                          {"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"})
                  ->text(0),
              "10123456789");
    for (const std::vector<Value>& wrong :
         {std::vector<Value>{}, std::vector<Value>{"1"}, std::vector<Value>{"1", "2", "3"}}) {
      EXPECT_EQ(error_of([&] { t.query("SELECT $1, $2", wrong); }).code(), ErrorCode::kInternal);
    }
  });
}

TEST_F(DatabaseTest, ConstraintsAreNamed) {
  add("a");
  const Error twice = error_of([&] { add("a"); });
  EXPECT_EQ(twice.code(), ErrorCode::kAlreadyExists);
  EXPECT_THAT(twice.message(), HasSubstr("person.name"));
  db_->write([&](Transaction& t) { t.execute("INSERT INTO pet VALUES ('rex', 1)"); });
  const auto failing = [&](const char* sql) {
    return error_of([&] { db_->write([&](Transaction& t) { t.execute(sql); }); }).code();
  };
  EXPECT_EQ(failing("INSERT INTO pet VALUES ('rex', 1)"), ErrorCode::kAlreadyExists);
  EXPECT_EQ(failing("INSERT INTO person (id, name) VALUES (1, 'b')"), ErrorCode::kAlreadyExists);
  EXPECT_EQ(failing("INSERT INTO pet VALUES ('tom', 99)"), ErrorCode::kConflict);
  EXPECT_EQ(failing("INSERT INTO person (name) VALUES (NULL)"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(failing("INSERT INTO person (id, name) VALUES ('x', 'y')"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(failing("SELEKT"), ErrorCode::kInternal);
  EXPECT_EQ(failing("INSERT INTO person (name) VALUES (\"text\")"), ErrorCode::kInternal);  // not a string
  EXPECT_EQ(failing("INSERT INTO person (name) VALUES ('c'); DELETE FROM person"), ErrorCode::kInternal);
  EXPECT_EQ(failing("   "), ErrorCode::kInternal);
  EXPECT_EQ(count(), 1);
  EXPECT_EQ(count("pet"), 1);
  db_->write([&](Transaction& t) { EXPECT_EQ(t.execute("DELETE FROM person WHERE id = 1"), 1); });
  EXPECT_EQ(count("pet"), 0);  // cascade
}

TEST_F(DatabaseTest, ChangesAreCounted) {
  add("a");
  add("b");
  db_->write([&](Transaction& t) {
    EXPECT_EQ(t.execute("UPDATE person SET note = 'x'"), 2);
    EXPECT_EQ(t.execute("UPDATE person SET note = 'x' WHERE id = 99"), 0);
    EXPECT_EQ(t.execute("CREATE TABLE other (x)"), 0);
    EXPECT_EQ(t.execute("INSERT INTO person (name) VALUES ('a') ON CONFLICT DO NOTHING"), 0);
    EXPECT_EQ(t.query("INSERT INTO person (name) VALUES ('c') RETURNING id").front().integer(0), 3);
    EXPECT_EQ(t.execute("DELETE FROM person"), 3);
  });
}

TEST_F(DatabaseTest, RollsBackWhenWorkThrows) {
  add("a");
  EXPECT_THROW(db_->write([&](Transaction& t) {
    t.execute("DELETE FROM person");
    throw std::runtime_error("changed my mind");
  }),
               std::runtime_error);
  EXPECT_EQ(count(), 1);
  // A statement that failed and was caught takes back only itself.
  db_->write([&](Transaction& t) {
    t.execute("INSERT INTO person (name) VALUES ('b')");
    EXPECT_THROW(t.execute("INSERT INTO person (name) VALUES ('c'), ('a')"), Error);
    t.execute("INSERT INTO person (name) VALUES ('d')");
  });
  EXPECT_EQ(count(), 3);
  // What SQLite rolled back by itself stays rolled back as a whole.
  EXPECT_EQ(error_of([&] {
              db_->write([&](Transaction& t) {
                t.execute("INSERT INTO person (name) VALUES ('e')");
                EXPECT_THROW(t.execute("INSERT OR ROLLBACK INTO person (name) VALUES ('a')"), Error);
                t.execute("INSERT INTO person (name) VALUES ('f')");
              });
            }).code(),
            ErrorCode::kInternal);
  EXPECT_EQ(count(), 3);
}

TEST_F(DatabaseTest, ReadersSeeOneState) {
  add("a");
  db_->read([&](Transaction& t) {
    EXPECT_EQ(t.query_one("SELECT count(*) FROM person")->integer(0), 1);
    std::thread([&] { add("b"); }).join();
    EXPECT_EQ(t.query_one("SELECT count(*) FROM person")->integer(0), 1);
    EXPECT_EQ(error_of([&] { t.execute("DELETE FROM person"); }).code(), ErrorCode::kInternal);
    EXPECT_EQ(error_of([&] { t.query("DELETE FROM person RETURNING id"); }).code(), ErrorCode::kInternal);
  });
  EXPECT_EQ(count(), 2);
}

TEST_F(DatabaseTest, ReadsNestInReadsAndWrites) {
  db_->write([&](Transaction& t) {
    t.execute("INSERT INTO person (name) VALUES ('a')");
    EXPECT_EQ(count(), 1);  // the same thread sees its own write
    EXPECT_EQ(std::invoke([&] {
                std::int64_t seen = -1;
                std::thread([&] { seen = count(); }).join();
                return seen;
              }),
              0);
    db_->read([&](Transaction& inner) { EXPECT_THROW(inner.execute("DELETE FROM person"), Error); });
  });
  // More nested readers than connections, on more threads than connections.
  std::vector<std::thread> threads;
  std::atomic<int> done = 0;
  for (int i = 0; i < 24; ++i) {
    threads.emplace_back([&] {
      db_->read([&](Transaction&) {
        db_->read([&](Transaction&) {
          if (count() == 1) ++done;
        });
      });
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done, 24);
  db_->read([&](Transaction&) { add("b"); });  // a write inside a read is its own transaction
  EXPECT_EQ(count(), 2);
}

TEST_F(DatabaseTest, NestedWritesAreABug) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_DEATH(db_->write([&](Transaction&) { db_->write([](Transaction&) {}); }), "");
}

TEST_F(DatabaseTest, WritersTakeTurns) {
  constexpr int kThreads = 8, kRounds = 25;
  db_->write([](Transaction& t) { t.execute("INSERT INTO person (name, score) VALUES ('counter', 0)"); });
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        db_->write([](Transaction& t) {
          const double now = t.query_one("SELECT score FROM person WHERE name = 'counter'")->real(0);
          t.execute("UPDATE person SET score = $1 WHERE name = 'counter'", {now + 1});
        });
        db_->read([](Transaction& t) { EXPECT_EQ(t.query("SELECT 1 FROM person").size(), 1u); });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(db_->reading([](Transaction& t) { return t.query_one("SELECT score FROM person")->real(0); }),
            kThreads * kRounds);
}

// Writers that wait share a commit: a failed one takes back itself alone, and who is told "done" is in the file.
TEST_F(DatabaseTest, AFailedWriterDoesNotHarmItsNeighbours) {
  constexpr int kThreads = 12, kRounds = 30;
  std::atomic<int> kept = 0, dropped = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < kRounds; ++round) {
        const std::string name = std::to_string(i) + "-" + std::to_string(round);
        const int kind = (i + round) % 3;
        try {
          db_->write([&](Transaction& t) {
            t.execute("INSERT INTO person (name, note) VALUES ($1, $2)", {name, kind == 0 ? "keep" : "drop"});
            if (kind == 1) throw std::runtime_error("changed my mind");
            if (kind == 2) t.execute("INSERT INTO person (name) VALUES ($1)", {name});
          });
          ++kept;
          EXPECT_EQ(count("person WHERE name = '" + name + "'"), 1);
        } catch (const std::exception&) {
          ++dropped;
          EXPECT_EQ(count("person WHERE name = '" + name + "'"), 0);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(kept, kThreads * kRounds / 3);
  EXPECT_EQ(dropped, kThreads * kRounds * 2 / 3);
  EXPECT_EQ(count(), kept);
  EXPECT_EQ(count("person WHERE note = 'drop'"), 0);
}

// When SQLite takes back the whole transaction, nobody in it is told "done".
TEST_F(DatabaseTest, ARollbackOfAllIsToldToAll) {
  add("taken");
  std::atomic<int> kept = 0, unavailable = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 12; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 20; ++round) {
        const std::string name = std::to_string(i) + "-" + std::to_string(round);
        try {
          db_->write([&](Transaction& t) {
            t.execute("INSERT INTO person (name) VALUES ($1)", {name});
            if (i == 0) t.execute("INSERT OR ROLLBACK INTO person (name) VALUES ('taken')");
          });
          ++kept;
          EXPECT_EQ(count("person WHERE name = '" + name + "'"), 1);
        } catch (const Error& error) {
          if (error.code() == ErrorCode::kUnavailable) ++unavailable;
          EXPECT_EQ(count("person WHERE name = '" + name + "'"), 0);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count(), kept + 1);
  EXPECT_EQ(kept + unavailable, 11 * 20);
}

// Look-then-create with a unique key: one wins, the others are told so.
TEST_F(DatabaseTest, OneOfRacingCreatorsWins) {
  std::atomic<int> won = 0, told = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      try {
        add("race");
        ++won;
      } catch (const Error& error) {
        // And can read it at once.
        if (error.code() == ErrorCode::kAlreadyExists && count("person WHERE name = 'race'") == 1) ++told;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(won, 1);
  EXPECT_EQ(told, 15);
}

TEST_F(DatabaseTest, StatementCacheHasALimit) {
  db_->read([&](Transaction& t) {
    for (int i = 0; i < 2000; ++i) {
      EXPECT_EQ(t.query_one("SELECT " + std::to_string(i % 700) + " + $1", {std::int64_t{1}})->integer(0), i % 700 + 1);
    }
  });
}

TEST_F(DatabaseTest, MigrationsRunOnceAndInOrder) {
  add("a");
  std::vector<Migration> more = kSchema;
  more.push_back({"people", 2, "ALTER TABLE person ADD COLUMN mail TEXT; UPDATE person SET mail = name || ';@x';"});
  open(more);
  EXPECT_EQ(db_->reading([](Transaction& t) { return t.query_one("SELECT mail FROM person")->text(0); }), "a;@x");
  open(more);
  EXPECT_EQ(count(), 1);
  // A program that knows less refuses the file and changes nothing.
  db_.reset();
  const Error newer = error_of([&] { (void)Database::open(file_, kSchema); });
  EXPECT_EQ(newer.code(), ErrorCode::kConflict);
  EXPECT_THAT(newer.message(), HasSubstr("migration 2 of people"));
  std::vector<Migration> edited = more;
  edited[1].sql += " ";
  EXPECT_EQ(error_of([&] { (void)Database::open(file_, edited); }).code(), ErrorCode::kConflict);
  open(more);
  EXPECT_EQ(count(), 1);
}

TEST_F(DatabaseTest, AFailedMigrationLeavesNothing) {
  add("a");
  std::vector<Migration> bad = kSchema;
  bad.push_back({"people", 2, "CREATE TABLE half (x); INSERT INTO half VALUES (1); INSERT INTO nowhere VALUES (1);"});
  db_.reset();
  const Error error = error_of([&] { (void)Database::open(file_, bad); });
  EXPECT_THAT(error.message(), HasSubstr("migration 2 of people failed"));
  open(kSchema);
  EXPECT_EQ(count("sqlite_master WHERE name = 'half'"), 0);
}

TEST_F(DatabaseTest, AMigrationMayRebuildATableThatOthersPointTo) {
  add("a");
  db_->write([&](Transaction& t) { t.execute("INSERT INTO pet VALUES ('rex', 1)"); });
  std::vector<Migration> more = kSchema;
  more.push_back({"people", 2,
                  "CREATE TABLE person_new (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;"
                  "INSERT INTO person_new SELECT id, name FROM person; DROP TABLE person; ALTER TABLE person_new "
                  "RENAME TO person;"});
  open(more);
  EXPECT_EQ(count("pet"), 1);
  EXPECT_EQ(
      error_of([&] { db_->write([](Transaction& t) { t.execute("INSERT INTO pet VALUES ('tom', 9)"); }); }).code(),
      ErrorCode::kConflict);
  more.push_back({"people", 3, "DELETE FROM person;"});
  db_.reset();
  EXPECT_THAT(error_of([&] { (void)Database::open(file_, more); }).message(), HasSubstr("without its parent"));
}

TEST_F(DatabaseTest, IsForItsOwnerAlone) {
  add("a");
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_)) {
    struct stat about{};
    ASSERT_EQ(stat(entry.path().c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 077, 0u) << entry.path();
  }
}

TEST_F(DatabaseTest, RefusesWhatIsNoDatabase) {
  write_file_atomic(folder_ / "text", std::string(5000, 'x'));
  EXPECT_EQ(error_of([&] { (void)Database::open(folder_ / "text", kSchema); }).code(), ErrorCode::kDataLoss);
  EXPECT_EQ(error_of([&] { (void)Database::open(folder_ / "none/db", kSchema); }).code(), ErrorCode::kNotFound);
}

// A writer that dies anywhere loses nothing that it was told is written.
TEST_F(DatabaseTest, KilledWriterLosesNothingAcknowledged) {
  db_.reset();
  for (int round = 0; round < 15; ++round) {
    int channel[2];
    ASSERT_EQ(pipe(channel), 0);
    const pid_t child = fork();
    if (child == 0) {
      const std::unique_ptr<Database> db = Database::open(file_, kSchema);
      std::vector<std::thread> threads;
      for (std::int64_t thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&, thread] {
          for (std::int64_t i = thread;; i += 4) {
            const std::string name = std::to_string(round) + "-" + std::to_string(i);
            db->write([&](Transaction& t) { t.execute("INSERT INTO person (name) VALUES ($1)", {name}); });
            if (write(channel[1], &i, sizeof i) != sizeof i) _exit(1);
          }
        });
      }
      for (std::thread& thread : threads) thread.join();
    }
    close(channel[1]);
    std::vector<std::int64_t> told;
    std::int64_t number = 0;
    for (int i = 0; i < 20 + round; ++i) {
      ASSERT_EQ(read(channel[0], &number, sizeof number), static_cast<ssize_t>(sizeof number));
      told.push_back(number);
    }
    kill(child, SIGKILL);
    while (read(channel[0], &number, sizeof number) == sizeof number) told.push_back(number);
    close(channel[0]);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    open(kSchema);
    for (const std::int64_t i : told) {
      EXPECT_EQ(count("person WHERE name = '" + std::to_string(round) + "-" + std::to_string(i) + "'"), 1);
    }
    db_.reset();
  }
}

}  // namespace
}  // namespace lakeloop::db
