#pragma once

// Before a model is loaded: is there memory for it? Asks the kernel what is available, and the control group's limit.

#include <cstdint>
#include <string>

namespace lakeloop::serving {

// Bytes that can be taken without swapping; UINT64_MAX where the system does not tell.
std::uint64_t available_memory_bytes();

// kResourceExhausted with both numbers when `needed` is more than is available.
void admit_memory(std::uint64_t needed, const std::string& model_name);

}  // namespace lakeloop::serving
