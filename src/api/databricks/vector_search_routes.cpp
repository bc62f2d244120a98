#include "api/databricks/vector_search_routes.h"

namespace lakeloop::api::databricks {
namespace {

using search::IndexSpec;
using search::IndexStatus;
using search::QueryType;
using search::SearchQuery;

constexpr std::int64_t kDefaultResults = 10;

std::vector<std::string> strings_of(const Json& list, std::string_view field) {
  std::vector<std::string> texts;
  if (list.is_null()) return texts;
  if (!list.is_array()) throw Error(ErrorCode::kInvalidArgument, "{} must be a list of strings", field).with_param(std::string(field));
  for (const Json& item : list.items()) {
    if (!item.is_string()) {
      throw Error(ErrorCode::kInvalidArgument, "{} must be a list of strings", field).with_param(std::string(field));
    }
    texts.push_back(item.as_string());
  }
  return texts;
}

IndexSpec spec_of(const Json& fields, std::string endpoint) {
  const std::string type = fields.str("index_type");
  if (type == "DIRECT_ACCESS") {
    throw Error(ErrorCode::kUnimplemented, "index_type DIRECT_ACCESS is not served; use DELTA_SYNC over a table");
  }
  if (type != "DELTA_SYNC") throw Error(ErrorCode::kInvalidArgument, "index_type must be DELTA_SYNC").with_param("index_type");
  const Json& delta = fields["delta_sync_index_spec"];
  if (!delta.is_object()) {
    throw Error(ErrorCode::kInvalidArgument, "delta_sync_index_spec is required for DELTA_SYNC").with_param("delta_sync_index_spec");
  }
  IndexSpec spec;
  spec.name = fields.str("name");
  spec.endpoint_name = std::move(endpoint);
  spec.primary_key = fields.str("primary_key");
  spec.source_table = delta.str("source_table");
  spec.pipeline_type = delta.str("pipeline_type", "TRIGGERED");
  if (delta["embedding_vector_columns"].size() > 0) {
    throw Error(ErrorCode::kUnimplemented,
                "embedding_vector_columns: self-managed vectors are not served; name embedding_source_columns");
  }
  const Json& sources = delta["embedding_source_columns"];
  if (sources.size() > 1) {
    throw Error(ErrorCode::kUnimplemented, "embedding_source_columns: one column is served, {} were given", sources.size());
  }
  spec.embedding_source_column = sources.at(0).str("name");
  spec.embedding_endpoint = sources.at(0).str("embedding_model_endpoint_name");
  spec.context_column = delta.str("embedding_context_column");
  spec.columns_to_sync = strings_of(delta["columns_to_sync"], "columns_to_sync");
  return spec;
}

Json to_json(const IndexStatus& status, const std::string& base_url) {
  const IndexSpec& spec = status.spec;
  Json delta = Json::object({{"source_table", spec.source_table}, {"pipeline_type", spec.pipeline_type},
                             {"pipeline_id", status.id}});
  if (!spec.embedding_source_column.empty()) {
    delta.set("embedding_source_columns",
              Json::array({Json::object({{"name", spec.embedding_source_column},
                                         {"embedding_model_endpoint_name", spec.embedding_endpoint}})}));
  }
  if (!spec.context_column.empty()) delta.set("embedding_context_column", spec.context_column);
  if (!spec.columns_to_sync.empty()) delta.set("columns_to_sync", Json::strings(spec.columns_to_sync));
  return Json::object({{"name", spec.name},
                       {"endpoint_name", spec.endpoint_name},
                       {"primary_key", spec.primary_key},
                       {"index_type", "DELTA_SYNC"},
                       {"creator", status.creator},
                       {"delta_sync_index_spec", std::move(delta)},
                       {"status", Json::object({{"detailed_state", status.detailed_state},
                                                {"message", status.message},
                                                {"ready", status.ready},
                                                {"indexed_row_count", status.indexed_rows},
                                                {"rows_with_vectors", status.rows_with_vectors},
                                                {"source_version", status.source_version},
                                                {"manifest", status.manifest},
                                                {"embedding_model", status.embedding_model},
                                                {"index_url", base_url + "/api/2.0/vector-search/indexes/" + spec.name}})}});
}

SearchQuery query_of(const Json& fields) {
  SearchQuery query;
  // The older client sends the same text as `query` and `query_text`.
  query.text = fields.str("query_text", fields.str("query"));
  const Json& vector = fields["query_vector"];
  if (!vector.is_null()) {
    if (!vector.is_array()) throw Error(ErrorCode::kInvalidArgument, "query_vector must be a list of numbers").with_param("query_vector");
    for (const Json& value : vector.items()) {
      if (!value.is_number()) {
        throw Error(ErrorCode::kInvalidArgument, "query_vector must be a list of numbers").with_param("query_vector");
      }
      query.vector.push_back(static_cast<float>(value.as_double()));
    }
  }
  const std::string type = fields.str("query_type", "ANN");
  if (type == "ANN") {
    query.type = QueryType::kAnn;
  } else if (type == "HYBRID") {
    query.type = QueryType::kHybrid;
  } else if (type == "FULL_TEXT") {
    query.type = QueryType::kFullText;
  } else {
    throw Error(ErrorCode::kInvalidArgument, "query_type must be ANN, HYBRID or FULL_TEXT").with_param("query_type");
  }
  query.num_results = fields["num_results"].int_or(kDefaultResults);
  if (query.num_results < 1) {
    throw Error(ErrorCode::kInvalidArgument, "num_results must be at least 1").with_param("num_results");
  }
  query.columns = strings_of(fields["columns"], "columns");
  if (const std::string filters = fields.str("filters_json"); !filters.empty()) query.filters = Json::parse(filters);
  query.filter_string = fields.str("filter_string");
  query.score_threshold = fields["score_threshold"].double_or(0);
  for (const char* field : {"reranker", "facets", "sort_columns", "columns_to_rerank", "query_columns"}) {
    const Json& value = fields[field];
    if (!value.is_null() && (value.is_object() || value.size() > 0)) {
      throw Error(ErrorCode::kUnimplemented, "{} is not served", field).with_param(field);
    }
  }
  return query;
}

Json to_json(const search::SearchResult& result, bool with_parts) {
  Json columns = Json::array();
  for (const delta::Field& field : result.columns) {
    columns.push_back(Json::object({{"name", field.name}, {"type_text", field.type.text()}}));
  }
  if (with_parts) {
    columns.push_back(Json::object({{"name", "vector_score"}, {"type_text", "double"}}));
    columns.push_back(Json::object({{"name", "text_score"}, {"type_text", "double"}}));
  }
  // Clients take the last column for the score.
  columns.push_back(Json::object({{"name", "score"}, {"type_text", "double"}}));
  Json rows = Json::array();
  for (const search::Hit& hit : result.hits) {
    Json row = Json(hit.values);
    if (with_parts) {
      row.push_back(hit.vector_score);
      row.push_back(hit.text_score);
    }
    row.push_back(hit.score);
    rows.push_back(std::move(row));
  }
  Json manifest = Json::object({{"column_count", columns.size()}, {"columns", columns}});
  Json body = Json::object({{"manifest", std::move(manifest)},
                            {"result", Json::object({{"row_count", rows.size()}, {"data_array", std::move(rows)}})},
                            {"next_page_token", ""}});
  body.set("debug_info", Json::object({{"source_version", result.source_version},
                                       {"manifest", result.manifest},
                                       {"query_type", result.query_type}}));
  return body;
}

const std::vector<Field> kQueryFields = {
    {"columns", FieldType::kArray, false, "Columns to return"},
    {"query_text", FieldType::kString, false, "Text to search for"},
    {"query_vector", FieldType::kArray, false, "Vector to search for"},
    {"query_type", FieldType::kString, false, "ANN, HYBRID or FULL_TEXT"},
    {"num_results", FieldType::kInteger, false, "Default 10"},
    {"filters_json", FieldType::kString, false, "Filter as JSON: {\"column >\": 5}"},
    {"filter_string", FieldType::kString, false, "Filter in SQL's words: column > 5"},
    {"score_threshold", FieldType::kNumber, false, ""},
    {"debug_level", FieldType::kInteger, false, "1: both part scores as columns vector_score and text_score"}};

}  // namespace

Routes vector_search_routes(search::VectorSearch& search, std::string base_url) {
  Routes routes;
  const std::string base = "/api/2.0/vector-search";
  const auto add = [&](net::Method method, std::string path, std::string name, std::string summary, std::vector<Field> fields,
                       JsonHandler handler) {
    routes.push_back({.method = method,
                      .path = base + std::move(path),
                      .scope = Scope::authenticated(),
                      .name = "vectorSearch." + std::move(name),
                      .summary = std::move(summary),
                      .request = std::move(fields),
                      .handler = std::move(handler)});
  };
  add(net::Method::kPost, "/endpoints", "createEndpoint", "Create a vector search endpoint",
      {{"name", FieldType::kString, true, ""}, {"endpoint_type", FieldType::kString, true, "STANDARD or STORAGE_OPTIMIZED"}},
      [&search](Call& call) { return search.create_endpoint(call.who, call.str("name"), call.str("endpoint_type")); });
  add(net::Method::kGet, "/endpoints", "listEndpoints", "Vector search endpoints", {}, [&search](Call& call) {
    return Json::object({{"endpoints", Json(search.list_endpoints(call.who))}});
  });
  add(net::Method::kGet, "/endpoints/{endpoint_name}", "getEndpoint", "One vector search endpoint", {}, [&search](Call& call) {
    return search.get_endpoint(call.who, call.str("endpoint_name"));
  });
  add(net::Method::kDelete, "/endpoints/{endpoint_name}", "deleteEndpoint", "Delete a vector search endpoint", {},
      [&search](Call& call) {
        search.delete_endpoint(call.who, call.str("endpoint_name"));
        return Json::object();
      });

  const std::vector<Field> create_fields = {{"name", FieldType::kString, true, "Full name of the index"},
                                            {"endpoint_name", FieldType::kString, false, ""},
                                            {"primary_key", FieldType::kString, true, ""},
                                            {"index_type", FieldType::kString, true, "DELTA_SYNC"},
                                            {"delta_sync_index_spec", FieldType::kObject, false, ""}};
  const JsonHandler create = [&search, base_url](Call& call) {
    return to_json(search.create_index(call.who, spec_of(call.fields, call.str("endpoint_name"))), base_url);
  };
  const JsonHandler list = [&search, base_url](Call& call) {
    Json indexes = Json::array();
    for (const IndexStatus& status : search.list_indexes(call.who, call.str("endpoint_name"))) {
      indexes.push_back(to_json(status, base_url));
    }
    return Json::object({{"vector_indexes", std::move(indexes)}});
  };
  const JsonHandler get = [&search, base_url](Call& call) { return to_json(search.get_index(call.who, call.str("index_name")), base_url); };
  const JsonHandler remove = [&search](Call& call) {
    search.delete_index(call.who, call.str("index_name"));
    return Json::object();
  };
  const JsonHandler sync = [&search](Call& call) {
    search.sync(call.who, call.str("index_name"));
    return Json::object();
  };
  const JsonHandler query = [&search](Call& call) {
    const bool with_parts = call.integer("debug_level") >= 1;
    return to_json(search.query(call.who, call.str("index_name"), query_of(call.fields), call.deadline), with_parts);
  };
  // Twice: as databricks-sdk has it, and below the endpoint as databricks-vectorsearch has it.
  const std::string roots[] = {"", "/endpoints/{endpoint_name}"};
  for (const std::string& root : roots) {
    const std::string suffix = root.empty() ? "" : "OfEndpoint";
    add(net::Method::kPost, root + "/indexes", "createIndex" + suffix, "Create an index over a table", create_fields, create);
    add(net::Method::kGet, root + "/indexes", "listIndexes" + suffix, "Indexes that the caller may query",
        {{"endpoint_name", FieldType::kString, true, "Endpoint"}}, list);
    add(net::Method::kGet, root + "/indexes/{index_name}", "getIndex" + suffix, "State of an index", {}, get);
    add(net::Method::kDelete, root + "/indexes/{index_name}", "deleteIndex" + suffix, "Delete an index; its table stays", {}, remove);
    add(net::Method::kPost, root + "/indexes/{index_name}/sync", "syncIndex" + suffix, "Bring an index up to its table", {}, sync);
    add(net::Method::kPost, root + "/indexes/{index_name}/query", "queryIndex" + suffix, "Search", kQueryFields, query);
    add(net::Method::kGet, root + "/indexes/{index_name}/query", "queryIndexByGet" + suffix,
        "Search; the body of the GET holds the query", kQueryFields, query);
  }
  return routes;
}

}  // namespace lakeloop::api::databricks
