#include "search/index.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "base/text.h"
#include "search/analyzer.h"
#include "search/prepared.h"

namespace lakeloop::search {

namespace {

std::string layout_text(const Layout& layout) {
  return Json::array(
             {layout.primary_key, Json::strings(layout.text_columns), layout.embedding_column, layout.context_column})
      .dump();
}

// What of a damaged set is whole: its vectors need not be computed again.
std::shared_ptr<const View> salvage(const std::filesystem::path& folder, const Manifest& manifest) {
  Manifest whole = manifest;
  whole.segments.clear();
  for (SegmentFiles segment : manifest.segments) {
    segment.graph.clear();
    segment.tombstones.clear();
    const std::vector<VectorFile> parts = std::exchange(segment.vectors, {});
    for (const VectorFile& part : parts) {
      SegmentFiles one = segment;
      one.vectors = {part};
      Manifest probe = whole;
      probe.segments = {one};
      try {
        static_cast<void>(View::open(folder, probe, nullptr));
        segment.vectors.push_back(part);
      } catch (const Error&) {
        continue;  // this file is the damaged one
      }
    }
    if (!segment.vectors.empty()) whole.segments.push_back(std::move(segment));
  }
  return View::open(folder, std::move(whole), nullptr);
}

}  // namespace

void RowChanges::put(std::string key, std::optional<delta::Row> row) {
  const auto [at, added] = by_key.insert_or_assign(key, std::move(row));
  if (added) order.push_back(std::move(key));
}

void RowChanges::refuse(std::string key, std::string reason) {
  ++refused_rows;
  if (refused.size() < Index::kRefusedKept) refused.push_back({std::move(key), std::move(reason)});
}

Index::Index(std::filesystem::path folder, Layout layout, IndexOptions options)
    : folder_(std::move(folder)), layout_(std::move(layout)), layout_text_(layout_text(layout_)), options_(options) {
  std::filesystem::create_directories(folder_);
  open_folder();
}

void Index::open_folder() {
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    const std::string_view digits = std::string_view(name).substr(0, name.find('.'));
    if (const auto number = parse_number<std::int64_t>(digits)) next_file_ = std::max(next_file_.load(), *number + 1);
    if (name.starts_with("manifest-")) {
      const auto number = parse_number<std::int64_t>(digits.substr(std::string_view("manifest-").size()));
      if (number) last_manifest_ = std::max(last_manifest_, *number);
    }
  }
  auto empty = std::make_shared<View>();
  view_ = empty;
  std::optional<Manifest> manifest;
  try {
    manifest = read_newest_manifest(folder_);
    if (!manifest) return remove_unnamed({});
    view_ = View::open(folder_, *manifest, nullptr);
    if (manifest->layout != layout_text_) {
      problem_ = "the index was made with other columns";
      donor_ = std::exchange(view_, empty);
    } else if (manifest->analyzer != Analyzer::version()) {
      problem_ = format("the index was made by text analyzer {}, this is {}", manifest->analyzer, Analyzer::version());
    } else {
      remove_unnamed(*manifest);
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kDataLoss && error.code() != ErrorCode::kNotFound) throw;
    problem_ = error.message();
    view_ = empty;
    if (manifest) donor_ = salvage(folder_, *manifest);
  }
  if (!problem_.empty())
    log_warning("search_index_unusable", {{"folder", folder_.filename().string()}, {"reason", problem_}});
}

void Index::remove_unnamed(const Manifest& manifest) {
  const std::vector<std::string> named = manifest.files();
  std::set<std::string> keep(named.begin(), named.end());
  if (manifest.number > 0) keep.insert(manifest_name(manifest.number));
  std::vector<std::filesystem::path> gone;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    if (!keep.contains(entry.path().filename().string())) gone.push_back(entry.path());
  }
  std::error_code ignored;
  for (const auto& path : gone) std::filesystem::remove(path, ignored);
}

std::shared_ptr<const View> Index::view() const {
  const std::lock_guard lock(view_mutex_);
  return view_;
}

std::string Index::problem() const {
  const std::lock_guard lock(view_mutex_);
  return problem_;
}

void Index::on_publish(std::function<void()> call) {
  on_publish_ = std::move(call);
}

std::string Index::new_file(Prepared& prepared, std::string_view suffix) {
  std::string name = format("{:012}.{}", next_file_.fetch_add(1), suffix);
  prepared.add(name);
  return name;
}

bool Index::publish(Prepared& prepared, const std::function<bool(const View&, Manifest&)>& change) {
  {
    const std::lock_guard lock(writer_);
    const std::shared_ptr<const View> now = view();
    Manifest next = now->manifest;
    if (!change(*now, next)) return false;
    next.number = last_manifest_ + 1;
    // A model may have been given up while vectors for it were prepared.
    std::vector<std::string> given_up;
    for (SegmentFiles& segment : next.segments) {
      std::erase_if(segment.vectors, [&](const VectorFile& part) {
        const bool kept =
            (next.model && part.model_id == next.model->id()) || (next.next && part.model_id == next.next->id());
        if (!kept) given_up.push_back(part.file);
        return !kept;
      });
      const bool graph_valid = std::ranges::contains(segment.vectors, segment.graph_vectors, &VectorFile::file);
      if (!graph_valid) segment.graph = segment.graph_vectors = "";
    }
    std::shared_ptr<const View> shown = View::open(folder_, next, now.get());
    write_manifest(folder_, next);
    prepared.published();
    last_manifest_ = next.number;
    {
      const std::lock_guard view_lock(view_mutex_);
      view_ = std::move(shown);
    }
    // Mapped files stay readable for those who hold the old view.
    const std::vector<std::string> named = next.files();
    const std::set<std::string> keep(named.begin(), named.end());
    for (const std::string& file : now->manifest.files()) {
      if (!keep.contains(file)) prepared.drop(file);
    }
    for (const std::string& file : given_up) prepared.drop(file);
    if (now->manifest.number > 0) prepared.drop(manifest_name(now->manifest.number));
  }
  if (on_publish_) on_publish_();
  return true;
}

std::vector<SegmentFiles> Index::write_segments(const RowChanges& changes, const View& vectors_from,
                                                Prepared& prepared) {
  std::vector<SegmentFiles> result;
  std::optional<SegmentBuilder> builder;
  const auto close = [&] {
    if (!builder) return;
    SegmentFiles files;
    files.file = new_file(prepared, "segment");
    builder->write(folder_ / files.file);
    builder.reset();
    add_vectors(files, vectors_from, prepared);
    result.push_back(std::move(files));
  };
  for (const std::string& key : changes.order) {
    const std::optional<delta::Row>& row = changes.by_key.at(key);
    if (!row) continue;
    if (!builder) builder.emplace(changes.schema, layout_);
    builder->add(*row);
    if (builder->rows() >= options_.segment_rows || builder->bytes() >= options_.segment_bytes) close();
  }
  close();
  return result;
}

void Index::add_vectors(SegmentFiles& files, const View& from, Prepared& prepared) {
  std::shared_ptr<const Segment> segment;
  for (const auto& model : {from.manifest.model, from.manifest.next}) {
    if (!model) continue;
    if (!segment) segment = Segment::open(folder_ / files.file);
    VectorPartBuilder part(segment->rows(), static_cast<std::size_t>(model->dimension));
    segment->embeddable().for_each([&](std::uint32_t row) {
      const float* known = from.vector_of_content(segment->hash(row), model->id());
      if (known != nullptr) part.add(row, {known, static_cast<std::size_t>(model->dimension)});
    });
    if (part.empty()) continue;
    const std::string file = new_file(prepared, "vectors");
    part.write(folder_ / file);
    files.vectors.push_back({file, model->id()});
  }
}

void Index::set_dead(SegmentFiles& files, const RowSet& dead, Prepared& prepared) {
  files.tombstones = new_file(prepared, "tombstones");
  SectionWriter writer(FileKind::kTombstones);
  writer.add(1, dead.serialize());
  writer.write(folder_ / files.tombstones);
}

void Index::apply(const RowChanges& changes, const SourcePosition& position) {
  Prepared prepared(folder_);
  const std::vector<SegmentFiles> added = write_segments(changes, *view(), prepared);
  publish(prepared, [&](const View& now, Manifest& next) {
    next.segments.clear();
    for (const SegmentView& segment : now.segments) {
      RowSet live = *segment.live;
      for (const std::string& key : changes.order) {
        const auto row = segment.segment->find_key(key);
        if (row) live.remove(*row);
      }
      if (live.count() == 0) continue;
      SegmentFiles files = segment.files;
      if (live != *segment.live) {
        RowSet dead(live.rows(), true);
        dead.subtract(live);
        set_dead(files, dead, prepared);
      }
      next.segments.push_back(std::move(files));
    }
    next.segments.insert(next.segments.end(), added.begin(), added.end());
    if (next.number == 0) {
      next.analyzer = Analyzer::version();
      next.layout = layout_text_;
    }
    next.table_id = position.table_id;
    next.source_version = position.version;
    next.schema = changes.schema;
    next.refused_rows += changes.refused_rows;
    for (const RefusedRow& row : changes.refused) {
      if (next.refused.size() < kRefusedKept) next.refused.push_back(row);
    }
    return true;
  });
}

void Index::replace(const RowChanges& rows, const SourcePosition& position) {
  Prepared prepared(folder_);
  const std::shared_ptr<const View> vectors_from = donor_ ? donor_ : view();
  std::vector<SegmentFiles> segments = write_segments(rows, *vectors_from, prepared);
  publish(prepared, [&](const View& now, Manifest& next) {
    next = Manifest{};
    next.table_id = position.table_id;
    next.source_version = position.version;
    next.analyzer = Analyzer::version();
    next.layout = layout_text_;
    next.schema = rows.schema;
    const Manifest& models = donor_ ? vectors_from->manifest : now.manifest;
    next.model = models.model;
    next.next = models.next;
    next.segments = std::move(segments);
    next.refused_rows = rows.refused_rows;
    next.refused = rows.refused;
    return true;
  });
  if (problem().empty()) return;
  const std::lock_guard lock(writer_);
  donor_.reset();
  remove_unnamed(view()->manifest);
  const std::lock_guard view_lock(view_mutex_);
  problem_.clear();
}

}  // namespace lakeloop::search
