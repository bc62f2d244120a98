#include "tracking/registry.h"

#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "codec/encoding.h"
#include "tracking/sql_text.h"
#include "tracking/text_match.h"

namespace lakeloop::tracking {

namespace {

using catalog::ModelInfo;
using catalog::ModelVersionInfo;
using enum Comparator;

constexpr std::string_view kHome = "main.default.";
constexpr std::int64_t kMaxModels = 1000;
constexpr std::int64_t kMaxVersions = 200'000;
constexpr std::size_t kScanned = 100'000;  // models or versions looked at for one search

std::optional<std::string> tag_of(const std::map<std::string, std::string>& tags, const std::string& key) {
  const auto found = tags.find(key);
  return found == tags.end() ? std::nullopt : std::optional(found->second);
}

bool is_tag(const Comparison& c) {
  return c.entity == "tag" || c.entity == "tags";
}

void check_entity(std::string_view entity) {
  if (!entity.empty() && entity != "attribute" && entity != "attributes") {
    throw Error(ErrorCode::kInvalidArgument, "Invalid entity type '{}'. Valid values are attribute and tag.", entity);
  }
}

// `is_prompt != 'true'` and `= 'false'` hold for models without the tag, too.
bool matches_tag(const Comparison& c, const std::map<std::string, std::string>& tags) {
  std::optional<std::string> value = tag_of(tags, c.key);
  if (c.key == kIsPrompt && !value && c.comparator != kIsNull && c.comparator != kIsNotNull) value = "false";
  return matches_text(c, value, {kEqual, kNotEqual, kLike, kIlike, kIn, kNotIn, kIsNull, kIsNotNull});
}

bool asks_for_prompts(const std::vector<Comparison>& comparisons) {
  return std::ranges::any_of(comparisons, [](const Comparison& c) { return is_tag(c) && c.key == kIsPrompt; });
}

std::string name_of(const ModelInfo& m) {
  return Registry::shown_name(m.catalog_name, m.schema_name, m.name);
}
std::string name_of(const ModelVersionInfo& v) {
  return Registry::shown_name(v.catalog_name, v.schema_name, v.model_name);
}

bool matches(const std::vector<Comparison>& comparisons, const ModelInfo& model) {
  return std::ranges::all_of(comparisons, [&](const Comparison& c) {
    if (is_tag(c)) return matches_tag(c, model.tags);
    check_entity(c.entity);
    if (c.key == "name") return matches_text(c, name_of(model), {kEqual, kNotEqual, kLike, kIlike, kIn, kNotIn});
    throw Error(ErrorCode::kInvalidArgument, "Invalid attribute key '{}' specified. Valid keys are name.", c.key);
  });
}

bool matches(const std::vector<Comparison>& comparisons, const ModelVersionInfo& version) {
  return std::ranges::all_of(comparisons, [&](const Comparison& c) {
    if (is_tag(c)) return matches_tag(c, version.tags);
    check_entity(c.entity);
    if (c.key == "name") return matches_text(c, name_of(version), {kEqual, kNotEqual, kLike, kIlike, kIn, kNotIn});
    if (c.key == "version_number" || c.key == "version") {
      Comparison number = c;
      number.quoted = false;
      return matches_number(number, static_cast<double>(version.version));
    }
    if (c.key == "run_id") return matches_text(c, version.run_id, {kEqual, kNotEqual, kIn});
    if (c.key == "source_path" || c.key == "source")
      return matches_text(c, version.source, {kEqual, kNotEqual, kLike, kIlike});
    throw Error(ErrorCode::kInvalidArgument,
                "Invalid attribute key '{}' specified. Valid keys are name, version_number, run_id, source_path.",
                c.key);
  });
}

// One value to sort by: numbers below texts; the order of the vector is the order of the list.
struct SortValue {
  std::int64_t number = 0;
  std::string text;
  bool ascending = true;
};

bool before(const std::vector<SortValue>& a, const std::vector<SortValue>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].number != b[i].number) return (a[i].number < b[i].number) == a[i].ascending;
    if (a[i].text != b[i].text) return (a[i].text < b[i].text) == a[i].ascending;
  }
  return false;
}

// The page of `items` after the token: both lists are in one order that no writer changes for what stays.
template <typename T, typename Keys>
Found<T> page_of(std::vector<T> items, const Keys& keys_of, const std::string& text, const SearchPage& page) {
  std::vector<std::pair<std::vector<SortValue>, T>> sorted;
  for (T& item : items) {
    auto keys = keys_of(item);
    sorted.emplace_back(std::move(keys), std::move(item));
  }
  std::ranges::sort(sorted, before, [](const auto& pair) -> const std::vector<SortValue>& { return pair.first; });
  Found<T> found;
  std::vector<SortValue> last;
  if (!page.page_token.empty() && !sorted.empty()) {
    const auto values = parse_page_token(text, page.page_token, sorted[0].first.size() * 2);
    last = sorted[0].first;
    for (std::size_t i = 0; i < last.size(); ++i) {
      if (!std::holds_alternative<std::int64_t>(values[2 * i]) ||
          !std::holds_alternative<std::string>(values[2 * i + 1])) {
        throw Error(ErrorCode::kInvalidArgument, "Invalid page token");
      }
      last[i].number = std::get<std::int64_t>(values[2 * i]);
      last[i].text = std::get<std::string>(values[2 * i + 1]);
    }
  }
  const std::vector<SortValue>* shown = nullptr;
  for (auto& [keys, item] : sorted) {
    if (!last.empty() && !before(last, keys)) continue;
    if (static_cast<std::int64_t>(found.first.size()) == page.max_results) {
      std::vector<db::Value> after;
      for (const SortValue& key : *shown) {
        after.emplace_back(key.number);
        after.emplace_back(key.text);
      }
      found.second = page_token(text, after);
      break;
    }
    shown = &keys;
    found.first.push_back(std::move(item));
  }
  return found;
}

// kInvalidArgument when a source is a path of this machine or climbs out of where it says it is.
void check_source(const std::string& source, bool prompt) {
  std::string decoded = source;
  for (int i = 0; i < 4; ++i) {
    const auto once = codec::percent_decode(decoded);
    if (!once || *once == decoded) break;
    decoded = *once;
  }
  const std::string lower = ascii_lower(decoded);
  const bool local = lower.starts_with("file:") || decoded.starts_with('/') || decoded.starts_with('\\') ||
                     decoded.starts_with('.') || (decoded.size() > 1 && decoded[1] == ':');
  const auto parts = split(decoded, '/');
  const bool climbs = std::ranges::find(parts, "..") != parts.end() || decoded.contains('\\');
  if (source.empty() || local || climbs || decoded.contains('#') || (prompt && decoded.contains("://"))) {
    throw Error(ErrorCode::kInvalidArgument,
                "Invalid model version source: '{}'. It must be the URI of a place that this server or its clients "
                "reach; local paths, '..' "
                "and fragments are not allowed.",
                source);
  }
}

}  // namespace

std::string Registry::full_name(std::string_view name) {
  if (trim(name).empty()) throw Error(ErrorCode::kInvalidArgument, "Registered model name cannot be empty.");
  if (name.contains('/') || name.contains(':')) {
    throw Error(ErrorCode::kInvalidArgument, "Invalid model name '{}'. Names cannot contain '/' or ':'.", name);
  }
  const auto dots = std::ranges::count(name, '.');
  if (dots == 0) return std::string(kHome) + std::string(name);
  if (dots == 2 || name.contains('`')) return std::string(name);
  throw Error(ErrorCode::kInvalidArgument, "Invalid model name '{}': write catalog.schema.name, or a name without dots",
              name);
}

std::string Registry::shown_name(std::string_view catalog, std::string_view schema, std::string_view name) {
  if (catalog == "main" && schema == "default") return std::string(name);
  return lakeloop::format("{}.{}.{}", catalog, schema, name);
}

ModelInfo Registry::create_model(const Principal& who, std::string_view name, std::string_view description,
                                 const std::map<std::string, std::string>& tags) {
  try {
    return catalog_.create_model(who, full_name(name), description, tags);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kAlreadyExists) throw;
    throw Error(ErrorCode::kAlreadyExists, "Registered Model (name={}) already exists.", name);
  }
}

ModelVersionInfo Registry::create_version(const Principal& who, const NewModelVersion& version) {
  check_source(version.source, version.tags.contains(std::string(kIsPrompt)));
  std::string model_id = version.model_id;
  if (version.source.starts_with("models:/m-")) {
    if (model_id.empty()) model_id = version.source.substr(8);
    tracking_.get_logged_model(who, model_id);  // the source is read under the caller's rights
  }
  const std::string full = full_name(version.name);
  const ModelVersionInfo made =
      catalog_.create_model_version(who, full, version.source, version.run_id, version.description, version.tags);
  return catalog_.finalize_model_version(who, full, made.version);
}

ModelVersionInfo Registry::version_by_alias(const Principal& who, std::string_view name, std::string_view alias) {
  const std::string full = full_name(name);
  if (iequals(alias, "latest")) {
    std::vector<ModelVersionInfo> latest = latest_versions(who, name);
    if (latest.empty()) throw Error(ErrorCode::kNotFound, "Registered model '{}' has no version yet.", name);
    return std::move(latest.front());
  }
  if (!catalog_.get_model(who, full).aliases.contains(std::string(alias))) {
    throw Error(ErrorCode::kInvalidArgument, "Registered model alias {} not found.", alias);
  }
  return catalog_.get_model_version_by_alias(who, full, alias);
}

std::string Registry::download_uri(const Principal& who, std::string_view name, std::int64_t version) {
  std::string uri = catalog_.get_model_version(who, full_name(name), version).source;
  for (int hops = 0; hops < 8 && uri.starts_with("models:/"); ++hops) {
    const std::string target = uri.substr(8);
    if (target.starts_with("m-")) return tracking_.get_logged_model(who, target).artifact_uri;
    const std::size_t slash = target.rfind('/');
    const auto number =
        slash == std::string::npos ? std::nullopt : parse_number<std::int64_t>(target.substr(slash + 1));
    if (!number) break;
    uri = catalog_.get_model_version(who, full_name(target.substr(0, slash)), *number).source;
  }
  return uri;
}

std::vector<ModelVersionInfo> Registry::latest_versions(const Principal& who, std::string_view name) {
  return catalog_.list_model_versions(who, full_name(name), {.max_results = 1, .page_token = ""}).items;
}

std::vector<ModelInfo> Registry::all_models(const Principal& who) {
  std::vector<ModelInfo> models;
  catalog::Page page;
  do {
    auto listing = catalog_.list_models(who, "", "", page);
    std::ranges::move(listing.items, std::back_inserter(models));
    page.page_token = listing.next_page_token;
  } while (!page.page_token.empty() && models.size() < kScanned);
  return models;
}

std::vector<ModelVersionInfo> Registry::all_versions(const Principal& who, std::string_view full_name) {
  std::vector<ModelVersionInfo> versions;
  catalog::Page page;
  do {
    auto listing = catalog_.list_model_versions(who, full_name, page);
    std::ranges::move(listing.items, std::back_inserter(versions));
    page.page_token = listing.next_page_token;
  } while (!page.page_token.empty() && versions.size() < kScanned);
  return versions;
}

Found<ModelInfo> Registry::search_models(const Principal& who, const Search& search) {
  checked_max_results(search.page.max_results, kMaxModels);
  const std::vector<Comparison> comparisons = parse_filter(search.filter);
  std::vector<OrderBy> orders;
  for (const std::string& item : search.order_by) {
    orders.push_back(parse_order_by(item));
    check_entity(orders.back().entity);
    const std::string& key = orders.back().key;
    if (key != "name" && key != "timestamp" && key != "creation_timestamp" && key != "last_updated_timestamp") {
      throw Error(ErrorCode::kInvalidArgument,
                  "Invalid order by key '{}'. Valid keys are name, creation_timestamp, last_updated_timestamp.", key);
    }
  }
  std::vector<ModelInfo> models = all_models(who);
  const bool prompts = asks_for_prompts(comparisons);
  std::erase_if(models, [&](const ModelInfo& m) {
    return (!prompts && tag_of(m.tags, std::string(kIsPrompt)) == "true") || !matches(comparisons, m);
  });
  const std::string text = lakeloop::format("registered models {} {}", search.filter, join(search.order_by, "|"));
  return page_of(
      std::move(models),
      [&](const ModelInfo& m) {
        std::vector<SortValue> keys;
        for (const OrderBy& order : orders) {
          if (order.key == "name") {
            keys.push_back({0, name_of(m), order.ascending});
          } else {
            keys.push_back(
                {order.key == "creation_timestamp" ? m.created.micros : m.updated.micros, "", order.ascending});
          }
        }
        keys.push_back({0, name_of(m), true});
        return keys;
      },
      text, search.page);
}

Found<ModelVersionInfo> Registry::search_versions(const Principal& who, const Search& search) {
  checked_max_results(search.page.max_results, kMaxVersions);
  const std::vector<Comparison> comparisons = parse_filter(search.filter);
  std::vector<OrderBy> orders;
  for (const std::string& item : search.order_by) {
    orders.push_back(parse_order_by(item));
    check_entity(orders.back().entity);
    const std::string& key = orders.back().key;
    if (key != "name" && key != "version_number" && key != "creation_timestamp" && key != "last_updated_timestamp") {
      throw Error(
          ErrorCode::kInvalidArgument,
          "Invalid order by key '{}'. Valid keys are name, version_number, creation_timestamp, last_updated_timestamp.",
          key);
    }
  }
  // Nearly every search names its model: then only that one is read.
  std::vector<std::string> names;
  for (const Comparison& c : comparisons) {
    if (!is_tag(c) && c.key == "name" && c.comparator == kEqual) names.push_back(full_name(c.value));
  }
  if (names.empty()) {
    for (const ModelInfo& m : all_models(who))
      names.push_back(lakeloop::format("{}.{}.{}", m.catalog_name, m.schema_name, m.name));
  }
  const bool prompts = asks_for_prompts(comparisons);
  std::vector<ModelVersionInfo> versions;
  for (const std::string& name : names) {
    try {
      for (ModelVersionInfo& v : all_versions(who, name)) {
        const bool prompt = tag_of(v.tags, std::string(kIsPrompt)) == "true";
        if ((prompts || !prompt) && matches(comparisons, v)) versions.push_back(std::move(v));
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;  // a search for a name that is not there finds nothing
    }
    if (versions.size() > kScanned) break;
  }
  const std::string text = lakeloop::format("model versions {} {}", search.filter, join(search.order_by, "|"));
  return page_of(
      std::move(versions),
      [&](const ModelVersionInfo& v) {
        std::vector<SortValue> keys;
        for (const OrderBy& order : orders) {
          if (order.key == "name") {
            keys.push_back({0, name_of(v), order.ascending});
          } else {
            keys.push_back({order.key == "version_number"       ? v.version
                            : order.key == "creation_timestamp" ? v.created.micros
                                                                : v.updated.micros,
                            "", order.ascending});
          }
        }
        if (keys.empty()) keys.push_back({v.updated.micros, "", false});
        keys.push_back({0, name_of(v), true});
        keys.push_back({v.version, "", false});
        return keys;
      },
      text, search.page);
}

}  // namespace lakeloop::tracking
