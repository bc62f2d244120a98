#include "hub/gguf_writer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/file.h"

namespace lakeloop::hub {
namespace {

constexpr std::uint64_t kAlignment = 32;
constexpr std::uint32_t kVersion = 3;
// Value types of the format.
constexpr std::uint32_t kU32 = 4, kI32 = 5, kFloat = 6, kBool = 7, kString = 8, kArray = 9;

template <typename T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_text(std::string& out, std::string_view text) {
  append(out, static_cast<std::uint64_t>(text.size()));
  out += text;
}

void pad(std::string& out) {
  out.resize((out.size() + kAlignment - 1) / kAlignment * kAlignment, '\0');
}

std::string quantize_q8_0(const std::vector<float>& values) {
  constexpr std::size_t kBlock = 32;
  LAKELOOP_CHECK(values.size() % kBlock == 0);
  std::string out;
  out.reserve(values.size() / kBlock * (2 + kBlock));
  for (std::size_t i = 0; i < values.size(); i += kBlock) {
    float largest = 0;
    for (std::size_t j = 0; j < kBlock; ++j) largest = std::max(largest, std::fabs(values[i + j]));
    const float scale = largest / 127;
    const float inverse = scale == 0 ? 0 : 1 / scale;
    append(out, static_cast<_Float16>(scale));
    for (std::size_t j = 0; j < kBlock; ++j) append(out, static_cast<std::int8_t>(std::round(values[i + j] * inverse)));
  }
  return out;
}

}  // namespace

GgufWriter::GgufWriter(std::string_view architecture) {
  add("general.architecture", architecture);
}

void GgufWriter::key(std::string_view name, std::uint32_t type) {
  append_text(metadata_, name);
  append(metadata_, type);
  ++pairs_;
}

void GgufWriter::add(std::string_view name, std::string_view text) {
  key(name, kString);
  append_text(metadata_, text);
}

void GgufWriter::add_u32(std::string_view name, std::uint32_t value) {
  key(name, kU32);
  append(metadata_, value);
}

void GgufWriter::add_f32(std::string_view name, float value) {
  key(name, kFloat);
  append(metadata_, value);
}

void GgufWriter::add_bool(std::string_view name, bool value) {
  key(name, kBool);
  append(metadata_, static_cast<std::uint8_t>(value));
}

void GgufWriter::add_strings(std::string_view name, const std::vector<std::string>& values) {
  key(name, kArray);
  append(metadata_, kString);
  append(metadata_, static_cast<std::uint64_t>(values.size()));
  for (const std::string& value : values) append_text(metadata_, value);
}

void GgufWriter::add_i32s(std::string_view name, const std::vector<std::int32_t>& values) {
  key(name, kArray);
  append(metadata_, kI32);
  append(metadata_, static_cast<std::uint64_t>(values.size()));
  for (const std::int32_t value : values) append(metadata_, value);
}

void GgufWriter::add_tensor(std::string_view name, const std::vector<std::uint64_t>& shape,
                            const std::vector<float>& values, Type type) {
  Tensor tensor{.name = std::string(name), .shape = shape, .type = type, .bytes = {}};
  if (type == Type::kQ8) {
    tensor.bytes = quantize_q8_0(values);
  } else {
    tensor.bytes.assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  }
  tensors_.push_back(std::move(tensor));
}

void GgufWriter::write(const std::filesystem::path& file) const {
  std::string out = "GGUF";
  append(out, kVersion);
  append(out, static_cast<std::uint64_t>(tensors_.size()));
  append(out, pairs_);
  out += metadata_;
  std::uint64_t offset = 0;
  for (const Tensor& tensor : tensors_) {
    append_text(out, tensor.name);
    append(out, static_cast<std::uint32_t>(tensor.shape.size()));
    for (std::size_t i = tensor.shape.size(); i-- > 0;) append(out, tensor.shape[i]);  // innermost first
    append(out, static_cast<std::uint32_t>(tensor.type));
    append(out, offset);
    offset += (tensor.bytes.size() + kAlignment - 1) / kAlignment * kAlignment;
  }
  pad(out);
  for (const Tensor& tensor : tensors_) {
    out += tensor.bytes;
    pad(out);
  }
  write_file_atomic(file, out);
}

}  // namespace lakeloop::hub
