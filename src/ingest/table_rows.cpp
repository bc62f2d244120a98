#include "ingest/table_rows.h"

#include <utility>

#include "base/error.h"

namespace lakeloop::ingest {
namespace {

using delta::DataType;
using delta::TypeKind;

const Json kNull;

template <typename Item, typename Convert>
std::vector<Item> items_of(const Json& cell, Convert convert) {
  std::vector<Item> items;
  if (!cell.is_array()) return items;
  for (const auto& item : cell.items()) {
    if (item.is_object()) convert(item, items);
  }
  return items;
}

}  // namespace

Columns::Columns(const delta::Schema& schema) : size_(schema.size()) {
  for (std::size_t i = 0; i < schema.size(); ++i) places_.emplace(schema[i].name, i);
}

void Columns::require(std::string_view table, std::initializer_list<std::string_view> names) const {
  for (const auto name : names) {
    if (!has(name))
      throw Error(ErrorCode::kInvalidArgument, "table {} has no column \"{}\", which is needed here", table, name);
  }
}

const Json& Columns::get(const delta::Row& row, std::string_view name) const {
  const auto place = places_.find(name);
  return place == places_.end() || place->second >= row.size() ? kNull : row[place->second];
}

void Columns::set(delta::Row& row, std::string_view name, Json value) const {
  if (const auto place = places_.find(name); place != places_.end()) row.at(place->second) = std::move(value);
}

DataType sections_type() {
  return DataType::array(DataType::structure(
      {{"path", DataType::array(TypeKind::kString)}, {"start", TypeKind::kLong}, {"end", TypeKind::kLong}}));
}

DataType blocks_type() {
  return DataType::array(
      DataType::structure({{"kind", TypeKind::kString}, {"start", TypeKind::kLong}, {"end", TypeKind::kLong}}));
}

Json sections_cell(const std::vector<Section>& sections) {
  Json::Array cells;
  for (const auto& section : sections) {
    cells.push_back(
        Json::object({{"path", Json::strings(section.path)}, {"start", section.start}, {"end", section.end}}));
  }
  return cells;
}

Json blocks_cell(const std::vector<Block>& blocks) {
  Json::Array cells;
  for (const auto& block : blocks) {
    cells.push_back(Json::object({{"kind", to_string(block.kind)}, {"start", block.start}, {"end", block.end}}));
  }
  return cells;
}

std::vector<Section> sections_of(const Json& cell) {
  return items_of<Section>(cell, [](const Json& item, std::vector<Section>& out) {
    Section section{{}, item["start"].int_or(0), item["end"].int_or(0)};
    const auto& path = item["path"];
    for (std::size_t i = 0; i < path.size(); ++i) section.path.push_back(path.at(i).string_or(""));
    out.push_back(std::move(section));
  });
}

std::vector<Block> blocks_of(const Json& cell) {
  return items_of<Block>(cell, [](const Json& item, std::vector<Block>& out) {
    out.push_back({parse_block_kind(item.str("kind")).value_or(BlockKind::kParagraph), item["start"].int_or(0),
                   item["end"].int_or(0)});
  });
}

}  // namespace lakeloop::ingest
