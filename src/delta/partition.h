#pragma once

// Partition values (PROTOCOL.md, "Partition Value Serialization"): text in the log, typed in SQL. '' and null are NULL.

#include <optional>
#include <string>

#include "delta/schema.h"

namespace lakeloop::delta {

// The value as a typed SQL constant: CAST('2026-01-02' AS DATE).
std::string partition_literal(const std::optional<std::string>& value, const DataType& type);
// The text of a cell for the log; nullopt for NULL and ''.
std::optional<std::string> partition_text(const Json& cell, const DataType& type);
// "name=value" for a folder. Only people read it, so what a path does not allow becomes '_'.
std::string partition_folder(const std::string& column, const std::optional<std::string>& value);
bool can_partition(const DataType& type);

}  // namespace lakeloop::delta
