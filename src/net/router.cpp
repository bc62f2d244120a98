#include "net/router.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/text.h"
#include "net/percent.h"

namespace lakeloop::net {
namespace {

constexpr std::size_t kMethods = static_cast<std::size_t>(Method::kOptions) + 1;

struct Route {
  std::size_t number = 0;
  std::vector<std::string> names;  // of its parameters, left to right
};
using Routes = std::array<std::optional<Route>, kMethods>;

std::size_t index_of(Method method) {
  return static_cast<std::size_t>(method);
}

bool is_dots(std::string_view segment) {
  return segment == "." || segment == "..";
}

// A value may hold escaped slashes ("org%2Fmodel"); no segment of the result may climb.
bool climbs(std::string_view value) {
  return std::ranges::any_of(split(value, '/'), is_dots);
}

}  // namespace

struct Router::Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  std::unique_ptr<Node> parameter;
  Routes ends;   // routes whose pattern ends here
  Routes rests;  // routes whose last part is a rest that begins here

  // Calls visit(routes, raw values) for every set of routes that fits, best first, until it returns true.
  template <typename Visit>
  static bool walk(const Node& node, const std::vector<std::string_view>& segments, std::size_t at,
                   std::vector<std::string_view>& values, const Visit& visit) {
    if (at == segments.size()) return visit(node.ends, values);
    const std::string_view segment = segments[at];
    if (const auto literal = node.literals.find(segment); literal != node.literals.end()) {
      if (walk(*literal->second, segments, at + 1, values, visit)) return true;
    }
    if (segment.empty()) return false;
    values.push_back(segment);
    const bool found = node.parameter && walk(*node.parameter, segments, at + 1, values, visit);
    values.pop_back();
    if (found) return true;
    if (segments.back().empty()) return false;
    values.emplace_back(segment.data(),
                        static_cast<std::size_t>(segments.back().data() + segments.back().size() - segment.data()));
    const bool rest_found = visit(node.rests, values);
    values.pop_back();
    return rest_found;
  }
};

namespace {

// The segments of a path, or nullopt for one that no pattern may match. Only the last may be empty (a slash at the
// end).
std::optional<std::vector<std::string_view>> segments_of(std::string_view path) {
  if (!path.starts_with('/')) return std::nullopt;
  auto segments = split(path.substr(1), '/');
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (is_dots(segments[i]) || (segments[i].empty() && i + 1 < segments.size())) return std::nullopt;
  }
  return segments;
}

std::optional<Router::Match> match_of(const Route& route, const std::vector<std::string_view>& values) {
  Router::Match match{.route = route.number, .params = {}};
  for (std::size_t i = 0; i < route.names.size(); ++i) {
    auto decoded = decode_component(values[i]);
    if (!decoded || decoded->contains('\0') || climbs(*decoded)) return std::nullopt;
    match.params.emplace(route.names[i], *std::move(decoded));
  }
  return match;
}

}  // namespace

Router::Router() : root_(std::make_unique<Node>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;

void Router::add(Method method, std::string_view pattern, std::size_t route) {
  const auto segments = segments_of(pattern);
  LAKELOOP_CHECK(segments);
  Node* node = root_.get();
  Route end{.number = route, .names = {}};
  bool rest = false;
  for (const std::string_view segment : *segments) {
    LAKELOOP_CHECK(!rest);  // a rest is the last part
    if (!segment.starts_with('{')) {
      LAKELOOP_CHECK(segment.find_first_of("{}") == std::string_view::npos);
      auto& child = node->literals[std::string(segment)];
      if (!child) child = std::make_unique<Node>();
      node = child.get();
      continue;
    }
    LAKELOOP_CHECK(segment.ends_with('}'));
    std::string_view name = segment.substr(1, segment.size() - 2);
    rest = name.ends_with("...");
    if (rest) name.remove_suffix(3);
    LAKELOOP_CHECK(!name.empty() && name.find_first_of("{}.") == std::string_view::npos);
    LAKELOOP_CHECK(std::ranges::find(end.names, name) == end.names.end());
    end.names.emplace_back(name);
    if (rest) continue;
    if (!node->parameter) node->parameter = std::make_unique<Node>();
    node = node->parameter.get();
  }
  auto& slot = (rest ? node->rests : node->ends)[index_of(method)];
  LAKELOOP_CHECK(!slot);  // two routes for the same paths and method
  slot = std::move(end);
}

std::optional<Router::Match> Router::find(Method method, std::string_view path) const {
  const auto segments = segments_of(path);
  if (!segments) return std::nullopt;
  std::optional<Match> match;
  const auto search = [&](Method wanted) {
    std::vector<std::string_view> values;
    Node::walk(*root_, *segments, 0, values, [&](const Routes& routes, const std::vector<std::string_view>& raw) {
      if (const auto& route = routes[index_of(wanted)]) match = match_of(*route, raw);
      return match.has_value();
    });
  };
  search(method);
  if (!match && method == Method::kHead) search(Method::kGet);
  return match;
}

std::vector<Method> Router::methods_of(std::string_view path) const {
  const auto segments = segments_of(path);
  if (!segments) return {};
  std::array<bool, kMethods> has{};
  std::vector<std::string_view> values;
  Node::walk(*root_, *segments, 0, values, [&](const Routes& routes, const std::vector<std::string_view>& raw) {
    for (std::size_t i = 0; i < kMethods; ++i) has[i] = has[i] || (routes[i] && match_of(*routes[i], raw));
    return false;
  });
  if (has[index_of(Method::kGet)]) has[index_of(Method::kHead)] = true;
  std::vector<Method> methods;
  for (std::size_t i = 0; i < kMethods; ++i) {
    if (has[i]) methods.push_back(static_cast<Method>(i));
  }
  return methods;
}

}  // namespace lakeloop::net
