#include "hub/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "codec/json.h"

namespace lakeloop::hub {
namespace {

constexpr std::uint64_t kHeaderLimit = 100ull * 1024 * 1024;

std::size_t size_of(std::string_view type) {
  if (type == "F64" || type == "I64" || type == "U64") return 8;
  if (type == "F32" || type == "I32" || type == "U32") return 4;
  if (type == "F16" || type == "BF16" || type == "I16" || type == "U16") return 2;
  return 1;
}

}  // namespace

std::uint64_t TensorView::elements() const {
  std::uint64_t count = 1;
  for (const std::uint64_t size : shape) count *= size;
  return count;
}

struct Safetensors::Impl {
  void* address = MAP_FAILED;
  std::size_t size = 0;
  std::string path;
  std::map<std::string, TensorView, std::less<>> tensors;
  ~Impl() {
    if (address != MAP_FAILED) munmap(address, size);
  }
};

Safetensors::Safetensors(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Safetensors::~Safetensors() = default;
Safetensors::Safetensors(Safetensors&&) noexcept = default;

Safetensors Safetensors::open(const std::filesystem::path& file) {
  auto impl = std::make_unique<Impl>();
  impl->path = file.string();
  const FileHandle handle = open_file(file, O_RDONLY);
  struct stat about{};
  if (fstat(handle.get(), &about) != 0 || about.st_size < 8) {
    throw Error(ErrorCode::kInvalidArgument, "{} is no safetensors file: too short", impl->path);
  }
  impl->size = static_cast<std::size_t>(about.st_size);
  impl->address = mmap(nullptr, impl->size, PROT_READ, MAP_PRIVATE, handle.get(), 0);
  if (impl->address == MAP_FAILED) throw Error(ErrorCode::kInternal, "cannot map {}", impl->path);
  const std::string_view bytes(static_cast<const char*>(impl->address), impl->size);
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  if (header > kHeaderLimit || header > impl->size - 8) {
    throw Error(ErrorCode::kInvalidArgument, "{} is no safetensors file: its header of {} bytes does not fit",
                impl->path, header);
  }
  const Json json = Json::parse(bytes.substr(8, header));
  if (!json.is_object()) throw Error(ErrorCode::kInvalidArgument, "{}: the header is no JSON object", impl->path);
  const std::string_view data = bytes.substr(8 + header);
  for (const auto& [name, about_tensor] : json.members()) {
    if (name == "__metadata__") continue;
    TensorView view;
    view.type = about_tensor.str("dtype");
    std::uint64_t count = 1;
    const Json& shape = about_tensor["shape"];
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const std::int64_t size = shape.at(i).int_or(-1);
      if (size < 0 || (size > 0 && count > UINT32_MAX * 64ull / static_cast<std::uint64_t>(size))) {
        throw Error(ErrorCode::kInvalidArgument, "{}: tensor {} has an impossible shape", impl->path, name);
      }
      view.shape.push_back(static_cast<std::uint64_t>(size));
      count *= static_cast<std::uint64_t>(size);
    }
    const std::int64_t begin = about_tensor["data_offsets"].at(0).int_or(-1),
                       end = about_tensor["data_offsets"].at(1).int_or(-1);
    if (begin < 0 || end < begin || static_cast<std::uint64_t>(end) > data.size() ||
        static_cast<std::uint64_t>(end - begin) != count * size_of(view.type)) {
      throw Error(ErrorCode::kInvalidArgument, "{}: tensor {} does not lie inside the file", impl->path, name);
    }
    view.bytes = data.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    impl->tensors.emplace(name, std::move(view));
  }
  return Safetensors(std::move(impl));
}

const std::map<std::string, TensorView, std::less<>>& Safetensors::tensors() const {
  return impl_->tensors;
}

std::vector<float> Safetensors::floats(std::string_view name) const {
  const auto found = impl_->tensors.find(name);
  if (found == impl_->tensors.end()) throw Error(ErrorCode::kNotFound, "{} has no tensor {}", impl_->path, name);
  const TensorView& view = found->second;
  std::vector<float> values(view.elements());
  if (view.type == "F32") {
    std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
  } else if (view.type == "F16") {
    for (std::size_t i = 0; i < values.size(); ++i) {
      _Float16 half;
      std::memcpy(&half, view.bytes.data() + 2 * i, 2);
      values[i] = static_cast<float>(half);
    }
  } else if (view.type == "BF16") {
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::uint16_t half = 0;
      std::memcpy(&half, view.bytes.data() + 2 * i, 2);
      const std::uint32_t wide = static_cast<std::uint32_t>(half) << 16;
      std::memcpy(&values[i], &wide, 4);
    }
  } else {
    throw Error(ErrorCode::kUnimplemented, "{}: tensor {} has the type {}; F32, F16 and BF16 are read", impl_->path,
                name, view.type);
  }
  return values;
}

}  // namespace lakeloop::hub
