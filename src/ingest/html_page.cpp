#include "ingest/html_page.h"

#include <lexbor/html/html.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/limits.h"
#include "ingest/html_text.h"

namespace lakeloop::ingest {
namespace {

// Attributes of a tag are compared with each other: the tokenizer is fed so little at once that this stays cheap.
constexpr std::size_t kFeedBytes = 16 * 1024;

// lexbor walks its stacks of open elements for every tag and rebuilds open formatting elements in every paragraph:
// without limits a small file takes quadratic time and memory. The guard stands before the tree builder and stops at
// the first token over them.
class Guard {
 public:
  explicit Guard(lxb_html_parser_t* parser) : parser_(parser) {
    auto* tokenizer = lxb_html_parser_tokenizer(parser);
    build_ = tokenizer->callback_token_done;
    context_ = lxb_html_tokenizer_callback_token_done_ctx(tokenizer);
    lxb_html_tokenizer_callback_token_done_set(
        tokenizer,
        [](lxb_html_tokenizer_t* from, lxb_html_token_t* token, void* self) {
          return static_cast<Guard*>(self)->take(from, token);
        },
        this);
  }

  // lexbor keeps every parse error, in an array that grows by a fixed step: quadratic on long broken files.
  void forget_errors() {
    lexbor_array_obj_clean(lxb_html_parser_tokenizer(parser_)->parse_errors);
    lexbor_array_obj_clean(lxb_html_parser_tree(parser_)->parse_errors);
  }

  // Attributes of the tag that is being read.
  void check_tag() {
    const auto* token = lxb_html_parser_tokenizer(parser_)->token;
    std::size_t attributes = 0;
    for (const auto* at = token == nullptr ? nullptr : token->attr_first; at != nullptr; at = at->next) ++attributes;
    if (attributes > limits::kHtmlAttributes) refuse("a tag has more than {} attributes", limits::kHtmlAttributes);
  }

  void rethrow() const {
    if (refused_) throw *refused_;
  }

 private:
  template <typename... T>
  void refuse(fmt::format_string<T...> text, const T&... values) {
    if (!refused_) refused_.emplace(ErrorCode::kTooLarge, text, values...);
  }

  lxb_html_token_t* take(lxb_html_tokenizer_t* from, lxb_html_token_t* token) {
    auto* tree = lxb_html_parser_tree(parser_);
    const auto* memory = tree->document->dom_document.mraw->mem;
    if (tree->open_elements->length > limits::kHtmlDepth || tree->active_formatting->length > limits::kHtmlDepth) {
      refuse("its elements nest deeper than {} levels", limits::kHtmlDepth);
    } else if (memory->chunk_length * memory->chunk_min_size > limits::kHtmlTreeBytes) {
      refuse("its tree of elements needs more than {} MiB", limits::kHtmlTreeBytes >> 20U);
    }
    if (!refused_) return build_(from, token, context_);
    lxb_html_tokenizer_status_set(from, LXB_STATUS_ERROR);
    return nullptr;
  }

  lxb_html_parser_t* parser_;
  lxb_html_tokenizer_token_f build_;
  void* context_;
  std::optional<Error> refused_;
};

struct DestroyParser {
  void operator()(lxb_html_parser_t* parser) const { lxb_html_parser_destroy(parser); }
};
struct DestroyDocument {
  void operator()(lxb_html_document_t* document) const { lxb_html_document_destroy(document); }
};

}  // namespace

ParsedPage html_page(std::string_view utf8) {
  const std::unique_ptr<lxb_html_parser_t, DestroyParser> parser(lxb_html_parser_create());
  if (parser == nullptr || lxb_html_parser_init(parser.get()) != LXB_STATUS_OK) {
    throw Error(ErrorCode::kInternal, "the HTML parser did not start");
  }
  const std::unique_ptr<lxb_html_document_t, DestroyDocument> document(lxb_html_parse_chunk_begin(parser.get()));
  if (document == nullptr) throw Error(ErrorCode::kInternal, "the HTML parser did not start");
  Guard guard(parser.get());
  auto status = static_cast<lxb_status_t>(LXB_STATUS_OK);
  for (std::size_t at = 0; at < utf8.size() && status == LXB_STATUS_OK; at += kFeedBytes) {
    const auto piece = utf8.substr(at, kFeedBytes);
    status =
        lxb_html_parse_chunk_process(parser.get(), reinterpret_cast<const lxb_char_t*>(piece.data()), piece.size());
    guard.forget_errors();
    guard.check_tag();
    guard.rethrow();
  }
  if (status == LXB_STATUS_OK) status = lxb_html_parse_chunk_end(parser.get());
  guard.rethrow();
  if (status != LXB_STATUS_OK) throw Error(ErrorCode::kInvalidArgument, "the HTML parser gave up on this text");
  return html_text(document.get());
}

}  // namespace lakeloop::ingest
