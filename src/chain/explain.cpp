#include "chain/explain.h"

#include "base/text.h"

namespace lakeloop::chain {
namespace {

constexpr std::int64_t kCitations = 20;

// Attribute values are JSON text (tracking/trace_builder.h).
Json attribute(const tracking::Span& span, std::string_view key) {
  const Json& value = span.attributes[key];
  if (!value.is_string()) return value;
  return Json::try_parse(value.as_string()).value_or(value);
}

Json row_as_object(const delta::Rows& rows) {
  Json object = Json::object();
  for (std::size_t i = 0; i < rows.schema.size(); ++i) object.set(rows.schema[i].name, rows.rows.front().at(i));
  return object;
}

class Walk {
 public:
  Walk(catalog::Catalog& catalog, search::VectorSearch& search, const catalog::Principal& who)
      : catalog_(catalog), search_(search), who_(who) {}

  Json citation(const Json& cited, const std::string& index, std::int64_t index_version) {
    Json step = Json::object({{"mark", cited["mark"]}, {"quote", cited["quote"]}});
    std::string chunks, pages;
    step.set("chunk", guarded([&] {
               const search::IndexStatus status = search_.get_index(who_, index);
               chunks = status.spec.source_table;
               Json chunk = row_at(chunks, index_version, "id", cited["chunk_id"]);
               chunk.set("table", chunks);
               chunk.set("table_version", index_version);
               return chunk;
             }));
    step.set("page", guarded([&] {
               for (const catalog::LineageEdge& edge : catalog_.lineage_of("table", chunks)) {
                 if (edge.source_kind == "table") pages = edge.source;
               }
               if (pages.empty())
                 throw Error(ErrorCode::kNotFound, "no lineage says which table {} was cut from", chunks);
               const std::int64_t version = step["chunk"]["page_version"].int_or(-1);
               Json page = row_at(pages, version, "source_path", cited["source_path"]);
               page.erase("text");
               page.erase("sections");
               page.set("table", pages);
               page.set("table_version", version);
               return page;
             }));
    const Json& page = step["page"];
    if (!page.contains("unknown")) {
      step.set("file", Json::object({{"path", page["source_path"]},
                                     {"sha256", page["content_hash"]},
                                     {"modified", page["modified"].is_int()
                                                      ? Json(format_rfc3339(Timestamp{page["modified"].as_int()}))
                                                      : Json()},
                                     {"start", cited["start"]},
                                     {"end", cited["end"]},
                                     {"git_commit", page["git_commit"]}}));
    }
    return step;
  }

  // The value, or {"unknown": why}.
  template <typename F>
  static Json guarded(F&& step) {
    try {
      return step();
    } catch (const Error& error) {
      return Json::object({{"unknown", error.message()}});
    }
  }

 private:
  Json row_at(const std::string& table_name, std::int64_t version, const std::string& key, const Json& value) {
    const delta::Table table = catalog_.open_table(who_, table_name, catalog::Privilege::kSelect);
    const delta::Snapshot snapshot = version < 0 ? table.snapshot() : table.snapshot_at(version);
    const delta::Rows rows = table.scan(
        snapshot, {.columns = {}, .where = "\"" + key + "\" = $1", .parameters = {value}, .order_by = {}, .limit = 1});
    if (rows.rows.empty()) {
      throw Error(ErrorCode::kNotFound, "version {} of {} has no row with {} = {}", snapshot.version, table_name, key,
                  value.dump());
    }
    return row_as_object(rows);
  }

  catalog::Catalog& catalog_;
  search::VectorSearch& search_;
  const catalog::Principal& who_;
};

}  // namespace

Json explain(tracking::Tracking& tracking, catalog::Catalog& catalog, search::VectorSearch& search,
             const catalog::Principal& who, std::string_view trace_id) {
  const tracking::Trace trace = tracking.get_trace(who, trace_id);
  const auto metadata = [&](const char* key) {
    const auto found = trace.info.metadata.find(key);
    return found == trace.info.metadata.end() ? std::string() : found->second;
  };
  Json walk = Json::object({{"trace_id", trace.info.trace_id},
                            {"experiment_id", trace.info.experiment_id},
                            {"request_time", format_rfc3339(trace.info.request_time)},
                            {"state", trace.info.state},
                            {"request", trace.info.request_preview},
                            {"response", trace.info.response_preview}});
  walk.set_if("endpoint", metadata("lakeloop.endpoint").empty() ? Json() : Json(metadata("lakeloop.endpoint")));

  const std::string model = metadata("lakeloop.model_version");
  if (const std::size_t slash = model.rfind('/'); slash != std::string::npos) {
    walk.set("model_version", Walk::guarded([&] {
               const auto number = parse_number<std::int64_t>(std::string_view(model).substr(slash + 1)).value_or(0);
               const auto version = catalog.get_model_version(who, model.substr(0, slash), number);
               return Json::object({{"name", model.substr(0, slash)},
                                    {"version", number},
                                    {"created_by", version.created_by},
                                    {"created", format_rfc3339(version.created)},
                                    {"aliases_now", Json::strings(version.aliases)}});
             }));
  }
  Json cited;
  for (const tracking::Span& span : trace.spans) {
    if (const Json name = attribute(span, "lakeloop.prompt.name"); name.is_string()) {
      walk.set("prompt", Json::object({{"name", name}, {"version", attribute(span, "lakeloop.prompt.version")}}));
    }
    if (const Json usage = attribute(span, "mlflow.chat.tokenUsage"); usage.is_object()) {
      walk.set("model_call", Json::object({{"endpoint", attribute(span, "lakeloop.endpoint")},
                                           {"model", attribute(span, "mlflow.llm.model")},
                                           {"usage", usage}}));
    }
    if (span.parent_id.empty()) {
      const Json outputs = attribute(span, "mlflow.spanOutputs");
      cited = outputs["custom_outputs"]["citations"];
    }
  }
  const std::string index = metadata("lakeloop.index");
  const std::int64_t version = parse_number<std::int64_t>(metadata("lakeloop.index.source_version")).value_or(-1);
  if (!index.empty()) walk.set("index", Json::object({{"name", index}, {"source_version", version}}));
  Json steps = Json::array();
  if (cited.is_array()) {
    Walk walker(catalog, search, who);
    for (const Json& citation : cited.items()) {
      if (static_cast<std::int64_t>(steps.size()) == kCitations) break;
      steps.push_back(walker.citation(citation, index, version));
    }
  }
  walk.set("citations", std::move(steps));
  return walk;
}

}  // namespace lakeloop::chain
