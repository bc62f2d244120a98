#include "serving/endpoint_store.h"

#include "serving/serving.h"

namespace lakeloop::serving {
namespace {

constexpr std::string_view kColumns =
    "id, name, creator, description, created, updated, config, ai_gateway, tags, config_version, experiment_id, "
    "sealed_secret, "
    "payload_table";

Endpoint from_row(const db::Row& row) {
  Endpoint endpoint{.id = row.text(0),
                    .name = row.text(1),
                    .creator = row.text(2),
                    .description = row.text(3),
                    .created = Timestamp{row.integer(4)},
                    .updated = Timestamp{row.integer(5)},
                    .config = Json::parse(row.text(6)),
                    .ai_gateway = Json::parse(row.text(7)),
                    .tags = Json::parse(row.text(8)),
                    .config_version = row.integer(9),
                    .experiment_id = row.text(10),
                    .sealed_secret = row.text(11),
                    .payload_table = row.text(12),
                    .entities = {}};
  endpoint.entities = parse_endpoint_config(endpoint.config).entities;
  return endpoint;
}

}  // namespace

std::vector<db::Migration> migrations() {
  return {{.module = "serving", .number = 1, .sql = R"(CREATE TABLE serving_endpoints (
                       id TEXT PRIMARY KEY,
                       name TEXT NOT NULL UNIQUE,
                       creator TEXT NOT NULL,
                       description TEXT NOT NULL,
                       created INTEGER NOT NULL,
                       updated INTEGER NOT NULL,
                       config TEXT NOT NULL,
                       ai_gateway TEXT NOT NULL,
                       tags TEXT NOT NULL,
                       config_version INTEGER NOT NULL,
                       experiment_id TEXT NOT NULL,
                       sealed_secret TEXT NOT NULL,
                       payload_table TEXT NOT NULL))"}};
}

void EndpointStore::insert(const Endpoint& e) {
  database_.write([&](db::Transaction& t) {
    t.execute(
        "INSERT INTO serving_endpoints (id, name, creator, description, created, updated, config, ai_gateway, tags, "
        "config_version, experiment_id, sealed_secret, payload_table) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        {e.id, e.name, e.creator, e.description, e.created.micros, e.updated.micros, e.config.dump(),
         e.ai_gateway.dump(), e.tags.dump(), e.config_version, e.experiment_id, e.sealed_secret, e.payload_table});
  });
}

void EndpointStore::update(const Endpoint& e) {
  database_.write([&](db::Transaction& t) {
    t.execute(
        "UPDATE serving_endpoints SET description = $2, updated = $3, config = $4, ai_gateway = $5, tags = $6, "
        "config_version = $7, sealed_secret = $8, payload_table = $9 WHERE name = $1",
        {e.name, e.description, e.updated.micros, e.config.dump(), e.ai_gateway.dump(), e.tags.dump(), e.config_version,
         e.sealed_secret, e.payload_table});
  });
}

void EndpointStore::erase(std::string_view name) {
  database_.write(
      [&](db::Transaction& t) { t.execute("DELETE FROM serving_endpoints WHERE name = $1", {std::string(name)}); });
}

std::optional<Endpoint> EndpointStore::find(std::string_view name) {
  std::optional<Endpoint> endpoint;
  database_.read([&](db::Transaction& t) {
    const auto row =
        t.query_one("SELECT " + std::string(kColumns) + " FROM serving_endpoints WHERE name = $1", {std::string(name)});
    if (row) endpoint = from_row(*row);
  });
  return endpoint;
}

std::vector<Endpoint> EndpointStore::all() {
  std::vector<Endpoint> endpoints;
  database_.read([&](db::Transaction& t) {
    for (const db::Row& row : t.query("SELECT " + std::string(kColumns) + " FROM serving_endpoints ORDER BY name")) {
      endpoints.push_back(from_row(row));
    }
  });
  return endpoints;
}

}  // namespace lakeloop::serving
