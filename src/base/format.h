#pragma once

// Text formatting with fmt's syntax, without its heavy header: base::format is compiled once, in format.cpp.

#include <fmt/base.h>

#include <string>

namespace lakeloop {

std::string format_values(fmt::string_view text, fmt::format_args values);

template <typename... T>
std::string format(fmt::format_string<T...> text, const T&... values) {
  return format_values(text, fmt::make_format_args(values...));
}

}  // namespace lakeloop
