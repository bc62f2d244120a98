#pragma once

// Text to search terms: Unicode word segmentation (UAX #29, by ICU), NFKC case folding, Snowball's English stemmer
// (Porter2) and a small stop list. Identifiers of code are found whole and by their parts: "HashMap" gives hashmap,
// hash, map; "foo_bar" gives foo_bar, foo, bar. Documents and queries must pass through the same version: it is kept in
// the manifest. One Analyzer belongs to one thread; it is costly to make and cheap to keep.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lakeloop::search {

class Analyzer {
 public:
  Analyzer();
  ~Analyzer();
  Analyzer(Analyzer&&) noexcept;
  Analyzer& operator=(Analyzer&&) noexcept;

  // Calls `on_term` for each term in reading order. The view is valid during the call. Invalid UTF-8 is read as U+FFFD.
  void analyze(std::string_view text, const std::function<void(std::string_view)>& on_term);
  std::vector<std::string> terms(std::string_view text);

  // Changes whenever the same text could give other terms.
  [[nodiscard]] static const std::string& version();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The calling thread's own analyzer.
Analyzer& thread_analyzer();

}  // namespace lakeloop::search
