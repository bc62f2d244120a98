#pragma once

// Answers one query over a View: BM25 (k1 1.2, b 0.75, idf ln(1 + (N - df + 0.5) / (df + 0.5)), figures over the live
// rows of all segments), cosine of unit vectors (exact scan, or a graph for large segments), and their convex fusion
//   0.6 * max(0, cosine) / best cosine + 0.4 * BM25 / best BM25
// over the union of both top-100s, each missing part computed exactly; a row that has no vector yet counts by BM25 /
// best BM25 alone. Filters come before any limit. Equal scores are ordered by key, so that an index and its rebuild
// give the same answer. Every score is finite.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "search/filter.h"
#include "search/view.h"

namespace lakeloop::search {

inline constexpr double kCosineWeight = 0.6;
inline constexpr double kTextWeight = 0.4;
inline constexpr std::size_t kFusionDepth = 100;

enum class Ranking : std::uint8_t { kVectors, kText, kFused };

struct RankedRow {
  const SegmentView* segment = nullptr;
  std::uint32_t row = 0;
  double score = 0;
  std::optional<double> cosine, bm25;
};

struct RankRequest {
  Ranking ranking = Ranking::kFused;
  std::string_view text;
  std::vector<float> vector;  // unit length, of the serving model's dimension
  std::size_t count = 10;
  double score_threshold = 0;  // lower scores are left out; 0: none
  bool exact = false;          // no graphs
};

// `view` must outlive the result.
std::vector<RankedRow> rank(const View& view, const RankRequest& request, const Filter& filter,
                            const Deadline& deadline);

// What a client of the ANN query type sees for a cosine: 1 / (1 + d^2), d the Euclidean distance of the unit vectors.
double ann_score(double cosine);

}  // namespace lakeloop::search
