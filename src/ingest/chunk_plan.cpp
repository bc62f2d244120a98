#include "ingest/chunk_plan.h"

#include <algorithm>
#include <limits>

namespace lakeloop::ingest {
namespace {

// More units than this never share a chunk: bounds the time where single units are tiny and chunks are huge.
constexpr std::size_t kWindow = 1024;

constexpr double kChunkCost = 1;
constexpr double kSlackCost = 0.5;  // of an empty chunk; grows with the square of the unused share
constexpr double kAfterHeading = 50;
constexpr double kInsideFittingBlock = 3;

double cut_cost(Cut cut) {
  switch (cut) {
    case Cut::kBlock:
      return 0;
    case Cut::kItem:
      return 0.1;
    case Cut::kLine:
    case Cut::kSentence:
      return 0.3;
    case Cut::kWord:
      return 1;
    case Cut::kCluster:
      return 2;
    case Cut::kCodePoint:
      return 4;
  }
  return 0;
}

class Planner {
 public:
  Planner(const std::vector<Unit>& units, const std::vector<bool>& headings, const ChunkLimits& limits)
      : units_(units), headings_(headings), limits_(limits), tokens_(units.size() + 1), points_(units.size() + 1) {
    for (std::size_t i = 0; i < units.size(); ++i) {
      tokens_[i + 1] = tokens_[i] + units[i].tokens;
      points_[i + 1] = points_[i] + units[i].points;
    }
    weigh_boundaries();
  }

  std::vector<PlannedChunk> plan() const {
    const auto n = units_.size();
    std::vector<double> best(n + 1, std::numeric_limits<double>::infinity());
    std::vector<std::size_t> from(n + 1, 0);
    best[0] = 0;
    for (std::size_t end = 1; end <= n; ++end) {
      for (std::size_t begin = end; begin-- > 0 && end - begin <= kWindow;) {
        const bool single = end - begin == 1;
        if (!single && (tokens(begin, end) > limits_.tokens || points(begin, end) > limits_.points)) break;
        if (!single && tokens(begin, end) > budget_from(begin)) continue;
        const auto cost = best[begin] + chunk_cost(begin, end) + boundary_[end];
        if (cost < best[end]) {
          best[end] = cost;
          from[end] = begin;
        }
      }
    }
    std::vector<PlannedChunk> chunks;
    for (auto end = n; end > 0; end = from[end]) chunks.push_back({from[end], from[end], end});
    std::ranges::reverse(chunks);
    for (std::size_t i = 1; i < chunks.size(); ++i) overlap(chunks[i - 1], chunks[i]);
    return chunks;
  }

 private:
  // boundary_[i]: what it costs to cut before unit i.
  void weigh_boundaries() {
    const auto n = units_.size();
    boundary_.assign(n + 1, 0);
    for (std::size_t begin = 0; begin < n;) {
      auto end = begin + 1;
      while (end < n && units_[end].block == units_[begin].block) ++end;
      const bool fits = tokens(begin, end) <= limits_.tokens && points(begin, end) <= limits_.points;
      if (begin > 0 && headings_[units_[begin - 1].block]) boundary_[begin] = kAfterHeading;
      for (auto i = begin + 1; i < end; ++i) boundary_[i] = cut_cost(units_[i].cut) + (fits ? kInsideFittingBlock : 0);
      begin = end;
    }
  }

  [[nodiscard]] std::int64_t tokens(std::size_t begin, std::size_t end) const { return tokens_[end] - tokens_[begin]; }
  [[nodiscard]] std::int64_t points(std::size_t begin, std::size_t end) const { return points_[end] - points_[begin]; }

  // After a cut inside a block there must be room for the overlap; between blocks the overlap takes what is left.
  [[nodiscard]] std::int64_t budget_from(std::size_t begin) const {
    return begin > 0 && units_[begin].cut != Cut::kBlock ? limits_.tokens - limits_.overlap : limits_.tokens;
  }

  [[nodiscard]] double chunk_cost(std::size_t begin, std::size_t end) const {
    const auto used = std::min(1.0, static_cast<double>(tokens(begin, end)) / static_cast<double>(limits_.tokens));
    return kChunkCost + kSlackCost * (1 - used) * (1 - used);
  }

  void overlap(const PlannedChunk& before, PlannedChunk& chunk) const {
    for (auto i = chunk.fresh; i-- > before.fresh + 1;) {
      if (tokens(i, chunk.fresh) > limits_.overlap || tokens(i, chunk.end) > limits_.tokens ||
          points(i, chunk.end) > limits_.points) {
        return;
      }
      if (units_[i].cut <= Cut::kSentence) chunk.begin = i;
    }
  }

  const std::vector<Unit>& units_;
  const std::vector<bool>& headings_;
  ChunkLimits limits_;
  std::vector<std::int64_t> tokens_, points_;  // sums of the units before
  std::vector<double> boundary_;
};

}  // namespace

std::vector<PlannedChunk> plan_chunks(const std::vector<Unit>& units, const std::vector<bool>& headings,
                                      const ChunkLimits& limits) {
  return Planner(units, headings, limits).plan();
}

}  // namespace lakeloop::ingest
