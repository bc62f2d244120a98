#include <fcntl.h>

#include <condition_variable>
#include <future>
#include <mutex>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "db/database.h"
#include "db/migrations.h"
#include "db/sqlite_connection.h"
#include "db/turn_queue.h"

namespace lakeloop::db {
namespace {

// No writer joins a group older than this: its members wait.
constexpr std::chrono::milliseconds kGroupAge(5);

Histogram write_seconds("lakeloop_db_write_seconds", "Duration of metadata write transactions, waiting included",
                        {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5});

[[noreturn]] void busy() {
  throw Error(ErrorCode::kUnavailable, "the metadata store is busy, try again")
      .with_retry_after(std::chrono::seconds(1));
}

class SqliteTransaction final : public Transaction {
 public:
  SqliteTransaction(SqliteConnection& connection, bool writes) : connection_(connection), writes_(writes) {}

  std::vector<Row> query(std::string_view sql, const std::vector<Value>& values) override {
    check_open();
    return connection_.query(sql, values);
  }

  std::int64_t execute(std::string_view sql, const std::vector<Value>& values) override {
    if (!writes_) throw Error(ErrorCode::kInternal, "a read transaction cannot change the database");
    check_open();
    return connection_.execute(sql, values);
  }

  // An error that made SQLite roll back (a full disk) ends the transaction even where the caller caught it: what
  // follows must not be committed on its own.
  void check_open() const {
    if (!connection_.in_transaction()) {
      throw Error(ErrorCode::kInternal, "the transaction was rolled back by an earlier error");
    }
  }

 private:
  SqliteConnection& connection_;
  const bool writes_;
};

// What this thread has open, innermost first.
struct OpenWork {
  const Database* database;
  SqliteConnection* connection;
  bool writes;
  const OpenWork* outer;

  OpenWork(const Database* d, SqliteConnection* c, bool w) : database(d), connection(c), writes(w), outer(innermost) {
    innermost = this;
  }
  ~OpenWork() { innermost = outer; }
  OpenWork(const OpenWork&) = delete;
  OpenWork& operator=(const OpenWork&) = delete;

  static const OpenWork* find(const Database* database, bool writes_only) {
    for (const OpenWork* work = innermost; work != nullptr; work = work->outer) {
      if (work->database == database && (work->writes || !writes_only)) return work;
    }
    return nullptr;
  }

 private:
  static thread_local const OpenWork* innermost;
};
thread_local const OpenWork* OpenWork::innermost = nullptr;

class ReaderPool {
 public:
  explicit ReaderPool(std::filesystem::path file) : file_(std::move(file)) {}

  std::unique_ptr<SqliteConnection> take() {
    std::unique_lock lock(mutex_);
    if (idle_.empty() && made_ < limits::kDatabaseReaders) {
      ++made_;
      lock.unlock();
      try {
        return std::make_unique<SqliteConnection>(file_, SqliteConnection::Role::kReader);
      } catch (...) {
        give_up();
        throw;
      }
    }
    if (!free_.wait_for(lock, limits::kDatabaseWait, [&] { return !idle_.empty(); })) busy();
    std::unique_ptr<SqliteConnection> connection = std::move(idle_.back());
    idle_.pop_back();
    return connection;
  }

  void give_back(std::unique_ptr<SqliteConnection> connection) {
    {
      const std::lock_guard lock(mutex_);
      idle_.push_back(std::move(connection));
    }
    free_.notify_one();
  }

 private:
  void give_up() {
    const std::lock_guard lock(mutex_);
    --made_;
  }

  const std::filesystem::path file_;
  std::mutex mutex_;
  std::condition_variable free_;
  std::vector<std::unique_ptr<SqliteConnection>> idle_;
  std::size_t made_ = 0;
};

class SqliteDatabase final : public Database {
 public:
  SqliteDatabase(const std::filesystem::path& file, const std::vector<Migration>& migrations)
      : writer_(file, SqliteConnection::Role::kWriter), readers_(file) {
    apply_migrations(writer_, migrations);
    sync_folder(file.parent_path());
  }

  void read(const std::function<void(Transaction&)>& work) override {
    // A read inside a read or a write of this thread sees that one's state; so it cannot wait for itself either.
    if (const OpenWork* open = OpenWork::find(this, false)) {
      SqliteTransaction transaction(*open->connection, false);
      work(transaction);
      return;
    }
    const Borrowed reader(readers_);
    const OpenWork open(this, reader.connection.get(), false);
    reader.connection->run_script("BEGIN");
    SqliteTransaction transaction(*reader.connection, false);
    work(transaction);
  }

  void write(const std::function<void(Transaction&)>& work) override {
    LAKELOOP_CHECK(OpenWork::find(this, true) == nullptr);  // nested writes
    const Steady::time_point start = Steady::now();
    if (!turns_.enter(limits::kDatabaseWait)) busy();
    // From here on with the turn: the last of each group ends it.
    std::shared_ptr<Group> group;
    try {
      group = join_group();
    } catch (...) {
      turns_.leave();
      throw;
    }
    const bool broken_before = group->error.has_value();
    std::exception_ptr failed;
    try {
      const OpenWork open(this, &writer_, true);
      run(work, *group);
    } catch (...) {
      failed = std::current_exception();
    }
    const bool broke_it = !broken_before && group->error.has_value();
    const bool full = group->members >= limits::kDatabaseGroupWriters || Steady::now() - group->began >= kGroupAge;
    if (full || group->error || !turns_.hand_over()) {
      end_group();
      turns_.leave();
    }
    // One who failed waits as well: who was told "exists already" may look at once for what a neighbour has made.
    group->ended.wait();
    if (failed && (broke_it || !group->error)) std::rethrow_exception(failed);
    if (group->error) throw Error(*group->error);
    write_seconds.observe(std::chrono::duration<double>(Steady::now() - start).count());
  }

 private:
  // Writers that came while another one worked share its transaction, each in a savepoint, and so its sync: none
  // returns before the commit, and a failed one takes back only itself.
  struct Group {
    const Steady::time_point began = Steady::now();
    std::size_t members = 0;
    std::optional<Error> error;  // of the whole group; set before `commit`
    std::promise<void> commit;
    std::shared_future<void> ended = commit.get_future().share();
  };

  struct Borrowed {
    ReaderPool& pool;
    std::unique_ptr<SqliteConnection> connection;
    explicit Borrowed(ReaderPool& p) : pool(p), connection(p.take()) {}
    ~Borrowed() {
      connection->rollback();
      pool.give_back(std::move(connection));
    }
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;
  };

  // With the turn.
  std::shared_ptr<Group> join_group() {
    if (!group_) {
      group_ = std::make_shared<Group>();
      try {
        writer_.run_script("BEGIN IMMEDIATE");
      } catch (const Error& error) {
        group_->error = error;
      }
    }
    ++group_->members;
    return group_;
  }

  void run(const std::function<void(Transaction&)>& work, Group& group) {
    if (group.error) throw Error(*group.error);
    try {
      writer_.run_script("SAVEPOINT one");
      SqliteTransaction transaction(writer_, true);
      work(transaction);
      transaction.check_open();
      writer_.run_script("RELEASE one");
    } catch (...) {
      if (!writer_.in_transaction()) {
        // SQLite took everything back, the work of the others too.
        group.error = Error(ErrorCode::kUnavailable, "the metadata store rolled back, try again");
      } else {
        take_back(group);
      }
      throw;
    }
  }

  void take_back(Group& group) {
    try {
      writer_.run_script("ROLLBACK TO one; RELEASE one");
    } catch (const Error& error) {
      group.error = error;
    }
  }

  // With the turn.
  void end_group() {
    const std::shared_ptr<Group> group = std::move(group_);
    group_.reset();
    if (!group->error) {
      try {
        writer_.run_script("COMMIT");
      } catch (const Error& error) {
        group->error = error;
      }
    }
    if (group->error) writer_.rollback();
    group->commit.set_value();
  }

  SqliteConnection writer_;
  TurnQueue turns_;
  std::shared_ptr<Group> group_;  // belongs to who has the turn
  ReaderPool readers_;
};

}  // namespace

std::unique_ptr<Database> Database::open(const std::filesystem::path& file, const std::vector<Migration>& migrations) {
  // Hashed tokens and sealed secrets are in it: for its owner alone. SQLite gives its log beside it the same mode.
  {
    const FileHandle created = open_file(file, O_RDWR | O_CREAT, 0600);
  }
  return std::make_unique<SqliteDatabase>(file, migrations);
}

}  // namespace lakeloop::db
