#include "catalog/rights.h"

#include <utility>

namespace lakeloop::catalog {
namespace {

using enum Privilege;

constexpr PrivilegeSet kOnTables{kSelect, kModify};
constexpr PrivilegeSet kOnVolumes{kReadVolume, kWriteVolume};
constexpr PrivilegeSet kOnEverything{kBrowse, kManage, kAllPrivileges};
constexpr PrivilegeSet kOnSchemas =
    kOnTables | kOnVolumes | kOnEverything |
    PrivilegeSet{kUseSchema, kExecute, kCreateTable, kCreateModel, kCreateVolume, kCreateFunction};

// Which of the privileges on it make an object visible. USE CATALOG shows the catalog but not what is in it.
PrivilegeSet showing(SecurableType type) {
  switch (type) {
    case SecurableType::kMetastore:
      return {};
    case SecurableType::kCatalog:
      return kOnSchemas | PrivilegeSet{kUseCatalog, kCreateSchema};
    case SecurableType::kSchema:
      return kOnSchemas;
    case SecurableType::kTable:
      return kOnTables | kOnEverything;
    case SecurableType::kVolume:
      return kOnVolumes | kOnEverything;
    case SecurableType::kFunction:
      return kOnEverything | PrivilegeSet{kExecute};
    case SecurableType::kModel:
      return kOnEverything | PrivilegeSet{kExecute, kModify};
    case SecurableType::kEndpoint:
    case SecurableType::kExperiment:
      return kOnEverything | PrivilegeSet{kSelect, kModify, kExecute};
  }
  std::unreachable();
}

bool has_levels(SecurableType type) {
  return type == SecurableType::kEndpoint || type == SecurableType::kExperiment;
}

PrivilegeSet including(Privilege privilege) {
  switch (privilege) {
    case kSelect:
      return {kSelect, kModify, kExecute, kManage};
    case kExecute:
      return {kExecute, kManage};
    case kModify:
      return {kModify, kManage};
    default:
      return {privilege};
  }
}

bool creates_inside(Privilege privilege) {
  return PrivilegeSet{kCreateSchema, kCreateTable, kCreateModel, kCreateVolume, kCreateFunction}.has(privilege);
}

std::optional<Privilege> key_to(SecurableType type) {
  if (type == SecurableType::kCatalog) return kUseCatalog;
  if (type == SecurableType::kSchema) return kUseSchema;
  return std::nullopt;
}

}  // namespace

PrivilegeSet grantable_on(SecurableType type) {
  switch (type) {
    case SecurableType::kMetastore:
      return {kCreateCatalog, kManage};
    default:
      return showing(type);
  }
}

bool Rights::owns(std::size_t level) const {
  // Being the metastore's owner is being an administrator; level 0 carries no ownership of its own.
  for (std::size_t i = 1; i <= level; ++i) {
    if (levels_[i].owned) return true;
  }
  return false;
}

PrivilegeSet Rights::effective(std::size_t level) const {
  PrivilegeSet inherited;
  for (std::size_t i = 0; i < level; ++i) inherited = inherited | levels_[i].granted;
  if (levels_[level].type == SecurableType::kModel) inherited = inherited.without(kModify);
  return inherited | levels_[level].granted;
}

bool Rights::holds(Privilege privilege, std::size_t level) const {
  if (admin_ || owns(level)) return true;
  const PrivilegeSet set = effective(level);
  if (set.has(privilege)) return true;
  if (set.has(kAllPrivileges) && privilege != kManage) return true;
  if (has_levels(levels_[level].type)) return set.meets(including(privilege));
  // Whoever manages a model decides what its versions and aliases are.
  return levels_[level].type == SecurableType::kModel && privilege == kModify && set.has(kManage);
}

std::optional<Rights::Missing> Rights::missing_on_way(std::size_t level) const {
  for (std::size_t i = 1; i < level; ++i) {
    const auto key = key_to(levels_[i].type);
    if (key && !holds(*key, i)) return Missing{*key, i};
  }
  return std::nullopt;
}

std::optional<Rights::Missing> Rights::missing(Privilege privilege) const {
  if (admin_) return std::nullopt;
  if (auto way = missing_on_way(target())) return way;
  if (creates_inside(privilege)) {
    const auto key = key_to(levels_[target()].type);
    if (key && !holds(*key, target())) return Missing{*key, target()};
  }
  if (!holds(privilege, target())) return Missing{privilege, target()};
  return std::nullopt;
}

bool Rights::sees(std::size_t level) const {
  if (admin_ || level == 0) return true;
  const PrivilegeSet set = effective(level);
  if (set.has(kBrowse)) return true;
  return !missing_on_way(level) && (owns(level) || set.meets(showing(levels_[level].type)));
}

Rights Rights::at_child(Level child) const {
  std::vector<Level> levels = levels_;
  levels.push_back(child);
  return {admin_, std::move(levels)};
}

}  // namespace lakeloop::catalog
