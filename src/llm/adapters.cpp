#include "llm/adapters.h"

#include <llama.h>

#include "base/error.h"
#include "base/limits.h"

namespace lakeloop::llm {

Adapter::~Adapter() {
  llama_adapter_lora_free(handle_);
}

void Adapters::load(const std::string& name, const std::filesystem::path& file) {
  if (name.empty()) throw Error(ErrorCode::kInvalidArgument, "name of the adapter is empty").with_param("name");
  if (adapters_.size() >= limits::kModelAdapters && !adapters_.contains(name)) {
    throw Error(ErrorCode::kResourceExhausted, "{} adapters are loaded: unload one first", limits::kModelAdapters);
  }
  llama_adapter_lora* handle = llama_adapter_lora_init(model_.get(), file.c_str());
  if (handle == nullptr) {
    throw Error(ErrorCode::kInvalidArgument, "the file of adapter {} is no LoRA adapter for this model", name)
        .with_param("path");
  }
  adapters_[name] = std::make_shared<const Adapter>(handle, next_number_++);
}

void Adapters::unload(const std::string& name) {
  if (adapters_.erase(name) == 0) {
    throw Error(ErrorCode::kNotFound, "no adapter named {} is loaded", name).with_param("adapter");
  }
}

std::shared_ptr<const Adapter> Adapters::find(const std::string& name) const {
  if (name.empty()) return nullptr;
  const auto found = adapters_.find(name);
  if (found == adapters_.end()) {
    throw Error(ErrorCode::kNotFound, "no adapter named {} is loaded", name).with_param("adapter");
  }
  return found->second;
}

std::vector<std::string> Adapters::names() const {
  std::vector<std::string> names;
  for (const auto& [name, adapter] : adapters_) names.push_back(name);
  return names;
}

}  // namespace lakeloop::llm
