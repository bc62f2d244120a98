// Merging of segments: many small ones cost every query, deleted rows cost space and time.

#include <algorithm>
#include <map>

#include "search/index.h"
#include "search/prepared.h"

namespace lakeloop::search {

namespace {

constexpr std::uint32_t kWorthRewriting = 1000;  // rows; smaller segments vanish in merges anyway

bool mostly_live(const SegmentView& segment) {
  const std::uint64_t rows = segment.segment->rows();
  return rows < kWorthRewriting || (rows - segment.live_rows) * 5 <= rows;
}

}  // namespace

std::vector<std::string> Index::merge_candidates(const View& view) const {
  for (const SegmentView& segment : view.segments) {
    if (!mostly_live(segment)) return {segment.files.file};
  }
  if (view.segments.size() <= options_.merge_at) return {};
  std::vector<const SegmentView*> by_size;
  for (const SegmentView& segment : view.segments) by_size.push_back(&segment);
  std::ranges::sort(by_size, {}, &SegmentView::live_rows);
  // The smallest ones, as long as the next is not much larger than all before it together: a row is then copied about
  // log(rows) times in its life.
  std::vector<std::string> chosen;
  std::uint64_t rows = 0;
  for (const SegmentView* segment : by_size) {
    if (rows + segment->live_rows > options_.segment_rows) break;
    if (chosen.size() >= 2 && segment->live_rows > 2 * rows + kWorthRewriting) break;
    chosen.push_back(segment->files.file);
    rows += segment->live_rows;
  }
  if (chosen.size() < 2) chosen.clear();
  return chosen;
}

bool Index::merge_segments() {
  const std::shared_ptr<const View> seen = view();
  const std::vector<std::string> names = merge_candidates(*seen);
  if (names.empty()) return false;
  std::vector<const SegmentView*> sources;  // in the order of the manifest
  std::uint32_t total = 0;
  for (const SegmentView& segment : seen->segments) {
    if (!std::ranges::contains(names, segment.files.file)) continue;
    sources.push_back(&segment);
    total += segment.live_rows;
  }

  Prepared prepared(folder_);
  SegmentBuilder builder(seen->manifest.schema, layout_);
  std::vector<std::vector<std::uint32_t>> renumbered;  // of each source; only live rows are set
  for (const SegmentView* source : sources) {
    std::uint32_t next = builder.rows();
    renumbered.emplace_back(source->segment->rows());
    source->live->for_each([&](std::uint32_t row) { renumbered.back()[row] = next++; });
    builder.add(*source->segment, *source->live);
  }
  SegmentFiles merged;
  merged.file = new_file(prepared, "segment");
  builder.write(folder_ / merged.file);
  for (const auto& model : {seen->manifest.model, seen->manifest.next}) {
    if (!model) continue;
    VectorPartBuilder vectors(total, static_cast<std::size_t>(model->dimension));
    for (std::size_t i = 0; i < sources.size(); ++i) {
      for (const OpenPart& part : sources[i]->vectors) {
        if (part.model_id != model->id()) continue;
        for (std::size_t rank = 0; rank < part.part->size(); ++rank) {
          const std::uint32_t row = part.part->row(rank);
          if (sources[i]->live->contains(row))
            vectors.add(renumbered[i][row], {part.part->at(rank), part.part->dimension()});
        }
        part.part->refused().for_each([&](std::uint32_t row) {
          if (sources[i]->live->contains(row)) vectors.refuse(renumbered[i][row]);
        });
      }
    }
    if (vectors.empty()) continue;
    const std::string file = new_file(prepared, "vectors");
    vectors.write(folder_ / file);
    merged.vectors.push_back({file, model->id()});
  }

  return publish(prepared, [&](const View& now, Manifest& next) {
    // Rows that were deleted while the merge ran.
    RowSet dead(total);
    std::size_t found = 0;
    for (const SegmentView& segment : now.segments) {
      const auto source =
          std::ranges::find(sources, segment.files.file, [](const SegmentView* s) { return s->files.file; });
      if (source == sources.end()) continue;
      ++found;
      const auto& numbers = renumbered[static_cast<std::size_t>(source - sources.begin())];
      RowSet gone = *(*source)->live;
      gone.subtract(*segment.live);
      gone.for_each([&](std::uint32_t row) { dead.add(numbers[row]); });
    }
    // A source is gone (its last row was deleted, or all was replaced): the next round merges what there is then.
    if (found != sources.size()) return false;
    if (dead.count() > 0) set_dead(merged, dead, prepared);
    const auto is_source = [&](const SegmentFiles& files) { return std::ranges::contains(names, files.file); };
    const auto place = std::ranges::find_if(next.segments, is_source);
    *place = merged;
    std::erase_if(next.segments, is_source);
    return true;
  });
}

}  // namespace lakeloop::search
