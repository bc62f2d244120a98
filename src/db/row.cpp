#include "base/check.h"
#include "db/database.h"

namespace lakeloop::db {
namespace {

[[noreturn]] void wrong_type(std::size_t column, std::string_view wanted) {
  throw Error(ErrorCode::kInternal, "column {} of a database row is no {}", column, wanted);
}

}  // namespace

bool Row::is_null(std::size_t column) const {
  LAKELOOP_CHECK(column < values_.size());
  return std::holds_alternative<std::monostate>(values_[column]);
}

std::int64_t Row::integer(std::size_t column, std::int64_t fallback) const {
  return maybe_integer(column).value_or(fallback);
}

std::optional<std::int64_t> Row::maybe_integer(std::size_t column) const {
  if (is_null(column)) return std::nullopt;
  const auto* value = std::get_if<std::int64_t>(&values_[column]);
  if (value == nullptr) wrong_type(column, "integer");
  return *value;
}

double Row::real(std::size_t column, double fallback) const {
  if (is_null(column)) return fallback;
  if (const auto* value = std::get_if<double>(&values_[column])) return *value;
  if (const auto* value = std::get_if<std::int64_t>(&values_[column])) return static_cast<double>(*value);
  wrong_type(column, "number");
}

std::string Row::text(std::size_t column) const {
  return maybe_text(column).value_or("");
}

std::optional<std::string> Row::maybe_text(std::size_t column) const {
  if (is_null(column)) return std::nullopt;
  const auto* value = std::get_if<std::string>(&values_[column]);
  if (value == nullptr) wrong_type(column, "text");
  return *value;
}

std::optional<Row> Transaction::query_one(std::string_view sql, const std::vector<Value>& values) {
  std::vector<Row> rows = query(sql, values);
  if (rows.empty()) return std::nullopt;
  return std::move(rows.front());
}

}  // namespace lakeloop::db
