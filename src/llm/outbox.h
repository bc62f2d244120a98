#pragma once

// The worker's side of the protocol: answers by request id. Thread-safe.

#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"
#include "codec/json.h"

namespace lakeloop::llm {

class Outbox {
 public:
  virtual ~Outbox() = default;
  virtual void event(std::uint64_t id, const Json& event) = 0;
  virtual void vectors(std::uint64_t id, std::span<const float> numbers) = 0;
  virtual void done(std::uint64_t id, const Json& result) = 0;
  virtual void error(std::uint64_t id, const Error& error) = 0;
};

}  // namespace lakeloop::llm
