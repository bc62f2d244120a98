// hub, sql, token: the rest of a workspace from the command line.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <thread>
#include <vector>

#include "app/commands.h"
#include "codec/unicode.h"

namespace lakeloop::app {
namespace {

constexpr std::size_t kColumnWidth = 60;

std::string shown(const Json& cell) {
  std::string text = cell.is_null() ? "NULL" : cell.is_string() ? cell.as_string() : cell.dump();
  std::ranges::replace(text, '\n', ' ');
  if (text.size() > kColumnWidth) text = std::string(codec::truncate_utf8(text, kColumnWidth - 3)) + "...";
  return text;
}

void print_table(const Json& columns, const Json& rows) {
  std::vector<std::size_t> widths;
  for (const Json& column : columns.items()) widths.push_back(codec::count_code_points(column.str("name")));
  for (const Json& row : rows.items()) {
    for (std::size_t i = 0; i < widths.size(); ++i)
      widths[i] = std::max(widths[i], codec::count_code_points(shown(row.at(i))));
  }
  const auto print_row = [&](const auto& text_of) {
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const std::string text = text_of(i);
      std::printf("%s%s", text.c_str(), std::string(widths[i] - codec::count_code_points(text) + 2, ' ').c_str());
    }
    std::printf("\n");
  };
  print_row([&](std::size_t i) { return columns.at(i).str("name"); });
  print_row([&](std::size_t i) { return std::string(widths[i], '-'); });
  for (const Json& row : rows.items()) print_row([&](std::size_t i) { return shown(row.at(i)); });
}

}  // namespace

void status(ApiClient& client, bool json) {
  const Json about = client.get("/api/2.0/lakeloop/version");
  if (json) {
    std::printf("%s\n", about.dump_pretty().c_str());
    return;
  }
  std::printf("lakeloop %s answers on %s\n", about.str("version").c_str(), client.url().c_str());
}

void list_hub(ApiClient& client, bool json) {
  const Json answer = client.get("/api/2.0/lakeloop/hub/models");
  if (json) {
    std::printf("%s\n", answer.dump_pretty().c_str());
    return;
  }
  for (const Json& model : answer["models"].items()) {
    std::printf("%-24s %-20s %-12s %s %s\n", model.str("id").c_str(), model.str("task").c_str(),
                model.str("license").c_str(), model.str("package", "comes with Lakeloop").c_str(),
                model.str("version").c_str());
  }
}

void import_model(ApiClient& client, const std::string& model, const std::string& file, bool json) {
  const std::string path = std::filesystem::absolute(file).lexically_normal().string();
  const Json started = client.post("/api/2.0/lakeloop/hub/import", Json::object({{"model", model}, {"file", path}}));
  const Json result = client.wait_for_task(started.str("task_id"));
  if (json) {
    std::printf("%s\n", result.dump_pretty().c_str());
    return;
  }
  std::printf("model %s: version %lld, sha256 %s%s\n", result.str("name").c_str(),
              static_cast<long long>(result["version"].int_or(0)), result.str("sha256").substr(0, 16).c_str(),
              result["imported"].bool_or(true) ? "" : " (was there)");
}

void sql(ApiClient& client, const std::string& statement, bool json) {
  Json answer =
      client.post("/api/2.0/sql/statements",
                  Json::object({{"statement", statement}, {"warehouse_id", "local"}, {"wait_timeout", "50s"}}));
  const auto state = [&answer] { return answer["status"].str("state"); };
  while (state() == "PENDING" || state() == "RUNNING") {
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    answer = client.get("/api/2.0/sql/statements/" + answer.str("statement_id"));
  }
  if (json) {
    std::printf("%s\n", answer.dump_pretty().c_str());
    return;
  }
  if (state() != "SUCCEEDED") {
    throw Error(ErrorCode::kUpstream, "{}", answer["status"]["error"].str("message", "the statement was cancelled"));
  }
  const Json& rows = answer["result"]["data_array"];
  print_table(answer["manifest"]["schema"]["columns"], rows.is_array() ? rows : Json::array());
  std::printf("(%zu rows%s)\n", rows.size(),
              answer["manifest"]["truncated"].bool_or(false) ? ", cut at the limit" : "");
}

void create_token(ApiClient& client, const std::string& comment, std::int64_t lifetime_seconds, bool json) {
  Json body = Json::object({{"comment", comment}});
  if (lifetime_seconds > 0) body.set("lifetime_seconds", lifetime_seconds);
  const Json answer = client.post("/api/2.0/token/create", body);
  if (json) {
    std::printf("%s\n", answer.dump_pretty().c_str());
    return;
  }
  std::printf("%s\n", answer.str("token_value").c_str());
}

}  // namespace lakeloop::app
