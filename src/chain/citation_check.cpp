#include "chain/citation_check.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "chain/sentence_ranker.h"
#include "codec/sentences.h"
#include "codec/unicode.h"

namespace lakeloop::chain {
namespace {

constexpr double kSupport = 0.6;

bool has_digit(std::string_view word) {
  return word.find_first_of("0123456789") != std::string_view::npos;
}

// "[2]" names passage 1; the first mark counts.
std::optional<std::size_t> named_passage(std::string_view sentence, std::size_t passages) {
  for (std::size_t at = sentence.find('['); at != std::string_view::npos; at = sentence.find('[', at + 1)) {
    const std::size_t close = sentence.find(']', at);
    if (close == std::string_view::npos) return std::nullopt;
    const auto number = parse_number<std::size_t>(sentence.substr(at + 1, close - at - 1));
    if (number && *number >= 1 && *number <= passages) return *number - 1;
  }
  return std::nullopt;
}

std::string without_marks(std::string_view sentence) {
  std::string out;
  for (std::size_t i = 0; i < sentence.size(); ++i) {
    if (sentence[i] == '[') {
      const std::size_t close = sentence.find(']', i);
      if (close != std::string_view::npos && parse_number<int>(sentence.substr(i + 1, close - i - 1))) {
        i = close;
        continue;
      }
    }
    out += sentence[i];
  }
  return out;
}

bool numbers_stand_in(const std::vector<std::string>& words, std::string_view text) {
  const std::vector<std::string> there = codec::content_words(text);
  return std::ranges::all_of(words, [&](const std::string& word) {
    return !has_digit(word) || std::ranges::find(there, word) != there.end();
  });
}

}  // namespace

std::vector<CheckedSentence> check_answer(std::string_view answer, const std::vector<Passage>& passages) {
  struct Source {
    std::size_t passage;
    codec::Sentence sentence;
  };
  std::vector<Source> sources;
  for (std::size_t i = 0; i < passages.size(); ++i) {
    for (codec::Sentence& sentence : codec::split_sentences(passages[i].text, 200))
      sources.push_back({i, std::move(sentence)});
  }
  std::vector<CheckedSentence> checked;
  for (const codec::Sentence& sentence : codec::split_sentences(answer, 200)) {
    CheckedSentence result{
        .answer_start = sentence.start, .answer_end = sentence.end, .text = sentence.text, .quote = {}};
    // The raw text keeps its marks like [2]; the shown one has lost the brackets.
    const std::size_t from = codec::byte_offset(answer, static_cast<std::size_t>(sentence.start));
    const std::size_t to = codec::byte_offset(answer, static_cast<std::size_t>(sentence.end));
    const std::string_view raw = answer.substr(from, to - from);
    const std::vector<std::string> words = codec::content_words(without_marks(raw));
    const auto named = named_passage(raw, passages.size());
    for (const Source& source : sources) {
      const double share = word_share(words, source.sentence.text);
      if (share <= result.support || !numbers_stand_in(words, source.sentence.text)) continue;
      result.support = share;
      result.passage = source.passage;
      result.start = passages[source.passage].start + source.sentence.start;
      result.end = passages[source.passage].start + source.sentence.end;
      result.quote = source.sentence.text;
    }
    if (result.support < kSupport && named) {
      // A sentence may draw on several of one passage.
      const Passage& passage = passages[*named];
      const double share = word_share(words, passage.text);
      if (share >= kSupport && numbers_stand_in(words, passage.text)) {
        result = {.answer_start = sentence.start,
                  .answer_end = sentence.end,
                  .text = sentence.text,
                  .supported = true,
                  .support = share,
                  .passage = *named,
                  .start = passage.start,
                  .end = passage.end,
                  .quote = passage.text};
      }
    }
    result.supported = result.support >= kSupport && !words.empty();
    checked.push_back(std::move(result));
  }
  return checked;
}

}  // namespace lakeloop::chain
