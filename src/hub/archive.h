#pragma once

// Files inside a wheel (a wheel is a zip). Members are streamed out, counted and hashed on the way; a member appears
// under its name only after its SHA-256 is the pinned one.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace lakeloop::hub {

// SHA-256 of a file, 64 hex digits.
std::string sha256_of_file(const std::filesystem::path& file);

// kDataLoss when the member's hash is another one, kNotFound when it is not there, kTooLarge past `limit`.
void extract_member(const std::filesystem::path& archive, std::string_view member, std::string_view sha256,
                    const std::filesystem::path& target, std::uint64_t limit);
// A small text member, not pinned (licence, configuration); empty when it is missing.
std::string read_member(const std::filesystem::path& archive, std::string_view member, std::size_t limit);

}  // namespace lakeloop::hub
