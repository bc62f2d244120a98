#pragma once

// What queries see: the open files of one manifest, and the figures over them. A View never changes; who holds one may
// read it as long as needed, also after its files were replaced and removed.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "search/graph.h"
#include "search/manifest.h"
#include "search/row_set.h"
#include "search/segment.h"
#include "search/vector_part.h"

namespace lakeloop::search {

struct OpenPart {
  std::string file, model_id;
  std::shared_ptr<const VectorPart> part;
};

struct SegmentView {
  SegmentFiles files;
  std::shared_ptr<const Segment> segment;
  std::shared_ptr<const RowSet> live;
  std::vector<OpenPart> vectors;       // of all models
  std::shared_ptr<const Graph> graph;  // over the part graph_vectors, or null
  std::uint32_t live_rows = 0;
  std::uint64_t live_length = 0;  // terms in live rows

  [[nodiscard]] const float* vector_of(std::uint32_t row, std::string_view model_id) const;
  // Live rows with text to embed for which that model was not asked yet.
  [[nodiscard]] RowSet pending(std::string_view model_id) const;
};

struct View {
  Manifest manifest;
  std::vector<SegmentView> segments;
  std::uint64_t live_rows = 0, live_length = 0;
  std::uint64_t rows_with_vectors = 0;  // of the serving model
  std::uint64_t pending_rows = 0;       // of the serving model, or of all with text when there is none yet

  // The vector that the model gave to that content in any row, live or deleted; nullptr when there is none.
  [[nodiscard]] const float* vector_of_content(const ContentHash& hash, std::string_view model_id) const;

  // Opens what `manifest` names; files that `previous` holds open already are shared, not read again.
  static std::shared_ptr<const View> open(const std::filesystem::path& folder, Manifest manifest, const View* previous);
};

}  // namespace lakeloop::search
