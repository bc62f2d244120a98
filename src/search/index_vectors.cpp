// Vectors of an index: what waits for them, how they are attached, joined and put under a graph.

#include <algorithm>
#include <map>

#include "base/format.h"
#include "search/distance.h"
#include "search/index.h"
#include "search/prepared.h"

namespace lakeloop::search {

std::vector<PendingText> Index::pending(const EmbeddingModel& model, std::size_t limit) const {
  std::vector<PendingText> result;
  const std::shared_ptr<const View> now = view();
  for (const SegmentView& segment : now->segments) {
    if (result.size() >= limit) break;
    segment.pending(model.id()).for_each([&](std::uint32_t row) {
      if (result.size() >= limit) return;
      result.push_back({segment.files.file, row, segment.segment->hash(row), segment.segment->key(row),
                        segment.segment->embedded_text_of(row)});
    });
  }
  return result;
}

void Index::attach(const EmbeddingModel& given, std::vector<VectorResult> results) {
  EmbeddingModel model = given;
  const std::shared_ptr<const View> seen = view();
  // The dimension that the model already has here rules, not what a remote one says today.
  for (const auto& known : {seen->manifest.model, seen->manifest.next}) {
    if (known && known->id() == model.id() && known->dimension > 0) model.dimension = known->dimension;
  }
  for (const VectorResult& result : results) {
    if (model.dimension == 0) model.dimension = static_cast<std::int64_t>(result.vector.size());
  }

  std::map<std::string, std::vector<VectorResult*>> by_segment;
  for (VectorResult& result : results) by_segment[result.of.segment].push_back(&result);
  std::vector<RefusedRow> refused;
  std::map<std::string, VectorFile> parts;
  Prepared prepared(folder_);
  for (const SegmentView& segment : seen->segments) {
    const auto found = by_segment.find(segment.files.file);
    if (found == by_segment.end()) continue;
    const RowSet wanted = segment.pending(model.id());
    VectorPartBuilder builder(segment.segment->rows(), static_cast<std::size_t>(model.dimension));
    for (VectorResult* result : found->second) {
      if (!wanted.contains(result->of.row)) continue;
      if (!result->vector.empty() && static_cast<std::int64_t>(result->vector.size()) != model.dimension) {
        result->refusal = format("the model gave {} numbers instead of {}", result->vector.size(), model.dimension);
      } else if (!result->vector.empty() && !normalize(result->vector)) {
        result->refusal = "the model gave a vector without direction (zero, NaN or infinite)";
      } else if (result->vector.empty() && result->refusal.empty()) {
        result->refusal = "the model gave no vector";
      }
      if (result->refusal.empty()) {
        builder.add(result->of.row, result->vector);
      } else {
        builder.refuse(result->of.row);
        refused.push_back({result->of.key, result->refusal});
      }
    }
    if (builder.empty()) continue;
    const std::string file = new_file(prepared, "vectors");
    builder.write(folder_ / file);
    parts.emplace(segment.files.file, VectorFile{file, model.id()});
  }

  publish(prepared, [&](const View& now, Manifest& next) {
    bool changed = false;
    const auto is_model = [&](const std::optional<EmbeddingModel>& other) {
      return other && other->id() == model.id();
    };
    if (!next.model && !parts.empty()) {
      next.model = model;
      changed = true;
    } else if (is_model(next.model)) {
      changed = next.next.has_value();
      next.next.reset();
    } else if (next.model && !is_model(next.next)) {
      next.next = model;
      changed = true;
    }
    // A remote model does not say its dimension; the first vector does.
    if (is_model(next.model)) next.model->dimension = model.dimension;
    if (is_model(next.next)) next.next->dimension = model.dimension;
    std::uint64_t left = 0;
    for (SegmentFiles& files : next.segments) {
      const auto current =
          std::ranges::find(now.segments, files.file, [](const SegmentView& s) { return s.files.file; });
      RowSet waiting = current->pending(model.id());
      const auto part = parts.find(files.file);
      if (part != parts.end()) {
        files.vectors.push_back(part->second);
        for (const VectorResult* result : by_segment[files.file]) {
          if (result->of.row < waiting.rows()) waiting.remove(result->of.row);
        }
        parts.erase(part);
        changed = true;
      }
      left += waiting.count();
    }
    // A segment that was merged or replaced meanwhile: its texts are asked for again, and found by their content.
    for (const auto& [segment, part] : parts) prepared.drop(part.file);
    if (is_model(next.next) && left == 0) {
      next.model = std::exchange(next.next, std::nullopt);
      changed = true;
    }
    next.refused_rows += static_cast<std::int64_t>(refused.size());
    for (const RefusedRow& row : refused) {
      if (next.refused.size() < kRefusedKept) next.refused.push_back(row);
    }
    return changed;
  });
}

bool Index::join_vectors() {
  const std::shared_ptr<const View> seen = view();
  for (const SegmentView& segment : seen->segments) {
    for (const auto& model : {seen->manifest.model, seen->manifest.next}) {
      if (!model) continue;
      std::vector<const OpenPart*> parts;
      for (const OpenPart& part : segment.vectors) {
        if (part.model_id == model->id()) parts.push_back(&part);
      }
      const bool complete = parts.size() > 1 && segment.pending(model->id()).count() == 0;
      if (!complete && parts.size() <= options_.vector_parts) continue;

      Prepared prepared(folder_);
      VectorPartBuilder joined(segment.segment->rows(), static_cast<std::size_t>(model->dimension));
      for (const OpenPart* part : parts) {
        for (std::size_t rank = 0; rank < part->part->size(); ++rank) {
          joined.add(part->part->row(rank), {part->part->at(rank), part->part->dimension()});
        }
        part->part->refused().for_each([&](std::uint32_t row) { joined.refuse(row); });
      }
      const std::string file = new_file(prepared, "vectors");
      joined.write(folder_ / file);
      return publish(prepared, [&](const View&, Manifest& next) {
        for (SegmentFiles& files : next.segments) {
          if (files.file != segment.files.file) continue;
          const std::size_t before = files.vectors.size();
          std::erase_if(files.vectors, [&](const VectorFile& old) {
            return std::ranges::any_of(parts, [&](const OpenPart* part) { return part->file == old.file; });
          });
          if (before - files.vectors.size() != parts.size()) return false;
          files.vectors.push_back({file, model->id()});
          return true;
        }
        return false;
      });
    }
  }
  return false;
}

bool Index::build_graph(const std::stop_token& stop) {
  const std::shared_ptr<const View> seen = view();
  if (!seen->manifest.model) return false;
  for (const SegmentView& segment : seen->segments) {
    if (segment.graph || segment.live_rows < options_.graph_rows) continue;
    std::vector<const OpenPart*> parts;
    for (const OpenPart& part : segment.vectors) {
      if (part.model_id == seen->manifest.model->id()) parts.push_back(&part);
    }
    if (parts.size() != 1 || parts[0]->part->size() < options_.graph_rows) continue;
    Prepared prepared(folder_);
    const std::string file = new_file(prepared, "graph");
    if (!Graph::build(*parts[0]->part, folder_ / file, stop)) return false;
    return publish(prepared, [&](const View&, Manifest& next) {
      for (SegmentFiles& files : next.segments) {
        if (files.file != segment.files.file ||
            !std::ranges::contains(files.vectors, parts[0]->file, &VectorFile::file))
          continue;
        files.graph = file;
        files.graph_vectors = parts[0]->file;
        return true;
      }
      return false;
    });
  }
  return false;
}

}  // namespace lakeloop::search
