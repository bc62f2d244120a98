// Two doors for tests/clients/delta_interop.py: make tables for other engines, and tell what we read in theirs.
// Both skip unless their environment variables are set.

#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "codec/encoding.h"
#include "delta/test_table.h"

namespace lakeloop::delta {
namespace {

namespace fs = std::filesystem;

Json cell_for_dump(const Json& cell, const DataType& type) {
  return type.kind == TypeKind::kBinary && cell.is_string() ? Json(codec::hex_encode(cell.as_string())) : cell;
}

Json dump_row(const Row& row, const Schema& schema) {
  Json::Array cells;
  for (std::size_t i = 0; i < row.size(); ++i) cells.push_back(cell_for_dump(row[i], schema[i].type));
  return cells;
}

TEST(DeltaInterop, Produce) {
  const auto* folder = std::getenv("DELTA_INTEROP_PRODUCE");
  if (!folder) GTEST_SKIP() << "DELTA_INTEROP_PRODUCE is not set";
  const auto store = std::shared_ptr(storage::open_local_store(folder));
  // Names follow one order of columns so that both sides can compare row by row.
  auto types = Table::create(store, "types",
                             {.schema = schema_of({{"l", "bigint"},
                                                   {"s", "string"},
                                                   {"i", "int"},
                                                   {"h", "smallint"},
                                                   {"b", "tinyint"},
                                                   {"f", "float"},
                                                   {"d", "double"},
                                                   {"t", "boolean"},
                                                   {"x", "binary"},
                                                   {"day", "date"},
                                                   {"ts", "timestamp"},
                                                   {"d9", "decimal(9,2)"},
                                                   {"d38", "decimal(38,10)"},
                                                   {"a", "array<string>"},
                                                   {"st", "struct<p:int,q:string>"},
                                                   {"m", "map<string,bigint>"}})});
  types.append({{1, "h\xC3\xA9", -7, -300, 127, 1.5, 2.25, true, std::string("\0\xFF", 2), 20000, 1700000000123456,
                 "-12.30", "1234567890123456789012345678.0123456789", Json::array({"x", nullptr}),
                 Json::object({{"p", 7}, {"q", "r"}}), Json::object({{"k", 9}})},
                Row(16)});
  auto parts =
      Table::create(store, "parts",
                    {.schema = schema_of({{"n", "bigint"}, {"k", "string"}, {"day", "date"}, {"ts", "timestamp"}}),
                     .partition_columns = {"k", "day", "ts"}});
  std::vector<Row> rows;
  for (const Json& k : {Json(), Json(""), Json("a/b"), Json("100%"), Json("x=y"), Json("sp ace"), Json("\xC3\xBC"),
                        Json("a:b"), Json("a%2Fb"), Json("it's")}) {
    const auto n = static_cast<std::int64_t>(rows.size());
    rows.push_back({n, k, n % 2 ? Json() : Json(20000 + n), n % 3 ? Json(1700000000000000 + n) : Json()});
  }
  parts.append(rows);
  parts.delete_where("k = 'a/b'", {});
  auto many = Table::create(store, "many", {.schema = schema_of({{"id", "bigint"}, {"s", "string"}})});
  CommitOptions options;
  options.app_id = "interop";
  for (int i = 0; i < 13; ++i) {
    options.app_version = i;
    many.append({{i, "row"}, {100 + i, nullptr}}, options);
  }
  many.upsert({"id", {{0, "zero"}, {1000, "new"}}, {100}});
  many.update_where({{"s", "'keep'"}}, "id BETWEEN 3 AND 5", {});
  many.delete_where("id >= 110 AND id < 1000", {});
}

TEST(DeltaInterop, Dump) {
  const auto* path = std::getenv("DELTA_INTEROP_TABLE");
  const auto* out = std::getenv("DELTA_INTEROP_OUT");
  if (!path || !out) GTEST_SKIP() << "DELTA_INTEROP_TABLE and DELTA_INTEROP_OUT are not set";
  const fs::path at(path);
  auto table = Table::open(storage::open_local_store(at.parent_path()), at.filename().string());
  // What the other side asks us to append first, as rows of JSON.
  if (const auto* rows = std::getenv("DELTA_INTEROP_APPEND")) {
    std::vector<Row> list;
    for (const auto& row : Json::parse(rows).items()) list.push_back(row.items());
    table.append(list);
  }
  const auto snapshot = table.snapshot();
  auto result = Json::object({{"version", snapshot.version}, {"rows", Json::array()}, {"changes", Json::array()}});
  for (const auto& row : table.scan(snapshot).rows) result.find("rows")->push_back(dump_row(row, snapshot.schema));
  if (snapshot.change_feed_enabled()) {
    const auto* from = std::getenv("DELTA_INTEROP_FROM");
    table.changes(from ? std::atoi(from) : 0, snapshot.version, 1000, [&](const std::vector<Change>& batch) {
      for (const auto& change : batch) {
        result.find("changes")->push_back(
            Json::array({change.version, change_name(change.type), dump_row(change.row, snapshot.schema)}));
      }
    });
  }
  write_file_atomic(out, result.dump());
}

}  // namespace
}  // namespace lakeloop::delta
