#pragma once

// Rows by column name: the tables may have been made elsewhere, in another order or with more columns.

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

#include "delta/schema.h"
#include "ingest/page.h"

namespace lakeloop::ingest {

class Columns {
 public:
  explicit Columns(const delta::Schema& schema);

  [[nodiscard]] bool has(std::string_view name) const { return places_.contains(name); }
  // kInvalidArgument naming the table and the first of `names` that is missing.
  void require(std::string_view table, std::initializer_list<std::string_view> names) const;
  // Null where the table has no such column.
  [[nodiscard]] const Json& get(const delta::Row& row, std::string_view name) const;
  // Nothing happens where the table has no such column.
  void set(delta::Row& row, std::string_view name, Json value) const;
  [[nodiscard]] delta::Row empty_row() const { return delta::Row(size_); }

 private:
  std::map<std::string, std::size_t, std::less<>> places_;
  std::size_t size_ = 0;
};

// The cells of a pages table that hold a page's structure, and back. What is not understood in a cell is left out.
delta::DataType sections_type();
delta::DataType blocks_type();
Json sections_cell(const std::vector<Section>& sections);
Json blocks_cell(const std::vector<Block>& blocks);
std::vector<Section> sections_of(const Json& cell);
std::vector<Block> blocks_of(const Json& cell);

}  // namespace lakeloop::ingest
