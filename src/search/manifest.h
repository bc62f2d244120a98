#pragma once

// What an index consists of at one moment: a numbered JSON file, replaced atomically, that names every other file.
// Whatever is not named by the newest manifest does not exist: a crash at any time leaves the state of before or after.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"
#include "delta/schema.h"

namespace lakeloop::search {

// The model that made vectors; vectors of different models are never compared.
struct EmbeddingModel {
  std::string model, sha256;
  std::int64_t dimension = 0;
  // By content where it is known (a local file may be renamed), else by name (remote models).
  [[nodiscard]] std::string id() const { return sha256.empty() ? "name:" + model : "sha256:" + sha256; }
};

struct VectorFile {
  std::string file;
  std::string model_id;
};

struct SegmentFiles {
  std::string file;
  std::string tombstones;  // empty: no row is deleted
  std::vector<VectorFile> vectors;
  std::string graph;          // empty: scanned
  std::string graph_vectors;  // the vector file that the graph is over
};

struct RefusedRow {
  std::string key, reason;
  auto operator<=>(const RefusedRow&) const = default;
};

struct Manifest {
  std::int64_t number = 0;  // 0: none was ever written
  std::string table_id;
  std::int64_t source_version = -1;
  std::string analyzer;
  std::string layout;                   // Layout as text; another layout needs a rebuild
  delta::Schema schema;                 // of the stored columns
  std::optional<EmbeddingModel> model;  // whose vectors are searched
  std::optional<EmbeddingModel> next;   // being filled in, to take over when complete
  std::vector<SegmentFiles> segments;
  std::int64_t refused_rows = 0;
  std::vector<RefusedRow> refused;  // the first of them

  [[nodiscard]] std::vector<std::string> files() const;  // all that it names
};

std::string manifest_name(std::int64_t number);
// Writes the manifest of `manifest.number`; durable, with every file written before it in the same folder.
void write_manifest(const std::filesystem::path& folder, const Manifest& manifest);
// The newest one; nullopt when there is none; kDataLoss when it is damaged.
std::optional<Manifest> read_newest_manifest(const std::filesystem::path& folder);

}  // namespace lakeloop::search
