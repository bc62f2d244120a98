#pragma once

// A JSON document as a value: parse, look up, build, print. Objects keep the order of their keys; integers of 64 bits
// stay exact; numbers with a fraction or beyond 64 bits are double. Parsing refuses invalid UTF-8, nesting deeper than
// limits::kJsonDepth. Of duplicate keys the last wins, as in Python. Not thread-safe for writing.

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace lakeloop {

class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;  // null
  Json(std::nullptr_t) {}
  Json(bool value) : value_(value) {}
  Json(double value) : value_(value) {}
  template <typename Integer>
    requires(std::is_integral_v<Integer> && !std::is_same_v<Integer, bool>)
  Json(Integer value) : value_(static_cast<std::int64_t>(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  template <typename T>
  Json(const std::optional<T>& value) {
    if (value) *this = Json(*value);
  }

  static Json object(std::initializer_list<Member> members = {}) {
    Json json;
    json.value_ = Object(members);
    return json;
  }
  static Json array(std::initializer_list<Json> items = {}) { return Json(Array(items)); }
  static Json strings(const std::vector<std::string>& items);

  // Throws kMalformedRequest with the byte position.
  static Json parse(std::string_view text);
  // For documents of our own making that are deeper than what comes from outside may be (DuckDB's syntax trees).
  static Json parse(std::string_view text, std::size_t max_depth);
  static std::optional<Json> try_parse(std::string_view text);
  // Compact. NaN and infinities are written as the strings "NaN", "Infinity", "-Infinity" (MLflow's wire form).
  [[nodiscard]] std::string dump() const;
  [[nodiscard]] std::string dump_pretty() const;

  [[nodiscard]] bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  [[nodiscard]] bool is_bool() const { return std::holds_alternative<bool>(value_); }
  [[nodiscard]] bool is_int() const { return std::holds_alternative<std::int64_t>(value_); }
  [[nodiscard]] bool is_double() const { return std::holds_alternative<double>(value_); }
  [[nodiscard]] bool is_number() const { return is_int() || is_double(); }
  [[nodiscard]] bool is_string() const { return std::holds_alternative<std::string>(value_); }
  [[nodiscard]] bool is_array() const { return std::holds_alternative<Array>(value_); }
  [[nodiscard]] bool is_object() const { return std::holds_alternative<Object>(value_); }
  [[nodiscard]] std::string_view type_name() const;  // "object", "array", "string", "number", "boolean", "null"

  // Exact accessors: the caller has looked at the type (checked).
  [[nodiscard]] bool as_bool() const;
  [[nodiscard]] std::int64_t as_int() const;
  [[nodiscard]] double as_double() const;  // also of an integer
  [[nodiscard]] const std::string& as_string() const;
  [[nodiscard]] const Array& items() const;
  [[nodiscard]] Array& items();
  [[nodiscard]] const Object& members() const;
  [[nodiscard]] Object& members();

  // Lenient look-ups: null (or the fallback) where a key is missing, this is no object, or the type differs.
  [[nodiscard]] const Json* find(std::string_view key) const;  // nullptr when missing
  [[nodiscard]] Json* find(std::string_view key);
  [[nodiscard]] const Json& operator[](std::string_view key) const;
  [[nodiscard]] const Json& at(std::size_t index) const;
  [[nodiscard]] bool contains(std::string_view key) const { return find(key) != nullptr; }
  [[nodiscard]] std::string string_or(std::string_view fallback) const;
  [[nodiscard]] std::int64_t int_or(std::int64_t fallback) const;
  [[nodiscard]] double double_or(double fallback) const;
  [[nodiscard]] bool bool_or(bool fallback) const;
  [[nodiscard]] std::string str(std::string_view key, std::string_view fallback = {}) const {
    return (*this)[key].string_or(fallback);
  }
  [[nodiscard]] std::size_t size() const;  // of an array or object, else 0

  // Replaces or appends; makes an object of null.
  Json& set(std::string_view key, Json value);
  // Sets unless `value` is null.
  Json& set_if(std::string_view key, Json value);
  void erase(std::string_view key);
  Json& push_back(Json value);  // makes an array of null

  bool operator==(const Json& other) const = default;

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> value_;
};

}  // namespace lakeloop
