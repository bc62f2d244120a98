#include "search/analyzer.h"

#include <libstemmer.h>
#include <unicode/brkiter.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utext.h>
#include <unicode/uversion.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/format.h"

namespace lakeloop::search {

namespace {

// Lucene's list for English: words so common that they only lengthen postings.
constexpr std::array<std::string_view, 33> kStopWords = {
    "a",   "an",    "and",  "are",   "as",    "at",   "be",   "but", "by",  "for",  "if",
    "in",  "into",  "is",   "it",    "no",    "not",  "of",   "on",  "or",  "such", "that",
    "the", "their", "then", "there", "these", "they", "this", "to",  "was", "will", "with"};

// A longer run without a break (base64, a hash) is data, not a word: its beginning is enough to find it.
constexpr std::size_t kTermBytes = 96;

bool is_stop_word(std::string_view term) {
  return std::ranges::binary_search(kStopWords, term);
}

int icu_major() {
  UVersionInfo version;
  u_getVersion(version);
  return version[0];
}

bool is_ascii(const char16_t* text, int32_t size) {
  return std::all_of(text, text + size, [](char16_t c) { return c < 0x80; });
}

}  // namespace

struct Analyzer::Impl {
  std::unique_ptr<icu::BreakIterator> words;
  const icu::Normalizer2* fold = nullptr;
  sb_stemmer* stemmer = nullptr;
  std::string folded, whole;

  Impl() {
    UErrorCode status = U_ZERO_ERROR;
    words.reset(icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), status));
    fold = icu::Normalizer2::getNFKCCasefoldInstance(status);
    stemmer = sb_stemmer_new("english", nullptr);
    LAKELOOP_CHECK(U_SUCCESS(status) && words && fold != nullptr && stemmer != nullptr);
  }
  ~Impl() { sb_stemmer_delete(stemmer); }

  // Folds text[begin, end) into `folded`.
  void fold_range(const icu::UnicodeString& text, int32_t begin, int32_t end) {
    folded.clear();
    const char16_t* units = text.getBuffer() + begin;
    const int32_t size = end - begin;
    if (is_ascii(units, size)) {
      const auto kept = static_cast<std::size_t>(std::min<int32_t>(size, kTermBytes));
      for (std::size_t i = 0; i < kept; ++i) {
        const char16_t c = units[i];
        folded += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
      }
      return;
    }
    UErrorCode status = U_ZERO_ERROR;
    icu::UnicodeString result;
    fold->normalize(text.tempSubString(begin, std::min<int32_t>(size, kTermBytes)), result, status);
    if (U_FAILURE(status)) return;
    result.findAndReplace(icu::UnicodeString(u'\u2019'), icu::UnicodeString(u'\''));
    result.toUTF8String(folded);
  }

  // A word of natural language: stop list, then stem. `folded` holds it.
  void emit_word(const std::function<void(std::string_view)>& on_term) {
    if (folded.empty() || is_stop_word(folded)) return;
    const bool letters = std::ranges::none_of(folded, [](char c) { return (c >= '0' && c <= '9') || c == '_'; });
    if (!letters) return on_term(folded);
    const sb_symbol* stem =
        sb_stemmer_stem(stemmer, reinterpret_cast<const sb_symbol*>(folded.data()), static_cast<int>(folded.size()));
    LAKELOOP_CHECK(stem != nullptr);
    on_term({reinterpret_cast<const char*>(stem), static_cast<std::size_t>(sb_stemmer_length(stemmer))});
  }

  // Where an identifier falls into parts: at '_', '.', ':' and between lower and upper case ("HashMap", "HTTPServer").
  void part_bounds(const icu::UnicodeString& text, int32_t begin, int32_t end,
                   std::vector<std::pair<int32_t, int32_t>>& into) {
    into.clear();
    int32_t start = begin;
    const auto close = [&](int32_t at) {
      if (at > start) into.emplace_back(start, at);
      start = at;
    };
    for (int32_t i = begin; i < end; ++i) {
      const char16_t c = text[i];
      if (c == u'_' || c == u'.' || c == u':') {
        close(i);
        start = i + 1;
      } else if (i > start && u_isupper(c)) {
        const bool after_lower = u_islower(text[i - 1]) != 0;
        const bool before_lower = u_isupper(text[i - 1]) && i + 1 < end && u_islower(text[i + 1]);
        if (after_lower || before_lower) close(i);
      }
    }
    close(end);
  }

  void token(const icu::UnicodeString& text, int32_t begin, int32_t end, bool number,
             const std::function<void(std::string_view)>& on_term) {
    if (!number) part_bounds(text, begin, end, parts);
    fold_range(text, begin, end);
    if (number || parts.size() < 2) {
      // "_private" has one part: found with and without its marks.
      if (!number && parts.size() == 1 && (parts[0].first != begin || parts[0].second != end)) {
        on_term(folded);
        fold_range(text, parts[0].first, parts[0].second);
      }
      if (number) {
        if (!folded.empty()) on_term(folded);
      } else {
        emit_word(on_term);
      }
      return;
    }
    on_term(folded);
    for (const auto& [from, to] : parts) {
      fold_range(text, from, to);
      emit_word(on_term);
    }
  }

  std::vector<std::pair<int32_t, int32_t>> parts;
};

Analyzer::Analyzer() : impl_(std::make_unique<Impl>()) {}
Analyzer::~Analyzer() = default;
Analyzer::Analyzer(Analyzer&&) noexcept = default;
Analyzer& Analyzer::operator=(Analyzer&&) noexcept = default;

void Analyzer::analyze(std::string_view text, const std::function<void(std::string_view)>& on_term) {
  // ICU counts in 32 bits; a text beyond that is no row of a table (limits::kSearchRowBytes).
  const auto unicode = icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
  icu::BreakIterator& words = *impl_->words;
  words.setText(unicode);
  int32_t begin = words.first();
  for (int32_t end = words.next(); end != icu::BreakIterator::DONE; begin = end, end = words.next()) {
    const int32_t kind = words.getRuleStatus();
    if (kind >= UBRK_WORD_NONE && kind < UBRK_WORD_NONE_LIMIT) {
      // '_' alone is no word for ICU; anything with a letter or digit is.
      continue;
    }
    impl_->token(unicode, begin, end, kind >= UBRK_WORD_NUMBER && kind < UBRK_WORD_NUMBER_LIMIT, on_term);
  }
}

std::vector<std::string> Analyzer::terms(std::string_view text) {
  std::vector<std::string> result;
  analyze(text, [&](std::string_view term) { result.emplace_back(term); });
  return result;
}

const std::string& Analyzer::version() {
  static const std::string version = format("en-1/icu{}/snowball3", icu_major());
  return version;
}

Analyzer& thread_analyzer() {
  thread_local Analyzer analyzer;
  return analyzer;
}

}  // namespace lakeloop::search
