#include "api/mlflow/routes.h"
#include "api/mlflow/wire.h"
#include "base/text.h"
#include "codec/encoding.h"

namespace lakeloop::api::mlflow {

namespace {

using net::Method;
using tracking::ArtifactEntry;
using tracking::ArtifactFile;

constexpr std::uint64_t kPieceBytes = 1024 * 1024;

std::string_view content_type_of(std::string_view path) {
  const std::string name = ascii_lower(path);
  for (const auto& [end, type] : {std::pair<std::string_view, std::string_view>{".json", "application/json"},
                                  {".txt", "text/plain"},
                                  {".md", "text/markdown"},
                                  {".yaml", "text/plain"},
                                  {".yml", "text/plain"},
                                  {".csv", "text/csv"},
                                  {".png", "image/png"},
                                  {".jpg", "image/jpeg"},
                                  {".pdf", "application/pdf"},
                                  {"/mlmodel", "text/plain"}}) {
    if (name.ends_with(end)) return type;
  }
  return "application/octet-stream";
}

// Always as a download: a page that a user stored must not run as one of this server's.
void send_file(const Services& s, Call& call, const std::string& path, net::ResponseWriter& writer) {
  const ArtifactFile file = s.artifacts.find(call.who, path);
  const std::size_t slash = path.rfind('/');
  net::Headers headers;
  headers.set("content-type", content_type_of(path));
  headers.set("content-disposition",
              "attachment; filename*=UTF-8''" +
                  codec::percent_encode(slash == std::string::npos ? path : path.substr(slash + 1)));
  headers.set("x-content-type-options", "nosniff");
  if (file.size <= kPieceBytes) {
    net::Response response;
    response.headers = std::move(headers);
    response.body = s.artifacts.read(file, 0, file.size);
    writer.send(std::move(response));
    return;
  }
  writer.start(200, std::move(headers));
  for (std::uint64_t at = 0; at < file.size; at += kPieceBytes) {
    call.deadline.check();
    if (!writer.write(s.artifacts.read(file, at, std::min(kPieceBytes, file.size - at)))) return;
  }
  writer.finish();
}

Json entries_json(const std::vector<ArtifactEntry>& entries) {
  Json files = Json::array();
  for (const ArtifactEntry& entry : entries) {
    Json file = Json::object({{"path", entry.path}, {"is_dir", entry.is_dir}});
    if (!entry.is_dir && entry.size > 0) file.set("file_size", static_cast<std::int64_t>(entry.size));
    files.push_back(std::move(file));
  }
  return files;
}

std::string path_below(const std::string& uri, const Call& call, std::string_view name) {
  const std::string path = call.str(name);
  if (path.empty()) missing(name);
  return tracking::Artifacts::path_of_uri(uri, path);
}

void add_proxy(Routes& routes, const Services& s) {
  const Field path{"path", FieldType::kString, true, "<experiment id>/..."};
  add_raw(
      routes, Method::kPut, "2.0/mlflow-artifacts/artifacts/{path...}", "uploadArtifact", "Store a file", {path},
      [s](Call& call, net::ResponseWriter& writer) {
        const auto upload = s.artifacts.upload(call.who, call.str("path"));
        for (std::string piece = call.body->read(); !piece.empty(); piece = call.body->read()) upload->write(piece);
        upload->commit();
        writer.send(net::Response::json(200, "{}"));
      },
      true);
  add_raw(routes, Method::kGet, "2.0/mlflow-artifacts/artifacts/{path...}", "downloadArtifact", "Read a file", {path},
          [s](Call& call, net::ResponseWriter& writer) { send_file(s, call, call.str("path"), writer); });
  add(routes, Method::kGet, "2.0/mlflow-artifacts/artifacts", "listArtifactsMlflowArtifacts",
      "Names right below a folder", {{"path", FieldType::kString, false, "Folder"}}, [s](Call& call) {
        return Json::object({{"files", entries_json(s.artifacts.list(call.who, call.str("path")))}});
      });
  add(routes, Method::kDelete, "2.0/mlflow-artifacts/artifacts/{path...}", "deleteArtifact", "Delete a file or folder",
      {path}, [s](Call& call) {
        s.artifacts.remove(call.who, call.str("path"));
        return Json::object();
      });
}

}  // namespace

void add_artifact_routes(Routes& routes, const Services& services) {
  const Services s = services;
  add_proxy(routes, s);
  const std::vector<Field> run = {{"run_id", FieldType::kString, false, "Id of the run"},
                                  {"run_uuid", FieldType::kString, false, "Old name of run_id"},
                                  {"path", FieldType::kString, false, "Relative to the run's artifacts"}};
  add(routes, Method::kGet, "2.0/mlflow/artifacts/list", "listArtifacts", "Files of a run", run, [s](Call& call) {
    const std::string uri = s.tracking.get_run(call.who, run_id_of(call)).info.artifact_uri;
    return Json::object(
        {{"root_uri", uri}, {"files", entries_json(s.artifacts.list_below(call.who, uri, call.str("path")))}});
  });
  const Field model{"model_id", FieldType::kString, true, "\"m-...\""};
  add(routes, Method::kGet, "2.0/mlflow/logged-models/{model_id}/artifacts/directories", "listLoggedModelArtifacts",
      "Files of a logged model", {model, {"artifact_directory_path", FieldType::kString, false, "Folder"}},
      [s](Call& call) {
        const std::string uri = s.tracking.get_logged_model(call.who, call.str("model_id")).artifact_uri;
        return Json::object(
            {{"root_uri", uri},
             {"files", entries_json(s.artifacts.list_below(call.who, uri, call.str("artifact_directory_path")))}});
      });
  add_raw(routes, Method::kGet, "2.0/mlflow/logged-models/{model_id}/artifacts/files", "getLoggedModelArtifact",
          "A file of a logged model", {model, {"artifact_file_path", FieldType::kString, true, "File"}},
          [s](Call& call, net::ResponseWriter& writer) {
            const std::string uri = s.tracking.get_logged_model(call.who, call.str("model_id")).artifact_uri;
            send_file(s, call, path_below(uri, call, "artifact_file_path"), writer);
          });
  // Pages of the browser ask here, without /api.
  routes.push_back({.method = Method::kGet,
                    .path = "/get-artifact",
                    .scope = Scope::authenticated(),
                    .name = "mlflow.getArtifact",
                    .summary = "A file of a run",
                    .dialect = Dialect::kMlflow,
                    .request = run,
                    .handler = [s](Call& call, net::ResponseWriter& writer) {
                      const std::string uri = s.tracking.get_run(call.who, run_id_of(call)).info.artifact_uri;
                      send_file(s, call, path_below(uri, call, "path"), writer);
                    }});
  routes.push_back({.method = Method::kGet,
                    .path = "/model-versions/get-artifact",
                    .scope = Scope::authenticated(),
                    .name = "mlflow.getModelVersionArtifact",
                    .summary = "A file of a model version",
                    .dialect = Dialect::kMlflow,
                    .request = {{"name", FieldType::kString, true, "Model"},
                                {"version", FieldType::kInteger, true, "Version"},
                                {"path", FieldType::kString, true, "Relative to the version's files"}},
                    .handler = [s](Call& call, net::ResponseWriter& writer) {
                      const std::string uri =
                          s.registry.download_uri(call.who, call.str("name"), call.integer("version"));
                      send_file(s, call, path_below(uri, call, "path"), writer);
                    }});
}

}  // namespace lakeloop::api::mlflow
