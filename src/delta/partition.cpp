#include "delta/partition.h"

#include "base/clock.h"
#include "base/format.h"
#include "delta/duck.h"

namespace lakeloop::delta {
namespace {

// Spark writes each byte of a binary value as the character of that number, which UTF-8 makes one or two bytes long.
std::string bytes_of_characters(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c == 0xC2 || c == 0xC3) && i + 1 < text.size()) {
      bytes += static_cast<char>((c & 0x03) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3F));
    } else {
      bytes += static_cast<char>(c);
    }
  }
  return bytes;
}
std::string characters_of_bytes(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xC0 | byte >> 6);
      text += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return text;
}

std::string blob_literal(std::string_view bytes) {
  std::string text = "'";
  for (const char c : bytes) text += format("\\x{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  return text + "'::BLOB";
}

std::string timestamp_text(std::int64_t micros, bool zoned) {
  auto seconds = micros / 1'000'000, rest = micros % 1'000'000;
  if (rest < 0) {
    rest += 1'000'000;
    --seconds;
  }
  auto text = format_rfc3339(Timestamp{seconds * 1'000'000}).substr(0, 19);
  if (rest != 0) text += format(".{:06}", rest);
  if (zoned) return text + "Z";
  text[10] = ' ';
  return text;
}

}  // namespace

std::string partition_literal(const std::optional<std::string>& value, const DataType& type) {
  if (!value || value->empty()) return "CAST(NULL AS " + type.duckdb() + ")";
  if (type.kind == TypeKind::kBinary) return blob_literal(bytes_of_characters(*value));
  return "CAST(" + quote_literal(*value) + " AS " + type.duckdb() + ")";
}

std::optional<std::string> partition_text(const Json& cell, const DataType& type) {
  if (cell.is_null()) return std::nullopt;
  switch (type.kind) {
    case TypeKind::kDate:
      return format_date(Timestamp{cell.as_int() * 86'400'000'000});
    case TypeKind::kTimestamp:
      return timestamp_text(cell.as_int(), true);
    case TypeKind::kTimestampNtz:
      return timestamp_text(cell.as_int(), false);
    case TypeKind::kBinary: {
      auto text = characters_of_bytes(cell.as_string());
      return text.empty() ? std::nullopt : std::optional(std::move(text));
    }
    default:
      break;
  }
  if (cell.is_bool()) return cell.as_bool() ? "true" : "false";
  if (cell.is_int()) return std::to_string(cell.as_int());
  if (cell.is_double())
    return type.kind == TypeKind::kFloat ? format("{}", static_cast<float>(cell.as_double()))
                                         : format("{}", cell.as_double());
  if (cell.as_string().empty()) return std::nullopt;
  return cell.as_string();
}

std::string partition_folder(const std::string& column, const std::optional<std::string>& value) {
  const auto plain = [](std::string_view text) {
    std::string result;
    for (const char c : text.substr(0, 60)) {
      const bool keep =
          (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
      result += keep ? c : '_';
    }
    return result;
  };
  return plain(column) + "=" + (value ? plain(*value) : "__HIVE_DEFAULT_PARTITION__");
}

bool can_partition(const DataType& type) {
  return type.kind != TypeKind::kStruct && type.kind != TypeKind::kArray && type.kind != TypeKind::kMap &&
         type.kind != TypeKind::kVoid;
}

}  // namespace lakeloop::delta
