#pragma once

// JSON schemas that the grammar compiler takes, and a plain validator to hold answers against. For tests.

#include <algorithm>
#include <string>
#include <vector>

#include "codec/json.h"

namespace lakeloop::gateway::testing {

inline std::size_t letters(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

inline const Json& follow(const Json& root, const Json& node) {
  const std::string target = node.str("$ref");
  if (target.empty()) return node;
  const Json* at = &root;
  std::size_t from = 2;
  while (from < target.size()) {
    const std::size_t end = std::min(target.find('/', from), target.size());
    at = at->find(target.substr(from, end - from));
    from = end + 1;
  }
  return follow(root, *at);
}

// Plain JSON schema validation of the keywords that the compiler takes, bounds of numbers apart.
inline bool fits(const Json& root, const Json& schema_node, const Json& value) {
  if (schema_node.is_bool()) return schema_node.as_bool();
  const Json& schema = follow(root, schema_node);
  for (const char* key : {"anyOf", "oneOf"}) {
    if (schema.contains(key) &&
        std::ranges::none_of(schema[key].items(), [&](const Json& part) { return fits(root, part, value); }))
      return false;
  }
  if (schema.contains("allOf") &&
      !std::ranges::all_of(schema["allOf"].items(), [&](const Json& part) { return fits(root, part, value); }))
    return false;
  if (schema.contains("const") && schema["const"] != value) return false;
  if (schema.contains("enum") && std::ranges::find(schema["enum"].items(), value) == schema["enum"].items().end())
    return false;
  if (schema.contains("type")) {
    const auto one = [&](const std::string& type) {
      return type == "integer" ? value.is_int() : type == value.type_name();
    };
    const Json& type = schema["type"];
    if (type.is_string() ? !one(type.as_string())
                         : std::ranges::none_of(type.items(), [&](const Json& t) { return one(t.as_string()); }))
      return false;
  }
  if (value.is_string()) {
    const auto size = static_cast<std::int64_t>(letters(value.as_string()));
    if (size < schema["minLength"].int_or(0) || size > schema["maxLength"].int_or(1 << 30)) return false;
  }
  if (value.is_array()) {
    const auto size = static_cast<std::int64_t>(value.size());
    if (size < schema["minItems"].int_or(0) || size > schema["maxItems"].int_or(1 << 30)) return false;
    for (std::size_t i = 0; i < value.size(); ++i) {
      const Json& prefix = schema["prefixItems"];
      if (i < prefix.size()) {
        if (!fits(root, prefix.at(i), value.at(i))) return false;
      } else if (schema.contains("items") && !fits(root, schema["items"], value.at(i))) {
        return false;
      }
    }
  }
  if (value.is_object()) {
    for (std::size_t i = 0; i < schema["required"].size(); ++i) {
      if (!value.contains(schema["required"].at(i).as_string())) return false;
    }
    for (const auto& [key, member] : value.members()) {
      if (const Json* property = schema["properties"].find(key)) {
        if (!fits(root, *property, member)) return false;
      } else if (schema.contains("additionalProperties") && !fits(root, schema["additionalProperties"], member)) {
        return false;
      }
    }
  }
  return true;
}

inline const std::vector<const char*>& schemas() {
  static const std::vector<const char*> kSchemas = {
      R"({})",
      R"(true)",
      R"({"type":"object"})",
      R"({"type":"string"})",
      R"({"type":"string","minLength":2,"maxLength":5})",
      R"({"type":"string","maxLength":0})",
      R"({"type":["integer","null"]})",
      R"({"type":"integer","minimum":0,"maximum":10})",
      R"({"type":"number"})",
      R"({"enum":["a\"b","c\\d","ü\n",1,2.5,null,true,{"x":[1]}]})",
      R"({"type":"string","enum":["red",7,"green"]})",
      R"({"const":{"k":"v"}})",
      R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false})",
      R"({"type":"object","properties":{"a":{"type":"null"},"b":{"type":"boolean"},"c":{"const":1}}})",
      R"({"type":"object","properties":{"a":{"type":"null"},"b":{"type":"boolean"},"c":{"const":1},"d":{"const":2}},"required":["c"]})",
      R"({"type":"object","properties":{"a":{"type":"null"},"b":{"type":"boolean"},"c":{"const":1},"d":{"const":2}},"required":["b","d"]})",
      R"({"type":"object","properties":{"a":{"type":"null"},"ab":{"type":"null"},"b-]^":{"const":3},"n\"q":{"const":4}},"additionalProperties":{"type":"integer"}})",
      R"({"type":"object","properties":{"man":{"type":"null"}},"required":["man"],"additionalProperties":true})",
      R"({"type":"object","required":["x","y"]})",
      R"({"type":"object","required":["x"],"additionalProperties":{"type":"boolean"}})",
      R"({"type":"object","properties":{},"additionalProperties":false})",
      R"({"type":"array","items":{"type":"integer"}})",
      R"({"type":"array","items":{"type":"boolean"},"minItems":2,"maxItems":4})",
      R"({"type":"array","items":{"type":"boolean"},"maxItems":1})",
      R"({"type":"array","items":{"type":"boolean"},"maxItems":0})",
      R"({"type":"array","items":false})",
      R"({"type":"array","minItems":1})",
      R"({"type":"array","prefixItems":[{"type":"integer"},{"type":"null"}]})",
      R"({"type":"array","prefixItems":[{"type":"integer"},{"type":"null"}],"items":{"type":"boolean"},"minItems":3,"maxItems":5})",
      R"({"anyOf":[{"type":"integer"},{"type":"array","items":{"type":"null"}}],"title":"T","description":"D","default":3})",
      R"({"oneOf":[{"const":"a"},{"const":"b"}]})",
      R"({"allOf":[{"$ref":"#/$defs/named"},{"type":"object","properties":{"age":{"type":"integer"}},"required":["age"]}],"$defs":{"named":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}}})",
      R"({"allOf":[{"$ref":"#/$defs/x"}],"$defs":{"x":{"type":"null"}}})",
      R"({"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"value":{"type":"integer"},"children":{"type":"array","items":{"$ref":"#/$defs/tree"}}},"required":["value"],"additionalProperties":false}}})",
      R"({"$defs":{"list":{"anyOf":[{"type":"null"},{"type":"object","properties":{"head":{"type":"integer"},"tail":{"$ref":"#/$defs/list"}},"required":["head","tail"]}]}},"$ref":"#/$defs/list"})",
      R"({"type":"object","properties":{"self":{"$ref":"#"},"z":{"type":"null"}},"required":["z"]})",
      R"({"definitions":{"a/b~c d":{"type":"null"}},"type":"array","items":{"$ref":"#/definitions/a~1b~0c%20d"}})",
      R"({"type":"string","format":"date"})",
      R"({"type":"string","format":"date-time"})",
      R"({"type":"string","format":"uuid"})",
      R"({"type":["object","string"],"properties":{"a":{"type":"null"}},"maxLength":3})",
  };
  return kSchemas;
}

}  // namespace lakeloop::gateway::testing
