// libfyaml's events become a Json value here, not its document tree: so anchors, depth and size stay under our limits,
// and nothing recurses.

#include <libfyaml.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "base/format.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/unicode.h"
#include "codec/yaml.h"
#include "codec/yaml_scalar.h"

namespace lakeloop::codec {
namespace {

// limits::kYamlAliasBytes: nine anchors that name each other ten times each would make a billion nodes.
constexpr std::size_t kNodeBytes = 16;  // an empty node is not free
constexpr std::string_view kMergeKey = "<<";

struct Place {
  int line = 0;
  int column = 0;
};

[[noreturn]] void fail(Place at, std::string_view what) {
  throw Error(ErrorCode::kMalformedRequest, "not valid YAML at line {}, column {}: {}", at.line, at.column, what);
}

std::size_t weight(const Json& json) {
  std::size_t bytes = kNodeBytes;
  if (json.is_string()) bytes += json.as_string().size();
  if (json.is_array()) {
    for (const Json& item : json.items()) bytes += weight(item);
  }
  if (json.is_object()) {
    for (const auto& [key, value] : json.members()) bytes += kNodeBytes + key.size() + weight(value);
  }
  return bytes;
}

std::size_t height(const Json& json) {
  std::size_t most = 0;
  if (json.is_array()) {
    for (const Json& item : json.items()) most = std::max(most, height(item));
  }
  if (json.is_object()) {
    for (const auto& [key, value] : json.members()) most = std::max(most, height(value));
  }
  return most + (json.is_array() || json.is_object() ? 1 : 0);
}

// Takes nodes in document order and puts them where they belong.
class Builder {
 public:
  void open(bool is_mapping, std::string anchor, Place at) {
    if (expects_key()) fail(at, "a mapping key must be a scalar");
    if (stack_.size() >= limits::kJsonDepth) fail(at, format("nested deeper than {} levels", limits::kJsonDepth));
    stack_.push_back({is_mapping ? Json::object() : Json::array(), std::move(anchor), std::nullopt, false, {}, {}});
  }

  void close(Place at) {
    Open done = std::move(stack_.back());
    stack_.pop_back();
    // A merged key gives way to one that stands in the mapping itself, wherever that stands.
    for (Json::Member& merged : done.merged) {
      if (!done.seen.contains(merged.first)) done.value.members().push_back(std::move(merged));
    }
    put(std::move(done.value), done.anchor, at);
  }

  // `text` is what a scalar says as a key: 1 and "1" are the same key of a Json object.
  void scalar(Json value, std::string_view text, bool plain, const std::string& anchor, Place at) {
    if (!expects_key()) return put(std::move(value), anchor, at);
    if (!anchor.empty()) anchors_[anchor] = std::move(value);
    Open& open = stack_.back();
    open.merging = plain && text == kMergeKey;
    if (!open.merging && !open.seen.emplace(text, true).second)
      fail(at, format("the key \"{}\" appears twice", truncate_utf8(text, 80)));
    open.key = std::string(text);
  }

  void alias(const std::string& name, Place at) {
    const auto found = anchors_.find(name);
    if (found == anchors_.end()) fail(at, format("no anchor \"{}\" stands before this alias", truncate_utf8(name, 80)));
    const Json& value = found->second;
    if (expects_key()) {
      if (!value.is_string()) fail(at, "a mapping key must be a scalar");
      return scalar(value, value.as_string(), false, {}, at);
    }
    alias_bytes_ += weight(value);
    if (alias_bytes_ > limits::kYamlAliasBytes)
      fail(at, format("aliases make the document more than {} bytes longer", limits::kYamlAliasBytes));
    if (stack_.size() + height(value) > limits::kJsonDepth)
      fail(at, format("nested deeper than {} levels", limits::kJsonDepth));
    put(Json(value), {}, at);
  }

  Json take() { return root_ ? std::move(*root_) : Json(); }

 private:
  struct Open {
    Json value;
    std::string anchor;
    std::optional<std::string> key;  // of a mapping, once read
    bool merging = false;            // the key is "<<"
    std::map<std::string, bool, std::less<>> seen;
    Json::Object merged;
  };

  [[nodiscard]] bool expects_key() const {
    return !stack_.empty() && stack_.back().value.is_object() && !stack_.back().key;
  }

  void put(Json value, const std::string& anchor, Place at) {
    if (!anchor.empty()) anchors_[anchor] = value;
    if (stack_.empty()) {
      root_ = std::move(value);
      return;
    }
    Open& open = stack_.back();
    if (open.value.is_array()) {
      open.value.push_back(std::move(value));
    } else if (open.merging) {
      merge(open, value, at);
      open.key.reset();
    } else {
      open.value.members().emplace_back(std::move(*open.key), std::move(value));
      open.key.reset();
    }
  }

  // YAML's merge key (https://yaml.org/type/merge.html): a mapping, or a list of mappings of which the first wins.
  static void merge(Open& open, const Json& value, Place at) {
    if (value.is_array()) {
      for (const Json& item : value.items()) {
        if (!item.is_object()) fail(at, "\"<<\" takes a mapping or a list of mappings");
        merge(open, item, at);
      }
      return;
    }
    if (!value.is_object()) fail(at, "\"<<\" takes a mapping or a list of mappings");
    for (const auto& member : value.members()) {
      const bool known = std::ranges::any_of(open.merged, [&](const auto& one) { return one.first == member.first; });
      if (!known) open.merged.push_back(member);
    }
  }

  std::vector<Open> stack_;
  std::map<std::string, Json> anchors_;
  std::size_t alias_bytes_ = 0;
  std::optional<Json> root_;
};

struct FreeDiagnostics {
  void operator()(fy_diag* diagnostics) const { fy_diag_destroy(diagnostics); }
};
struct FreeParser {
  void operator()(fy_parser* parser) const { fy_parser_destroy(parser); }
};

class Reader {
 public:
  explicit Reader(std::string_view text) {
    // Errors are collected, with the parser's own object they would go to standard error.
    fy_diag_cfg diagnostics{};
    fy_diag_cfg_default(&diagnostics);
    diagnostics.fp = nullptr;
    diagnostics.output_fn = [](fy_diag*, void*, const char*, std::size_t) {};
    diagnostics_.reset(fy_diag_create(&diagnostics));
    if (diagnostics_) fy_diag_set_collect_errors(diagnostics_.get(), true);
    fy_parse_cfg config{};
    config.diag = diagnostics_.get();
    config.flags = static_cast<fy_parse_cfg_flags>(FYPCF_QUIET | FYPCF_DISABLE_MMAP_OPT);
    parser_.reset(fy_parser_create(&config));
    if (!diagnostics_ || !parser_ || fy_parser_set_string(parser_.get(), text.data(), text.size()) != 0) {
      throw Error(ErrorCode::kResourceExhausted, "not enough memory to read a YAML document");
    }
  }

  Json read() {
    int documents = 0;
    for (;;) {
      fy_event* event = fy_parser_parse(parser_.get());
      if (event == nullptr) break;
      const auto free_event = [this](fy_event* done) { fy_parser_event_free(parser_.get(), done); };
      const std::unique_ptr<fy_event, decltype(free_event)> guard(event, free_event);
      const Place at = place(event);
      if (event->type == FYET_DOCUMENT_START && ++documents > 1) fail(at, "one document expected, a second one begins");
      take(event, at);
      if (event->type == FYET_STREAM_END) return builder_.take();
    }
    report();
  }

 private:
  static std::string text_of(fy_token* token) {
    if (token == nullptr) return {};
    std::size_t size = 0;
    const char* text = fy_token_get_text(token, &size);
    return text == nullptr ? std::string() : std::string(text, size);
  }

  static Place place(fy_event* event) {
    const fy_mark* mark = fy_event_start_mark(event);
    return mark == nullptr ? Place{1, 1} : Place{mark->line + 1, mark->column + 1};
  }

  void take(fy_event* event, Place at) {
    switch (event->type) {
      case FYET_MAPPING_START:
        return open(event->mapping_start.anchor, event->mapping_start.tag, true, at);
      case FYET_SEQUENCE_START:
        return open(event->sequence_start.anchor, event->sequence_start.tag, false, at);
      case FYET_MAPPING_END:
      case FYET_SEQUENCE_END:
        return builder_.close(at);
      case FYET_SCALAR:
        return scalar(event, at);
      case FYET_ALIAS:
        return builder_.alias(text_of(event->alias.anchor), at);
      default:
        return;
    }
  }

  void open(fy_token* anchor, fy_token* tag, bool is_mapping, Place at) {
    const std::string name = text_of_tag(tag);
    if (!name.empty() && name != "!" && name != (is_mapping ? "tag:yaml.org,2002:map" : "tag:yaml.org,2002:seq")) {
      fail(at, format("the tag {} is not supported", truncate_utf8(name, 80)));
    }
    builder_.open(is_mapping, text_of(anchor), at);
  }

  void scalar(fy_event* event, Place at) {
    const std::string text = text_of(event->scalar.value);
    if (!is_valid_utf8(text)) fail(at, "a scalar is not valid UTF-8");
    const std::string tag = text_of_tag(event->scalar.tag);
    const bool plain = event->scalar.value == nullptr || fy_token_scalar_style(event->scalar.value) == FYSS_PLAIN;
    Json value;
    if (!tag.empty()) {
      std::optional<Json> tagged = resolve_tagged(tag, text);
      if (!tagged) fail(at, format("the tag {} is not supported, or does not fit its value", truncate_utf8(tag, 80)));
      value = std::move(*tagged);
    } else {
      value = plain ? resolve_plain(text) : Json(text);
    }
    builder_.scalar(std::move(value), text, plain && tag.empty(), text_of(event->scalar.anchor), at);
  }

  static std::string text_of_tag(fy_token* tag) {
    if (tag == nullptr) return {};
    std::size_t handle_size = 0, suffix_size = 0;
    const char* handle = fy_tag_token_handle(tag, &handle_size);
    const char* suffix = fy_tag_token_suffix(tag, &suffix_size);
    std::string name(handle == nullptr ? "" : handle, handle == nullptr ? 0 : handle_size);
    if (name == "!!") name = "tag:yaml.org,2002:";
    if (suffix != nullptr) name.append(suffix, suffix_size);
    return name;
  }

  [[noreturn]] void report() {
    void* iterator = nullptr;
    const fy_diag_error* error = fy_diag_errors_iterate(diagnostics_.get(), &iterator);
    if (error == nullptr) throw Error(ErrorCode::kMalformedRequest, "not valid YAML");
    fail({error->line, error->column}, error->msg == nullptr ? "syntax error" : trim(error->msg));
  }

  std::unique_ptr<fy_diag, FreeDiagnostics> diagnostics_;
  std::unique_ptr<fy_parser, FreeParser> parser_;
  Builder builder_;
};

}  // namespace

Json yaml_parse(std::string_view text) {
  if (text.size() > limits::kYamlBytes) {
    throw Error(ErrorCode::kTooLarge, "a YAML document has {} bytes, the limit is {}", text.size(), limits::kYamlBytes);
  }
  if (!is_valid_utf8(text)) throw Error(ErrorCode::kMalformedRequest, "not valid YAML: the text is not valid UTF-8");
  return Reader(text).read();
}

}  // namespace lakeloop::codec
