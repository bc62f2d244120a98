#pragma once

// The rule of "may they", as a pure function of what was granted: no database, no names. Databricks' Unity Catalog
// semantics: grants and ownership reach downward; nothing is denied; USE CATALOG and USE SCHEMA are needed on the way;
// ALL PRIVILEGES holds everything but MANAGE; BROWSE shows metadata without the way. MODIFY on a model must be granted
// on the model itself, because MODIFY on a schema is about the data in its tables. Endpoints and experiments know
// levels: MANAGE > MODIFY, EXECUTE > SELECT.

#include <cstdint>
#include <optional>
#include <vector>

#include "catalog/securable.h"

namespace lakeloop::catalog {

class PrivilegeSet {
 public:
  constexpr PrivilegeSet() = default;
  constexpr PrivilegeSet(std::initializer_list<Privilege> privileges) {
    for (const Privilege p : privileges) add(p);
  }
  constexpr void add(Privilege p) { bits_ |= 1u << static_cast<unsigned>(p); }
  [[nodiscard]] constexpr bool has(Privilege p) const { return (bits_ >> static_cast<unsigned>(p) & 1u) != 0; }
  [[nodiscard]] constexpr bool meets(PrivilegeSet other) const { return (bits_ & other.bits_) != 0; }
  constexpr PrivilegeSet operator|(PrivilegeSet other) const { return PrivilegeSet(bits_ | other.bits_); }
  [[nodiscard]] constexpr PrivilegeSet without(Privilege p) const {
    return PrivilegeSet(bits_ & ~(1u << static_cast<unsigned>(p)));
  }

 private:
  constexpr explicit PrivilegeSet(std::uint32_t bits) : bits_(bits) {}
  std::uint32_t bits_ = 0;
};

// What may be granted on an object of this type; inherited kinds included.
PrivilegeSet grantable_on(SecurableType type);

// What one principal, with its groups, holds along the path from the metastore (level 0) to an object (the last level).
class Rights {
 public:
  struct Level {
    SecurableType type = SecurableType::kMetastore;
    bool owned = false;
    PrivilegeSet granted;
  };
  struct Missing {
    Privilege privilege;
    std::size_t level;
  };

  Rights(bool admin, std::vector<Level> levels) : admin_(admin), levels_(std::move(levels)) {}

  [[nodiscard]] std::size_t target() const { return levels_.size() - 1; }
  [[nodiscard]] bool may(Privilege privilege) const { return !missing(privilege); }
  // The first thing that is missing, from the top.
  [[nodiscard]] std::optional<Missing> missing(Privilege privilege) const;
  [[nodiscard]] bool sees() const { return sees(target()); }
  [[nodiscard]] bool sees(std::size_t level) const;
  [[nodiscard]] bool owns(std::size_t level) const;
  // The same principal one level further down.
  [[nodiscard]] Rights at_child(Level child) const;

 private:
  [[nodiscard]] PrivilegeSet effective(std::size_t level) const;
  [[nodiscard]] bool holds(Privilege privilege, std::size_t level) const;
  [[nodiscard]] std::optional<Missing> missing_on_way(std::size_t level) const;

  bool admin_;
  std::vector<Level> levels_;
};

}  // namespace lakeloop::catalog
