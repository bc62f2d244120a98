#include "delta/schema.h"

#include <array>

#include "base/format.h"
#include "base/text.h"

namespace lakeloop::delta {
namespace {

struct Primitive {
  TypeKind kind;
  std::string_view delta;  // schema JSON
  std::string_view spark;  // type text of Unity Catalog
  std::string_view duckdb;
};
constexpr std::array kPrimitives = {
    Primitive{TypeKind::kString, "string", "string", "VARCHAR"},
    Primitive{TypeKind::kLong, "long", "bigint", "BIGINT"},
    Primitive{TypeKind::kInteger, "integer", "int", "INTEGER"},
    Primitive{TypeKind::kShort, "short", "smallint", "SMALLINT"},
    Primitive{TypeKind::kByte, "byte", "tinyint", "TINYINT"},
    Primitive{TypeKind::kFloat, "float", "float", "FLOAT"},
    Primitive{TypeKind::kDouble, "double", "double", "DOUBLE"},
    Primitive{TypeKind::kBoolean, "boolean", "boolean", "BOOLEAN"},
    Primitive{TypeKind::kBinary, "binary", "binary", "BLOB"},
    Primitive{TypeKind::kDate, "date", "date", "DATE"},
    Primitive{TypeKind::kTimestamp, "timestamp", "timestamp", "TIMESTAMP WITH TIME ZONE"},
    Primitive{TypeKind::kTimestampNtz, "timestamp_ntz", "timestamp_ntz", "TIMESTAMP"},
    // DuckDB has no column type of NULLs that Parquet could hold; the values are NULL anyway.
    Primitive{TypeKind::kVoid, "void", "void", "INTEGER"},
};

const Primitive* find_primitive(TypeKind kind) {
  for (const auto& p : kPrimitives) {
    if (p.kind == kind) return &p;
  }
  return nullptr;
}

std::string quoted(std::string_view name) {
  return "\"" + replace_all(std::string(name), "\"", "\"\"") + "\"";
}

bool is_plain_name(std::string_view name) {
  if (name.empty()) return false;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!plain) return false;
  }
  return true;
}

Json type_to_json(const DataType& type);

Json field_to_json(const Field& field) {
  return Json::object({{"name", field.name},
                       {"type", type_to_json(field.type)},
                       {"nullable", field.nullable},
                       {"metadata", field.metadata.is_object() ? field.metadata : Json::object()}});
}

Json fields_to_json(const std::vector<Field>& fields) {
  Json::Array list;
  list.reserve(fields.size());
  for (const auto& field : fields) list.push_back(field_to_json(field));
  return Json::object({{"type", "struct"}, {"fields", Json(std::move(list))}});
}

Json type_to_json(const DataType& type) {
  switch (type.kind) {
    case TypeKind::kDecimal:
      return format("decimal({},{})", type.precision, type.scale);
    case TypeKind::kStruct:
      return fields_to_json(type.fields);
    case TypeKind::kArray:
      return Json::object(
          {{"type", "array"}, {"elementType", type_to_json(*type.element)}, {"containsNull", type.contains_null}});
    case TypeKind::kMap:
      return Json::object({{"type", "map"},
                           {"keyType", type_to_json(*type.key)},
                           {"valueType", type_to_json(*type.element)},
                           {"valueContainsNull", type.contains_null}});
    default:
      return find_primitive(type.kind)->delta;
  }
}

std::vector<Field> fields_from_json(const Json& json);

DataType decimal_from_text(std::string_view text) {
  const auto close = text.rfind(')');
  const auto parts = split(text.substr(8, close == std::string_view::npos ? close : close - 8), ',');
  const auto precision = parts.empty() ? std::nullopt : parse_number<int>(trim(parts[0]));
  const auto scale = parts.size() < 2 ? std::optional<int>(0) : parse_number<int>(trim(parts[1]));
  if (parts.size() > 2 || !precision || !scale || *precision < 1 || *precision > 38 || *scale < 0 ||
      *scale > *precision) {
    throw Error(ErrorCode::kUnsupportedFeature, "the type '{}' is no decimal of 1 to 38 digits", text);
  }
  return DataType::decimal(*precision, *scale);
}

DataType type_from_json(const Json& json) {
  if (json.is_string()) {
    const auto& text = json.as_string();
    for (const auto& p : kPrimitives) {
      if (p.delta == text) return p.kind;
    }
    if (text == "decimal") return DataType::decimal(10, 0);
    if (text.starts_with("decimal(")) return decimal_from_text(text);
    throw Error(ErrorCode::kUnsupportedFeature, "the column type '{}' is not supported", text);
  }
  const auto kind = json.str("type");
  if (kind == "struct") return DataType::structure(fields_from_json(json));
  if (kind == "array") {
    return DataType::array(type_from_json(json["elementType"]), json["containsNull"].bool_or(true));
  }
  if (kind == "map") {
    return DataType::map(type_from_json(json["keyType"]), type_from_json(json["valueType"]),
                         json["valueContainsNull"].bool_or(true));
  }
  throw Error(ErrorCode::kUnsupportedFeature, "the column type '{}' is not supported",
              kind.empty() ? json.dump() : kind);
}

std::vector<Field> fields_from_json(const Json& json) {
  if (!json["fields"].is_array()) {
    throw Error(ErrorCode::kDataLoss, "a struct of the table's schema has no list of fields");
  }
  std::vector<Field> fields;
  for (const auto& item : json["fields"].items()) {
    Field field;
    field.name = item.str("name");
    field.type = type_from_json(item["type"]);
    field.nullable = item["nullable"].bool_or(true);
    if (item["metadata"].is_object()) field.metadata = item["metadata"];
    fields.push_back(std::move(field));
  }
  return fields;
}

// Recursive descent over Spark's type text: primitives, decimal(p,s), array<t>, map<k,v>, struct<name:t,...>.
class TypeParser {
 public:
  explicit TypeParser(std::string_view text) : text_(text) {}

  DataType parse_all() {
    auto type = parse();
    blanks();
    if (at_ != text_.size()) fail("nothing more");
    return type;
  }

 private:
  static constexpr int kDepth = 32;

  DataType parse() {
    if (++depth_ > kDepth) fail("less nesting");
    const auto word = ascii_lower(name());
    DataType type;
    if (word == "array") {
      expect('<');
      type = DataType::array(parse());
      expect('>');
    } else if (word == "map") {
      expect('<');
      auto key = parse();
      expect(',');
      auto value = parse();
      type = DataType::map(std::move(key), std::move(value));
      expect('>');
    } else if (word == "struct") {
      type = parse_struct();
    } else if (word == "decimal" || word == "dec" || word == "numeric") {
      type = parse_decimal();
    } else {
      type = primitive(word);
    }
    --depth_;
    return type;
  }

  DataType parse_struct() {
    std::vector<Field> fields;
    expect('<');
    blanks();
    while (at_ < text_.size() && text_[at_] != '>') {
      Field field;
      field.name = name();
      expect(':');
      field.type = parse();
      blanks();
      if (text_.substr(at_).size() >= 8 && iequals(text_.substr(at_, 8), "not null")) {
        field.nullable = false;
        at_ += 8;
        blanks();
      }
      fields.push_back(std::move(field));
      if (at_ < text_.size() && text_[at_] == ',') ++at_;
      blanks();
    }
    expect('>');
    return DataType::structure(std::move(fields));
  }

  DataType parse_decimal() {
    blanks();
    if (at_ >= text_.size() || text_[at_] != '(') return DataType::decimal(10, 0);
    const auto close = text_.find(')', at_);
    if (close == std::string_view::npos) fail("')'");
    const auto inside = text_.substr(at_ + 1, close - at_ - 1);
    at_ = close + 1;
    return decimal_from_text("decimal(" + std::string(inside) + ")");
  }

  DataType primitive(std::string_view word) {
    struct Alias {
      std::string_view name;
      TypeKind kind;
    };
    static constexpr std::array kAliases = {
        Alias{"long", TypeKind::kLong},    Alias{"integer", TypeKind::kInteger},
        Alias{"short", TypeKind::kShort},  Alias{"byte", TypeKind::kByte},
        Alias{"real", TypeKind::kFloat},   Alias{"text", TypeKind::kString},
        Alias{"bool", TypeKind::kBoolean}, Alias{"varchar", TypeKind::kString},
        Alias{"char", TypeKind::kString},  Alias{"timestamp_ltz", TypeKind::kTimestamp}};
    for (const auto& p : kPrimitives) {
      if (p.spark == word) return p.kind;
    }
    for (const auto& alias : kAliases) {
      if (alias.name != word) continue;
      blanks();
      if (alias.kind == TypeKind::kString && at_ < text_.size() && text_[at_] == '(') {
        const auto close = text_.find(')', at_);  // Delta keeps the length only as metadata; the type is string
        if (close == std::string_view::npos) fail("')'");
        at_ = close + 1;
      }
      return alias.kind;
    }
    at_ = word_start_;
    fail("a type");
  }

  std::string name() {
    blanks();
    word_start_ = at_;
    if (at_ < text_.size() && text_[at_] == '`') {
      std::string result;
      for (++at_; at_ < text_.size(); ++at_) {
        if (text_[at_] != '`') {
          result += text_[at_];
        } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '`') {
          result += '`';
          ++at_;
        } else {
          ++at_;
          return result;
        }
      }
      fail("'`'");
    }
    while (at_ < text_.size() && std::string_view("<>(),:` \t\n").find(text_[at_]) == std::string_view::npos) ++at_;
    if (at_ == word_start_) fail("a name");
    return std::string(text_.substr(word_start_, at_ - word_start_));
  }

  void blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_;
  }
  void expect(char c) {
    blanks();
    if (at_ >= text_.size() || text_[at_] != c) fail(std::string("'") + c + "'");
    ++at_;
  }
  [[noreturn]] void fail(std::string_view wanted) const {
    throw Error(ErrorCode::kInvalidArgument, "the type '{}' is not readable: expected {} at position {}", text_, wanted,
                at_);
  }

  std::string_view text_;
  std::size_t at_ = 0, word_start_ = 0;
  int depth_ = 0;
};

}  // namespace

DataType::DataType() = default;
DataType::DataType(TypeKind k) : kind(k) {}
DataType::DataType(const DataType& other) = default;
DataType::DataType(DataType&& other) noexcept = default;
DataType& DataType::operator=(const DataType& other) = default;
DataType& DataType::operator=(DataType&& other) noexcept = default;
DataType::~DataType() = default;

DataType DataType::decimal(int precision, int scale) {
  DataType type(TypeKind::kDecimal);
  type.precision = precision;
  type.scale = scale;
  return type;
}
DataType DataType::array(DataType element, bool contains_null) {
  DataType type(TypeKind::kArray);
  type.element = std::make_shared<const DataType>(std::move(element));
  type.contains_null = contains_null;
  return type;
}
DataType DataType::map(DataType key, DataType value, bool contains_null) {
  DataType type(TypeKind::kMap);
  type.key = std::make_shared<const DataType>(std::move(key));
  type.element = std::make_shared<const DataType>(std::move(value));
  type.contains_null = contains_null;
  return type;
}
DataType DataType::structure(std::vector<Field> fields) {
  DataType type(TypeKind::kStruct);
  type.fields = std::move(fields);
  return type;
}

std::string DataType::text() const {
  switch (kind) {
    case TypeKind::kDecimal:
      return format("decimal({},{})", precision, scale);
    case TypeKind::kArray:
      return "array<" + element->text() + ">";
    case TypeKind::kMap:
      return "map<" + key->text() + "," + element->text() + ">";
    case TypeKind::kStruct: {
      std::vector<std::string> parts;
      for (const auto& field : fields) {
        const auto name = is_plain_name(field.name) ? field.name : "`" + replace_all(field.name, "`", "``") + "`";
        parts.push_back(name + ":" + field.type.text());
      }
      return "struct<" + join(parts, ",") + ">";
    }
    default:
      return std::string(find_primitive(kind)->spark);
  }
}

std::string DataType::duckdb() const {
  switch (kind) {
    case TypeKind::kDecimal:
      return format("DECIMAL({},{})", precision, scale);
    case TypeKind::kArray:
      return element->duckdb() + "[]";
    case TypeKind::kMap:
      return "MAP(" + key->duckdb() + ", " + element->duckdb() + ")";
    case TypeKind::kStruct: {
      std::vector<std::string> parts;
      for (const auto& field : fields) parts.push_back(quoted(field.name) + " " + field.type.duckdb());
      return "STRUCT(" + join(parts, ", ") + ")";
    }
    default:
      return std::string(find_primitive(kind)->duckdb);
  }
}

bool DataType::operator==(const DataType& other) const {
  const auto same = [](const std::shared_ptr<const DataType>& a, const std::shared_ptr<const DataType>& b) {
    return a && b ? *a == *b : !a && !b;
  };
  return kind == other.kind && precision == other.precision && scale == other.scale && fields == other.fields &&
         same(key, other.key) && same(element, other.element) && contains_null == other.contains_null;
}

Json schema_to_json(const Schema& schema) {
  return fields_to_json(schema);
}
Schema schema_from_json(const Json& json) {
  return fields_from_json(json);
}
DataType type_from_text(std::string_view text) {
  return TypeParser(text).parse_all();
}

std::optional<std::size_t> find_column(const Schema& schema, std::string_view name) {
  for (std::size_t i = 0; i < schema.size(); ++i) {
    if (iequals(schema[i].name, name)) return i;
  }
  return std::nullopt;
}

}  // namespace lakeloop::delta
