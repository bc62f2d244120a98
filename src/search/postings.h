#pragma once

// The inverted index of one segment: a sorted dictionary of terms, each with its documents in ascending order and how
// often the term occurs in each, as varints (LEB128) of the distance to the last document and of the count. Scoring
// goes term by term over whole lists (BM25 needs every list of the query), so lists carry no skip pointers.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "search/section_file.h"

namespace lakeloop::search {

struct Posting {
  std::uint32_t row = 0;
  std::uint32_t count = 0;
};

class PostingsBuilder {
 public:
  // Rows of one term must come in ascending order, each once.
  void add(std::string_view term, std::uint32_t row, std::uint32_t count);
  // Writes four sections from first_id on.
  void write(SectionWriter& writer, std::uint32_t first_id);
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct List {
    std::string bytes;
    std::uint32_t last_row = 0;
    std::uint32_t size = 0;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, List, Hash, std::equal_to<>> lists_;
  std::size_t bytes_ = 0;
};

class Postings {
 public:
  Postings(const SectionFile& file, std::uint32_t first_id, std::uint32_t rows);

  [[nodiscard]] std::size_t terms() const { return term_ends_.size(); }
  [[nodiscard]] std::string_view term(std::size_t index) const;
  // The postings of a term, decoded; empty when it does not occur. `into` is overwritten.
  void read(std::string_view term, std::vector<Posting>& into) const;
  void read(std::size_t index, std::vector<Posting>& into) const;

 private:
  const SectionFile* file_;
  std::uint32_t rows_;
  std::span<const std::uint64_t> term_ends_, list_ends_;
  std::string_view term_text_, lists_;
};

}  // namespace lakeloop::search
