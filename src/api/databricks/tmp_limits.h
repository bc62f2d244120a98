#pragma once
#include "base/limits.h"
namespace lakeloop::limits {
inline constexpr std::size_t kStatementThreads = 4;
inline constexpr std::size_t kStatementQueue = 64;
inline constexpr std::size_t kStatementWaiters = 8;
inline constexpr auto kStatementTime = 10min;
inline constexpr std::size_t kStatementsKept = 100;
inline constexpr std::size_t kStatementBytesKept = 256 * 1024 * 1024;
}  // namespace lakeloop::limits
