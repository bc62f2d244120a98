#pragma once

// An immutable set of rows in one file: typed columns, the primary keys, the full-text postings with document lengths,
// and for each row the hash of the text that is to be embedded. Vectors come later, in files of their own
// (vector_part.h), so that text is searchable before the embedding model has seen it.

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json.h"
#include "delta/schema.h"
#include "search/column.h"
#include "search/postings.h"
#include "search/row_set.h"
#include "search/section_file.h"

namespace lakeloop::search {

// Which columns play which part. Names are those of the schema.
struct Layout {
  std::string primary_key;
  std::vector<std::string> text_columns;  // searched by BM25, as one field; empty: all text columns but the key
  std::string embedding_column;           // empty: no vectors
  std::string context_column;             // put before the text when it is embedded; may be empty
};

// First half of the SHA-256 of the text that is embedded: equal text gets the vector it had before.
using ContentHash = std::array<std::uint64_t, 2>;

// A key as bytes that are equal for equal keys: text as it is, integers in decimal. Nullopt for NULL and other types.
std::optional<std::string> key_bytes(const Json& cell);
// Context, a line end, text; empty when the text is NULL or blank: such a row gets no vector.
std::string embedded_text(const Json& context, const Json& text);
ContentHash content_hash(std::string_view embedded_text);

class Segment;

class SegmentBuilder {
 public:
  SegmentBuilder(delta::Schema schema, Layout layout);
  // `row` in the order of the schema; its key is not NULL (checked).
  void add(const delta::Row& row);
  // Copies the rows of `from` that are in `rows`, without analysing their text again. The schemas must hold the same
  // layout.
  void add(const Segment& from, const RowSet& rows);
  [[nodiscard]] std::uint32_t rows() const { return static_cast<std::uint32_t>(lengths_.size()); }
  [[nodiscard]] std::size_t bytes() const;
  void write(const std::filesystem::path& path);

 private:
  void add_hash(const ContentHash& hash, bool embeddable);

  delta::Schema schema_;
  Layout layout_;
  std::vector<ColumnBuilder> columns_;
  std::size_t key_ = 0;
  std::vector<std::size_t> text_;
  std::optional<std::size_t> embedding_, context_;
  PostingsBuilder postings_;
  std::vector<std::uint32_t> lengths_;
  std::vector<std::string> keys_;
  std::vector<ContentHash> hashes_;
  std::vector<std::uint32_t> embeddable_;
};

class Segment {
 public:
  // kDataLoss when the file is damaged.
  static std::shared_ptr<const Segment> open(const std::filesystem::path& path);

  [[nodiscard]] std::uint32_t rows() const { return rows_; }
  [[nodiscard]] const delta::Schema& schema() const { return schema_; }
  // nullptr when the segment was written before the column existed: NULL for every row.
  [[nodiscard]] const Column* column(std::string_view name) const;
  [[nodiscard]] const Column& key_column() const { return columns_[key_]; }
  [[nodiscard]] std::string key(std::uint32_t row) const;
  [[nodiscard]] std::optional<std::uint32_t> find_key(std::string_view key) const;
  [[nodiscard]] const Postings& postings() const { return *postings_; }
  [[nodiscard]] std::span<const std::uint32_t> lengths() const { return lengths_; }  // in terms
  [[nodiscard]] std::uint64_t total_length() const { return total_length_; }
  [[nodiscard]] const RowSet& embeddable() const { return embeddable_; }
  [[nodiscard]] const ContentHash& hash(std::uint32_t row) const { return hashes_[row]; }
  // Calls `visit` with each row of that content until it returns true.
  template <typename F>
  void for_content(const ContentHash& wanted, F&& visit) const {
    for (auto at = std::ranges::lower_bound(by_content_, wanted[0], {}, &Slot::hash);
         at != by_content_.end() && at->hash == wanted[0]; ++at) {
      if (hashes_[at->row] == wanted && visit(static_cast<std::uint32_t>(at->row))) return;
    }
  }
  [[nodiscard]] std::string embedded_text_of(std::uint32_t row) const;
  [[nodiscard]] std::size_t bytes() const { return file_.size(); }

 private:
  struct Slot {
    std::uint64_t hash, row;
  };
  Segment() = default;

  SectionFile file_;
  std::uint32_t rows_ = 0;
  delta::Schema schema_;
  Layout layout_;
  std::size_t key_ = 0;
  std::vector<Column> columns_;
  std::unique_ptr<Postings> postings_;
  std::span<const std::uint32_t> lengths_;
  std::uint64_t total_length_ = 0;
  RowSet embeddable_;
  std::span<const ContentHash> hashes_;
  std::span<const Slot> by_key_, by_content_;
};

}  // namespace lakeloop::search
