#pragma once

// Process metrics in Prometheus' text exposition format 0.0.4. Every metric is declared once as a namespace-scope
// object next to the code that counts; the registry finds it by itself. Thread-safe; a count costs one uncontended lock
// and one look-up of its label set.

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lakeloop {

using Labels = std::vector<std::string>;  // values, in the order of the declared label names

class Counter {
 public:
  Counter(std::string name, std::string help, std::vector<std::string> label_names = {});
  ~Counter();
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;
  void add(double amount = 1, const Labels& labels = {});
  [[nodiscard]] double value(const Labels& labels = {}) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class Gauge {
 public:
  Gauge(std::string name, std::string help, std::vector<std::string> label_names = {});
  ~Gauge();
  Gauge(const Gauge&) = delete;
  Gauge& operator=(const Gauge&) = delete;
  void set(double value, const Labels& labels = {});
  void add(double amount, const Labels& labels = {});
  [[nodiscard]] double value(const Labels& labels = {}) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class Histogram {
 public:
  // Upper bounds in ascending order; +Inf is added.
  Histogram(std::string name, std::string help, std::vector<double> bounds, std::vector<std::string> label_names = {});
  ~Histogram();
  Histogram(const Histogram&) = delete;
  Histogram& operator=(const Histogram&) = delete;
  void observe(double value, const Labels& labels = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// All metrics of the process, in name order.
std::string render_metrics();

}  // namespace lakeloop
