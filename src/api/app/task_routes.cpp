#include "api/app/routes.h"
#include "ingest/chunk_table.h"
#include "ingest/ingest.h"

namespace lakeloop::api::app {
namespace {

using workflow::TaskRunner;

constexpr const char* kBase = "/api/2.0/lakeloop";

Json to_json(const workflow::TaskStatus& status) {
  Json json = Json::object({{"task_id", status.id},
                            {"kind", status.kind},
                            {"owner", status.owner},
                            {"state", workflow::to_string(status.state)},
                            {"done", status.done},
                            {"total", status.total},
                            {"what", status.what},
                            {"created", format_rfc3339(status.created)}});
  if (status.error) {
    json.set("error",
             Json::object({{"error_code", info(status.error->code()).wire}, {"message", status.error->message()}}));
  }
  json.set_if("result", status.result);
  return json;
}

// Counts with the embedding model's own tokenizer, where there is one.
ingest::TokenCounter token_counter(Services services, const identity::Principal& who, const std::string& endpoint,
                                   const Deadline& deadline) {
  if (endpoint.empty()) return ingest::approximate_token_counter();
  const auto engine = services.engines.engine(who, endpoint);
  return [engine, endpoint, deadline](const std::vector<std::string>& texts) {
    auto counts = engine->count_tokens(texts, deadline);
    if (!counts) {
      throw Error(ErrorCode::kInvalidArgument, "endpoint {} cannot count tokens; leave embedding_endpoint out",
                  endpoint);
    }
    return std::move(*counts);
  };
}

Json run_ingest(Services services, const identity::Principal& who, const Json& fields, TaskRunner::Task& task) {
  ingest::IngestOptions options;
  options.folder = fields.str("folder");
  options.table = fields.str("table");
  const catalog::FullName name = catalog::parse_full_name(options.table);
  services.catalog.ensure_schema(who, name.catalog, name.schema);
  if (fields["extensions"].is_array()) {
    for (const Json& extension : fields["extensions"].items()) options.extensions.push_back(extension.string_or(""));
  }
  return ingest::ingest_folder(services.catalog, who, options, task.deadline(),
                               [&](const ingest::Progress& p) { task.report(p.done, p.total, p.what); })
      .to_json();
}

Json run_chunks(Services services, const identity::Principal& who, const Json& fields, TaskRunner::Task& task) {
  ingest::ChunkOptions options;
  options.max_tokens = fields["max_tokens"].int_or(options.max_tokens);
  options.overlap_tokens = fields["overlap_tokens"].int_or(options.overlap_tokens);
  const std::string pages = fields.str("pages_table"), chunks = fields.str("chunks_table");
  if (const std::string endpoint = fields.str("embedding_endpoint"); !endpoint.empty()) {
    options.tokenizer = services.engines.engine(who, endpoint)->info().model;  // another tokenizer cuts everything anew
  }
  const ingest::ChunkReport report =
      ingest::update_chunks(services.catalog, who, pages, chunks, options,
                            token_counter(services, who, fields.str("embedding_endpoint"), task.deadline()),
                            task.deadline(), [&](const ingest::Progress& p) { task.report(p.done, p.total, p.what); });
  services.catalog.record_lineage(
      {{"table", pages, "table", chunks, Json::object({{"by", "chunks"}}), Timestamp::now()}});
  return report.to_json();
}

}  // namespace

Routes task_routes(Services services) {
  Routes routes;
  const std::string base = kBase;
  const auto submit = [services](Call& call, const char* kind, auto run) {
    const Json fields = call.fields;
    const identity::Principal who = call.who;
    const std::string id = services.tasks.submit(kind, who.name, [services, who, fields, run](TaskRunner::Task& task) {
      return run(services, who, fields, task);
    });
    return Json::object({{"task_id", id}});
  };
  routes.push_back({.method = net::Method::kPost,
                    .path = base + "/ingest",
                    .scope = Scope::admin(),  // it reads folders of the server's machine
                    .name = "app.ingest",
                    .summary = "Read a folder of the server into a table of pages, as a task",
                    .request = {{"folder", FieldType::kString, true, "Absolute path on the server"},
                                {"table", FieldType::kString, true, "Full name of the pages table"},
                                {"extensions", FieldType::kArray, false, "Only these, as .md"}},
                    .response = {{"task_id", FieldType::kString, true, ""}},
                    .handler = [submit](Call& call) { return submit(call, "ingest", run_ingest); }});
  routes.push_back({.method = net::Method::kPost,
                    .path = base + "/chunks",
                    .scope = Scope::authenticated(),
                    .name = "app.updateChunks",
                    .summary = "Bring a table of chunks up to its table of pages, as a task",
                    .request = {{"pages_table", FieldType::kString, true, ""},
                                {"chunks_table", FieldType::kString, true, ""},
                                {"embedding_endpoint", FieldType::kString, false, "Whose tokens are counted"},
                                {"max_tokens", FieldType::kInteger, false, ""},
                                {"overlap_tokens", FieldType::kInteger, false, ""}},
                    .response = {{"task_id", FieldType::kString, true, ""}},
                    .handler = [submit](Call& call) { return submit(call, "chunks", run_chunks); }});
  const auto find = [services](Call& call) {
    const auto status = services.tasks.find(call.str("task_id"));
    // Another's task is not told apart from one that is gone.
    if (!status || (status->owner != call.who.name && !call.who.admin)) {
      throw Error(ErrorCode::kNotFound, "no task {}; ended ones are kept until the server stops", call.str("task_id"));
    }
    return *status;
  };
  routes.push_back({.method = net::Method::kGet,
                    .path = base + "/tasks/{task_id}",
                    .scope = Scope::authenticated(),
                    .name = "app.getTask",
                    .summary = "State, progress and result of a task",
                    .handler = [find](Call& call) { return to_json(find(call)); }});
  routes.push_back({.method = net::Method::kDelete,
                    .path = base + "/tasks/{task_id}",
                    .scope = Scope::authenticated(),
                    .name = "app.cancelTask",
                    .summary = "Cancel a task",
                    .handler = [find, services](Call& call) {
                      services.tasks.cancel(find(call).id);
                      return Json::object();
                    }});
  return routes;
}

}  // namespace lakeloop::api::app
