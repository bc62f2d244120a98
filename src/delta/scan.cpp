#include "delta/scan.h"

#include <algorithm>
#include <map>

#include "base/format.h"
#include "base/text.h"
#include "delta/deletion_vector.h"
#include "delta/duck.h"
#include "delta/partition.h"

namespace lakeloop::delta {
namespace {

bool is_partition(const ScanShape& shape, const Field& field) {
  return std::ranges::any_of(shape.partition_columns,
                             [&](const std::string& name) { return iequals(name, field.name); });
}

// The type as it is named inside files: column mapping renames the members of structs, and void is never stored.
DataType physical_type(const DataType& type, ColumnMapping mapping) {
  switch (type.kind) {
    case TypeKind::kArray:
      return DataType::array(physical_type(*type.element, mapping));
    case TypeKind::kMap:
      return DataType::map(physical_type(*type.key, mapping), physical_type(*type.element, mapping));
    case TypeKind::kStruct: {
      auto fields = type.fields;
      for (auto& field : fields) {
        field.name = physical_name(field, mapping);
        field.type = physical_type(field.type, mapping);
      }
      return DataType::structure(std::move(fields));
    }
    default:
      return type;
  }
}

// An expression that gives a physical value its logical names. Only built under column mapping.
std::string logical_value(const std::string& value, const DataType& type, ColumnMapping mapping, int depth) {
  const auto variable = format("x{}", depth);
  switch (type.kind) {
    case TypeKind::kStruct: {
      std::vector<std::string> members;
      for (const auto& field : type.fields) {
        const auto member = "(" + value + ")." + quote_identifier(physical_name(field, mapping));
        members.push_back(quote_identifier(field.name) +
                          " := " + logical_value(member, field.type, mapping, depth + 1));
      }
      return "CASE WHEN " + value + " IS NULL THEN NULL ELSE struct_pack(" + join(members, ", ") + ") END";
    }
    case TypeKind::kArray:
      return "list_transform(" + value + ", lambda " + variable + ": " +
             logical_value(variable, *type.element, mapping, depth + 1) + ")";
    case TypeKind::kMap: {
      const auto pair =
          "struct_pack(\"key\" := " + logical_value(variable + ".\"key\"", *type.key, mapping, depth + 1) +
          ", \"value\" := " + logical_value(variable + ".\"value\"", *type.element, mapping, depth + 1) + ")";
      return "CASE WHEN " + value + " IS NULL THEN NULL ELSE map_from_entries(list_transform(map_entries(" + value +
             "), lambda " + variable + ": " + pair + ")) END";
    }
    default:
      return value;
  }
}

bool has_struct(const DataType& type) {
  return type.kind == TypeKind::kStruct || (type.key && has_struct(*type.key)) ||
         (type.element && has_struct(*type.element));
}

std::string schema_entry(const std::string& key, std::size_t index, const DataType& type) {
  return format("{}: {{name: 'c{}', type: {}, default_value: NULL}}", key, index, quote_literal(type.duckdb()));
}

std::string field_id(const Field& field) {
  const auto& id = field.metadata["delta.columnMapping.id"];
  if (!id.is_int()) throw Error(ErrorCode::kDataLoss, "the column '{}' has no delta.columnMapping.id", field.name);
  return std::to_string(id.as_int());
}

// The rows as a subquery of intervals, so that a long run of deleted rows stays short.
std::string row_numbers(const std::vector<std::uint64_t>& rows) {
  std::vector<std::string> single, parts;
  for (std::size_t i = 0; i < rows.size();) {
    std::size_t end = i + 1;
    while (end < rows.size() && rows[end] == rows[end - 1] + 1) ++end;
    if (end - i < 4) {
      for (; i < end; ++i) single.push_back(std::to_string(rows[i]));
    } else {
      parts.push_back(format("SELECT range AS r FROM range({}, {})", rows[i], rows[end - 1] + 1));
      i = end;
    }
  }
  if (!single.empty() || parts.empty()) parts.push_back("SELECT unnest([" + join(single, ", ") + "]::BIGINT[]) AS r");
  return join(parts, " UNION ALL ");
}

class Select {
 public:
  explicit Select(const ScanShape& shape) : shape_(shape) {
    for (std::size_t i = 0; i < shape.schema.size(); ++i) {
      const auto& field = shape.schema[i];
      if (is_partition(shape, field) || field.type.kind == TypeKind::kVoid) continue;
      const auto key =
          shape.mapping == ColumnMapping::kId ? field_id(field) : quote_literal(physical_name(field, shape.mapping));
      entries_.push_back(schema_entry(key, i, physical_type(field.type, shape.mapping)));
    }
    if (shape.change_type) {
      // Change data files under id mapping have no field id for this column; both kinds of key cannot be mixed.
      if (shape.mapping == ColumnMapping::kId) {
        throw Error(ErrorCode::kUnsupportedFeature,
                    "change data files of a table with column mapping by id are not supported");
      }
      entries_.push_back(schema_entry(quote_literal(kChangeTypeColumn), shape.schema.size(), TypeKind::kString));
    }
  }

  [[nodiscard]] std::string branch(const PartitionValues& values, const std::vector<std::string>& locations,
                                   const FileRows* rows) const {
    std::vector<std::string> quoted;
    for (const auto& location : locations) quoted.push_back(quote_literal(location));
    auto sql = "SELECT " + join(columns(&values), ", ") + " FROM read_parquet([" + join(quoted, ", ") +
               "], hive_partitioning=false";
    if (!entries_.empty()) sql += ", schema=MAP{" + join(entries_, ", ") + "}";
    sql += ") f";
    if (rows) {
      sql += format(" {} JOIN ({}) d ON f.file_row_number = d.r", rows->only_these ? "SEMI" : "ANTI",
                    row_numbers(rows->rows));
    }
    return sql;
  }

  [[nodiscard]] std::string nothing() const { return "SELECT " + join(columns(nullptr), ", ") + " WHERE false"; }

 private:
  // Without values: typed NULLs.
  [[nodiscard]] std::vector<std::string> columns(const PartitionValues* values) const {
    std::vector<std::string> list;
    for (std::size_t i = 0; i < shape_.schema.size(); ++i) {
      const auto& field = shape_.schema[i];
      std::string value;
      if (!values || field.type.kind == TypeKind::kVoid) {
        value = "CAST(NULL AS " + field.type.duckdb() + ")";
      } else if (is_partition(shape_, field)) {
        const auto found = values->find(physical_name(field, shape_.mapping));
        value = partition_literal(found == values->end() ? std::nullopt : found->second, field.type);
      } else {
        value = format("f.c{}", i);
        if (shape_.mapping != ColumnMapping::kNone && has_struct(field.type))
          value = logical_value(value, field.type, shape_.mapping, 0);
      }
      list.push_back(value + " AS " + quote_identifier(field.name));
    }
    if (shape_.change_type) {
      list.push_back((values ? format("f.c{}", shape_.schema.size()) : std::string("CAST(NULL AS VARCHAR)")) + " AS " +
                     quote_identifier(kChangeTypeColumn));
    }
    if (shape_.file_column)
      list.push_back(std::string(values ? "f.filename" : "CAST(NULL AS VARCHAR)") + " AS " +
                     quote_identifier(kFileColumn));
    if (list.empty()) throw Error(ErrorCode::kUnsupportedFeature, "the table has no columns");
    return list;
  }

  const ScanShape& shape_;
  std::vector<std::string> entries_;
};

}  // namespace

std::string physical_name(const Field& field, ColumnMapping mapping) {
  if (mapping == ColumnMapping::kNone) return field.name;
  return field.metadata.str("delta.columnMapping.physicalName", field.name);
}

std::string table_folder(const Log& log) {
  const auto inside = log.store().location(log.key("_delta_log"));
  return inside.substr(0, inside.size() - std::string_view("/_delta_log").size());
}

ScanShape scan_shape(const Log& log, const Snapshot& snapshot) {
  ScanShape shape;
  shape.schema = snapshot.schema;
  shape.partition_columns = snapshot.partition_columns;
  shape.mapping = column_mapping(snapshot.min_reader, snapshot.reader_features, snapshot.properties);
  shape.folder = table_folder(log);
  return shape;
}

std::string file_location(const ScanShape& shape, std::string_view path) {
  return shape.folder + "/" + std::string(path);
}

FileRows live_rows(const Log& log, const AddFile& file) {
  return {file.path, file.partition_values, read_deletion_vector(log, file.deletion_vector), false};
}

std::string select_files(const ScanShape& shape, const std::vector<FileRows>& files) {
  const Select select(shape);
  // Files that agree in their constants share one scan.
  std::map<PartitionValues, std::vector<std::string>> whole;
  std::vector<std::string> branches;
  for (const auto& file : files) {
    if (file.rows.empty() && !file.only_these) whole[file.partition_values].push_back(file_location(shape, file.path));
  }
  for (const auto& [values, locations] : whole) branches.push_back(select.branch(values, locations, nullptr));
  for (const auto& file : files) {
    if (file.rows.empty()) continue;
    branches.push_back(select.branch(file.partition_values, {file_location(shape, file.path)}, &file));
  }
  return branches.empty() ? select.nothing() : join(branches, " UNION ALL ");
}

}  // namespace lakeloop::delta
