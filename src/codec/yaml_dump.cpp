#include <algorithm>

#include "codec/unicode.h"
#include "codec/yaml.h"
#include "codec/yaml_scalar.h"

namespace lakeloop::codec {
namespace {

// A key on one line may have 1024 characters (YAML 1.2.2, section 7.4); longer ones get the "? " form.
constexpr std::size_t kSimpleKeyBytes = 1000;

// Several lines of ordinary text: readable as a literal block. Everything doubtful goes into quotes instead.
bool may_be_literal(std::string_view text) {
  if (!text.contains('\n') || text.front() == '\n' || text.front() == ' ' || text.front() == '\t') return false;
  if (text.ends_with("\n\n") || !is_valid_utf8(text)) return false;
  if (text.contains("\u2028") || text.contains("\u2029") || text.contains("\uFEFF") || text.contains("\uFFFE") ||
      text.contains("\uFFFF")) {
    return false;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F) return false;
    if (c == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0) return false;
    const bool line_end = i + 1 == text.size() || text[i + 1] == '\n';
    if ((c == ' ' || c == '\t') && line_end) return false;  // invisible at a line's end
  }
  return true;
}

class Writer {
 public:
  // After "key:" or "-": what stands on the same line, and the lines below.
  void value(const Json& json, std::size_t indent, bool in_sequence) {
    if (json.is_object() && json.size() > 0) {
      if (in_sequence) {
        out_ += ' ';
        mapping(json.members(), indent, true);
      } else {
        out_ += '\n';
        mapping(json.members(), indent, false);
      }
    } else if (json.is_array() && json.size() > 0) {
      if (in_sequence) {
        out_ += ' ';
        sequence(json.items(), indent, true);
      } else {
        out_ += '\n';
        sequence(json.items(), indent, false);
      }
    } else {
      out_ += ' ';
      leaf(json, indent);
    }
  }

  void leaf(const Json& json, std::size_t indent) {
    if (json.is_object()) {
      out_ += "{}\n";
    } else if (json.is_array()) {
      out_ += "[]\n";
    } else if (json.is_string() && may_be_literal(json.as_string())) {
      literal(json.as_string(), indent);
    } else {
      out_ += scalar_text(json) + "\n";
    }
  }

  void mapping(const Json::Object& members, std::size_t indent, bool first_inline) {
    for (const auto& [key, json] : members) {
      if (!std::exchange(first_inline, false)) out_.append(indent, ' ');
      const std::string name = string_text(key);
      if (name.size() > kSimpleKeyBytes) {
        out_ += "? " + name + "\n";
        out_.append(indent, ' ');
      } else {
        out_ += name;
      }
      out_ += ':';
      value(json, indent + 2, false);
    }
  }

  void sequence(const Json::Array& items, std::size_t indent, bool first_inline) {
    for (const Json& item : items) {
      if (!std::exchange(first_inline, false)) out_.append(indent, ' ');
      out_ += '-';
      value(item, indent + 2, true);
    }
  }

  std::string take() { return std::move(out_); }

 private:
  void literal(std::string_view text, std::size_t indent) {
    out_ += text.ends_with('\n') ? "|\n" : "|-\n";
    if (text.ends_with('\n')) text.remove_suffix(1);
    for (;;) {
      const std::size_t end = text.find('\n');
      const std::string_view line = text.substr(0, end);
      if (!line.empty()) out_.append(std::max<std::size_t>(indent, 2), ' ');
      out_ += line;
      out_ += '\n';
      if (end == std::string_view::npos) return;
      text.remove_prefix(end + 1);
    }
  }

  std::string out_;
};

}  // namespace

std::string yaml_dump(const Json& json) {
  Writer writer;
  if (json.is_object() && json.size() > 0) {
    writer.mapping(json.members(), 0, false);
  } else if (json.is_array() && json.size() > 0) {
    writer.sequence(json.items(), 0, false);
  } else {
    writer.leaf(json, 0);
  }
  return writer.take();
}

}  // namespace lakeloop::codec
