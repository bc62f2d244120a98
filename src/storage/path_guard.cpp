#include "storage/path_guard.h"

#include <system_error>

#include "base/error.h"
#include "base/text.h"

namespace lakeloop::storage {
namespace {

constexpr std::size_t kPathBytes = 1024;
constexpr std::size_t kSegmentBytes = 255;  // what ext4, XFS and S3 tools agree on
constexpr int kMostDecodings = 16;          // "%252525..." nests; more than this is an attack, not a name

[[noreturn]] void refuse(std::string_view path, std::string_view rule) {
  // A hostile path may hold anything: only what is printable goes into the message.
  std::string shown;
  for (const char c : path.substr(0, 100)) shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  throw Error(ErrorCode::kInvalidArgument, "the path \"{}\" is not allowed: {}", shown, rule);
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Decodes valid escapes and leaves a bare '%' alone ("100%.txt" is a name).
std::string decode_leniently(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && text.size() - i >= 3 && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

void check_form(std::string_view shown, std::string_view path) {
  if (path.empty()) refuse(shown, "it is empty");
  if (path.size() > kPathBytes) refuse(shown, "it has more than 1024 bytes");
  if (path.front() == '/') refuse(shown, "it must be relative");
  if (path.size() >= 2 && letter(path[0]) && path[1] == ':' &&
      (path.size() == 2 || path[2] == '/' || path[2] == '\\')) {
    refuse(shown, "it names a drive");
  }
  for (const char c : path) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) refuse(shown, "it holds a control character");
    if (c == '\\') refuse(shown, "it holds a back-slash; folders are separated by '/'");
    if (c == '#' || c == '?') refuse(shown, "it holds '#' or '?'");
  }
  for (const std::string_view segment : split(path, '/')) {
    if (segment.empty()) refuse(shown, "it has an empty segment");
    if (segment == "." || segment == "..") refuse(shown, "it has a segment \".\" or \"..\"");
    if (segment.size() > kSegmentBytes) refuse(shown, "a segment has more than 255 bytes");
  }
}

bool is_below(const std::filesystem::path& root, const std::filesystem::path& path) {
  auto at = path.begin();
  for (const std::filesystem::path& part : root) {
    if (part.empty()) continue;  // a trailing '/'
    if (at == path.end() || *at != part) return false;
    ++at;
  }
  return true;
}

}  // namespace

std::string checked_relative_path(std::string_view user_path) {
  check_form(user_path, user_path);
  // Somebody further on may decode once more than we do, so no depth of escapes may hide what is refused above. Only
  // the path as given is used.
  std::string decoded(user_path);
  for (int round = 0;; ++round) {
    std::string next = decode_leniently(decoded);
    if (next == decoded) break;
    if (round == kMostDecodings) refuse(user_path, "its percent-escapes are nested too deep");
    check_form(user_path, next);
    decoded = std::move(next);
  }
  return std::string(user_path);
}

std::filesystem::path resolve_inside(const std::filesystem::path& root, std::string_view user_path) {
  const std::filesystem::path relative = checked_relative_path(user_path);
  std::error_code cause;
  const std::filesystem::path real_root = std::filesystem::weakly_canonical(root, cause);
  if (cause) throw Error(ErrorCode::kInternal, "cannot resolve the folder {}: {}", root.string(), cause.message());
  // A dangling link counts as absent for weakly_canonical, but open(O_CREAT) would follow it: every part is looked at.
  std::filesystem::path real = real_root;
  for (const std::filesystem::path& part : relative) {
    real /= part;
    const std::filesystem::file_status status = std::filesystem::symlink_status(real, cause);
    if (status.type() == std::filesystem::file_type::symlink) {
      real = std::filesystem::canonical(real, cause);
      if (cause) refuse(user_path, "a symbolic link in it leads nowhere");
      if (!is_below(real_root, real)) refuse(user_path, "a symbolic link in it leaves its folder");
    } else if (status.type() == std::filesystem::file_type::none) {
      refuse(user_path, "a part of it cannot be looked at");
    }
  }
  return real;
}

}  // namespace lakeloop::storage
