#pragma once

// Table features (PROTOCOL.md, "Table Features"): what this code reads and writes. Anything else refuses by name with
// kUnsupportedFeature.

#include <string_view>

#include "delta/actions.h"

namespace lakeloop::delta {

enum class ColumnMapping : std::uint8_t { kNone, kName, kId };

void check_readable(const Protocol& protocol);
// Also when a feature is merely possible under the protocol but in use: constraints, generated columns, ...
void check_writable(const Protocol& protocol, const Metadata& metadata);
// Of properties given to create() or set_properties().
void check_property(std::string_view name, std::string_view value);

ColumnMapping column_mapping(int min_reader, const std::vector<std::string>& reader_features,
                             const std::map<std::string, std::string>& properties);
bool change_feed_enabled(int min_writer, const std::vector<std::string>& writer_features,
                         const std::map<std::string, std::string>& properties);
// The protocol with the change feed's feature, if it lacks it.
Protocol with_change_feed(Protocol protocol);
bool in_commit_timestamps(const Metadata& metadata);

// The value, trimmed and in lower case, is "true".
bool is_true(const std::map<std::string, std::string>& properties, const std::string& name);
// "interval 7 days" in milliseconds; the fallback when it is missing or not readable.
std::int64_t interval_millis(const std::map<std::string, std::string>& properties, const std::string& name,
                             std::int64_t fallback);

}  // namespace lakeloop::delta
