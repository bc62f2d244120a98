#include "delta/duck.h"

#include <duckdb.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/check.h"
#include "base/format.h"
#include "base/id.h"
#include "base/text.h"
#include "delta/duck_value.h"

namespace lakeloop::delta {
namespace {

// DuckDB's messages start with the kind: "IO Error: ...".
[[noreturn]] void fail(std::string_view message) {
  auto code = ErrorCode::kInvalidArgument;
  if (message.starts_with("IO Error") || message.starts_with("Serialization Error")) code = ErrorCode::kDataLoss;
  if (message.starts_with("Invalid Input Error: No magic bytes") ||
      message.contains("too small to be a Parquet file")) {
    code = ErrorCode::kDataLoss;
  }
  if (message.starts_with("Out of Memory")) code = ErrorCode::kResourceExhausted;
  if (message.starts_with("INTERRUPT")) code = ErrorCode::kCancelled;
  if (message.starts_with("INTERNAL") || message.starts_with("FATAL")) code = ErrorCode::kInternal;
  // The quoted statement below the first paragraph is ours as often as the user's: only the cause is shown.
  const auto cut = message.find("\n\nLINE ");
  throw Error(code, "{}", std::string(message.substr(0, cut)));
}

struct Result {
  duckdb_result value{};
  Result() = default;
  Result(const Result&) = delete;
  Result& operator=(const Result&) = delete;
  ~Result() { duckdb_destroy_result(&value); }
};

struct Chunk {
  duckdb_data_chunk value = nullptr;
  explicit Chunk(duckdb_data_chunk chunk) : value(chunk) {}
  Chunk(const Chunk&) = delete;
  Chunk& operator=(const Chunk&) = delete;
  ~Chunk() { duckdb_destroy_data_chunk(&value); }
};

// DuckDB binds only parameters numbered without gaps, but one part of a change may use $2 and not $1. Numbers the used
// ones anew and lists them in that order. Knows strings, identifiers, dollar quotes and comments.
class ParameterText {
 public:
  explicit ParameterText(std::string_view sql) : sql_(sql) {
    while (at_ < sql_.size()) step();
  }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const std::vector<std::size_t>& used() const { return used_; }

 private:
  void step() {
    const char c = sql_[at_];
    const auto rest = sql_.substr(at_);
    const bool escapes = c == '\'' && at_ > 0 && (sql_[at_ - 1] == 'e' || sql_[at_ - 1] == 'E');
    if (c == '\'' || c == '"') return quoted(c, escapes);
    if (rest.starts_with("--")) return copy(rest.find('\n'));
    if (rest.starts_with("/*")) return copy_past(rest.find("*/", 2), 2);
    if (c != '$') return copy(1);
    std::size_t end = 1;
    while (end < rest.size() && rest[end] >= '0' && rest[end] <= '9') ++end;
    if (end > 1) return parameter(rest.substr(1, end - 1), end);
    while (end < rest.size() && rest[end] != '$' && rest[end] != ' ') ++end;
    if (end == rest.size() || rest[end] != '$') return copy(1);
    const auto tag = rest.substr(0, end + 1);
    copy_past(rest.find(tag, end + 1), tag.size());
  }
  void parameter(std::string_view digits, std::size_t length) {
    const auto number = parse_number<std::size_t>(digits).value_or(0);
    const auto found = std::ranges::find(used_, number);
    text_ += format("${}", found - used_.begin() + 1);
    if (found == used_.end()) used_.push_back(number);
    at_ += length;
  }
  void quoted(char quote, bool escapes) {
    auto end = at_ + 1;
    while (end < sql_.size() && sql_[end] != quote) end += escapes && sql_[end] == '\\' ? 2 : 1;
    copy(end + 1 - at_);
  }
  void copy(std::size_t count) {
    const auto part = sql_.substr(at_, count);
    text_ += part;
    at_ += part.size();
  }
  void copy_past(std::size_t found, std::size_t length) {
    copy(found == std::string_view::npos ? found : found + length);
  }

  const std::string_view sql_;
  std::size_t at_ = 0;
  std::string text_;
  std::vector<std::size_t> used_;
};

struct Statement {
  duckdb_prepared_statement value = nullptr;
  duckdb_connection owner = nullptr;
  std::vector<std::size_t> used;
  Statement(duckdb_connection connection, std::string_view sql) : owner(connection) {
    if (sql.contains('\0')) throw Error(ErrorCode::kInvalidArgument, "the SQL holds a NUL character");
    ParameterText dense(sql);
    used = dense.used();
    if (duckdb_prepare(connection, dense.text().c_str(), &value) != DuckDBSuccess) {
      const std::string message = duckdb_prepare_error(value) ? duckdb_prepare_error(value) : "the statement is empty";
      duckdb_destroy_prepare(&value);
      fail(message);
    }
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { duckdb_destroy_prepare(&value); }

  // A statement may use fewer of the values than its caller has: each part of a change names what it needs.
  void bind(std::span<const Json> parameters) {
    if (duckdb_nparams(value) != used.size()) {
      throw Error(ErrorCode::kInvalidArgument, "parameters are written $1, $2, ...; the statement has others");
    }
    for (idx_t i = 1; i <= used.size(); ++i) {
      const auto number = used[i - 1];
      if (number < 1 || number > parameters.size()) {
        throw Error(ErrorCode::kInvalidArgument, "the statement uses the parameter ${}, {} were given", number,
                    parameters.size());
      }
      const auto parameter = parameter_value(parameters[number - 1], duckdb_param_type(value, i));
      if (duckdb_bind_value(value, i, parameter.get()) != DuckDBSuccess) {
        throw Error(ErrorCode::kInvalidArgument, "parameter ${} cannot be bound", number);
      }
    }
  }

  void run(Result& result, const Deadline& deadline, bool streaming) {
    duckdb_pending_result pending = nullptr;
    const auto state =
        streaming ? duckdb_pending_prepared_streaming(value, &pending) : duckdb_pending_prepared(value, &pending);
    struct Closer {
      duckdb_pending_result& pending;
      ~Closer() { duckdb_destroy_pending(&pending); }
    } closer{pending};
    if (state != DuckDBSuccess) fail(text(duckdb_pending_error(pending)));
    for (;;) {
      const auto step = duckdb_pending_execute_task(pending);
      if (step == DUCKDB_PENDING_ERROR) fail(text(duckdb_pending_error(pending)));
      if (duckdb_pending_execution_is_finished(step)) break;
      check(deadline);
      if (step == DUCKDB_PENDING_NO_TASKS_AVAILABLE) std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    if (duckdb_execute_pending(pending, &result.value) != DuckDBSuccess) fail(text(duckdb_result_error(&result.value)));
  }

  // Closing a result waits for DuckDB's workers, and only an interrupt makes them leave a long step.
  void check(const Deadline& deadline) const {
    try {
      deadline.check();
    } catch (const Error&) {
      duckdb_interrupt(owner);
      throw;
    }
  }

  static std::string text(const char* message) { return message ? message : "the statement failed"; }
};

std::vector<CellReader> readers_of(duckdb_result& result, Schema& schema) {
  std::vector<CellReader> readers;
  for (idx_t i = 0; i < duckdb_column_count(&result); ++i) {
    const LogicalType type(duckdb_column_logical_type(&result, i));
    readers.push_back(CellReader::of(type.get()));
    Field field;
    field.name = duckdb_column_name(&result, i);
    field.type = readers.back().type;
    schema.push_back(std::move(field));
  }
  return readers;
}

void read_chunk(duckdb_data_chunk chunk, const std::vector<CellReader>& readers, std::vector<Row>& rows) {
  const auto count = duckdb_data_chunk_get_size(chunk);
  const auto base = rows.size();
  rows.resize(base + count);
  for (idx_t r = 0; r < count; ++r) rows[base + r].reserve(readers.size());
  for (std::size_t c = 0; c < readers.size(); ++c) {
    auto* vector = duckdb_data_chunk_get_vector(chunk, c);
    for (idx_t r = 0; r < count; ++r) rows[base + r].push_back(readers[c].read(vector, r));
  }
}

// True when the tree reads a table, a file or calls a table function.
bool reads_elsewhere(const Json& node) {
  if (node.is_array()) {
    for (const auto& item : node.items()) {
      if (reads_elsewhere(item)) return true;
    }
    return false;
  }
  if (!node.is_object()) return false;
  const auto type = node.str("type");
  if (type == "BASE_TABLE" || type == "TABLE_FUNCTION" || type == "SHOW_REF" || type == "PIVOT") return true;
  for (const auto& [name, value] : node.members()) {
    if (reads_elsewhere(value)) return true;
  }
  return false;
}

}  // namespace

struct DuckDatabase::Impl {
  duckdb_database database = nullptr;
};

DuckDatabase::DuckDatabase(const DuckOptions& options) : impl_(std::make_unique<Impl>()) {
  duckdb_config config = nullptr;
  LAKELOOP_CHECK(duckdb_create_config(&config) == DuckDBSuccess);
  // Each instance spills into a folder of its own, made by DuckDB when first needed.
  const auto spill = std::filesystem::temp_directory_path() / ("lakeloop-duckdb-" + random_hex(6));
  const auto set = [&](const char* name, const std::string& value) { duckdb_set_config(config, name, value.c_str()); };
  set("threads", std::to_string(options.threads));
  set("memory_limit", options.memory_limit);
  set("temp_directory", spill.string());
  set("autoinstall_known_extensions", "false");
  set("autoload_known_extensions", "false");
  char* message = nullptr;
  const auto state = duckdb_open_ext(nullptr, &impl_->database, config, &message);
  duckdb_destroy_config(&config);
  const std::string cause = message ? message : "no cause given";
  duckdb_free(message);
  if (state != DuckDBSuccess) throw Error(ErrorCode::kInternal, "DuckDB did not start: {}", cause);
  Duck(*this).execute("SET GLOBAL TimeZone = 'UTC'");
}

DuckDatabase::~DuckDatabase() {
  duckdb_close(&impl_->database);
}

DuckDatabase& DuckDatabase::shared() {
  // Never destroyed: its threads would be joined after main, when other statics are gone.
  static auto* instance = new DuckDatabase();
  return *instance;
}

struct Duck::Impl {
  duckdb_connection connection = nullptr;
  ~Impl() { duckdb_disconnect(&connection); }
};

Duck::Duck(DuckDatabase& database) : impl_(std::make_unique<Impl>()) {
  if (duckdb_connect(database.impl().database, &impl_->connection) != DuckDBSuccess) {
    throw Error(ErrorCode::kInternal, "DuckDB gave no connection");
  }
}
Duck::~Duck() = default;
Duck::Duck(Duck&&) noexcept = default;
Duck& Duck::operator=(Duck&&) noexcept = default;

Rows Duck::query(std::string_view sql, std::span<const Json> parameters, const Deadline& deadline) {
  Statement statement(impl_->connection, sql);
  statement.bind(parameters);
  Result result;
  statement.run(result, deadline, false);
  Rows rows;
  const auto readers = readers_of(result.value, rows.schema);
  for (;;) {
    const Chunk chunk(duckdb_fetch_chunk(result.value));
    if (!chunk.value) break;
    statement.check(deadline);
    read_chunk(chunk.value, readers, rows.rows);
  }
  return rows;
}

void Duck::stream(std::string_view sql, std::span<const Json> parameters, const Deadline& deadline,
                  const std::function<bool(Rows)>& on_batch) {
  Statement statement(impl_->connection, sql);
  statement.bind(parameters);
  Result result;
  statement.run(result, deadline, true);
  Schema schema;
  const auto readers = readers_of(result.value, schema);
  for (;;) {
    const Chunk chunk(duckdb_fetch_chunk(result.value));
    if (!chunk.value) {
      if (const auto* message = duckdb_result_error(&result.value); message && *message) fail(message);
      return;
    }
    statement.check(deadline);
    Rows batch{schema, {}};
    read_chunk(chunk.value, readers, batch.rows);
    bool more = false;
    try {
      more = on_batch(std::move(batch));
    } catch (...) {
      duckdb_interrupt(impl_->connection);
      throw;
    }
    if (!more) return duckdb_interrupt(impl_->connection);
  }
}

void Duck::execute(std::string_view sql, std::span<const Json> parameters) {
  Statement statement(impl_->connection, sql);
  statement.bind(parameters);
  Result result;
  statement.run(result, {}, false);
}

Schema Duck::describe(std::string_view select) {
  const Statement statement(impl_->connection, select);
  Schema schema;
  for (idx_t i = 0; i < duckdb_prepared_statement_column_count(statement.value); ++i) {
    const LogicalType type(duckdb_prepared_statement_column_logical_type(statement.value, i));
    const auto* name = duckdb_prepared_statement_column_name(statement.value, i);
    Field field;
    field.name = name ? name : "";
    duckdb_free(const_cast<char*>(name));
    field.type = CellReader::of(type.get()).type;
    schema.push_back(std::move(field));
  }
  return schema;
}

void Duck::create_temp_table(std::string_view name, const Schema& schema) {
  std::vector<std::string> columns;
  for (const auto& field : schema) columns.push_back(quote_identifier(field.name) + " " + field.type.duckdb());
  execute("CREATE OR REPLACE TEMP TABLE " + quote_identifier(name) + " (" + join(columns, ", ") + ")");
}

void Duck::append(std::string_view table, const Schema& schema, std::span<const Row> rows) {
  if (rows.empty()) return;
  duckdb_appender appender = nullptr;
  struct Closer {
    duckdb_appender& appender;
    ~Closer() { duckdb_appender_destroy(&appender); }
  } closer{appender};
  if (duckdb_appender_create(impl_->connection, nullptr, std::string(table).c_str(), &appender) != DuckDBSuccess) {
    fail(Statement::text(duckdb_appender_error(appender)));
  }
  std::vector<LogicalType> owned;
  std::vector<duckdb_logical_type> types;
  for (const auto& field : schema) {
    owned.push_back(logical_type(field.type));
    types.push_back(owned.back().get());
  }
  const auto capacity = duckdb_vector_size();
  for (std::size_t base = 0; base < rows.size(); base += capacity) {
    const auto part = rows.subspan(base, std::min<std::size_t>(capacity, rows.size() - base));
    const Chunk chunk(duckdb_create_data_chunk(types.data(), types.size()));
    for (std::size_t c = 0; c < schema.size(); ++c) {
      auto* vector = duckdb_data_chunk_get_vector(chunk.value, c);
      for (std::size_t r = 0; r < part.size(); ++r) {
        if (part[r].size() != schema.size()) {
          throw Error(ErrorCode::kInvalidArgument, "row {} has {} cells, the table has {} columns", base + r + 1,
                      part[r].size(), schema.size());
        }
        try {
          write_cell(vector, r, schema[c].type, part[r][c], schema[c].name);
        } catch (const Error& error) {
          throw Error(error.code(), "row {}, column {}", base + r + 1, error.message());
        }
      }
    }
    duckdb_data_chunk_set_size(chunk.value, part.size());
    if (duckdb_append_data_chunk(appender, chunk.value) != DuckDBSuccess) {
      fail(Statement::text(duckdb_appender_error(appender)));
    }
  }
  if (duckdb_appender_close(appender) != DuckDBSuccess) fail(Statement::text(duckdb_appender_error(appender)));
}

Json Duck::parse_select(std::string_view sql) {
  const Json parameters[] = {Json(sql)};
  const auto rows = query("SELECT json_serialize_sql($1::VARCHAR)::VARCHAR", parameters);
  auto tree = Json::parse(rows.rows.at(0).at(0).string_or("{}"));
  if (tree["error"].bool_or(true)) {
    throw Error(ErrorCode::kInvalidArgument, "the SQL is not readable: {}",
                tree.str("error_message", "no cause given"));
  }
  if (tree["statements"].size() != 1) throw Error(ErrorCode::kInvalidArgument, "expected one SELECT statement");
  return tree;
}

void Duck::check_expression(std::string_view expression, std::string_view what) {
  if (trim(expression).empty()) throw Error(ErrorCode::kInvalidArgument, "{}: it is empty", what);
  Json tree;
  try {
    tree = parse_select("SELECT (" + std::string(expression) + "\n)");
  } catch (const Error& error) {
    throw Error(ErrorCode::kInvalidArgument, "{}: {}", what, error.message());
  }
  if (reads_elsewhere(tree)) {
    throw Error(ErrorCode::kInvalidArgument, "{}: an expression over one table cannot read other tables or files",
                what);
  }
  // "1) FROM t WHERE (1" closes our bracket: whatever its parts read was refused above, other clauses are not an
  // expression.
  const auto& node = tree["statements"].at(0)["node"];
  const bool plain = node.str("type") == "SELECT_NODE" && node["select_list"].size() == 1 &&
                     node["where_clause"].is_null() && node["modifiers"].size() == 0 && node["having"].is_null() &&
                     node["qualify"].is_null() && node["group_expressions"].size() == 0;
  if (!plain) throw Error(ErrorCode::kInvalidArgument, "{}: not a single expression", what);
}

void Duck::check_order(std::string_view list, std::string_view what) {
  Json tree;
  try {
    tree = parse_select("SELECT 1 ORDER BY " + std::string(list) + "\n");
  } catch (const Error& error) {
    throw Error(ErrorCode::kInvalidArgument, "{}: {}", what, error.message());
  }
  const auto& node = tree["statements"].at(0)["node"];
  if (reads_elsewhere(tree) || node.str("type") != "SELECT_NODE" || node["modifiers"].size() != 1) {
    throw Error(ErrorCode::kInvalidArgument, "{}: expected a list of expressions to sort by", what);
  }
}

void Duck::interrupt() noexcept {
  duckdb_interrupt(impl_->connection);
}

std::string quote_identifier(std::string_view name) {
  return "\"" + replace_all(std::string(name), "\"", "\"\"") + "\"";
}
std::string quote_literal(std::string_view text) {
  return "'" + replace_all(std::string(text), "'", "''") + "'";
}

}  // namespace lakeloop::delta
