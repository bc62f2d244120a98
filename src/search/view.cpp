#include "search/view.h"

#include <algorithm>

namespace lakeloop::search {

namespace {

const SegmentView* find_segment(const View* view, std::string_view file) {
  if (view == nullptr) return nullptr;
  const auto found =
      std::ranges::find(view->segments, file, [](const SegmentView& s) { return std::string_view(s.files.file); });
  return found == view->segments.end() ? nullptr : &*found;
}

std::shared_ptr<const RowSet> read_live(const std::filesystem::path& folder, const SegmentFiles& files,
                                        std::uint32_t rows) {
  auto live = std::make_shared<RowSet>(rows, true);
  if (!files.tombstones.empty()) {
    const SectionFile file = SectionFile::open(folder / files.tombstones, FileKind::kTombstones);
    live->subtract(RowSet::parse(file.section(1), rows));
  }
  return live;
}

SegmentView open_segment(const std::filesystem::path& folder, const SegmentFiles& files, const SegmentView* previous) {
  SegmentView view;
  view.files = files;
  view.segment = previous != nullptr ? previous->segment : Segment::open(folder / files.file);
  const Segment& segment = *view.segment;
  if (previous != nullptr && previous->files.tombstones == files.tombstones) {
    view.live = previous->live;
    view.live_rows = previous->live_rows;
    view.live_length = previous->live_length;
  } else {
    view.live = read_live(folder, files, segment.rows());
    view.live_rows = view.live->count();
    view.live->for_each([&](std::uint32_t row) { view.live_length += segment.lengths()[row]; });
  }
  for (const VectorFile& file : files.vectors) {
    OpenPart part{file.file, file.model_id, nullptr};
    if (previous != nullptr) {
      const auto known = std::ranges::find(previous->vectors, file.file, &OpenPart::file);
      if (known != previous->vectors.end()) part.part = known->part;
    }
    if (!part.part) part.part = VectorPart::open(folder / file.file, segment.rows());
    view.vectors.push_back(std::move(part));
  }
  if (!files.graph.empty()) {
    if (previous != nullptr && previous->files.graph == files.graph) {
      view.graph = previous->graph;
    } else {
      const auto over = std::ranges::find(view.vectors, files.graph_vectors, &OpenPart::file);
      if (over != view.vectors.end()) view.graph = Graph::open(folder / files.graph, over->part);
    }
  }
  return view;
}

}  // namespace

const float* SegmentView::vector_of(std::uint32_t row, std::string_view model_id) const {
  for (const OpenPart& part : vectors) {
    if (part.model_id != model_id) continue;
    if (const float* found = part.part->find(row)) return found;
  }
  return nullptr;
}

RowSet SegmentView::pending(std::string_view model_id) const {
  RowSet rows = segment->embeddable();
  rows.intersect(*live);
  for (const OpenPart& part : vectors) {
    if (part.model_id != model_id) continue;
    rows.subtract(part.part->present());
    rows.subtract(part.part->refused());
  }
  return rows;
}

const float* View::vector_of_content(const ContentHash& hash, std::string_view model_id) const {
  const float* found = nullptr;
  for (const SegmentView& segment : segments) {
    segment.segment->for_content(hash, [&](std::uint32_t row) {
      found = segment.vector_of(row, model_id);
      return found != nullptr;
    });
    if (found != nullptr) return found;
  }
  return nullptr;
}

std::shared_ptr<const View> View::open(const std::filesystem::path& folder, Manifest manifest, const View* previous) {
  auto view = std::make_shared<View>();
  view->manifest = std::move(manifest);
  const std::string model = view->manifest.model ? view->manifest.model->id() : std::string();
  for (const SegmentFiles& files : view->manifest.segments) {
    SegmentView segment = open_segment(folder, files, find_segment(previous, files.file));
    view->live_rows += segment.live_rows;
    view->live_length += segment.live_length;
    view->pending_rows += segment.pending(model).count();
    for (const OpenPart& part : segment.vectors) {
      if (part.model_id != model) continue;
      RowSet present = part.part->present();
      present.intersect(*segment.live);
      view->rows_with_vectors += present.count();
    }
    view->segments.push_back(std::move(segment));
  }
  return view;
}

}  // namespace lakeloop::search
