#pragma once

// A navigable small-world graph (HNSW, by hnswlib) over one vector part, for segments too large to scan. It is an
// accelerator only: built in the background, rebuilt at will; the exact scan is its oracle. Searching is thread-safe.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "search/vector_part.h"

namespace lakeloop::search {

struct Neighbour {
  std::size_t rank = 0;  // in the part
  float cosine = 0;
};

class Graph {
 public:
  // Inserts one vector after another (about 700 a second and core at 384 dimensions) and writes the file. Returns
  // false, and leaves no file, when stopped. `path` gets the graph and path + ".crc32c" its checksum.
  static bool build(const VectorPart& part, const std::filesystem::path& path, const std::stop_token& stop);
  // kDataLoss when damaged or made for another number of vectors.
  static std::shared_ptr<const Graph> open(const std::filesystem::path& path, std::shared_ptr<const VectorPart> part);
  ~Graph();

  // About the `count` nearest that pass `allowed` (null: all), best first; may find fewer.
  [[nodiscard]] std::vector<Neighbour> search(const float* query, std::size_t count, std::size_t effort,
                                              const std::function<bool(std::size_t rank)>* allowed) const;

 private:
  Graph();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::search
