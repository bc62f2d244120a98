#include "delta/stats.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/format.h"
#include "base/text.h"
#include "delta/partition.h"

namespace lakeloop::delta {
namespace {

constexpr std::size_t kPrefix = 32;  // characters

struct Leaf {
  std::vector<std::string> path;
  std::string expression;
  std::string parent;  // expression that is NULL when the struct around it is; "" at the top
  const Field* field;
  bool indexed = false;
};

void collect(const Schema& fields, const std::vector<std::string>& path, const std::string& parent, int limit,
             std::vector<Leaf>& leaves) {
  for (const auto& field : fields) {
    auto mine = path;
    mine.push_back(field.name);
    const auto name = quote_identifier(field.name);
    const auto expression = parent.empty() ? name : "(" + parent + ")." + name;
    const bool leaf = field.type.kind != TypeKind::kStruct;
    if (leaf || !field.nullable) {
      const bool indexed = leaf && (limit < 0 || std::ranges::count_if(leaves, &Leaf::indexed) < limit);
      leaves.push_back({mine, expression, parent, &field, indexed});
    }
    if (!leaf) collect(field.type.fields, mine, expression, limit, leaves);
  }
}

bool has_bounds(TypeKind kind) {
  switch (kind) {
    case TypeKind::kBoolean:
    case TypeKind::kBinary:
    case TypeKind::kArray:
    case TypeKind::kMap:
    case TypeKind::kStruct:
    case TypeKind::kVoid:
      return false;
    default:
      return true;
  }
}

// Byte offset after `count` characters.
std::size_t offset_of(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  for (; at < text.size() && count > 0; --count) {
    for (++at; at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80; ++at) {
    }
  }
  return at;
}

// JSON text of a bound; nullopt when it has none. Decimals are printed by hand: a double would round them.
std::optional<std::string> bound(const Json& cell, const DataType& type, bool upper) {
  if (cell.is_null()) return std::nullopt;
  switch (type.kind) {
    case TypeKind::kDecimal:
      return cell.as_string();
    case TypeKind::kDate:
      return Json(format_date(Timestamp{cell.as_int() * 86'400'000'000})).dump();
    case TypeKind::kTimestamp:
    case TypeKind::kTimestampNtz: {
      auto text = partition_text(cell, type).value();
      text[10] = 'T';
      return Json(text).dump();
    }
    case TypeKind::kString: {
      if (!upper) return Json(lower_bound_text(cell.as_string())).dump();
      const auto text = upper_bound_text(cell.as_string());
      return text ? std::optional(Json(*text).dump()) : std::nullopt;
    }
    case TypeKind::kFloat:
    case TypeKind::kDouble:
      return std::isfinite(cell.as_double()) ? std::optional(cell.dump()) : std::nullopt;
    default:
      return cell.dump();
  }
}

// Nested object text from paths in schema order: {"a":1,"s":{"x":2}}
class Nested {
 public:
  void add(const std::vector<std::string>& path, const std::string& value) {
    std::size_t shared = 0;
    while (shared < open_.size() && shared + 1 < path.size() && open_[shared] == path[shared]) ++shared;
    while (open_.size() > shared) {
      text_ += '}';
      open_.pop_back();
    }
    if (!text_.empty() && !text_.ends_with('{')) text_ += ',';
    for (std::size_t i = shared; i + 1 < path.size(); ++i) {
      text_ += Json(path[i]).dump() + ":{";
      open_.push_back(path[i]);
    }
    text_ += Json(path.back()).dump() + ":" + value;
  }
  std::string finish() {
    for (; !open_.empty(); open_.pop_back()) text_ += '}';
    return "{" + text_ + "}";
  }

 private:
  std::string text_;
  std::vector<std::string> open_;
};

}  // namespace

std::string lower_bound_text(std::string_view text) {
  return std::string(text.substr(0, offset_of(text, kPrefix)));
}

std::optional<std::string> upper_bound_text(std::string_view text) {
  const auto first = offset_of(text, kPrefix);
  if (first == text.size()) return std::string(text);
  // After the cut a character that is at least the next one keeps the bound above the text.
  for (auto cut = first; cut < text.size();) {
    const auto prefix = std::string(text.substr(0, cut));
    if (static_cast<unsigned char>(text[cut]) < 0x7F) return prefix + "\x7F";
    const auto next = cut + offset_of(text.substr(cut), 1);
    if (text.substr(cut, next - cut) < std::string_view("\xF4\x8F\xBF\xBF")) return prefix + "\xF4\x8F\xBF\xBF";
    cut = next;
    if (cut > offset_of(text, 2 * kPrefix)) break;
  }
  return std::nullopt;
}

FileStats file_stats(Duck& duck, const std::string& source, const std::string& where, const Schema& columns,
                     int indexed) {
  std::vector<Leaf> leaves;
  collect(columns, {}, "", indexed, leaves);
  std::vector<std::string> select = {"count(*)"};
  for (const auto& leaf : leaves) {
    // A required member counts as NULL only where its struct is there.
    const auto present =
        leaf.parent.empty() || leaf.field->nullable ? std::string() : " AND " + leaf.parent + " IS NOT NULL";
    select.push_back("count(*) FILTER (WHERE " + leaf.expression + " IS NULL" + present + ")");
    const bool bounds = leaf.indexed && has_bounds(leaf.field->type.kind);
    select.push_back(bounds ? "min(" + leaf.expression + ")" : "NULL");
    select.push_back(bounds ? "max(" + leaf.expression + ")" : "NULL");
  }
  const auto rows =
      duck.query("SELECT " + join(select, ", ") + " FROM " + source + (where.empty() ? "" : " WHERE " + where));
  const auto& row = rows.rows.at(0);
  FileStats stats;
  stats.rows = row[0].as_int();
  Nested minimum, maximum, nulls;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const auto& leaf = leaves[i];
    const auto& count = row[1 + 3 * i];
    if (!leaf.field->nullable && count.as_int() > 0) {
      throw Error(ErrorCode::kInvalidArgument, "the column '{}' does not allow NULL, {} rows have none",
                  join(leaf.path, "."), count.as_int());
    }
    if (!leaf.indexed) continue;
    nulls.add(leaf.path, count.dump());
    // NaN sorts above every number here and in Spark: without a finite maximum the minimum alone still holds.
    if (const auto low = bound(row[2 + 3 * i], leaf.field->type, false)) minimum.add(leaf.path, *low);
    if (const auto high = bound(row[3 + 3 * i], leaf.field->type, true)) maximum.add(leaf.path, *high);
  }
  stats.json = format("{{\"numRecords\":{},\"minValues\":{},\"maxValues\":{},\"nullCount\":{}}}", stats.rows,
                      minimum.finish(), maximum.finish(), nulls.finish());
  return stats;
}

}  // namespace lakeloop::delta
