#pragma once

// Streamed tool calls keep their identity whatever the upstream does with `index`: calls interleaved, one index used
// for several calls, no index at all, the id repeated in each piece, arguments as an object. Ours are numbered in the
// order in which they begin; id, type and name come with the first piece of a call only.

#include <optional>
#include <string>
#include <vector>

#include "codec/json.h"

namespace lakeloop::gateway {

class ToolCallAssembler {
 public:
  // OpenAI's delta.tool_calls of one chunk -> the same in our numbering; null when nothing is new.
  Json feed(const Json& delta);
  // Once the answer is complete: calls that got no arguments have "{}". Null when there is none.
  Json finish();
  [[nodiscard]] bool any() const { return !calls_.empty(); }
  // The complete calls as in message.tool_calls; null when there are none.
  [[nodiscard]] Json calls() const;

 private:
  struct Call {
    std::string id, name, arguments;
    std::optional<std::int64_t> upstream_index;
    bool id_is_ours = false;
  };
  std::size_t call_of(const Json& item);

  std::vector<Call> calls_;
};

}  // namespace lakeloop::gateway
