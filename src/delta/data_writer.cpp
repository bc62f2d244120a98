#include "delta/data_writer.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/format.h"
#include "base/id.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "delta/partition.h"
#include "delta/scan.h"
#include "delta/stats.h"

namespace lakeloop::delta {
namespace {

std::string codec_of(const std::map<std::string, std::string>& properties) {
  const auto found = properties.find("delta.parquet.compression.codec");
  if (found == properties.end()) return "zstd";
  const auto codec = ascii_lower(found->second);
  return codec == "snappy" || codec == "gzip" ? codec : "zstd";
}

int indexed_columns(const std::map<std::string, std::string>& properties) {
  const auto found = properties.find("delta.dataSkippingNumIndexedCols");
  return found == properties.end() ? 32 : parse_number<int>(found->second).value_or(32);
}

// DuckDB writes to a local file; it goes away whatever happens.
class TemporaryFile {
 public:
  TemporaryFile() : path_(std::filesystem::temp_directory_path() / ("lakeloop-" + random_hex(12) + ".parquet")) {}
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct Part {
  PartitionValues values;
  std::string folder;
  std::string where;
};

class Writer {
 public:
  Writer(Duck& duck, const Log& log, const WriteShape& shape, const std::string& source, bool change_data)
      : duck_(duck),
        log_(log),
        shape_(shape),
        source_(quote_identifier(source)),
        change_data_(change_data),
        codec_(codec_of(shape.properties)) {
    for (const auto& field : shape.schema) {
      const bool partition =
          std::ranges::any_of(shape.partition_columns, [&](const auto& name) { return iequals(name, field.name); });
      if (partition) {
        partition_.push_back(field);
      } else if (field.type.kind != TypeKind::kVoid) {
        stored_.push_back(field);
      }
    }
    // Values and folders are in the order that the table states, not that of its schema.
    std::ranges::stable_sort(partition_, {}, [&](const Field& field) {
      return std::ranges::find_if(shape.partition_columns, [&](const auto& name) { return iequals(name, field.name); });
    });
  }

  std::vector<AddFile> write() {
    const auto total = duck_.query("SELECT count(*) FROM " + source_).rows.at(0).at(0).as_int();
    std::vector<AddFile> files;
    try {
      write_all_parts(total, files);
    } catch (...) {
      for (const auto& file : files) remove_quietly(file.path);
      throw;
    }
    return files;
  }

 private:
  void remove_quietly(const std::string& path) noexcept {
    try {
      log_.store().remove(log_.key(path));
    } catch (const std::exception& error) {
      log_warning("delta_file_left_behind", {{"table", log_.prefix()}, {"path", path}, {"error", error.what()}});
    }
  }

  void write_all_parts(std::int64_t total, std::vector<AddFile>& files) {
    for (std::int64_t from = 0; from < total; from += limits::kDeltaFileRows) {
      const auto window = total <= limits::kDeltaFileRows
                              ? std::string()
                              : format("rowid >= {} AND rowid < {}", from, from + limits::kDeltaFileRows);
      for (const auto& part : parts(window)) files.push_back(write_part(part));
      if (files.size() > limits::kDeltaPartitions) {
        throw Error(ErrorCode::kTooLarge, "one change writes more than {} partitions: split it",
                    limits::kDeltaPartitions);
      }
    }
  }

  std::vector<Part> parts(const std::string& window) {
    if (partition_.empty()) return {{{}, "", window}};
    std::vector<std::string> columns;
    for (const auto& field : partition_) columns.push_back(normal(field));
    const auto rows = duck_.query("SELECT DISTINCT " + join(columns, ", ") + " FROM " + source_ +
                                  (window.empty() ? "" : " WHERE " + window) + " ORDER BY ALL");
    std::vector<Part> parts;
    for (const auto& row : rows.rows) {
      Part part;
      part.where = window;
      for (std::size_t i = 0; i < partition_.size(); ++i) {
        const auto& field = partition_[i];
        const auto text = partition_text(row[i], field.type);
        if (!text && !field.nullable) {
          throw Error(ErrorCode::kInvalidArgument, "the partition column '{}' does not allow NULL or ''", field.name);
        }
        part.values[field.name] = text;
        part.folder += partition_folder(field.name, text) + "/";
        part.where += (part.where.empty() ? "" : " AND ") + normal(field) + " IS NOT DISTINCT FROM " +
                      partition_literal(text, field.type);
      }
      parts.push_back(std::move(part));
    }
    return parts;
  }

  // '' is stored as NULL, so both belong to one partition.
  static std::string normal(const Field& field) {
    const auto name = quote_identifier(field.name);
    if (field.type.kind == TypeKind::kString) return "nullif(" + name + ", '')";
    if (field.type.kind == TypeKind::kBinary) return "nullif(" + name + ", ''::BLOB)";
    return name;
  }

  AddFile write_part(const Part& part) {
    AddFile file;
    file.path = (change_data_ ? "_change_data/" : "") + part.folder + (change_data_ ? "cdc" : "part") + "-00000-" +
                new_uuid() + "-c000." + codec_ + ".parquet";
    file.partition_values = part.values;
    if (!change_data_)
      file.stats = file_stats(duck_, source_, part.where, stored_, indexed_columns(shape_.properties)).json;
    std::vector<std::string> columns;
    for (const auto& field : stored_) columns.push_back(quote_identifier(field.name));
    if (change_data_) columns.push_back(quote_identifier(kChangeTypeColumn));
    if (columns.empty())
      throw Error(ErrorCode::kInvalidArgument, "the table has no column besides its partition columns");
    file.size = write_parquet(
        duck_, log_,
        "SELECT " + join(columns, ", ") + " FROM " + source_ + (part.where.empty() ? "" : " WHERE " + part.where),
        log_.key(file.path), codec_);
    file.modification_time = Timestamp::now().millis();
    return file;
  }

  Duck& duck_;
  const Log& log_;
  const WriteShape& shape_;
  const std::string source_;
  const bool change_data_;
  const std::string codec_;
  Schema partition_, stored_;
};

}  // namespace

std::vector<AddFile> write_files(Duck& duck, const Log& log, const WriteShape& shape, const std::string& source,
                                 bool change_data) {
  return Writer(duck, log, shape, source, change_data).write();
}

std::int64_t write_parquet(Duck& duck, const Log& log, const std::string& select, const std::string& key,
                           std::string_view codec) {
  const TemporaryFile temporary;
  duck.execute("COPY (" + select + ") TO " + quote_literal(temporary.path().string()) +
               " (FORMAT parquet, COMPRESSION " + std::string(codec) + ")");
  const auto bytes = read_file(temporary.path());
  log.store().put(key, bytes);
  return static_cast<std::int64_t>(bytes.size());
}

}  // namespace lakeloop::delta
