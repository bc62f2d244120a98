#pragma once

// Writes GGUF version 3 (ggml's model format): key-value pairs, then tensors in F32 or Q8_0, each at a multiple of 32
// bytes.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lakeloop::hub {

class GgufWriter {
 public:
  explicit GgufWriter(std::string_view architecture);

  void add(std::string_view key, std::string_view text);
  void add(std::string_view key, const char* text) { add(key, std::string_view(text)); }
  void add_u32(std::string_view key, std::uint32_t value);
  void add_f32(std::string_view key, float value);
  void add_bool(std::string_view key, bool value);
  void add_strings(std::string_view key, const std::vector<std::string>& values);
  void add_i32s(std::string_view key, const std::vector<std::int32_t>& values);

  // `shape` outermost first, as the source has it. Q8_0: blocks of 32 along the innermost dimension, scale as float16.
  enum class Type : std::uint32_t { kF32 = 0, kQ8 = 8 };  // ggml: F32, Q8_0
  void add_tensor(std::string_view name, const std::vector<std::uint64_t>& shape, const std::vector<float>& values,
                  Type type);

  // Atomically; the file's bytes depend on nothing but what was added.
  void write(const std::filesystem::path& file) const;

 private:
  struct Tensor {
    std::string name;
    std::vector<std::uint64_t> shape;
    Type type = Type::kF32;
    std::string bytes;
  };
  void key(std::string_view name, std::uint32_t type);

  std::uint64_t pairs_ = 0;
  std::string metadata_;
  std::vector<Tensor> tensors_;
};

}  // namespace lakeloop::hub
