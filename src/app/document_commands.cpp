// ingest, chunk, index: from a folder to something that can be searched.

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <thread>

#include "app/commands.h"
#include "base/clock.h"
#include "codec/encoding.h"

namespace lakeloop::app {
namespace {

constexpr const char* kIndexes = "/api/2.0/vector-search/indexes/";

void print(const Json& json) {
  std::printf("%s\n", json.dump_pretty().c_str());
}

std::int64_t number(const Json& json, const char* key) {
  return json[key].int_or(0);
}

bool exists(ApiClient& client, const std::string& path) {
  try {
    static_cast<void>(client.get(path));
    return true;
  } catch (const Error&) {
    return false;
  }
}

void print_index(const Json& index) {
  const Json& status = index["status"];
  std::printf("index %s: %s, %lld rows (%lld with vectors), at version %lld of %s\n", index.str("name").c_str(),
              status.str("detailed_state").c_str(), static_cast<long long>(number(status, "indexed_row_count")),
              static_cast<long long>(number(status, "rows_with_vectors")),
              static_cast<long long>(number(status, "source_version")),
              index["delta_sync_index_spec"].str("source_table").c_str());
  if (const std::string message = status.str("message"); !message.empty()) std::printf("  %s\n", message.c_str());
}

// Until the index sees the table as it is now, vectors included.
Json wait_for_index(ApiClient& client, const std::string& name) {
  const std::string path = kIndexes + codec::percent_encode(name);
  client.post(path + "/sync", Json::object());
  for (;;) {
    Json index = client.get(path);
    const Json& status = index["status"];
    const std::string state = status.str("detailed_state");
    const bool text_only = index["delta_sync_index_spec"]["embedding_source_columns"].size() == 0;
    const bool filled = text_only || number(status, "rows_with_vectors") >= number(status, "indexed_row_count");
    if (state == "ONLINE_NO_PENDING_UPDATE" && filled) return index;
    if (state.contains("FAILED")) throw Error(ErrorCode::kUpstream, "index {}: {}", name, status.str("message"));
    if (isatty(STDERR_FILENO) != 0) {
      std::fprintf(stderr, "\r\033[K  %lld of %lld rows have vectors",
                   static_cast<long long>(number(status, "rows_with_vectors")),
                   static_cast<long long>(number(status, "indexed_row_count")));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

}  // namespace

void ingest(ApiClient& client, const IngestArguments& arguments, bool json) {
  const std::string folder = std::filesystem::absolute(arguments.folder).lexically_normal().string();
  const Json started =
      client.post("/api/2.0/lakeloop/ingest", Json::object({{"folder", folder}, {"table", arguments.table}}));
  const Json report = client.wait_for_task(started.str("task_id"));
  if (json) return print(report);
  std::printf(
      "%s: %lld files seen: %lld added, %lld updated, %lld deleted, %lld unchanged, %zu skipped; table version %lld\n",
      arguments.table.c_str(), static_cast<long long>(number(report, "seen")),
      static_cast<long long>(number(report, "added")), static_cast<long long>(number(report, "updated")),
      static_cast<long long>(number(report, "deleted")), static_cast<long long>(number(report, "unchanged")),
      report["skipped"].size(), static_cast<long long>(number(report, "version")));
  if (!report["skipped"].is_array()) return;
  for (const Json& skipped : report["skipped"].items()) {
    std::printf("  skipped %s: %s\n", skipped.str("path").c_str(), skipped.str("reason").c_str());
  }
}

void chunk(ApiClient& client, const ChunkArguments& arguments, bool json) {
  Json body = Json::object({{"pages_table", arguments.pages}, {"chunks_table", arguments.chunks}});
  if (!arguments.embedding.empty()) body.set("embedding_endpoint", arguments.embedding);
  if (arguments.max_tokens > 0) body.set("max_tokens", arguments.max_tokens);
  if (arguments.overlap_tokens >= 0) body.set("overlap_tokens", arguments.overlap_tokens);
  const Json report = client.wait_for_task(client.post("/api/2.0/lakeloop/chunks", body).str("task_id"));
  if (json) return print(report);
  std::printf(
      "%s: %lld pages cut: %lld chunks inserted, %lld updated, %lld deleted, %lld unchanged; table version %lld\n",
      arguments.chunks.c_str(), static_cast<long long>(number(report, "pages")),
      static_cast<long long>(number(report, "inserted")), static_cast<long long>(number(report, "updated")),
      static_cast<long long>(number(report, "deleted")), static_cast<long long>(number(report, "unchanged")),
      static_cast<long long>(number(report, "version")));
}

void create_index(ApiClient& client, const IndexArguments& arguments, bool json) {
  const std::string path = kIndexes + codec::percent_encode(arguments.name);
  if (!arguments.if_absent || !exists(client, path)) {
    if (!exists(client, "/api/2.0/vector-search/endpoints/" + codec::percent_encode(arguments.endpoint))) {
      client.post("/api/2.0/vector-search/endpoints",
                  Json::object({{"name", arguments.endpoint}, {"endpoint_type", "STANDARD"}}));
    }
    Json delta = Json::object({{"source_table", arguments.table}, {"pipeline_type", "CONTINUOUS"}});
    if (!arguments.embedding.empty()) {
      delta.set("embedding_source_columns",
                Json::array({Json::object(
                    {{"name", arguments.text_column}, {"embedding_model_endpoint_name", arguments.embedding}})}));
      if (!arguments.context_column.empty()) delta.set("embedding_context_column", arguments.context_column);
    }
    client.post("/api/2.0/vector-search/indexes", Json::object({{"name", arguments.name},
                                                                {"endpoint_name", arguments.endpoint},
                                                                {"primary_key", arguments.key},
                                                                {"index_type", "DELTA_SYNC"},
                                                                {"delta_sync_index_spec", std::move(delta)}}));
  }
  const Json index = arguments.wait ? wait_for_index(client, arguments.name) : client.get(path);
  if (arguments.wait && isatty(STDERR_FILENO) != 0) std::fprintf(stderr, "\r\033[K");
  if (json) return print(index);
  print_index(index);
}

void show_index(ApiClient& client, const std::string& name, bool json) {
  const Json index = client.get(kIndexes + codec::percent_encode(name));
  if (json) return print(index);
  print_index(index);
}

void query_index(ApiClient& client, const std::string& name, const std::string& text, const std::string& type,
                 std::int64_t count, bool json) {
  const Json answer = client.post(kIndexes + codec::percent_encode(name) + "/query",
                                  Json::object({{"query_text", text},
                                                {"query_type", type},
                                                {"num_results", count},
                                                {"debug_level", 1},
                                                {"columns", Json::array({"source_path", "section", "text"})}}));
  if (json) return print(answer);
  for (const Json& row : answer["result"]["data_array"].items()) {
    const auto score = [&](std::size_t i) { return row.at(i).double_or(0); };
    std::printf("%.4f  (vector %.3f, text %.3f)  %s  %s\n  %s\n", score(row.size() - 1), score(row.size() - 3),
                score(row.size() - 2), row.at(0).string_or("").c_str(), row.at(1).string_or("").c_str(),
                row.at(2).string_or("").substr(0, 160).c_str());
  }
}

}  // namespace lakeloop::app
