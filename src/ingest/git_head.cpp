#include "ingest/git_head.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace lakeloop::ingest {
namespace {

constexpr std::uintmax_t kSmallFile = 4096;
constexpr std::uintmax_t kPackedRefs = 64 * 1024 * 1024;
constexpr int kSymbolicRefs = 5;  // as deep as Git follows them

std::optional<std::string> text_of(const std::filesystem::path& path, std::uintmax_t limit = kSmallFile) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return std::nullopt;
  try {
    return read_file(path, limit);
  } catch (const Error&) {
    return std::nullopt;
  }
}

bool is_commit(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_ref_name(std::string_view name) {
  return name.starts_with("refs/") && !name.contains("..") && !name.contains('\0') && name.size() < 1024;
}

// The folder with HEAD: ".git" itself, or what it names.
std::optional<std::filesystem::path> git_folder(const std::filesystem::path& tree) {
  const auto dot_git = tree / ".git";
  std::error_code error;
  if (std::filesystem::is_directory(dot_git, error)) return dot_git;
  const auto text = text_of(dot_git);
  if (!text || !text->starts_with("gitdir:")) return std::nullopt;
  const std::filesystem::path target(trim(std::string_view(*text).substr(7)));
  return target.is_absolute() ? target : tree / target;
}

std::string packed(const std::filesystem::path& folder, std::string_view ref) {
  const auto text = text_of(folder / "packed-refs", kPackedRefs);
  if (!text) return {};
  for (const auto line : split(*text, '\n')) {
    const auto blank = line.find(' ');
    if (blank != std::string_view::npos && line.substr(blank + 1) == ref && is_commit(line.substr(0, blank))) {
      return std::string(line.substr(0, blank));
    }
  }
  return {};
}

std::string resolve(const std::filesystem::path& folder) {
  auto common = folder;
  if (const auto text = text_of(folder / "commondir")) {
    const std::filesystem::path target(trim(*text));
    common = target.is_absolute() ? target : folder / target;
  }
  auto value = text_of(folder / "HEAD");
  for (int depth = 0; value && depth < kSymbolicRefs; ++depth) {
    const auto text = trim(*value);
    if (is_commit(text)) return std::string(text);
    if (!text.starts_with("ref:")) return {};
    const std::string ref(trim(text.substr(4)));
    if (!is_ref_name(ref)) return {};
    value = text_of(folder / ref);
    if (!value) value = text_of(common / ref);
    if (!value) return packed(common, ref);
  }
  return {};
}

}  // namespace

std::string git_head(const std::filesystem::path& folder) {
  std::error_code error;
  auto tree = std::filesystem::canonical(folder, error);
  if (error) return {};
  for (;; tree = tree.parent_path()) {
    if (const auto found = git_folder(tree)) return resolve(*found);
    if (tree == tree.root_path() || tree.empty()) return {};
  }
}

}  // namespace lakeloop::ingest
