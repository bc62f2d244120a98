#include "search/manifest.h"

#include "base/error.h"
#include "base/file.h"
#include "base/format.h"
#include "base/text.h"
#include "codec/hash.h"

namespace lakeloop::search {

namespace {

constexpr std::string_view kPrefix = "manifest-";
constexpr std::string_view kSuffix = ".json";
constexpr std::uintmax_t kManifestBytes = 64 * 1024 * 1024;

Json model_to_json(const std::optional<EmbeddingModel>& model) {
  if (!model) return {};
  return Json::object({{"model", model->model}, {"sha256", model->sha256}, {"dimension", model->dimension}});
}

std::optional<EmbeddingModel> model_from_json(const Json& json) {
  if (!json.is_object()) return std::nullopt;
  return EmbeddingModel{json.str("model"), json.str("sha256"), json["dimension"].int_or(0)};
}

Json to_json(const Manifest& manifest) {
  Json segments = Json::array();
  for (const SegmentFiles& segment : manifest.segments) {
    Json vectors = Json::array();
    for (const VectorFile& part : segment.vectors)
      vectors.push_back(Json::object({{"file", part.file}, {"model", part.model_id}}));
    segments.push_back(Json::object({{"file", segment.file},
                                     {"tombstones", segment.tombstones},
                                     {"vectors", vectors},
                                     {"graph", segment.graph},
                                     {"graph_vectors", segment.graph_vectors}}));
  }
  Json refused = Json::array();
  for (const RefusedRow& row : manifest.refused)
    refused.push_back(Json::object({{"key", row.key}, {"reason", row.reason}}));
  return Json::object({{"number", manifest.number},
                       {"table_id", manifest.table_id},
                       {"source_version", manifest.source_version},
                       {"analyzer", manifest.analyzer},
                       {"layout", manifest.layout},
                       {"schema", delta::schema_to_json(manifest.schema)},
                       {"embedding", model_to_json(manifest.model)},
                       {"next_embedding", model_to_json(manifest.next)},
                       {"segments", segments},
                       {"refused_rows", manifest.refused_rows},
                       {"refused", refused}});
}

Manifest from_json(const Json& json) {
  Manifest manifest;
  manifest.number = json["number"].int_or(0);
  manifest.table_id = json.str("table_id");
  manifest.source_version = json["source_version"].int_or(-1);
  manifest.analyzer = json.str("analyzer");
  manifest.layout = json.str("layout");
  manifest.schema = delta::schema_from_json(json["schema"]);
  manifest.model = model_from_json(json["embedding"]);
  manifest.next = model_from_json(json["next_embedding"]);
  for (std::size_t i = 0; i < json["segments"].size(); ++i) {
    const Json& from = json["segments"].at(i);
    SegmentFiles segment{from.str("file"), from.str("tombstones"), {}, from.str("graph"), from.str("graph_vectors")};
    for (std::size_t j = 0; j < from["vectors"].size(); ++j) {
      segment.vectors.push_back({from["vectors"].at(j).str("file"), from["vectors"].at(j).str("model")});
    }
    manifest.segments.push_back(std::move(segment));
  }
  manifest.refused_rows = json["refused_rows"].int_or(0);
  for (std::size_t i = 0; i < json["refused"].size(); ++i) {
    manifest.refused.push_back({json["refused"].at(i).str("key"), json["refused"].at(i).str("reason")});
  }
  return manifest;
}

}  // namespace

std::vector<std::string> Manifest::files() const {
  std::vector<std::string> result;
  for (const SegmentFiles& segment : segments) {
    result.push_back(segment.file);
    if (!segment.tombstones.empty()) result.push_back(segment.tombstones);
    for (const VectorFile& part : segment.vectors) result.push_back(part.file);
    if (!segment.graph.empty()) {
      result.push_back(segment.graph);
      result.push_back(segment.graph + ".crc32c");
    }
  }
  return result;
}

std::string manifest_name(std::int64_t number) {
  return format("{}{:012}{}", kPrefix, number, kSuffix);
}

void write_manifest(const std::filesystem::path& folder, const Manifest& manifest) {
  const Json body = to_json(manifest);
  const std::string checksum = format("{:08x}", codec::crc32c(body.dump()));
  write_file_atomic(folder / manifest_name(manifest.number),
                    Json::object({{"manifest", body}, {"crc32c", checksum}}).dump_pretty());
}

std::optional<Manifest> read_newest_manifest(const std::filesystem::path& folder) {
  std::int64_t newest = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    const auto number = parse_number<std::int64_t>(
        std::string_view(name).substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size()));
    if (number) newest = std::max(newest, *number);
  }
  if (newest == 0) return std::nullopt;
  const auto document = Json::try_parse(read_file(folder / manifest_name(newest), kManifestBytes));
  if (!document || format("{:08x}", codec::crc32c((*document)["manifest"].dump())) != document->str("crc32c")) {
    throw Error(ErrorCode::kDataLoss, "index file {} is damaged", manifest_name(newest));
  }
  Manifest manifest = from_json((*document)["manifest"]);
  if (manifest.number != newest) throw Error(ErrorCode::kDataLoss, "index file {} is damaged", manifest_name(newest));
  return manifest;
}

}  // namespace lakeloop::search
