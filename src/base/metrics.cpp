#include "base/metrics.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "base/check.h"
#include "base/format.h"

namespace lakeloop {
namespace {

constexpr std::size_t kMaxLabelSets = 2000;  // per metric; further ones are counted under "overflow"

class Family {
 public:
  Family(std::string name, std::string help, std::string type, std::vector<std::string> label_names);
  virtual ~Family();
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;
  virtual void render(std::string& out) const = 0;

  const std::string name;
  const std::string help;
  const std::string type;
  const std::vector<std::string> label_names;

 protected:
  mutable std::mutex mutex_;

  [[nodiscard]] std::string label_text(const Labels& labels, std::string_view extra = {}) const {
    if (labels.empty() && extra.empty()) return {};
    std::string out = "{";
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if (i > 0) out += ',';
      out += label_names[i] + "=\"";
      for (const char c : labels[i]) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n') {
          out += "\\n";
        } else {
          out += c;
        }
      }
      out += '"';
    }
    if (!extra.empty()) {
      if (!labels.empty()) out += ',';
      out += extra;
    }
    return out + '}';
  }
};

struct Registry {
  std::mutex mutex;
  std::map<std::string, Family*> families;
  static Registry& instance() {
    static Registry* registry = new Registry;  // outlives every metric of namespace scope
    return *registry;
  }
};

Family::Family(std::string n, std::string h, std::string t, std::vector<std::string> l)
    : name(std::move(n)), help(std::move(h)), type(std::move(t)), label_names(std::move(l)) {
  Registry& registry = Registry::instance();
  const std::lock_guard lock(registry.mutex);
  LAKELOOP_CHECK(registry.families.emplace(name, this).second);
}

Family::~Family() {
  Registry& registry = Registry::instance();
  const std::lock_guard lock(registry.mutex);
  registry.families.erase(name);
}

class Values : public Family {
 public:
  using Family::Family;
  void change(const Labels& labels, double amount, bool replace) {
    LAKELOOP_CHECK(labels.size() == label_names.size());
    const std::lock_guard lock(mutex_);
    double& value = values_.size() < kMaxLabelSets || values_.contains(labels)
                        ? values_[labels]
                        : values_[Labels(labels.size(), "overflow")];
    value = replace ? amount : value + amount;
  }
  [[nodiscard]] double value(const Labels& labels) const {
    const std::lock_guard lock(mutex_);
    const auto found = values_.find(labels);
    return found == values_.end() ? 0 : found->second;
  }
  void render(std::string& out) const override {
    const std::lock_guard lock(mutex_);
    for (const auto& [labels, value] : values_) out += format("{}{} {}\n", name, label_text(labels), value);
  }

 private:
  std::map<Labels, double> values_;
};

class Buckets : public Family {
 public:
  Buckets(std::string n, std::string h, std::vector<double> bounds, std::vector<std::string> l)
      : Family(std::move(n), std::move(h), "histogram", std::move(l)), bounds_(std::move(bounds)) {
    LAKELOOP_CHECK(std::ranges::is_sorted(bounds_));
  }
  void observe(const Labels& labels, double value) {
    LAKELOOP_CHECK(labels.size() == label_names.size());
    const std::lock_guard lock(mutex_);
    Cell& cell = cells_.size() < kMaxLabelSets || cells_.contains(labels) ? cells_[labels]
                                                                          : cells_[Labels(labels.size(), "overflow")];
    if (cell.counts.empty()) cell.counts.resize(bounds_.size() + 1);
    const auto at = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
    ++cell.counts[static_cast<std::size_t>(at)];
    cell.sum += value;
  }
  void render(std::string& out) const override {
    const std::lock_guard lock(mutex_);
    for (const auto& [labels, cell] : cells_) {
      std::uint64_t total = 0;
      for (std::size_t i = 0; i < cell.counts.size(); ++i) {
        total += cell.counts[i];
        const std::string bound = i < bounds_.size() ? format("{}", bounds_[i]) : "+Inf";
        out += format("{}_bucket{} {}\n", name, label_text(labels, format("le=\"{}\"", bound)), total);
      }
      out +=
          format("{}_sum{} {}\n{}_count{} {}\n", name, label_text(labels), cell.sum, name, label_text(labels), total);
    }
  }

 private:
  struct Cell {
    std::vector<std::uint64_t> counts;
    double sum = 0;
  };
  std::vector<double> bounds_;
  std::map<Labels, Cell> cells_;
};

}  // namespace

struct Counter::Impl : Values {
  using Values::Values;
};
struct Gauge::Impl : Values {
  using Values::Values;
};
struct Histogram::Impl : Buckets {
  using Buckets::Buckets;
};

Counter::Counter(std::string name, std::string help, std::vector<std::string> label_names)
    : impl_(std::make_unique<Impl>(std::move(name), std::move(help), "counter", std::move(label_names))) {}
Counter::~Counter() = default;
void Counter::add(double amount, const Labels& labels) {
  impl_->change(labels, amount, false);
}
double Counter::value(const Labels& labels) const {
  return impl_->value(labels);
}

Gauge::Gauge(std::string name, std::string help, std::vector<std::string> label_names)
    : impl_(std::make_unique<Impl>(std::move(name), std::move(help), "gauge", std::move(label_names))) {}
Gauge::~Gauge() = default;
void Gauge::set(double value, const Labels& labels) {
  impl_->change(labels, value, true);
}
void Gauge::add(double amount, const Labels& labels) {
  impl_->change(labels, amount, false);
}
double Gauge::value(const Labels& labels) const {
  return impl_->value(labels);
}

Histogram::Histogram(std::string name, std::string help, std::vector<double> bounds,
                     std::vector<std::string> label_names)
    : impl_(std::make_unique<Impl>(std::move(name), std::move(help), std::move(bounds), std::move(label_names))) {}
Histogram::~Histogram() = default;
void Histogram::observe(double value, const Labels& labels) {
  impl_->observe(labels, value);
}

std::string render_metrics() {
  Registry& registry = Registry::instance();
  const std::lock_guard lock(registry.mutex);
  std::string out;
  for (const auto& [name, family] : registry.families) {
    out += format("# HELP {} {}\n# TYPE {} {}\n", name, family->help, name, family->type);
    family->render(out);
  }
  return out;
}

}  // namespace lakeloop
