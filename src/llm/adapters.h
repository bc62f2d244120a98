#pragma once

// LoRA adapters that the worker holds, by name. An answer that runs keeps its adapter alive; each loading has its own
// number, so that keys and values computed under an older file of the same name are never taken for the new one's.
// For the scheduler's thread only.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "llm/model.h"

struct llama_adapter_lora;
struct llama_context;

namespace lakeloop::llm {

class Adapter {
 public:
  Adapter(llama_adapter_lora* handle, std::uint64_t number) : handle_(handle), number_(number) {}
  ~Adapter();
  Adapter(const Adapter&) = delete;
  Adapter& operator=(const Adapter&) = delete;
  [[nodiscard]] llama_adapter_lora* get() const { return handle_; }
  [[nodiscard]] std::uint64_t number() const { return number_; }

 private:
  llama_adapter_lora* handle_;
  std::uint64_t number_;
};

class Adapters {
 public:
  explicit Adapters(const Model& model) : model_(model) {}

  // Replaces one of the same name. kInvalidArgument when the file is no adapter for this model.
  void load(const std::string& name, const std::filesystem::path& file);
  // kNotFound for an unknown name.
  void unload(const std::string& name);
  // Null for the empty name, kNotFound for an unknown one.
  [[nodiscard]] std::shared_ptr<const Adapter> find(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  const Model& model_;
  std::map<std::string, std::shared_ptr<const Adapter>> adapters_;
  std::uint64_t next_number_ = 1;
};

}  // namespace lakeloop::llm
