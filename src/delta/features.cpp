#include "delta/features.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace lakeloop::delta {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::array kRead = {
    "columnMapping"sv, "deletionVectors"sv,     "timestampNtz"sv, "timestampWithoutTimezone"sv,
    "v2Checkpoint"sv,  "vacuumProtocolCheck"sv, "typeWidening"sv, "typeWidening-preview"sv};
// Written, or harmless while not in use; use is checked against the metadata.
constexpr std::array kWrite = {
    "appendOnly"sv,          "invariants"sv,      "changeDataFeed"sv,    "checkConstraints"sv,   "generatedColumns"sv,
    "columnMapping"sv,       "identityColumns"sv, "timestampNtz"sv,      "deletionVectors"sv,    "v2Checkpoint"sv,
    "vacuumProtocolCheck"sv, "domainMetadata"sv,  "inCommitTimestamp"sv, "allowColumnDefaults"sv};

template <typename Names>
bool has(const Names& names, std::string_view name) {
  return std::ranges::find(names, name) != std::ranges::end(names);
}

[[noreturn]] void refuse_write(std::string_view feature, std::string_view why) {
  throw Error(ErrorCode::kUnsupportedFeature, "the table cannot be written: {} ({})", feature, why);
}

void check_field(const Field& field) {
  for (const auto& [key, value] : field.metadata.members()) {
    if (key == "delta.invariants") refuse_write("invariants", "column '" + field.name + "' has an invariant");
    if (key == "delta.generationExpression")
      refuse_write("generatedColumns", "column '" + field.name + "' is generated");
    if (key.starts_with("delta.identity."))
      refuse_write("identityColumns", "column '" + field.name + "' is an identity column");
    if (key == "CURRENT_DEFAULT") refuse_write("allowColumnDefaults", "column '" + field.name + "' has a default");
  }
  for (const auto& child : field.type.fields) check_field(child);
}

}  // namespace

void check_readable(const Protocol& protocol) {
  if (protocol.min_reader > 3) {
    throw Error(ErrorCode::kUnsupportedFeature, "the table needs Delta reader version {}, this reader knows 3",
                protocol.min_reader);
  }
  if (protocol.min_reader < 3) return;
  for (const auto& feature : protocol.reader_features) {
    if (!has(kRead, feature)) {
      throw Error(ErrorCode::kUnsupportedFeature, "the table uses the reader feature '{}', which is not supported",
                  feature);
    }
  }
}

void check_writable(const Protocol& protocol, const Metadata& metadata) {
  check_readable(protocol);
  if (protocol.min_writer > 7) {
    throw Error(ErrorCode::kUnsupportedFeature, "the table needs Delta writer version {}, this writer knows 7",
                protocol.min_writer);
  }
  if (protocol.min_writer == 7) {
    for (const auto& feature : protocol.writer_features) {
      if (!has(kWrite, feature)) {
        throw Error(ErrorCode::kUnsupportedFeature, "the table uses the writer feature '{}', which is not supported",
                    feature);
      }
    }
  }
  const auto& properties = metadata.configuration;
  for (const auto& [key, value] : properties) {
    if (key.starts_with("delta.constraints.")) refuse_write("checkConstraints", key);
  }
  for (const auto& field : metadata.schema) check_field(field);
  if (column_mapping(protocol.min_reader, protocol.reader_features, properties) != ColumnMapping::kNone) {
    refuse_write("columnMapping", "delta.columnMapping.mode is set");
  }
  if (in_commit_timestamps(metadata)) refuse_write("inCommitTimestamp", "delta.enableInCommitTimestamps is true");
  if (const auto policy = properties.find("delta.checkpointPolicy");
      policy != properties.end() && policy->second == "v2") {
    refuse_write("v2Checkpoint", "delta.checkpointPolicy is v2");
  }
}

void check_property(std::string_view name, std::string_view value) {
  static constexpr std::array kKnown = {"delta.appendOnly"sv,
                                        "delta.enableChangeDataFeed"sv,
                                        "delta.logRetentionDuration"sv,
                                        "delta.checkpointInterval"sv,
                                        "delta.deletedFileRetentionDuration"sv,
                                        "delta.dataSkippingNumIndexedCols"sv,
                                        "delta.isolationLevel"sv,
                                        "delta.setTransactionRetentionDuration"sv,
                                        "delta.targetFileSize"sv,
                                        "delta.tuneFileSizesForRewrites"sv,
                                        "delta.parquet.compression.codec"sv};
  if (name.empty()) throw Error(ErrorCode::kInvalidArgument, "a table property has no name");
  if (!name.starts_with("delta.") || name.starts_with("delta.autoOptimize.")) return;
  if (!has(kKnown, name)) {
    throw Error(ErrorCode::kUnsupportedFeature, "the table property '{}' is not supported", name);
  }
  const bool flag = name == "delta.appendOnly" || name == "delta.enableChangeDataFeed";
  if (flag && !iequals(value, "true") && !iequals(value, "false")) {
    throw Error(ErrorCode::kInvalidArgument, "the table property '{}' is 'true' or 'false', not '{}'", name, value);
  }
  const bool number = name == "delta.checkpointInterval" || name == "delta.dataSkippingNumIndexedCols";
  if (number && !parse_number<std::int32_t>(value)) {
    throw Error(ErrorCode::kInvalidArgument, "the table property '{}' is a number, not '{}'", name, value);
  }
}

ColumnMapping column_mapping(int min_reader, const std::vector<std::string>& reader_features,
                             const std::map<std::string, std::string>& properties) {
  const bool supported = min_reader == 2 || (min_reader >= 3 && has(reader_features, "columnMapping"));
  const auto mode = properties.find("delta.columnMapping.mode");
  if (!supported || mode == properties.end() || mode->second == "none") return ColumnMapping::kNone;
  if (mode->second == "name") return ColumnMapping::kName;
  if (mode->second == "id") return ColumnMapping::kId;
  throw Error(ErrorCode::kUnsupportedFeature, "the column mapping mode '{}' is not supported", mode->second);
}

bool change_feed_enabled(int min_writer, const std::vector<std::string>& writer_features,
                         const std::map<std::string, std::string>& properties) {
  const bool supported =
      (min_writer >= 4 && min_writer < 7) || (min_writer >= 7 && has(writer_features, "changeDataFeed"));
  return supported && is_true(properties, "delta.enableChangeDataFeed");
}

Protocol with_change_feed(Protocol protocol) {
  if (protocol.min_writer >= 4 && protocol.min_writer < 7) return protocol;
  if (protocol.min_writer < 7) {
    protocol.writer_features.clear();
    if (protocol.min_writer >= 2) protocol.writer_features = {"appendOnly", "invariants"};
    if (protocol.min_writer >= 3) protocol.writer_features.emplace_back("checkConstraints");
    protocol.min_writer = 7;
  }
  if (!has(protocol.writer_features, "changeDataFeed")) protocol.writer_features.emplace_back("changeDataFeed");
  return protocol;
}

bool in_commit_timestamps(const Metadata& metadata) {
  return is_true(metadata.configuration, "delta.enableInCommitTimestamps");
}

bool is_true(const std::map<std::string, std::string>& properties, const std::string& name) {
  const auto found = properties.find(name);
  return found != properties.end() && iequals(trim(found->second), "true");
}

std::int64_t interval_millis(const std::map<std::string, std::string>& properties, const std::string& name,
                             std::int64_t fallback) {
  const auto found = properties.find(name);
  if (found == properties.end()) return fallback;
  auto text = ascii_lower(trim(found->second));
  if (text.starts_with("interval ")) text = text.substr(9);
  const auto parts = split(trim(text), ' ');
  const auto amount = parts.size() == 2 ? parse_number<std::int64_t>(parts[0]) : std::nullopt;
  if (!amount || *amount < 0 || *amount > 1'000'000'000) return fallback;
  struct Unit {
    std::string_view name;
    std::int64_t millis;
  };
  static constexpr std::array kUnits = {Unit{"week", 604'800'000}, Unit{"day", 86'400'000}, Unit{"hour", 3'600'000},
                                        Unit{"minute", 60'000},    Unit{"second", 1000},    Unit{"millisecond", 1}};
  for (const auto& unit : kUnits) {
    if (parts[1] == unit.name || parts[1] == std::string(unit.name) + "s") return *amount * unit.millis;
  }
  return fallback;
}

}  // namespace lakeloop::delta
