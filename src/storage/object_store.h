#pragma once

// Objects by key: a local folder now, S3 later behind the same header. Keys are relative, '/'-separated, without empty,
// "." or ".." segments (path_guard.h). A call that returns is durable. Thread-safe.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace lakeloop::storage {

struct ObjectInfo {
  std::string key;
  std::uint64_t size = 0;
  Timestamp modified;
};

// An object that is written piece by piece and appears as a whole with commit(). Ending it without leaves nothing
// behind. Belongs to one thread.
class Upload {
 public:
  virtual ~Upload() = default;
  virtual void write(std::string_view bytes) = 0;
  virtual void commit() = 0;  // durable when it returns; nothing may be written after
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  virtual void put(std::string_view key, std::string_view bytes) = 0;
  // False when the key exists already; exactly one of several racing callers gets true.
  [[nodiscard]] virtual bool put_if_absent(std::string_view key, std::string_view bytes) = 0;
  // For objects that do not fit in memory. Must not outlive the store.
  virtual std::unique_ptr<Upload> upload(std::string_view key) = 0;
  // kNotFound when missing.
  virtual std::string get(std::string_view key) = 0;
  virtual std::string get_range(std::string_view key, std::uint64_t offset, std::uint64_t size) = 0;
  virtual std::optional<ObjectInfo> head(std::string_view key) = 0;
  // All objects whose key starts with `prefix`, in key order; only keys after `start_after` when given.
  virtual std::vector<ObjectInfo> list(std::string_view prefix, std::string_view start_after = {}) = 0;
  virtual void remove(std::string_view key) = 0;  // a missing key is no error

  // Where DuckDB or a client on this machine finds the object: a path or a URL.
  [[nodiscard]] virtual std::string location(std::string_view key) const = 0;
};

// Objects are files below `root`. Uploads appear by rename.
std::unique_ptr<ObjectStore> open_local_store(std::filesystem::path root);

}  // namespace lakeloop::storage
