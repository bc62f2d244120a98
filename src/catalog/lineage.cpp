// Lineage: arrows between things, each kept once.

#include <algorithm>
#include <array>

#include "base/limits.h"
#include "catalog/impl.h"
#include "codec/hash.h"

namespace lakeloop::catalog {
namespace {

using db::Transaction;

constexpr std::array<std::string_view, 7> kKinds{"table",    "model_version", "index", "file",
                                                 "endpoint", "trace",         "prompt"};
constexpr std::size_t kNameBytes = 2048;

void check_end(std::string_view field, std::string_view kind, std::string_view name) {
  if (std::ranges::find(kKinds, kind) == kKinds.end()) {
    throw Error(ErrorCode::kInvalidArgument, "{}_kind '{}' is no kind of lineage", field, kind.substr(0, 80));
  }
  if (name.empty() || name.size() > kNameBytes || !is_clean_text(name)) {
    throw Error(ErrorCode::kInvalidArgument, "{} is not UTF-8 text of 1-{} bytes without control characters", field,
                kNameBytes);
  }
}

// Equal for arrows that say the same; the time they were seen does not count.
std::string digest_of(const LineageEdge& edge, const std::string& details) {
  return codec::sha256_hex(Json::array({edge.source_kind, edge.source, edge.target_kind, edge.target, details}).dump());
}

std::vector<LineageEdge> edges_where(Transaction& t, std::string_view condition, std::string_view kind,
                                     std::string_view name) {
  std::string sql = "SELECT source_kind, source, target_kind, target, details, at FROM catalog_lineage WHERE ";
  sql.append(condition).append(" ORDER BY at DESC, digest LIMIT $3");
  std::vector<LineageEdge> edges;
  for (const auto& row :
       t.query(sql, {std::string(kind), std::string(name), static_cast<std::int64_t>(limits::kLineageEdges)})) {
    edges.push_back({.source_kind = row.text(0),
                     .source = row.text(1),
                     .target_kind = row.text(2),
                     .target = row.text(3),
                     .details = Json::parse(row.text(4)),
                     .at = {row.integer(5)}});
  }
  return edges;
}

}  // namespace

void Catalog::record_lineage(const std::vector<LineageEdge>& edges) {
  if (edges.empty()) return;
  if (edges.size() > limits::kLineageEdges) {
    throw Error(ErrorCode::kInvalidArgument, "more than {} arrows of lineage at once", limits::kLineageEdges);
  }
  for (const LineageEdge& edge : edges) {
    check_end("source", edge.source_kind, edge.source);
    check_end("target", edge.target_kind, edge.target);
  }
  impl_->database.write([&](Transaction& t) {
    for (const LineageEdge& edge : edges) {
      const std::string details = edge.details.dump();
      if (details.size() > limits::kCommentBytes) {
        throw Error(ErrorCode::kInvalidArgument, "details of lineage have more than {} bytes", limits::kCommentBytes);
      }
      t.execute(
          "INSERT INTO catalog_lineage (digest, source_kind, source, target_kind, target, details, at) "
          "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
          {digest_of(edge, details), edge.source_kind, edge.source, edge.target_kind, edge.target, details,
           (edge.at.micros != 0 ? edge.at : Timestamp::now()).micros});
    }
  });
}

std::vector<LineageEdge> Catalog::lineage_of(std::string_view target_kind, std::string_view target) {
  return impl_->database.reading(
      [&](Transaction& t) { return edges_where(t, "target_kind = $1 AND target = $2", target_kind, target); });
}

std::vector<LineageEdge> Catalog::lineage_from(std::string_view source_kind, std::string_view source) {
  return impl_->database.reading(
      [&](Transaction& t) { return edges_where(t, "source_kind = $1 AND source = $2", source_kind, source); });
}

}  // namespace lakeloop::catalog
