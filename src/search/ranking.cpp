#include "search/ranking.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "search/analyzer.h"
#include "search/distance.h"

namespace lakeloop::search {

namespace {

constexpr double kK1 = 1.2;
constexpr double kB = 0.75;
constexpr std::size_t kGraphEffort = 200;
// A graph visits about effort * links vectors, and many more under a filter: below these a scan of what is allowed is
// both faster and exact.
constexpr std::uint32_t kScanRows = 20'000;
constexpr std::size_t kGraphCount = 1000;

struct Candidate {
  float score = 0;
  std::uint32_t segment = 0;
  std::uint32_t row = 0;
};

class Search {
 public:
  Search(const View& view, const RankRequest& request, const Filter& filter, const Deadline& deadline)
      : view_(view), request_(request), deadline_(deadline) {
    for (const SegmentView& segment : view.segments) {
      deadline.check();
      if (filter.passes_all()) {
        allowed_.push_back(segment.live);
        continue;
      }
      auto rows = std::make_shared<RowSet>(*segment.live);
      filter.apply(*segment.segment, *rows);
      allowed_.push_back(std::move(rows));
    }
  }

  std::vector<RankedRow> run() {
    if (request_.ranking == Ranking::kVectors) {
      std::vector<RankedRow> result;
      for (const Candidate& c : by_vector(request_.count)) {
        RankedRow row = ranked(c);
        row.cosine = c.score;
        row.score = ann_score(c.score);
        result.push_back(row);
      }
      return finish(std::move(result));
    }
    if (request_.ranking == Ranking::kText) {
      std::vector<RankedRow> result;
      for (const Candidate& c : by_text(request_.count)) {
        RankedRow row = ranked(c);
        row.bm25 = row.score = c.score;
        result.push_back(row);
      }
      return finish(std::move(result));
    }
    return fused();
  }

 private:
  [[nodiscard]] RankedRow ranked(const Candidate& c) const { return {&view_.segments[c.segment], c.row, 0, {}, {}}; }

  [[nodiscard]] std::string key(const Candidate& c) const { return view_.segments[c.segment].segment->key(c.row); }
  [[nodiscard]] bool better(const Candidate& a, const Candidate& b) const {
    if (a.score != b.score) return a.score > b.score;
    return key(a) < key(b);
  }

  // Keeps the best `limit` of what is offered.
  class Top {
   public:
    Top(const Search& search, std::size_t limit) : search_(search), limit_(limit) {}
    [[nodiscard]] auto order() const {
      return [this](const Candidate& a, const Candidate& b) { return search_.better(a, b); };
    }
    void offer(const Candidate& c) {
      if (best_.size() == limit_) {
        if (limit_ == 0 || c.score < best_.front().score || !search_.better(c, best_.front())) return;
        std::ranges::pop_heap(best_, order());
        best_.back() = c;
      } else {
        best_.push_back(c);
      }
      std::ranges::push_heap(best_, order());
    }
    std::vector<Candidate> take() {
      std::ranges::sort(best_, order());
      return std::move(best_);
    }

   private:
    const Search& search_;
    std::size_t limit_;
    std::vector<Candidate> best_;  // a heap with the worst in front
  };

  void score_text() {
    scores_.clear();
    std::vector<std::pair<std::string, double>> terms;
    thread_analyzer().analyze(request_.text, [&](std::string_view term) {
      const auto known = std::ranges::find(terms, term, [](const auto& t) { return std::string_view(t.first); });
      if (known != terms.end()) {
        known->second += 1;
      } else {
        terms.emplace_back(term, 1);
      }
    });
    const double rows = static_cast<double>(view_.live_rows);
    const double mean_length = view_.live_rows == 0 ? 1 : std::max(1.0, static_cast<double>(view_.live_length) / rows);
    for (const SegmentView& segment : view_.segments) scores_.emplace_back(segment.segment->rows(), 0.0F);
    std::vector<std::vector<Posting>> lists(view_.segments.size());
    for (const auto& [term, weight] : terms) {
      deadline_.check();
      std::uint64_t found = 0;
      for (std::size_t s = 0; s < lists.size(); ++s) {
        const SegmentView& segment = view_.segments[s];
        segment.segment->postings().read(term, lists[s]);
        if (segment.live_rows == segment.segment->rows()) {
          found += lists[s].size();
        } else {
          for (const Posting& posting : lists[s]) found += segment.live->contains(posting.row) ? 1 : 0;
        }
      }
      if (found == 0) continue;
      const double df = static_cast<double>(found);
      const double idf = weight * std::log(1 + (rows - df + 0.5) / (df + 0.5));
      for (std::size_t s = 0; s < lists.size(); ++s) {
        const auto lengths = view_.segments[s].segment->lengths();
        std::vector<float>& scores = scores_[s];
        for (const Posting& posting : lists[s]) {
          const double count = posting.count;
          const double norm = kK1 * (1 - kB + kB * lengths[posting.row] / mean_length);
          scores[posting.row] += static_cast<float>(idf * count * (kK1 + 1) / (count + norm));
        }
      }
    }
  }

  std::vector<Candidate> by_text(std::size_t count) {
    score_text();
    Top top(*this, count);
    for (std::uint32_t s = 0; s < scores_.size(); ++s) {
      const RowSet& allowed = *allowed_[s];
      for (std::uint32_t row = 0; row < scores_[s].size(); ++row) {
        if (scores_[s][row] > 0 && allowed.contains(row)) top.offer({scores_[s][row], s, row});
      }
    }
    return top.take();
  }

  std::vector<Candidate> by_vector(std::size_t count) {
    Top top(*this, count);
    if (!view_.manifest.model) return {};
    const std::string model = view_.manifest.model->id();
    for (std::uint32_t s = 0; s < view_.segments.size(); ++s) {
      deadline_.check();
      const SegmentView& segment = view_.segments[s];
      const RowSet& allowed = *allowed_[s];
      if (segment.graph && by_graph(s, count, top)) continue;
      for (const OpenPart& part : segment.vectors) {
        if (part.model_id != model) continue;
        scan(*part.part, allowed, s, top);
      }
    }
    return top.take();
  }

  void scan(const VectorPart& part, const RowSet& allowed, std::uint32_t s, Top& top) const {
    const DotProduct dot = dot_product();
    for (std::size_t rank = 0; rank < part.size(); ++rank) {
      const std::uint32_t row = part.row(rank);
      if (!allowed.contains(row)) continue;
      top.offer({dot(request_.vector.data(), part.at(rank), part.dimension()), s, row});
    }
  }

  // False when a scan does it better.
  bool by_graph(std::uint32_t s, std::size_t count, Top& top) const {
    const SegmentView& segment = view_.segments[s];
    const RowSet& allowed = *allowed_[s];
    const std::uint32_t allowed_rows = allowed_[s] == segment.live ? segment.live_rows : allowed.count();
    if (request_.exact || count > kGraphCount || allowed_rows <= kScanRows) return false;
    const auto over = std::ranges::find(segment.vectors, segment.files.graph_vectors, &OpenPart::file);
    const VectorPart& part = *over->part;
    const std::function<bool(std::size_t)> passes = [&](std::size_t rank) { return allowed.contains(part.row(rank)); };
    const bool all = allowed_rows == segment.segment->rows();
    const auto found = segment.graph->search(request_.vector.data(), count, std::max(kGraphEffort, 2 * count),
                                             all ? nullptr : &passes);
    // A graph whose links around the query were all filtered out finds too few; there are enough rows, so scan.
    if (found.size() < std::min<std::size_t>(count, part.size() / 2)) return false;
    for (const Neighbour& n : found) top.offer({n.cosine, s, part.row(n.rank)});
    // Vectors that came after the graph was built.
    for (const OpenPart& other : segment.vectors) {
      if (other.model_id == over->model_id && other.file != over->file) scan(*other.part, allowed, s, top);
    }
    return true;
  }

  std::vector<RankedRow> fused() {
    const std::size_t depth = std::max(kFusionDepth, request_.count);
    const std::vector<Candidate> text = by_text(depth);
    const std::vector<Candidate> vectors = by_vector(depth);
    const double best_text = text.empty() ? 0 : text[0].score;
    double best_cosine = 0;  // over the union: a graph may have missed a row that the text found
    const std::string model = view_.manifest.model ? view_.manifest.model->id() : std::string();

    std::map<std::pair<std::uint32_t, std::uint32_t>, RankedRow> rows;
    for (const auto* list : {&text, &vectors}) {
      for (const Candidate& c : *list) rows.emplace(std::pair(c.segment, c.row), ranked(c));
    }
    std::vector<RankedRow> result;
    for (auto& [place, row] : rows) {
      row.bm25 = scores_[place.first][place.second];
      if (const float* vector = row.segment->vector_of(place.second, model);
          vector != nullptr && !request_.vector.empty()) {
        row.cosine = dot_product()(request_.vector.data(), vector, request_.vector.size());
        best_cosine = std::max(best_cosine, *row.cosine);
      }
    }
    for (auto& [place, row] : rows) {
      // A row whose vector is still to come is ranked by its words alone, as a row without the words is by its vector.
      if (best_text > 0) row.score += (row.cosine ? kTextWeight : 1.0) * *row.bm25 / best_text;
      if (best_cosine > 0 && row.cosine) row.score += kCosineWeight * std::max(0.0, *row.cosine) / best_cosine;
      result.push_back(row);
    }
    return finish(std::move(result));
  }

  [[nodiscard]] std::vector<RankedRow> finish(std::vector<RankedRow> rows) const {
    std::ranges::sort(rows, [](const RankedRow& a, const RankedRow& b) {
      if (a.score != b.score) return a.score > b.score;
      return a.segment->segment->key(a.row) < b.segment->segment->key(b.row);
    });
    if (rows.size() > request_.count) rows.resize(request_.count);
    if (request_.score_threshold > 0)
      std::erase_if(rows, [&](const RankedRow& row) { return row.score < request_.score_threshold; });
    return rows;
  }

  const View& view_;
  const RankRequest& request_;
  const Deadline& deadline_;
  std::vector<std::shared_ptr<const RowSet>> allowed_;
  std::vector<std::vector<float>> scores_;
};

}  // namespace

std::vector<RankedRow> rank(const View& view, const RankRequest& request, const Filter& filter,
                            const Deadline& deadline) {
  return Search(view, request, filter, deadline).run();
}

double ann_score(double cosine) {
  return 1 / (3 - 2 * std::clamp(cosine, -1.0, 1.0));
}

}  // namespace lakeloop::search
