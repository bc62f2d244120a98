#include "search/metadata.h"

#include "base/limits.h"
#include "base/text.h"

namespace lakeloop::search {

namespace {

Json spec_to_json(const IndexSpec& spec) {
  return Json::object({{"name", spec.name},
                       {"endpoint_name", spec.endpoint_name},
                       {"primary_key", spec.primary_key},
                       {"source_table", spec.source_table},
                       {"pipeline_type", spec.pipeline_type},
                       {"embedding_source_column", spec.embedding_source_column},
                       {"embedding_endpoint", spec.embedding_endpoint},
                       {"context_column", spec.context_column},
                       {"columns_to_sync", Json::strings(spec.columns_to_sync)},
                       {"text_columns", Json::strings(spec.text_columns)}});
}

std::vector<std::string> strings(const Json& json) {
  std::vector<std::string> result;
  for (std::size_t i = 0; i < json.size(); ++i) result.push_back(json.at(i).string_or({}));
  return result;
}

IndexSpec spec_from_json(const Json& json) {
  IndexSpec spec;
  spec.name = json.str("name");
  spec.endpoint_name = json.str("endpoint_name");
  spec.primary_key = json.str("primary_key");
  spec.source_table = json.str("source_table");
  spec.pipeline_type = json.str("pipeline_type");
  spec.embedding_source_column = json.str("embedding_source_column");
  spec.embedding_endpoint = json.str("embedding_endpoint");
  spec.context_column = json.str("context_column");
  spec.columns_to_sync = strings(json["columns_to_sync"]);
  spec.text_columns = strings(json["text_columns"]);
  return spec;
}

Json principal_to_json(const Principal& who) {
  return Json::object({{"id", who.id},
                       {"name", who.name},
                       {"kind", static_cast<int>(who.kind)},
                       {"admin", who.admin},
                       {"groups", Json::strings(who.groups)}});
}

Principal principal_from_json(const Json& json) {
  Principal who;
  who.id = json.str("id");
  who.name = json.str("name");
  who.kind = static_cast<identity::PrincipalKind>(json["kind"].int_or(0));
  who.admin = json["admin"].bool_or(false);
  who.groups = strings(json["groups"]);
  return who;
}

EndpointRecord endpoint_of(const db::Row& row) {
  return {row.text(0), row.text(1), row.text(2), row.text(3), Timestamp{row.integer(4)}};
}

constexpr std::string_view kEndpointColumns = "SELECT id, name, type, creator, created FROM search_endpoints ";

}  // namespace

std::vector<db::Migration> migrations() {
  return {{"search", 1,
           "CREATE TABLE search_endpoints (id TEXT PRIMARY KEY, name_key TEXT NOT NULL UNIQUE, name TEXT NOT NULL, "
           "type TEXT NOT NULL, "
           "creator TEXT NOT NULL, created BIGINT NOT NULL);"
           "CREATE TABLE search_indexes (id TEXT PRIMARY KEY, name_key TEXT NOT NULL UNIQUE, endpoint_id TEXT NOT NULL "
           "REFERENCES "
           "search_endpoints (id), spec TEXT NOT NULL, creator TEXT NOT NULL, created BIGINT NOT NULL, phase INTEGER "
           "NOT NULL);"
           "CREATE INDEX search_indexes_by_endpoint ON search_indexes (endpoint_id)"}};
}

void Metadata::add_endpoint(const EndpointRecord& endpoint) {
  database_.write([&](db::Transaction& t) {
    const auto key = ascii_lower(endpoint.name);
    if (t.query_one("SELECT 1 FROM search_endpoints WHERE name_key = $1", {key})) {
      throw Error(ErrorCode::kAlreadyExists, "vector search endpoint {} already exists", endpoint.name);
    }
    const auto count = t.query_one("SELECT count(*) FROM search_endpoints");
    if (count && count->integer(0) >= static_cast<std::int64_t>(limits::kSearchEndpoints)) {
      throw Error(ErrorCode::kResourceExhausted, "a workspace has at most {} vector search endpoints",
                  limits::kSearchEndpoints);
    }
    t.execute(
        "INSERT INTO search_endpoints (id, name_key, name, type, creator, created) VALUES ($1, $2, $3, $4, $5, $6)",
        {endpoint.id, key, endpoint.name, endpoint.type, endpoint.creator, endpoint.created.micros});
  });
}

std::optional<EndpointRecord> Metadata::find_endpoint(std::string_view name) {
  return database_.reading([&](db::Transaction& t) -> std::optional<EndpointRecord> {
    const auto row = t.query_one(std::string(kEndpointColumns) + "WHERE name_key = $1", {ascii_lower(name)});
    if (!row) return std::nullopt;
    return endpoint_of(*row);
  });
}

std::vector<EndpointRecord> Metadata::endpoints() {
  return database_.reading([&](db::Transaction& t) {
    std::vector<EndpointRecord> result;
    for (const db::Row& row : t.query(std::string(kEndpointColumns) + "ORDER BY name_key"))
      result.push_back(endpoint_of(row));
    return result;
  });
}

void Metadata::remove_endpoint(std::string_view id) {
  database_.write([&](db::Transaction& t) {
    const auto count = t.query_one("SELECT count(*) FROM search_indexes WHERE endpoint_id = $1", {std::string(id)});
    if (count && count->integer(0) > 0) {
      throw Error(ErrorCode::kConflict, "the endpoint still has {} indexes: delete them first", count->integer(0));
    }
    t.execute("DELETE FROM search_endpoints WHERE id = $1", {std::string(id)});
  });
}

void Metadata::add_index(const IndexRecord& index) {
  database_.write([&](db::Transaction& t) {
    const auto key = ascii_lower(index.spec.name);
    if (const auto row = t.query_one("SELECT phase FROM search_indexes WHERE name_key = $1", {key})) {
      if (row->integer(0) == static_cast<std::int64_t>(IndexPhase::kDeleting)) {
        throw Error(ErrorCode::kInvalidArgument, "Index {} is currently pending deletion. Try again in a moment.",
                    index.spec.name);
      }
      throw Error(ErrorCode::kAlreadyExists, "Index {} already exists.", index.spec.name);
    }
    const auto count = t.query_one("SELECT count(*) FROM search_indexes WHERE endpoint_id = $1", {index.endpoint_id});
    if (count && count->integer(0) >= static_cast<std::int64_t>(limits::kIndexesPerEndpoint)) {
      throw Error(ErrorCode::kResourceExhausted, "an endpoint has at most {} indexes", limits::kIndexesPerEndpoint);
    }
    t.execute(
        "INSERT INTO search_indexes (id, name_key, endpoint_id, spec, creator, created, phase) VALUES ($1, $2, $3, $4, "
        "$5, $6, $7)",
        {index.id, key, index.endpoint_id, spec_to_json(index.spec).dump(), principal_to_json(index.creator).dump(),
         index.created.micros, static_cast<std::int64_t>(index.phase)});
  });
}

std::vector<IndexRecord> Metadata::indexes() {
  return database_.reading([&](db::Transaction& t) {
    std::vector<IndexRecord> result;
    for (const db::Row& row :
         t.query("SELECT id, spec, endpoint_id, creator, created, phase FROM search_indexes ORDER BY name_key")) {
      result.push_back({row.text(0), spec_from_json(Json::parse(row.text(1))), row.text(2),
                        principal_from_json(Json::parse(row.text(3))), Timestamp{row.integer(4)},
                        static_cast<IndexPhase>(row.integer(5))});
    }
    return result;
  });
}

std::size_t Metadata::count_indexes(std::string_view endpoint_id) {
  return database_.reading([&](db::Transaction& t) {
    const auto row =
        t.query_one("SELECT count(*) FROM search_indexes WHERE endpoint_id = $1", {std::string(endpoint_id)});
    return static_cast<std::size_t>(row ? row->integer(0) : 0);
  });
}

void Metadata::set_phase(std::string_view id, IndexPhase phase) {
  database_.write([&](db::Transaction& t) {
    t.execute("UPDATE search_indexes SET phase = $2 WHERE id = $1",
              {std::string(id), static_cast<std::int64_t>(phase)});
  });
}

void Metadata::remove_index(std::string_view id) {
  database_.write(
      [&](db::Transaction& t) { t.execute("DELETE FROM search_indexes WHERE id = $1", {std::string(id)}); });
}

}  // namespace lakeloop::search
