#include "gateway/json_schema_grammar.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/format.h"
#include "base/limits.h"
#include "gateway/gbnf.h"

namespace lakeloop::gateway {

namespace {

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxNameBytes = 256;  // where further names are allowed: each byte of a known one is a rule

// Keywords that narrow what fits and that a grammar cannot follow; the others are notes to readers.
constexpr std::array<std::string_view, 17> kRefused = {"pattern",
                                                       "patternProperties",
                                                       "propertyNames",
                                                       "minProperties",
                                                       "maxProperties",
                                                       "dependentRequired",
                                                       "dependentSchemas",
                                                       "dependencies",
                                                       "not",
                                                       "if",
                                                       "then",
                                                       "else",
                                                       "contains",
                                                       "multipleOf",
                                                       "additionalItems",
                                                       "unevaluatedProperties",
                                                       "unevaluatedItems"};
constexpr std::array<std::string_view, 7> kTypes = {"object", "array",   "string", "integer",
                                                    "number", "boolean", "null"};
// Beside these, the keywords below describe one thing only and stand alone.
constexpr std::array<std::string_view, 14> kShape = {"type",      "properties",  "required", "additionalProperties",
                                                     "items",     "prefixItems", "minItems", "maxItems",
                                                     "minLength", "maxLength",   "format",   "enum",
                                                     "const",     "minimum"};

class Compiler {
 public:
  explicit Compiler(const Json& root) : root_(root) {}

  std::string run() {
    const std::string start = schema(root_, "#", 0);
    rules_.insert(rules_.begin(), "root ::= " + start);
    std::string text;
    for (const std::string& rule : rules_) text += rule + "\n";
    for (const std::string& rule : gbnf::json_rules(used_)) text += rule + "\n";
    if (text.size() > limits::kGrammarBytes)
      throw Error(ErrorCode::kInvalidArgument, "the JSON schema makes a grammar of more than 1 MiB");
    return text;
  }

 private:
  [[noreturn]] static void refuse(const std::string& place, std::string_view what) {
    throw Error(ErrorCode::kInvalidArgument, "the JSON schema at {} {}", place, what).with_param("response_format");
  }

  std::string rule(const std::string& body) {
    if (rules_.size() >= limits::kGrammarRules) {
      throw Error(ErrorCode::kInvalidArgument, "the JSON schema needs more than {} grammar rules",
                  limits::kGrammarRules)
          .with_param("response_format");
    }
    std::string name = lakeloop::format("r{}", next_rule_++);
    rules_.push_back(name + " ::= " + body);
    return name;
  }
  std::string basic(std::string_view name) {
    used_.emplace(name);
    return std::string(name);
  }
  static std::string child(const std::string& place, std::string_view name) { return place + "/" + std::string(name); }

  static std::optional<std::int64_t> count(const Json& node, const std::string& place, std::string_view key) {
    const Json* value = node.find(key);
    if (value == nullptr) return std::nullopt;
    if (value->is_int() && value->as_int() >= 0) return value->as_int();
    refuse(place, lakeloop::format("has {} that is not a whole number from 0", key));
  }

  const Json& resolve(const Json& node, std::string& place) const {
    const Json* found = &node;
    std::set<std::string> seen;
    while (found->is_object() && found->contains("$ref")) {
      const std::string target = (*found)["$ref"].string_or("");
      if (!target.starts_with("#")) refuse(place, "has a $ref that does not point into the schema itself");
      if (!seen.insert(target).second) refuse(place, "has a $ref that leads back to itself");
      found = pointer(target, place);
      place = target;
    }
    return *found;
  }

  const Json* pointer(const std::string& target, const std::string& place) const {
    const Json* at = &root_;
    std::size_t from = 1;
    while (from < target.size()) {
      if (target[from] != '/') refuse(place, lakeloop::format("has the $ref {} that is no JSON pointer", target));
      const std::size_t end = std::min(target.find('/', from + 1), target.size());
      const std::string key = gbnf::unescape_pointer(std::string_view(target).substr(from + 1, end - from - 1));
      if (at->is_array()) {
        std::size_t index = 0;
        for (const char c : key)
          index = c >= '0' && c <= '9' && index < 100000 ? index * 10 + static_cast<std::size_t>(c - '0') : 1000000;
        at = key.empty() || index >= at->size() ? nullptr : &at->at(index);
      } else {
        at = at->find(key);
      }
      if (at == nullptr) refuse(place, lakeloop::format("has the $ref {}, which is not there", target));
      from = end;
    }
    return at;
  }

  // The body of a rule, or its name.
  std::string schema(const Json& node, const std::string& place, int depth) {
    if (depth > kMaxDepth) refuse(place, lakeloop::format("is nested deeper than {} levels", kMaxDepth));
    if (node.is_bool()) {
      if (!node.as_bool()) refuse(place, "is false: nothing fits it");
      return basic("value");
    }
    if (!node.is_object()) refuse(place, "is neither an object nor true");
    check_keywords(node, place);
    if (node.contains("$ref")) return reference(node, place, depth);
    if (node.contains("allOf")) return all_of(node, place, depth);
    for (const std::string_view key : {"anyOf", "oneOf"}) {
      if (node.contains(key)) return any_of(node, place, key, depth);
    }
    if (node.contains("const")) return literal(node["const"]);
    if (node.contains("enum")) return enumeration(node, place);
    return typed(node, place, depth);
  }

  static void check_keywords(const Json& node, const std::string& place) {
    for (const auto& [key, value] : node.members()) {
      if (std::ranges::find(kRefused, key) != kRefused.end())
        refuse(place, lakeloop::format("uses {}, which is not supported", key));
      if (key == "uniqueItems" && value.bool_or(true)) refuse(place, "uses uniqueItems, which is not supported");
    }
  }

  static void stands_alone(const Json& node, const std::string& place, std::string_view keyword) {
    for (const auto& [key, value] : node.members()) {
      const bool combinator = (key == "anyOf" || key == "oneOf" || key == "allOf" || key == "$ref") && key != keyword;
      if (combinator || std::ranges::find(kShape, key) != kShape.end()) {
        refuse(place, lakeloop::format("uses {} beside {}, which is not supported", key, keyword));
      }
    }
  }

  std::string reference(const Json& node, const std::string& place, int depth) {
    stands_alone(node, place, "$ref");
    std::string target = place;
    const Json& found = resolve(node, target);
    // One rule for each place that is referred to: this is what makes recursion possible.
    if (const auto known = references_.find(target); known != references_.end()) {
      if (open_.contains(target)) refuse(place, "has a $ref that leads back to itself before any value begins");
      return known->second;
    }
    const std::string name = lakeloop::format("ref{}", references_.size());
    references_[target] = name;
    open_.insert(target);
    const std::string body = schema(found, target, depth + 1);
    open_.erase(target);
    rules_.push_back(name + " ::= " + body);
    return name;
  }

  std::string any_of(const Json& node, const std::string& place, std::string_view key, int depth) {
    stands_alone(node, place, key);
    const Json& list = node[key];
    if (!list.is_array() || list.size() == 0)
      refuse(place, lakeloop::format("has {} that is not a list of schemas", key));
    std::string body;
    for (std::size_t i = 0; i < list.size(); ++i) {
      body +=
          (i == 0 ? "" : " | ") + schema(list.at(i), child(child(place, key), lakeloop::format("{}", i)), depth + 1);
    }
    return rule(body);
  }

  std::string all_of(const Json& node, const std::string& place, int depth) {
    const Json& list = node["allOf"];
    if (!list.is_array() || list.size() == 0) refuse(place, "has allOf that is not a list of schemas");
    const bool bare =
        !node.contains("properties") && !node.contains("required") && !node.contains("additionalProperties");
    if (list.size() == 1 && bare) return schema(list.at(0), child(place, "allOf/0"), depth + 1);
    Json merged = Json::object({{"type", "object"}, {"properties", Json::object()}});
    std::vector<std::string> required;
    std::vector<const Json*> closed;
    Json additional;
    const auto merge = [&](const Json& part, const std::string& where) {
      check_keywords(part, where);
      if (part.contains("type") ? part["type"] != Json("object")
                                : !part.contains("properties") && !part.contains("required")) {
        refuse(where, "is a part of allOf that is no object, which is not supported");
      }
      for (const std::string_view key : {"anyOf", "oneOf", "allOf", "enum", "const"}) {
        if (part.contains(key)) refuse(where, lakeloop::format("uses {} inside allOf, which is not supported", key));
      }
      for (const auto& [name, property] : object_of(part["properties"], where)) {
        const Json* known = merged["properties"].find(name);
        if (known != nullptr && *known != property)
          refuse(where, lakeloop::format("describes the property {} a second time, differently", name));
        merged.find("properties")->set(name, property);
      }
      for (const std::string& name : names_of(part, where)) required.push_back(name);
      const Json& more = part["additionalProperties"];
      if (more.is_bool() && !more.as_bool()) closed.push_back(&part);
      if (more.is_object())
        refuse(where, "uses a schema for additionalProperties inside allOf, which is not supported");
      if (more.is_bool()) additional = more;
    };
    if (!bare) {
      Json own = node;
      own.erase("allOf");
      own_parts_.push_back(std::make_unique<Json>(std::move(own)));
      own_parts_.back()->set("type", "object");
      merge(*own_parts_.back(), place);
    }
    for (std::size_t i = 0; i < list.size(); ++i) {
      std::string where = child(child(place, "allOf"), lakeloop::format("{}", i));
      merge(resolve(list.at(i), where), where);
    }
    for (const Json* part : closed) {
      if ((*part)["properties"].size() != merged["properties"].size()) {
        refuse(place,
               "has allOf with additionalProperties false in one part and further properties in another: nothing fits "
               "both");
      }
      additional = false;
    }
    merged.set("required", Json::strings(required));
    merged.set_if("additionalProperties", additional);
    own_parts_.push_back(std::make_unique<Json>(std::move(merged)));
    return typed(*own_parts_.back(), place, depth);
  }

  static std::string literal(const Json& value) { return gbnf::literal(value.dump()); }

  static bool fits_type(const Json& value, std::string_view type) {
    if (type == "integer") return value.is_int();
    return value.type_name() == type;
  }

  std::string enumeration(const Json& node, const std::string& place) {
    const Json& list = node["enum"];
    if (!list.is_array() || list.size() == 0) refuse(place, "has enum that is not a list of values");
    const std::vector<std::string> types = node.contains("type") ? types_of(node, place) : std::vector<std::string>();
    std::string body;
    for (const Json& value : list.items()) {
      const bool fits =
          types.empty() || std::ranges::any_of(types, [&](const std::string& type) { return fits_type(value, type); });
      if (fits) body += (body.empty() ? "" : " | ") + literal(value);
    }
    if (body.empty()) refuse(place, "has enum without a value of its type");
    return rule(body);
  }

  static std::vector<std::string> types_of(const Json& node, const std::string& place) {
    const Json& type = node["type"];
    std::vector<std::string> types;
    if (type.is_string()) {
      types.push_back(type.as_string());
    } else if (type.is_array()) {
      for (const Json& item : type.items()) types.push_back(item.string_or(""));
    } else if (type.is_null()) {
      const auto any = [&](std::initializer_list<std::string_view> keys) {
        return std::ranges::any_of(keys, [&](std::string_view key) { return node.contains(key); });
      };
      if (any({"properties", "required", "additionalProperties"})) types.emplace_back("object");
      if (any({"items", "prefixItems", "minItems", "maxItems"})) types.emplace_back("array");
      if (any({"minLength", "maxLength", "format"})) types.emplace_back("string");
      if (any({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})) types.emplace_back("number");
      return types;
    }
    for (const std::string& name : types) {
      if (std::ranges::find(kTypes, name) == kTypes.end())
        refuse(place, lakeloop::format("has the type \"{}\", which JSON schema does not know", name));
    }
    if (types.empty()) refuse(place, "has a type that is neither a name nor a list of names");
    return types;
  }

  std::string typed(const Json& node, const std::string& place, int depth) {
    const std::vector<std::string> types = types_of(node, place);
    if (types.empty()) return basic("value");
    std::string body;
    for (const std::string& type : types) body += (body.empty() ? "" : " | ") + of_type(type, node, place, depth);
    return types.size() == 1 ? body : rule(body);
  }

  std::string of_type(const std::string& type, const Json& node, const std::string& place, int depth) {
    if (type == "object") return object(node, place, depth);
    if (type == "array") return array(node, place, depth);
    if (type == "string") return string(node, place);
    if (type == "integer" || type == "number") {
      const auto starts_at_zero = [&](std::string_view key) {
        return node[key].is_number() && node[key].as_double() >= 0;
      };
      const bool positive = starts_at_zero("minimum") || starts_at_zero("exclusiveMinimum");
      return basic(positive ? type + "-from-zero" : type);
    }
    return basic(type);
  }

  std::string string(const Json& node, const std::string& place) {
    const auto shortest = count(node, place, "minLength");
    const auto longest = count(node, place, "maxLength");
    if (node.contains("format")) {
      const std::string name = node["format"].string_or("");
      const std::string_view text = gbnf::format_rule(name);
      if (text.empty())
        refuse(place, lakeloop::format("uses the format \"{}\": date, time, date-time and uuid are supported", name));
      if (shortest || longest) refuse(place, "uses minLength or maxLength beside format, which is not supported");
      return basic(text);
    }
    if (!shortest && !longest) return basic("string");
    const std::int64_t low = shortest.value_or(0);
    if (low > limits::kGrammarRepetitions)
      refuse(place, lakeloop::format("has minLength above {}, which is not supported", limits::kGrammarRepetitions));
    if (longest && *longest < low) refuse(place, "has maxLength below minLength");
    basic("char");
    // A longer maxLength is cut: what is shorter fits all the same.
    const std::string high = longest ? lakeloop::format("{}", std::min(*longest, limits::kGrammarRepetitions)) : "";
    return rule(lakeloop::format(R"("\"" char{{{},{}}} "\"")", low, high));
  }

  std::string array(const Json& node, const std::string& place, int depth) {
    const std::int64_t low = count(node, place, "minItems").value_or(0);
    const auto high = count(node, place, "maxItems");
    if (low > limits::kGrammarRepetitions)
      refuse(place, lakeloop::format("has minItems above {}, which is not supported", limits::kGrammarRepetitions));
    if (high && *high < low) refuse(place, "has maxItems below minItems");
    const auto guarded = std::exchange(open_, {});  // the bracket comes first: a $ref inside may lead back here
    std::vector<std::string> first;
    const Json& prefix = node["prefixItems"];
    if (!prefix.is_null() && !prefix.is_array()) refuse(place, "has prefixItems that is not a list of schemas");
    for (std::size_t i = 0; i < prefix.size(); ++i) {
      if (high && static_cast<std::int64_t>(i) >= *high) break;
      first.push_back(schema(prefix.at(i), child(child(place, "prefixItems"), lakeloop::format("{}", i)), depth + 1));
    }
    const Json& items = node["items"];
    const auto fixed = static_cast<std::int64_t>(first.size());
    // Without a word on further items, a list with prefixItems ends with them.
    const bool more =
        prefix.is_array() ? items.is_object() || items.bool_or(false) : !(items.is_bool() && !items.as_bool());
    const std::int64_t least = std::max<std::int64_t>(low - fixed, 0);
    std::optional<std::int64_t> most =
        high ? std::optional(std::min(*high, limits::kGrammarRepetitions) - fixed) : std::nullopt;
    if (!more) most = 0;
    if (most && *most < least) refuse(place, "has minItems above the number of its prefixItems");
    std::string body = R"("[" )";
    for (std::size_t i = 0; i < first.size(); ++i) body += (i == 0 ? "" : "comma ") + first[i] + " ";
    if (!first.empty()) basic("comma");
    if (!most || *most > 0) {
      basic("comma");
      const std::string item = items.is_null() ? basic("value") : schema(items, child(place, "items"), depth + 1);
      if (fixed > 0) {
        body += lakeloop::format("(comma {}){{{},{}}} ", item, least, most ? lakeloop::format("{}", *most) : "");
      } else {
        std::string list = item;
        if (!most || *most > 1) {
          list += lakeloop::format(" (comma {}){{{},{}}}", item, std::max<std::int64_t>(least - 1, 0),
                                   most ? lakeloop::format("{}", *most - 1) : "");
        }
        body += least > 0 ? list + " " : "(" + list + ")? ";
      }
    }
    open_ = guarded;
    return rule(body + R"("]")");
  }

  static const Json::Object& object_of(const Json& properties, const std::string& place) {
    static const Json::Object kNone;
    if (properties.is_null()) return kNone;
    if (!properties.is_object()) refuse(place, "has properties that is not an object");
    return properties.members();
  }
  static std::vector<std::string> names_of(const Json& node, const std::string& place) {
    std::vector<std::string> names;
    const Json& list = node["required"];
    if (!list.is_null() && !list.is_array()) refuse(place, "has required that is not a list of names");
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (!list.at(i).is_string()) refuse(place, "has required that is not a list of names");
      names.push_back(list.at(i).as_string());
    }
    return names;
  }

  // Properties come in the order of the schema. `rest` is what may follow once one was written, `first` while none was.
  std::string object(const Json& node, const std::string& place, int depth) {
    const Json::Object& properties = object_of(node["properties"], place);
    const std::vector<std::string> required = names_of(node, place);
    const std::set<std::string> needed(required.begin(), required.end());
    struct Member {
      std::string rule;
      bool required;
    };
    const auto guarded = std::exchange(open_, {});
    std::vector<Member> members;
    std::set<std::string> known;
    basic("colon");
    for (const auto& [name, property] : properties) {
      const std::string value = schema(property, child(child(place, "properties"), name), depth + 1);
      members.push_back({rule(gbnf::literal(Json(name).dump()) + " colon " + value), needed.contains(name)});
      known.insert(name);
    }
    const Json& more = node["additionalProperties"];
    for (const std::string& name : required) {
      if (!known.insert(name).second) continue;
      if (more.is_bool() && !more.as_bool())
        refuse(place, lakeloop::format("requires {}, which it neither describes nor allows", name));
      const std::string value =
          more.is_object() ? schema(more, child(place, "additionalProperties"), depth + 1) : basic("value");
      members.push_back({rule(gbnf::literal(Json(name).dump()) + " colon " + value), true});
    }
    // Nothing said on further properties: an object without any description is free, another one has only its own.
    const bool open = more.is_object() || (more.is_bool() ? more.as_bool() : members.empty());
    std::string further;
    if (open) {
      const std::string value =
          more.is_object() ? schema(more, child(place, "additionalProperties"), depth + 1) : basic("value");
      further = rule(R"("\"" )" + other_names(known, place) + R"( "\"" colon )" + value);
    }
    open_ = guarded;
    return rule(R"("{" )" + sequence(members, further) + R"( "}")");
  }

  template <typename Members>
  std::string sequence(const Members& members, const std::string& further) {
    std::string first = further.empty() ? "" : lakeloop::format("({} (comma {})*)?", further, further);
    std::string rest = further.empty() ? "" : lakeloop::format("(comma {})*", further);
    basic("comma");
    for (std::size_t i = members.size(); i-- > 0;) {
      const auto& member = members[i];
      const std::string with = rest.empty() ? member.rule : member.rule + " " + rest;
      if (member.required) {
        first = with;
      } else {
        first = first.empty() ? with + R"( | "")" : with + " | " + first;
      }
      rest = member.required ? "comma " + with
                             : lakeloop::format("(comma {})?{}", member.rule, rest.empty() ? "" : " " + rest);
      if (i > 0) {
        first = rule(first);
        rest = rule(rest);
      }
    }
    return first.empty() ? R"("")" : "(" + first + ")";
  }

  // Characters of a name that is none of `names`, without its quotation marks: two equal names would be two values for
  // one. Escapes are left out, so that no name can be written in a second way.
  std::string other_names(const std::set<std::string>& names, const std::string& place) {
    if (names.empty()) return basic("name-char") + "*";
    for (const std::string& name : names) {
      if (name.size() > kMaxNameBytes)
        refuse(place, lakeloop::format("has a property name of more than {} bytes", kMaxNameBytes));
    }
    return not_in(std::vector<std::string>(names.begin(), names.end()), 0);
  }

  std::string not_in(const std::vector<std::string>& names, std::size_t at) {
    // `names` share their first `at` bytes; each starts a code point there.
    bool ends_here = false;
    std::map<std::string, std::vector<std::string>> branches;
    for (const std::string& name : names) {
      if (name.size() == at) {
        ends_here = true;
      } else {
        branches[name.substr(at, gbnf::code_point_bytes(name, at))].push_back(name);
      }
    }
    std::string excluded;
    std::string body;
    for (const auto& [letter, longer] : branches) {
      const auto byte = static_cast<unsigned char>(letter[0]);
      if (letter == "\"" || letter == "\\" || byte < 0x20 || byte == 0x7F)
        continue;  // needs an escape: cannot be written
      excluded += gbnf::in_class(letter);
      body += gbnf::literal(letter) + " " + not_in(longer, at + letter.size()) + " | ";
    }
    basic("name-char");
    body += R"([^"\\\x00-\x1F\x7F)" + excluded + "] name-char*";
    if (!ends_here) body += R"( | "")";
    return rule(body);
  }

  const Json& root_;
  std::vector<std::string> rules_;
  std::set<std::string> used_;
  std::map<std::string, std::string> references_;  // pointer -> rule
  std::set<std::string> open_;                     // references entered since the last bracket
  std::vector<std::unique_ptr<Json>> own_parts_;
  std::size_t next_rule_ = 0;
};

}  // namespace

std::string grammar_of_schema(const Json& schema) {
  return Compiler(schema).run();
}

std::string grammar_of_any_json() {
  std::string text = "root ::= object\n";
  for (const std::string& rule : gbnf::json_rules({"object"})) text += rule + "\n";
  return text;
}

std::string grammar_of_choices(const std::vector<std::string>& choices) {
  if (choices.empty()) throw Error(ErrorCode::kInvalidArgument, "a choice needs at least one text");
  std::string text = "root ::= ";
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (choices[i].empty()) throw Error(ErrorCode::kInvalidArgument, "a text to choose from is empty");
    text += (i == 0 ? "" : " | ") + gbnf::literal(choices[i]);
  }
  if (text.size() > limits::kGrammarBytes)
    throw Error(ErrorCode::kInvalidArgument, "the texts to choose from are longer than 1 MiB together");
  return text + "\n";
}

}  // namespace lakeloop::gateway
