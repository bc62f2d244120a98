#include "serving/memory_admission.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace lakeloop::serving {

namespace {

std::optional<std::string> text_of(const char* path) {
  try {
    return read_file(path, 64 * 1024);
  } catch (const Error&) {
    return std::nullopt;  // not there on this system
  }
}

std::optional<std::uint64_t> number_of(const char* path) {
  const auto text = text_of(path);
  return text ? parse_number<std::uint64_t>(trim(*text)) : std::nullopt;  // "max" is no number: no limit
}

}  // namespace

std::uint64_t available_memory_bytes() {
  std::uint64_t available = UINT64_MAX;
  const auto meminfo = text_of("/proc/meminfo");
  if (meminfo) {
    for (const std::string_view line : split(*meminfo, '\n')) {
      constexpr std::string_view kKey = "MemAvailable:";
      if (!line.starts_with(kKey)) continue;
      std::string_view value = trim(line.substr(kKey.size()));
      if (value.ends_with(" kB")) value.remove_suffix(3);
      if (const auto kilobytes = parse_number<std::uint64_t>(trim(value))) available = *kilobytes * 1024;
    }
  }
  const auto limit = number_of("/sys/fs/cgroup/memory.max"), used = number_of("/sys/fs/cgroup/memory.current");
  if (limit && used) available = std::min(available, *limit > *used ? *limit - *used : 0);
  return available;
}

void admit_memory(std::uint64_t needed, const std::string& model_name) {
  const std::uint64_t available = available_memory_bytes();
  if (needed <= available) return;
  throw Error(
      ErrorCode::kResourceExhausted,
      "model {} needs about {} MiB of memory, {} MiB are available: stop another model or lower context and parallel",
      model_name, needed >> 20, available >> 20);
}

}  // namespace lakeloop::serving
