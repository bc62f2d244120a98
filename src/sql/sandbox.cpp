#include "sql/sandbox.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <set>
#include <stop_token>
#include <thread>

#include "base/format.h"
#include "base/limits.h"
#include "base/text.h"
#include "sql/syntax_tree.h"

namespace lakeloop::sql {
namespace {

using delta::quote_identifier;
using delta::quote_literal;

// Interrupts a running statement when its deadline passes or its client leaves, again and again until it has stopped:
// an interrupt that comes between two steps is lost.
class Watch {
 public:
  Watch(delta::Duck& duck, const Deadline& deadline)
      : on_cancel_(deadline.cancelled(), [this] { wake_.notify_all(); }),
        thread_([this, &duck, deadline](const std::stop_token& done) {
          std::unique_lock lock(mutex_);
          const auto over = [&] { return deadline.cancelled().stop_requested() || deadline.expired(); };
          while (!done.stop_requested()) {
            // Capped, because a notification may come just before the wait.
            const auto wait =
                over() ? std::chrono::milliseconds(10) : std::min(deadline.left(), std::chrono::milliseconds(200));
            wake_.wait_for(lock, done, wait, [] { return false; });
            if (!done.stop_requested() && over()) duck.interrupt();
          }
        }) {}

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::stop_callback<std::function<void()>> on_cancel_;
  std::jthread thread_;
};

std::string key_of(const Draft::Name& name) {
  std::string key = ascii_lower(join(name.parts, "\n"));
  if (name.as_of.version) key += "\n@v" + std::to_string(*name.as_of.version);
  if (name.as_of.timestamp) key += "\n@t" + std::to_string(name.as_of.timestamp->micros);
  return key;
}

delta::Snapshot snapshot_of(const delta::Table& table, const AsOf& as_of) {
  if (as_of.version) return table.snapshot_at(*as_of.version);
  if (as_of.timestamp) return table.snapshot_at(*as_of.timestamp);
  return table.snapshot();
}

// A view has the table's schema and name, so that columns can be qualified as the user is used to. Its database has a
// name that no catalog can have: DuckDB keeps "main", "system" and others for itself.
Query::View place_view(const Draft::Name& name, std::size_t number) {
  const auto& parts = name.parts;
  return {.database = "/" + std::to_string(number),
          .schema = parts.size() >= 2 ? parts[parts.size() - 2] : "main",
          .name = parts.back(),
          .relation = {}};
}

std::string full_name(const Query::View& view) {
  return quote_identifier(view.database) + '.' + quote_identifier(view.schema) + '.' + quote_identifier(view.name);
}

std::string allowed_paths(const std::vector<Query::View>& views) {
  std::string list;
  for (const Query::View& view : views) {
    for (const std::string& file : view.relation.files) {
      if (!list.empty()) list += ", ";
      list += quote_literal(file);
    }
  }
  return list;
}

}  // namespace

Query plan_query(const Tokens& tokens, Parameters& parameters, TableResolver& resolver) {
  Draft draft(tokens, parameters);
  const NamePlaces places = find_names(parse_query(draft), draft);
  Query query;
  std::vector<std::string> keys;
  for (const std::size_t offset : places.tables) {
    const Draft::Name name = *draft.name_at(offset);
    if (name.parts.size() > 3) {
      throw Error(ErrorCode::kInvalidArgument, "the name '{}' has more than three parts", join(name.parts, "."));
    }
    const std::string key = key_of(name);
    const auto found = static_cast<std::size_t>(std::ranges::find(keys, key) - keys.begin());
    if (found == keys.size()) {
      if (keys.size() == limits::kStatementTables) {
        throw Error(ErrorCode::kInvalidArgument, "the statement names more than {} tables", limits::kStatementTables);
      }
      const delta::Table table = resolver.resolve(name.parts, Access::kRead);
      query.views.push_back(place_view(name, keys.size()));
      query.views.back().relation = table.relation(snapshot_of(table, name.as_of));
      keys.push_back(key);
    }
    draft.replace(name, full_name(query.views[found]));
  }
  for (const std::size_t offset : places.long_columns) {
    const auto column = draft.name_at(offset);
    if (!column || column->parts.size() < 4) continue;
    const Draft::Name table{
        .parts = {column->parts.begin(), column->parts.begin() + 3}, .as_of = {}, .first = 0, .last = 0};
    const auto found = static_cast<std::size_t>(std::ranges::find(keys, key_of(table)) - keys.begin());
    if (found < keys.size()) draft.replace_first_part(*column, quote_identifier(query.views[found].database));
  }
  query.text = draft.finished();
  return query;
}

Sandbox::Sandbox(const std::vector<Query::View>& views, std::uint64_t memory_limit, const Deadline& deadline)
    : deadline_(deadline),
      database_({.threads = 2, .memory_limit = format("{}KiB", memory_limit / 1024)}),
      duck_(database_) {
  duck_.execute("SET temp_directory = ''");
  if (const std::string paths = allowed_paths(views); !paths.empty())
    duck_.execute("SET allowed_paths = [" + paths + "]");
  duck_.execute("SET enable_external_access = false");
  std::set<std::string> made;
  for (const Query::View& view : views) {
    const std::string database = quote_identifier(view.database),
                      schema = database + '.' + quote_identifier(view.schema);
    if (made.insert(ascii_lower(database)).second) duck_.execute("ATTACH ':memory:' AS " + database);
    if (made.insert(ascii_lower(schema)).second) duck_.execute("CREATE SCHEMA IF NOT EXISTS " + schema);
    deadline_.check();
    duck_.execute("CREATE VIEW " + full_name(view) + " AS " + view.relation.sql);
  }
  duck_.execute("SET lock_configuration = true");
}

Sandbox::~Sandbox() = default;

delta::Schema Sandbox::describe(const std::string& sql) {
  return duck_.describe(sql);
}

void Sandbox::run(const std::string& sql, const std::vector<Json>& parameters,
                  const std::function<bool(delta::Row)>& take) {
  deadline_.check();
  const Watch watch(duck_, deadline_);
  try {
    duck_.stream(sql, parameters, deadline_, [&](delta::Rows batch) {
      for (delta::Row& row : batch.rows) {
        if (!take(std::move(row))) return false;
      }
      return true;
    });
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kCancelled) deadline_.check();  // says which of the two it was
    throw;
  }
}

}  // namespace lakeloop::sql
