#pragma once

// Reads a safetensors file (Hugging Face): u64 length, a JSON header, raw tensors. The file is mapped; every offset is
// checked.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lakeloop::hub {

struct TensorView {
  std::string type;                  // "F32", "F16", "BF16", ...
  std::vector<std::uint64_t> shape;  // row major, outermost first
  std::string_view bytes;
  [[nodiscard]] std::uint64_t elements() const;
};

class Safetensors {
 public:
  // kInvalidArgument says what is wrong with the file.
  static Safetensors open(const std::filesystem::path& file);
  ~Safetensors();
  Safetensors(Safetensors&&) noexcept;

  [[nodiscard]] const std::map<std::string, TensorView, std::less<>>& tensors() const;
  // As float32; kNotFound names a missing tensor, kUnimplemented its type.
  [[nodiscard]] std::vector<float> floats(std::string_view name) const;

 private:
  struct Impl;
  explicit Safetensors(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::hub
