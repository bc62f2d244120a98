#include "journal/consumer_offsets.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/format.h"
#include "base/limits.h"
#include "base/text.h"
#include "codec/hash.h"

namespace lakeloop::journal {
namespace {

// Lines "consumer position", then "sum" and the CRC-32C of all that stands before.
constexpr std::string_view kSum = "sum ";
constexpr std::size_t kMostBytes = 1024 * 1024;

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 200 && std::ranges::all_of(name, [](char c) { return c > ' ' && c < 0x7F; });
}

}  // namespace

ConsumerOffsets::ConsumerOffsets(std::filesystem::path file) : file_(std::move(file)) {
  if (!std::filesystem::exists(file_)) return;
  const std::string text = read_file(file_, kMostBytes);
  const auto damaged = [&] {
    return Error(ErrorCode::kDataLoss, "the journal's file of offsets {} is damaged: restore it from a backup",
                 file_.string());
  };
  const std::size_t sum = text.rfind(kSum);
  if (sum == std::string::npos || text.substr(sum) != format("sum {:08x}\n", codec::crc32c(text.substr(0, sum))))
    throw damaged();
  for (const std::string_view line : split(std::string_view(text).substr(0, sum), '\n')) {
    if (line.empty()) continue;
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos) throw damaged();
    const std::optional<std::uint64_t> position = parse_number<std::uint64_t>(line.substr(blank + 1));
    if (!position) throw damaged();
    offsets_.emplace(line.substr(0, blank), *position);
  }
}

std::uint64_t ConsumerOffsets::get(std::string_view consumer) const {
  const auto found = offsets_.find(consumer);
  if (found == offsets_.end()) throw Error(ErrorCode::kNotFound, "the journal has no consumer {}", consumer);
  return found->second;
}

void ConsumerOffsets::set(std::string_view consumer, std::uint64_t position) {
  if (!is_name(consumer)) {
    throw Error(ErrorCode::kInvalidArgument,
                "a journal consumer needs a name of 1 to 200 printable ASCII characters without blanks");
  }
  auto changed = offsets_;
  changed.insert_or_assign(std::string(consumer), position);
  if (changed.size() > limits::kJournalConsumers) {
    throw Error(ErrorCode::kResourceExhausted, "a journal has at most {} consumers", limits::kJournalConsumers);
  }
  std::string text;
  for (const auto& [name, offset] : changed) text += lakeloop::format("{} {}\n", name, offset);
  text += format("sum {:08x}\n", codec::crc32c(text));
  write_file_atomic(file_, text, 0600);
  offsets_ = std::move(changed);
}

std::optional<ConsumerOffsets::Entry> ConsumerOffsets::slowest() const {
  const auto found = std::ranges::min_element(offsets_, {}, [](const auto& one) { return one.second; });
  if (found == offsets_.end()) return std::nullopt;
  return Entry{found->first, found->second};
}

std::optional<ConsumerOffsets::Entry> ConsumerOffsets::fastest() const {
  const auto found = std::ranges::max_element(offsets_, {}, [](const auto& one) { return one.second; });
  if (found == offsets_.end()) return std::nullopt;
  return Entry{found->first, found->second};
}

}  // namespace lakeloop::journal
