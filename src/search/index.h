#pragma once

// The engine of one index: a folder of immutable files under a manifest. Readers take a View; writers prepare files and
// publish a new manifest. Every change is atomic and durable when its call returns. Thread-safe; changes of rows,
// merges and vectors may be prepared at the same time and are published one after another.
//
// An index that cannot be read (damage, other analyzer, other layout) opens empty, with the reason in `problem()`: the
// owner rebuilds it from its table. Vectors of files that are whole are kept aside and used again (by content and
// model).

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "search/segment.h"
#include "search/view.h"

namespace lakeloop::search {

struct IndexOptions {
  std::uint32_t segment_rows = 131'072;  // a segment is closed at this size
  std::size_t segment_bytes = std::size_t{512} << 20;
  std::size_t merge_at = 8;           // more segments than this are merged
  std::uint32_t graph_rows = 20'000;  // from here on a segment gets a graph
  std::size_t vector_parts = 8;       // more parts of one segment than this are joined
};

// Keyed changes: a row, or nullopt where the key was deleted. Rows are in the order of `schema`.
struct RowChanges {
  delta::Schema schema;
  std::unordered_map<std::string, std::optional<delta::Row>> by_key;
  std::vector<std::string> order;  // keys as they came: rows are stored in this order
  std::int64_t refused_rows = 0;
  std::vector<RefusedRow> refused;  // limited to kRefusedKept

  void put(std::string key, std::optional<delta::Row> row);
  void refuse(std::string key, std::string reason);
};

struct SourcePosition {
  std::string table_id;
  std::int64_t version = -1;
};

// A text that waits for its vector.
struct PendingText {
  std::string segment;  // file
  std::uint32_t row = 0;
  ContentHash hash{};
  std::string key, text;
};

// A vector, or why there is none.
struct VectorResult {
  PendingText of;
  std::vector<float> vector;  // any length; empty: refused
  std::string refusal;
};

class Index {
 public:
  static constexpr std::size_t kRefusedKept = 20;

  // Creates the folder when missing; removes files that no manifest names.
  Index(std::filesystem::path folder, Layout layout, IndexOptions options = {});

  [[nodiscard]] std::shared_ptr<const View> view() const;
  [[nodiscard]] const Layout& layout() const { return layout_; }
  [[nodiscard]] std::string problem() const;

  // Applies changes on top of what is there; `position` is what the index then reflects.
  void apply(const RowChanges& changes, const SourcePosition& position);
  // Replaces all rows. The old ones are served until the new set is complete, and their vectors are used again.
  void replace(const RowChanges& rows, const SourcePosition& position);

  // --- vectors
  // Up to `limit` texts without a vector by `model`.
  [[nodiscard]] std::vector<PendingText> pending(const EmbeddingModel& model, std::size_t limit) const;
  // Attaches vectors (normalised here) to rows that still exist; a vector that has no direction or another dimension is
  // refused with the row's key. The model becomes the serving one where there is none; beside another one it fills in
  // unseen, and takes over when nothing is pending for it. Also to be called without results, to let it take over.
  void attach(const EmbeddingModel& model, std::vector<VectorResult> results);

  // --- upkeep; each does one step and returns whether it did anything
  bool merge_segments();
  bool join_vectors();
  bool build_graph(const std::stop_token& stop);

  // Called after each publication, without locks held.
  void on_publish(std::function<void()> call);

 private:
  class Prepared;  // files written but not named yet; removed unless published

  void open_folder();
  std::string new_file(Prepared& prepared, std::string_view suffix);
  std::vector<SegmentFiles> write_segments(const RowChanges& changes, const View& vectors_from, Prepared& prepared);
  void add_vectors(SegmentFiles& files, const View& from, Prepared& prepared);
  void set_dead(SegmentFiles& files, const RowSet& dead, Prepared& prepared);
  // Runs `change` on a copy of the newest manifest, with the writer's lock held; writes and shows it unless it returns
  // false.
  bool publish(Prepared& prepared, const std::function<bool(const View& now, Manifest& next)>& change);
  void remove_unnamed(const Manifest& manifest);
  [[nodiscard]] std::vector<std::string> merge_candidates(const View& view) const;

  const std::filesystem::path folder_;
  const Layout layout_;
  const std::string layout_text_;
  const IndexOptions options_;
  std::atomic<std::int64_t> next_file_{1};
  std::mutex writer_;
  std::int64_t last_manifest_ = 0;  // under writer_
  mutable std::mutex view_mutex_;
  std::shared_ptr<const View> view_;
  std::shared_ptr<const View> donor_;  // whole files of a set that could not be opened: their vectors are used again
  std::string problem_;
  std::function<void()> on_publish_;
};

}  // namespace lakeloop::search
