#include "search/graph.h"

#include <fcntl.h>
#include <hnswlib/hnswlib.h>
#include <unistd.h>

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "base/file.h"
#include "base/format.h"
#include "codec/hash.h"
#include "search/distance.h"

namespace lakeloop::search {

namespace {

constexpr std::size_t kLinks = 16;         // M of the HNSW paper
constexpr std::size_t kBuildEffort = 200;  // efConstruction

// What the graph keeps for a point: its rank in the vector part, so that vectors stay in the mapped file and are not
// held twice. A query is no point; it goes in as a pointer with the top bit set, which no rank and no user-space
// address has.
using Point = std::uint64_t;
constexpr Point kPointerBit = Point{1} << 63;

struct Vectors {
  const VectorPart* part = nullptr;
  std::size_t dimension = 0;
  DotProduct dot = nullptr;
};

const float* resolve(const void* point, const Vectors& vectors) {
  const Point value = *static_cast<const Point*>(point);
  if ((value & kPointerBit) != 0) return std::bit_cast<const float*>(value & ~kPointerBit);
  return vectors.part->at(value);
}

float distance(const void* a, const void* b, const void* parameter) {
  const auto& vectors = *static_cast<const Vectors*>(parameter);
  return 1.0F - vectors.dot(resolve(a, vectors), resolve(b, vectors), vectors.dimension);
}

// Distance through our own kernels, chosen at run time: hnswlib's are fixed when it is compiled.
class RankSpace : public hnswlib::SpaceInterface<float> {
 public:
  explicit RankSpace(const VectorPart& part) : vectors_{&part, part.dimension(), dot_product()} {}
  size_t get_data_size() override { return sizeof(Point); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return &distance; }
  void* get_dist_func_param() override { return &vectors_; }

 private:
  Vectors vectors_;
};

class Allowed : public hnswlib::BaseFilterFunctor {
 public:
  explicit Allowed(const std::function<bool(std::size_t)>& allowed) : allowed_(allowed) {}
  bool operator()(hnswlib::labeltype label) override { return allowed_(label); }

 private:
  const std::function<bool(std::size_t)>& allowed_;
};

std::filesystem::path checksum_path(const std::filesystem::path& path) {
  return path.string() + ".crc32c";
}

}  // namespace

struct Graph::Impl {
  std::shared_ptr<const VectorPart> part;
  std::unique_ptr<RankSpace> space;
  std::unique_ptr<hnswlib::HierarchicalNSW<float>> graph;
};

Graph::Graph() : impl_(std::make_unique<Impl>()) {}
Graph::~Graph() = default;

bool Graph::build(const VectorPart& part, const std::filesystem::path& path, const std::stop_token& stop) {
  RankSpace space(part);
  hnswlib::HierarchicalNSW<float> graph(&space, part.size(), kLinks, kBuildEffort);
  for (std::size_t rank = 0; rank < part.size(); ++rank) {
    if (stop.stop_requested()) return false;
    const Point point = rank;
    graph.addPoint(&point, rank);
  }
  graph.saveIndex(path.string());
  const FileHandle file = open_file(path, O_RDONLY);
  if (::fsync(file.get()) != 0) throw Error(ErrorCode::kInternal, "cannot make {} durable", path.string());
  write_file_atomic(checksum_path(path), format("{:08x}", codec::crc32c(read_file(path))));
  return true;
}

std::shared_ptr<const Graph> Graph::open(const std::filesystem::path& path, std::shared_ptr<const VectorPart> part) {
  const std::string name = path.filename().string();
  if (format("{:08x}", codec::crc32c(read_file(path))) != read_file(checksum_path(path), 64)) {
    throw Error(ErrorCode::kDataLoss, "index file {} is damaged: its checksum is wrong", name);
  }
  std::shared_ptr<Graph> result(new Graph);
  result->impl_->space = std::make_unique<RankSpace>(*part);
  try {
    result->impl_->graph = std::make_unique<hnswlib::HierarchicalNSW<float>>(result->impl_->space.get(), path.string());
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kDataLoss, "index file {} is damaged: {}", name, std::string_view(error.what()));
  }
  if (result->impl_->graph->cur_element_count != part->size()) {
    throw Error(ErrorCode::kDataLoss, "index file {} is damaged: it belongs to other vectors", name);
  }
  result->impl_->part = std::move(part);
  return result;
}

std::vector<Neighbour> Graph::search(const float* query, std::size_t count, std::size_t effort,
                                     const std::function<bool(std::size_t)>* allowed) const {
  const Point point = std::bit_cast<Point>(query) | kPointerBit;
  std::optional<Allowed> filter;
  if (allowed != nullptr) filter.emplace(*allowed);
  auto found = impl_->graph->searchKnn(&point, std::max(count, effort), filter ? &*filter : nullptr);
  std::vector<Neighbour> result;
  result.reserve(found.size());
  for (; !found.empty(); found.pop()) result.push_back({found.top().second, 1.0F - found.top().first});
  std::ranges::reverse(result);
  if (result.size() > count) result.resize(count);
  return result;
}

}  // namespace lakeloop::search
