#include "search/vector_search.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "base/format.h"
#include "base/id.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "search/distance.h"
#include "search/index_sync.h"
#include "search/metadata.h"
#include "search/ranking.h"
#include "search/scheduler.h"

namespace lakeloop::search {

namespace {

using catalog::Privilege;
using catalog::Securable;
using catalog::SecurableType;

Histogram query_seconds("lakeloop_search_query_seconds",
                        "Time of a vector search query, without the embedding of its text",
                        {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5}, {"query_type"});

Securable index_securable(std::string_view name) {
  return {SecurableType::kTable, std::string(name)};
}

bool is_plain(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

void check_index_name(std::string_view name) {
  const auto parts = split(name, '.');
  if (parts.size() != 3 || name.size() > 255 || !std::ranges::all_of(parts, is_plain)) {
    throw Error(ErrorCode::kInvalidArgument,
                "Invalid index name. Must specify the full index name <catalog>.<schema>.<table>. Only alphanumerics "
                "and underscores are "
                "allowed.");
  }
}

std::string_view to_string(QueryType type) {
  switch (type) {
    case QueryType::kAnn:
      return "ANN";
    case QueryType::kHybrid:
      return "HYBRID";
    case QueryType::kFullText:
      return "FULL_TEXT";
  }
  return "";
}

const delta::Field& source_column(const delta::Schema& schema, std::string_view name, std::string_view field,
                                  const IndexSpec& spec) {
  const auto found = delta::find_column(schema, name);
  if (!found) throw Error(ErrorCode::kInvalidArgument, "{}: table {} has no column {}", field, spec.source_table, name);
  return schema[*found];
}

void check_text_column(const delta::Schema& schema, std::string_view name, std::string_view field,
                       const IndexSpec& spec) {
  const delta::Field& column = source_column(schema, name, field, spec);
  if (column.type.kind != delta::TypeKind::kString) {
    throw Error(ErrorCode::kInvalidArgument, "{}: column {} must be of type string, it is {}", field, name,
                column.type.text());
  }
}

void check_columns(const delta::Schema& schema, const IndexSpec& spec) {
  using enum delta::TypeKind;
  const delta::Field& key = source_column(schema, spec.primary_key, "primary_key", spec);
  if (key.type.kind != kString && key.type.kind != kLong && key.type.kind != kInteger && key.type.kind != kShort &&
      key.type.kind != kByte) {
    throw Error(ErrorCode::kInvalidArgument, "primary_key: column {} must be a string or an integer, it is {}",
                spec.primary_key, key.type.text());
  }
  for (const std::string& name : spec.columns_to_sync) source_column(schema, name, "columns_to_sync", spec);
  for (const std::string& name : spec.text_columns) check_text_column(schema, name, "text_columns", spec);
  if (!spec.embedding_source_column.empty())
    check_text_column(schema, spec.embedding_source_column, "embedding_source_columns", spec);
  if (!spec.context_column.empty()) check_text_column(schema, spec.context_column, "context_column", spec);
}

// While the engine is away a hybrid query is answered by text; a mistake of the caller's stays an error.
bool is_outage(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kUnavailable:
    case ErrorCode::kUpstream:
    case ErrorCode::kNotFound:
    case ErrorCode::kPermissionDenied:
    case ErrorCode::kRateLimited:
    case ErrorCode::kResourceExhausted:
    case ErrorCode::kDataLoss:
    case ErrorCode::kInternal:
      return true;
    default:
      return false;
  }
}

}  // namespace

struct VectorSearch::Impl {
  Metadata metadata;
  catalog::Catalog& catalog;
  gateway::EngineDirectory& engines;
  const std::filesystem::path folder;
  std::shared_mutex mutex;
  std::map<std::string, std::shared_ptr<IndexSync>> indexes;  // by name in lower case
  Scheduler scheduler;                                        // last: its lanes end before what they use

  Impl(db::Database& database, catalog::Catalog& c, gateway::EngineDirectory& e, std::filesystem::path f)
      : metadata(database), catalog(c), engines(e), folder(std::move(f)) {}

  void start(const IndexRecord& record) {
    auto index = std::make_shared<IndexSync>(record, catalog, engines, folder / record.id, IndexOptions{});
    // No lock is held here that the scheduler takes; waiters look again.
    index->index().on_publish([this] { scheduler.wake(); });
    {
      const std::lock_guard lock(mutex);
      indexes[ascii_lower(record.spec.name)] = index;
    }
    scheduler.add(index, record.spec.pipeline_type == "CONTINUOUS");
  }

  // Finishes what a crash left half done, then starts all indexes.
  void open() {
    std::filesystem::create_directories(folder);
    std::vector<std::string> known;
    for (IndexRecord& record : metadata.indexes()) {
      if (record.phase == IndexPhase::kDeleting) {
        erase(record);
        continue;
      }
      if (record.phase == IndexPhase::kCreating) {
        try {
          catalog.register_index(record.creator, record.spec.name, record.spec.source_table);
        } catch (const Error& error) {
          if (error.code() != ErrorCode::kAlreadyExists) {
            log_warning("search_index_not_registered", {{"index", record.spec.name}, {"error", error.message()}});
            metadata.remove_index(record.id);
            continue;
          }
        }
        metadata.set_phase(record.id, IndexPhase::kActive);
        record.phase = IndexPhase::kActive;
      }
      known.push_back(record.id);
      start(record);
    }
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (!std::ranges::contains(known, entry.path().filename().string()))
        std::filesystem::remove_all(entry.path(), ignored);
    }
  }

  // The record is in phase kDeleting; each step may have been done before. Whoever asked for it was allowed to, so the
  // rest is ours: rights that changed since then must not leave it half done.
  void erase(const IndexRecord& record) {
    Principal ourselves;
    ourselves.name = "lakeloop";
    ourselves.admin = true;
    try {
      catalog.unregister_index(ourselves, record.spec.name);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder / record.id, ignored);
    metadata.remove_index(record.id);
  }

  std::shared_ptr<IndexSync> find(std::string_view name) {
    const std::shared_lock lock(mutex);
    const auto found = indexes.find(ascii_lower(name));
    if (found == indexes.end()) throw Error(ErrorCode::kNotFound, "Index {} does not exist.", name);
    return found->second;
  }

  std::shared_ptr<IndexSync> find_for(const Principal& who, Privilege privilege, std::string_view name) {
    std::shared_ptr<IndexSync> index = find(name);
    catalog.authorize(who, privilege, index_securable(index->record().spec.name));
    return index;
  }

  EndpointRecord endpoint(std::string_view name) {
    auto found = metadata.find_endpoint(name);
    if (!found) throw Error(ErrorCode::kNotFound, "Vector search endpoint {} does not exist.", name);
    return *found;
  }

  Json endpoint_json(const EndpointRecord& endpoint) {
    return Json::object({{"id", endpoint.id},
                         {"name", endpoint.name},
                         {"endpoint_type", endpoint.type},
                         {"creator", endpoint.creator},
                         {"creation_timestamp", endpoint.created.millis()},
                         {"last_updated_timestamp", endpoint.created.millis()},
                         {"last_updated_user", endpoint.creator},
                         {"num_indexes", metadata.count_indexes(endpoint.id)},
                         {"endpoint_status", Json::object({{"state", "ONLINE"}})}});
  }

  IndexStatus status(IndexSync& index) {
    const IndexRecord& record = index.record();
    const IndexSync::State state = index.state();
    const std::shared_ptr<const View> view = index.index().view();
    const Manifest& manifest = view->manifest;
    IndexStatus status;
    status.spec = record.spec;
    status.id = record.id;
    status.creator = record.creator.name;
    status.created = record.created;
    status.ready = manifest.number > 0;
    status.indexed_rows = static_cast<std::int64_t>(view->live_rows);
    status.rows_with_vectors = static_cast<std::int64_t>(view->rows_with_vectors);
    status.source_version = manifest.source_version;
    status.manifest = manifest.number;
    if (manifest.model) {
      status.embedding_model = manifest.model->model;
      status.embedding_sha256 = manifest.model->sha256;
    }
    const bool behind = scheduler.busy(index) || state.seen_version > manifest.source_version;
    const bool filling = index.has_model() && (view->pending_rows > 0 || manifest.next);
    if (!status.ready) {
      status.detailed_state = state.row_error.empty() ? "PROVISIONING_INITIAL_SNAPSHOT" : "OFFLINE_FAILED";
    } else if (!state.row_error.empty()) {
      status.detailed_state = "ONLINE_PIPELINE_FAILED";
    } else if (behind || filling) {
      status.detailed_state =
          record.spec.pipeline_type == "CONTINUOUS" ? "ONLINE_CONTINUOUS_UPDATE" : "ONLINE_TRIGGERED_UPDATE";
    } else {
      status.detailed_state = "ONLINE_NO_PENDING_UPDATE";
    }
    std::vector<std::string> notes;
    if (!state.row_error.empty()) notes.push_back("sync failed and is tried again: " + state.row_error);
    if (!state.vector_error.empty())
      notes.push_back("vectors wait, text is searchable; tried again: " + state.vector_error);
    if (filling) notes.push_back(lakeloop::format("{} rows wait for their vector", view->pending_rows));
    if (manifest.next) notes.push_back(lakeloop::format("being embedded again with {}", manifest.next->model));
    if (!state.note.empty()) notes.push_back(state.note);
    if (manifest.refused_rows > 0) {
      std::vector<std::string> rows;
      for (const RefusedRow& row : manifest.refused) rows.push_back(row.key + ": " + row.reason);
      notes.push_back(lakeloop::format("{} rows refused ({})", manifest.refused_rows, join(rows, "; ")));
    }
    status.message = join(notes, ". ");
    return status;
  }

  void check_spec(const Principal& who, const IndexSpec& spec) {
    if (spec.pipeline_type != "CONTINUOUS" && spec.pipeline_type != "TRIGGERED") {
      throw Error(ErrorCode::kInvalidArgument, "pipeline_type must be CONTINUOUS or TRIGGERED, not {}",
                  spec.pipeline_type);
    }
    if (spec.embedding_source_column.empty() != spec.embedding_endpoint.empty()) {
      throw Error(ErrorCode::kInvalidArgument,
                  "embedding_source_columns: give both the column and the endpoint of the embedding model, or neither "
                  "for a text index");
    }
    const auto parts = split(spec.name, '.');
    catalog.authorize(who, Privilege::kCreateTable,
                      {SecurableType::kSchema, lakeloop::format("{}.{}", parts[0], parts[1])});
    const delta::Snapshot snapshot = catalog.open_table(who, spec.source_table, Privilege::kSelect).snapshot();
    check_columns(snapshot.schema, spec);
    if (!snapshot.change_feed_enabled()) {
      throw Error(ErrorCode::kInvalidArgument,
                  "source_table {} has no change data feed, which an index needs to follow it. Switch it on with: "
                  "ALTER TABLE {} SET "
                  "TBLPROPERTIES (delta.enableChangeDataFeed = true)",
                  spec.source_table, spec.source_table);
    }
    if (spec.embedding_endpoint.empty()) return;
    try {
      engines.engine(who, spec.embedding_endpoint);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnavailable) throw;  // a model that is still loading may be named
    }
  }

  // Fills in request.vector, or changes `ran` to full text.
  void resolve_vector(IndexSync& index, const View& view, const SearchQuery& query, RankRequest& request,
                      QueryType& ran, const Deadline& deadline) {
    const std::string& name = index.record().spec.name;
    if (ran == QueryType::kFullText) return;
    if (!index.has_model()) {
      if (ran == QueryType::kHybrid) {
        ran = QueryType::kFullText;
        return;
      }
      throw Error(ErrorCode::kInvalidArgument, "index {} holds no vectors: use query_type FULL_TEXT", name);
    }
    if (!query.vector.empty()) {
      const std::int64_t dimension = view.manifest.model ? view.manifest.model->dimension : 0;
      if (dimension > 0 && static_cast<std::int64_t>(query.vector.size()) != dimension) {
        throw Error(ErrorCode::kInvalidArgument, "query_vector has {} numbers, index {} holds vectors of {}",
                    query.vector.size(), name, dimension);
      }
      request.vector = query.vector;
      if (!normalize(request.vector)) {
        throw Error(ErrorCode::kInvalidArgument,
                    "query_vector has no direction: it is all zeros, or holds NaN or an infinite number");
      }
      return;
    }
    try {
      if (ran == QueryType::kHybrid && !view.manifest.model) {
        ran = QueryType::kFullText;  // no vector is there yet
        return;
      }
      request.vector = index.embed_query(view, query.text, deadline);
    } catch (const Error& error) {
      if (ran != QueryType::kHybrid || !is_outage(error)) throw;
      ran = QueryType::kFullText;
    }
  }
};

VectorSearch::VectorSearch(db::Database& database, catalog::Catalog& catalog, gateway::EngineDirectory& engines,
                           std::filesystem::path folder)
    : impl_(std::make_unique<Impl>(database, catalog, engines, std::move(folder))) {
  impl_->open();
}

VectorSearch::~VectorSearch() = default;

Json VectorSearch::create_endpoint(const Principal& who, std::string_view name, std::string_view type) {
  const bool valid = !name.empty() && name.size() <= 128 &&
                     std::ranges::all_of(name, [](char c) { return c == '-' || is_plain({&c, 1}); });
  if (!valid) {
    throw Error(ErrorCode::kInvalidArgument, "name of an endpoint: 1 to 128 letters, digits, '_' and '-'");
  }
  if (type != "STANDARD" && type != "STORAGE_OPTIMIZED") {
    throw Error(ErrorCode::kInvalidArgument, "endpoint_type must be STANDARD or STORAGE_OPTIMIZED, not {}", type);
  }
  const EndpointRecord endpoint{new_uuid(), std::string(name), std::string(type), who.name, Timestamp::now()};
  impl_->metadata.add_endpoint(endpoint);
  return impl_->endpoint_json(endpoint);
}

Json VectorSearch::get_endpoint(const Principal&, std::string_view name) {
  return impl_->endpoint_json(impl_->endpoint(name));
}

std::vector<Json> VectorSearch::list_endpoints(const Principal&) {
  std::vector<Json> result;
  for (const EndpointRecord& endpoint : impl_->metadata.endpoints()) result.push_back(impl_->endpoint_json(endpoint));
  return result;
}

void VectorSearch::delete_endpoint(const Principal& who, std::string_view name) {
  const EndpointRecord endpoint = impl_->endpoint(name);
  if (!who.admin && endpoint.creator != who.name) {
    throw Error(ErrorCode::kPermissionDenied,
                "endpoint {} belongs to {}: only its owner or an administrator may delete it", name, endpoint.creator);
  }
  impl_->metadata.remove_endpoint(endpoint.id);
}

IndexStatus VectorSearch::create_index(const Principal& who, const IndexSpec& spec) {
  check_index_name(spec.name);
  const EndpointRecord endpoint = impl_->endpoint(spec.endpoint_name);
  impl_->check_spec(who, spec);
  IndexRecord record{new_uuid(), spec, endpoint.id, who, Timestamp::now(), IndexPhase::kCreating};
  record.spec.endpoint_name = endpoint.name;
  impl_->metadata.add_index(record);
  try {
    impl_->catalog.register_index(who, spec.name, spec.source_table);
  } catch (...) {
    impl_->metadata.remove_index(record.id);
    throw;
  }
  impl_->metadata.set_phase(record.id, IndexPhase::kActive);
  record.phase = IndexPhase::kActive;
  impl_->catalog.record_lineage({{"table", spec.source_table, "index", spec.name, Json::object(), record.created}});
  impl_->start(record);
  return impl_->status(*impl_->find(spec.name));
}

IndexStatus VectorSearch::get_index(const Principal& who, std::string_view name) {
  return impl_->status(*impl_->find_for(who, Privilege::kSelect, name));
}

std::vector<IndexStatus> VectorSearch::list_indexes(const Principal& who, std::string_view endpoint_name) {
  const EndpointRecord endpoint = impl_->endpoint(endpoint_name);
  std::vector<std::shared_ptr<IndexSync>> found;
  {
    const std::shared_lock lock(impl_->mutex);
    for (const auto& [key, index] : impl_->indexes) {
      if (index->record().endpoint_id == endpoint.id) found.push_back(index);
    }
  }
  std::vector<IndexStatus> result;
  for (const auto& index : found) {
    if (impl_->catalog.allowed(who, Privilege::kSelect, index_securable(index->record().spec.name)))
      result.push_back(impl_->status(*index));
  }
  return result;
}

void VectorSearch::delete_index(const Principal& who, std::string_view name) {
  const std::shared_ptr<IndexSync> index = impl_->find_for(who, Privilege::kManage, name);
  {
    const std::lock_guard lock(impl_->mutex);
    // Of two callers one deletes; for the other it is gone.
    const auto found = impl_->indexes.find(ascii_lower(name));
    if (found == impl_->indexes.end() || found->second != index)
      throw Error(ErrorCode::kNotFound, "Index {} does not exist.", name);
    impl_->metadata.set_phase(index->record().id, IndexPhase::kDeleting);
    impl_->indexes.erase(found);
  }
  impl_->scheduler.remove(*index);
  impl_->erase(index->record());
}

void VectorSearch::sync(const Principal& who, std::string_view name) {
  impl_->scheduler.request(*impl_->find_for(who, Privilege::kModify, name));
}

bool VectorSearch::wait_for(const Principal& who, std::string_view name, std::int64_t source_version, bool vectors,
                            const Deadline& deadline) {
  const std::shared_ptr<IndexSync> index = impl_->find_for(who, Privilege::kSelect, name);
  return impl_->scheduler.wait(deadline, [&] {
    const std::shared_ptr<const View> view = index->index().view();
    if (view->manifest.number == 0 || view->manifest.source_version < source_version) return false;
    return !vectors || !index->has_model() || (view->pending_rows == 0 && !view->manifest.next);
  });
}

SearchResult VectorSearch::query(const Principal& who, std::string_view name, const SearchQuery& query,
                                 const Deadline& deadline) {
  const std::shared_ptr<IndexSync> index = impl_->find_for(who, Privilege::kSelect, name);
  const std::shared_ptr<const View> view = index->index().view();
  if (view->manifest.number == 0) {
    throw Error(ErrorCode::kUnavailable, "index {} is not ready: its first snapshot is being indexed", name)
        .with_retry_after(std::chrono::seconds(1));
  }
  const std::size_t most = query.type == QueryType::kAnn ? limits::kSearchResults : limits::kHybridResults;
  if (query.num_results < 1 || query.num_results > static_cast<std::int64_t>(most)) {
    throw Error(ErrorCode::kInvalidArgument, "num_results must be 1 to {} for query_type {}", most,
                to_string(query.type));
  }
  if (query.text.size() > limits::kSearchTextBytes) {
    throw Error(ErrorCode::kInvalidArgument, "query_text is limited to {} bytes", limits::kSearchTextBytes);
  }
  if (query.text.empty() && query.type != QueryType::kAnn) {
    throw Error(ErrorCode::kInvalidArgument, "query_type {} needs query_text", to_string(query.type));
  }
  if (query.text.empty() && query.vector.empty())
    throw Error(ErrorCode::kInvalidArgument, "give query_text or query_vector");

  const delta::Schema schema = index->returned_schema(*view);
  Condition condition = compile_filters(query.filters, schema);
  if (!query.filter_string.empty()) {
    Condition both;
    both.parts = {std::move(condition), compile_filter_string(query.filter_string, schema)};
    condition = std::move(both);
  }
  SearchResult result;
  const std::vector<std::string> key_only{index->record().spec.primary_key};
  for (const std::string& column : query.columns.empty() ? key_only : query.columns) {
    const auto place = delta::find_column(schema, column);
    if (!place) throw Error(ErrorCode::kInvalidArgument, "columns: index {} has no column {}", name, column);
    result.columns.push_back(schema[*place]);
  }

  QueryType ran = query.type;
  RankRequest request;
  request.text = query.text;
  request.count = static_cast<std::size_t>(query.num_results);
  request.score_threshold = query.score_threshold;
  impl_->resolve_vector(*index, *view, query, request, ran, deadline);
  request.ranking = ran == QueryType::kAnn      ? Ranking::kVectors
                    : ran == QueryType::kHybrid ? Ranking::kFused
                                                : Ranking::kText;

  const auto begin = Steady::now();
  for (const RankedRow& row : rank(*view, request, Filter(std::move(condition), schema), deadline)) {
    Hit hit{row.score, row.cosine, row.bm25, {}};
    for (const delta::Field& field : result.columns) {
      const Column* column = row.segment->segment->column(field.name);
      hit.values.push_back(column == nullptr ? Json() : column->value(row.row));
    }
    result.hits.push_back(std::move(hit));
  }
  query_seconds.observe(std::chrono::duration<double>(Steady::now() - begin).count(), {std::string(to_string(ran))});
  result.source_version = view->manifest.source_version;
  result.manifest = view->manifest.number;
  result.query_type = to_string(ran);
  return result;
}

}  // namespace lakeloop::search
