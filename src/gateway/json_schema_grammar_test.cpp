#include "gateway/json_schema_grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>

#include "base/error.h"
#include "gateway/testing/schema_cases.h"

namespace lakeloop::gateway {
namespace {

// Writes random texts that a GBNF grammar allows: enough of the language for the grammars made here.
class Writer {
 public:
  explicit Writer(const std::string& grammar) {
    std::size_t from = 0;
    while (from < grammar.size()) {
      const std::size_t end = std::min(grammar.find('\n', from), grammar.size());
      const std::string line = grammar.substr(from, end - from);
      const std::size_t sign = line.find(" ::= ");
      if (sign == std::string::npos) throw std::runtime_error("no rule: " + line);
      text_ = line.substr(sign + 5);
      at_ = 0;
      if (rules_.contains(line.substr(0, sign))) throw std::runtime_error("twice: " + line);
      rules_[line.substr(0, sign)] = alternatives();
      if (at_ != text_.size()) throw std::runtime_error("not understood: " + line.substr(sign + 5 + at_));
      from = end + 1;
    }
  }
  std::string write(unsigned seed) {
    random_.seed(seed);
    std::string out;
    budget_ = 400;
    derive(*rules_.at("root"), out);
    return out;
  }

 private:
  struct Node {
    enum Kind { kAlternatives, kSequence, kLiteral, kClass, kRule, kRepeat } kind = kSequence;
    std::vector<std::unique_ptr<Node>> children;
    std::string text;
    std::vector<std::pair<char32_t, char32_t>> ranges;
    bool negated = false;
    int low = 1, high = 1;
  };
  using NodePtr = std::unique_ptr<Node>;

  void blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  char32_t character() {
    const auto byte = [&] { return static_cast<unsigned char>(text_.at(at_++)); };
    if (text_.at(at_) == '\\') {
      ++at_;
      const char c = text_.at(at_++);
      if (c == 'x') {
        const char32_t value = static_cast<char32_t>(std::stoi(text_.substr(at_, 2), nullptr, 16));
        at_ += 2;
        return value;
      }
      if (c == 'n') return '\n';
      if (c == '"' || c == '\\' || c == '[' || c == ']') return static_cast<char32_t>(c);
      throw std::runtime_error("escape");
    }
    const unsigned char first = byte();
    if (first < 0x80) return first;
    int more = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    char32_t value = first & (0x3FU >> more);
    while (more-- > 0) value = (value << 6) | (byte() & 0x3FU);
    return value;
  }
  NodePtr alternatives() {
    auto node = std::make_unique<Node>();
    node->kind = Node::kAlternatives;
    do {
      node->children.push_back(sequence());
    } while (at_ < text_.size() && text_[at_] == '|' && ++at_ > 0);
    return node;
  }
  NodePtr sequence() {
    auto node = std::make_unique<Node>();
    for (blanks(); at_ < text_.size() && text_[at_] != '|' && text_[at_] != ')'; blanks())
      node->children.push_back(repeated());
    return node;
  }
  NodePtr repeated() {
    NodePtr node = atom();
    int low = 1, high = 1;
    if (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '*' || c == '?') {
        ++at_, low = 0, high = c == '*' ? 6 : 1;
      } else if (c == '{') {
        const std::size_t comma = text_.find(',', at_), end = text_.find('}', at_);
        low = std::stoi(text_.substr(at_ + 1, std::min(comma, end) - at_ - 1));
        high = comma > end ? low : comma + 1 == end ? low + 5 : std::stoi(text_.substr(comma + 1));
        at_ = end + 1;
      }
    }
    if (low == 1 && high == 1) return node;
    auto outer = std::make_unique<Node>();
    outer->kind = Node::kRepeat;
    outer->low = low, outer->high = high;
    outer->children.push_back(std::move(node));
    return outer;
  }
  NodePtr atom() {
    auto node = std::make_unique<Node>();
    if (text_[at_] == '"') {
      node->kind = Node::kLiteral;
      for (++at_; text_.at(at_) != '"';) append(node->text, character());
      ++at_;
    } else if (text_[at_] == '[') {
      node->kind = Node::kClass;
      ++at_;
      if (text_.at(at_) == '^') node->negated = true, ++at_;
      while (text_.at(at_) != ']') {
        const char32_t low = character();
        char32_t high = low;
        if (text_.at(at_) == '-' && text_.at(at_ + 1) != ']') ++at_, high = character();
        node->ranges.emplace_back(low, high);
      }
      ++at_;
    } else if (text_[at_] == '(') {
      ++at_;
      node = alternatives();
      if (text_.at(at_++) != ')') throw std::runtime_error("bracket");
    } else {
      node->kind = Node::kRule;
      while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '-'))
        node->text += text_[at_++];
      if (node->text.empty()) throw std::runtime_error("atom: " + text_.substr(at_));
    }
    return node;
  }
  static void append(std::string& out, char32_t c) {
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else if (c < 0x800) {
      out += static_cast<char>(0xC0 | (c >> 6)), out += static_cast<char>(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
      out += static_cast<char>(0xE0 | (c >> 12)), out += static_cast<char>(0x80 | ((c >> 6) & 0x3F)),
          out += static_cast<char>(0x80 | (c & 0x3F));
    } else {
      out += static_cast<char>(0xF0 | (c >> 18)), out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
      out += static_cast<char>(0x80 | ((c >> 6) & 0x3F)), out += static_cast<char>(0x80 | (c & 0x3F));
    }
  }
  int pick(int highest) { return std::uniform_int_distribution<int>(0, highest)(random_); }
  void derive(const Node& node, std::string& out) {
    --budget_;
    switch (node.kind) {
      case Node::kAlternatives: {
        // Once the budget is gone, the alternatives that end: the first or the last.
        const int count = static_cast<int>(node.children.size());
        const int choice = budget_ > 0 ? pick(count - 1) : budget_ % 2 == 0 ? 0 : count - 1;
        derive(*node.children[static_cast<std::size_t>(choice)], out);
        break;
      }
      case Node::kSequence:
        for (const auto& child : node.children) derive(*child, out);
        break;
      case Node::kLiteral:
        out += node.text;
        break;
      case Node::kRule:
        derive(*rules_.at(node.text), out);
        break;
      case Node::kRepeat: {
        const int times = budget_ > 0 ? node.low + pick(std::min(node.high - node.low, 6)) : node.low;
        for (int i = 0; i < times; ++i) derive(*node.children[0], out);
        break;
      }
      case Node::kClass: {
        if (!node.negated) {
          const auto& [low, high] =
              node.ranges[static_cast<std::size_t>(pick(static_cast<int>(node.ranges.size()) - 1))];
          append(out, low + static_cast<char32_t>(pick(static_cast<int>(high - low))));
          break;
        }
        static constexpr char32_t kSample[] = {U'a', U'b', U'n', U'm', U'e', U' ',  U'"',  U'\\', U'\n',
                                               0,    0x7F, U'{', U'1', U'é', U'世', U'🚀', 0x2028};
        for (;;) {
          const char32_t c = kSample[pick(std::size(kSample) - 1)];
          if (std::ranges::none_of(node.ranges,
                                   [&](const auto& range) { return c >= range.first && c <= range.second; })) {
            append(out, c);
            break;
          }
        }
        break;
      }
    }
  }

  std::map<std::string, NodePtr> rules_;
  std::string text_;
  std::size_t at_ = 0;
  std::mt19937 random_;
  int budget_ = 0;
};

using testing::fits;
using testing::schemas;

TEST(JsonSchemaGrammar, WhatItAllowsFitsTheSchema) {
  for (const char* text : schemas()) {
    // Json of the test's validator cannot follow the escaped pointer: it is checked by parsing alone.
    const Json schema = Json::parse(text);
    const bool escaped = std::string_view(text).find("~1") != std::string_view::npos;
    Writer writer(grammar_of_schema(schema));
    for (unsigned seed = 0; seed < 200; ++seed) {
      const std::string answer = writer.write(seed);
      const auto value = Json::try_parse(answer);
      ASSERT_TRUE(value) << text << "\n" << answer;
      if (!escaped) {
        ASSERT_TRUE(fits(schema, schema, *value)) << text << "\n" << answer;
      }
    }
  }
}

TEST(JsonSchemaGrammar, EveryCombinationOfOptionalProperties) {
  const Json schema =
      Json::parse(R"({"type":"object","properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}}})");
  Writer writer(grammar_of_schema(schema));
  std::set<std::string> seen;
  for (unsigned seed = 0; seed < 500; ++seed) seen.insert(Json::parse(writer.write(seed)).dump());
  EXPECT_EQ(seen.size(), 8U);
}

TEST(JsonSchemaGrammar, AnyJsonIsAnObject) {
  Writer writer(grammar_of_any_json());
  for (unsigned seed = 0; seed < 300; ++seed) {
    const std::string answer = writer.write(seed);
    const auto value = Json::try_parse(answer);
    ASSERT_TRUE(value && value->is_object()) << answer;
  }
}

TEST(JsonSchemaGrammar, ChoicesComeExactlyAsGiven) {
  const std::vector<std::string> choices = {"[1] \"Quoted\" \\ back", "two\nlines\ttab", "ü 世 🚀"};
  Writer writer(grammar_of_choices(choices));
  std::set<std::string> seen;
  for (unsigned seed = 0; seed < 100; ++seed) seen.insert(writer.write(seed));
  EXPECT_EQ(seen, std::set<std::string>(choices.begin(), choices.end()));
  EXPECT_THROW(grammar_of_choices({}), Error);
  EXPECT_THROW(grammar_of_choices({"a", ""}), Error);
}

TEST(JsonSchemaGrammar, RefusalsNameKeywordAndPlace) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {R"({"type":"object","properties":{"a":{"type":"string","pattern":"x+"}}})", "#/properties/a uses pattern"},
      {R"({"type":"array","items":{"not":{}}})", "#/items uses not"},
      {R"({"type":"array","uniqueItems":true})", "uniqueItems"},
      {R"({"type":"integer","multipleOf":3})", "multipleOf"},
      {R"({"type":"string","format":"email"})", "email"},
      {R"({"type":"text"})", "\"text\""},
      {R"({"type":7})", "type"},
      {R"(false)", "nothing fits"},
      {R"([1])", "neither an object nor true"},
      {R"({"$ref":"#/$defs/missing"})", "#/$defs/missing"},
      {R"({"$ref":"https://example.org/x"})", "does not point into"},
      {R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}})", "back to itself"},
      {R"({"$ref":"#/$defs/a","$defs":{"a":{"anyOf":[{"$ref":"#/$defs/a"},{"type":"null"}]}}})", "back to itself"},
      {R"({"anyOf":[]})", "anyOf"},
      {R"({"anyOf":[{"type":"null"}],"properties":{}})", "properties beside anyOf"},
      {R"({"enum":[]})", "enum"},
      {R"({"enum":[1],"type":"string"})", "enum"},
      {R"({"type":"string","minLength":5,"maxLength":2})", "maxLength below minLength"},
      {R"({"type":"array","minItems":5,"maxItems":2})", "maxItems below minItems"},
      {R"({"type":"array","minItems":5000})", "minItems above"},
      {R"({"type":"string","minLength":-1})", "minLength"},
      {R"({"type":"object","required":["x"],"additionalProperties":false})", "requires x"},
      {R"({"allOf":[{"type":"string"},{"type":"object"}]})", "allOf"},
      {R"({"allOf":[{"properties":{"a":{"type":"null"}}},{"properties":{"a":{"type":"string"}}}]})", "second time"},
      {R"({"allOf":[{"properties":{"a":{}},"additionalProperties":false},{"properties":{"b":{}}}]})",
       "nothing fits both"},
  };
  for (const auto& [schema, expected] : cases) {
    try {
      const std::string grammar = grammar_of_schema(Json::parse(schema));
      ADD_FAILURE() << schema << " was taken:\n" << grammar;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_THAT(error.message(), ::testing::HasSubstr(expected)) << schema;
    }
  }
}

TEST(JsonSchemaGrammar, LargeSchemasMeetALimit) {
  Json properties = Json::object();
  for (int i = 0; i < 20000; ++i) properties.set("p" + std::to_string(i), Json::object({{"type", "string"}}));
  EXPECT_THROW(grammar_of_schema(Json::object({{"type", "object"}, {"properties", properties}})), Error);
  Json names = Json::object({{std::string(100000, 'n'), true}});
  EXPECT_THROW(
      grammar_of_schema(Json::object({{"type", "object"}, {"properties", names}, {"additionalProperties", true}})),
      Error);
  Json values = Json::array();
  for (int i = 0; i < 2000; ++i) values.push_back(std::string(1000, 'x'));
  EXPECT_THROW(grammar_of_schema(Json::object({{"enum", values}})), Error);
}

}  // namespace
}  // namespace lakeloop::gateway
