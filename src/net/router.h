#pragma once

// Matches a path to a pattern: "/api/2.0/indexes/{name}/query", "/files/{path...}" (rest, with slashes, never empty).
// Literal segments win over parameters, parameters over a rest, among the routes that have the method. Paths are
// matched segment by segment before decoding; each parameter is percent-decoded once. Empty segments ("//"), "." and
// "..", also when they are escaped, and broken escapes never match. A slash at the end matches only where the pattern
// has one. Cost: at most one visit of each node of the route tree. Not thread-safe while routes are added.

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http.h"

namespace lakeloop::net {

class Router {
 public:
  struct Match {
    std::size_t route = 0;  // the number given to add()
    std::map<std::string, std::string, std::less<>> params;
  };

  Router();
  ~Router();
  Router(Router&&) noexcept;

  // Two routes that match the same paths with one method are our bug (checked).
  void add(Method method, std::string_view pattern, std::size_t route);
  // nullopt when nothing fits: methods_of() then tells 404 from 405. HEAD falls back to GET (and is named beside it).
  [[nodiscard]] std::optional<Match> find(Method method, std::string_view path) const;
  [[nodiscard]] std::vector<Method> methods_of(std::string_view path) const;

 private:
  struct Node;
  std::unique_ptr<Node> root_;
};

}  // namespace lakeloop::net
