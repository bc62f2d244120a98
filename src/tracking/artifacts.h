#pragma once

// Files of experiments, runs, traces and logged models, in the object store: what the client sees as
// mlflow-artifacts:/. The first segment of a path is the experiment, whose rights decide. Every path passes the path
// guard. Thread-safe.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "storage/object_store.h"
#include "tracking/tracking.h"

namespace lakeloop::tracking {

struct ArtifactEntry {
  std::string path;  // a name, or relative to what the caller listed
  bool is_dir = false;
  std::uint64_t size = 0;
};

struct ArtifactFile {
  std::string key;
  std::uint64_t size = 0;
};

class Artifacts {
 public:
  Artifacts(Tracking& tracking, std::shared_ptr<storage::ObjectStore> store)
      : tracking_(tracking), store_(std::move(store)) {}

  std::unique_ptr<storage::Upload> upload(const Principal& who, std::string_view path);
  ArtifactFile find(const Principal& who, std::string_view path);  // kNotFound when missing
  std::string read(const ArtifactFile& file, std::uint64_t offset, std::uint64_t size);
  // Names right below `path`; empty for a file, and for what is not there.
  std::vector<ArtifactEntry> list(const Principal& who, std::string_view path);
  void remove(const Principal& who, std::string_view path);  // a file, or all below a folder

  // Below the artefact folder of a run, logged model or trace: `uri` as MLflow keeps it. kUnimplemented when that lies
  // elsewhere.
  static std::string path_of_uri(std::string_view uri, std::string_view relative);
  // Paths relative to the root.
  std::vector<ArtifactEntry> list_below(const Principal& who, std::string_view uri, std::string_view relative);

 private:
  std::string key_for(const Principal& who, catalog::Privilege privilege, std::string_view path);

  Tracking& tracking_;
  std::shared_ptr<storage::ObjectStore> store_;
};

}  // namespace lakeloop::tracking
