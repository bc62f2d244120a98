#pragma once

// Endpoint configurations in the metadata store.

#include <optional>
#include <string_view>
#include <vector>

#include "db/database.h"
#include "serving/endpoint.h"

namespace lakeloop::serving {

class EndpointStore {
 public:
  explicit EndpointStore(db::Database& database) : database_(database) {}
  void insert(const Endpoint& endpoint);  // kAlreadyExists
  void update(const Endpoint& endpoint);
  void erase(std::string_view name);
  std::optional<Endpoint> find(std::string_view name);
  std::vector<Endpoint> all();  // by name

 private:
  db::Database& database_;
};

}  // namespace lakeloop::serving
