#include "ingest/page.h"

#include <array>
#include <utility>

namespace lakeloop::ingest {
namespace {

constexpr std::array kNames = {
    std::pair{BlockKind::kParagraph, std::string_view("paragraph")},
    std::pair{BlockKind::kHeading, std::string_view("heading")},
    std::pair{BlockKind::kCode, std::string_view("code")},
    std::pair{BlockKind::kList, std::string_view("list")},
    std::pair{BlockKind::kTable, std::string_view("table")},
    std::pair{BlockKind::kQuote, std::string_view("quote")},
};

}  // namespace

std::string_view to_string(BlockKind kind) {
  for (const auto& [known, name] : kNames) {
    if (known == kind) return name;
  }
  return "paragraph";
}

std::optional<BlockKind> parse_block_kind(std::string_view text) {
  for (const auto& [kind, name] : kNames) {
    if (name == text) return kind;
  }
  return std::nullopt;
}

}  // namespace lakeloop::ingest
