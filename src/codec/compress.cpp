#include "codec/compress.h"

#include <zlib.h>

#include <algorithm>

#include "base/check.h"
#include "base/error.h"

namespace lakeloop::codec {
namespace {

// zlib's numbers for the window and the kind of header.
constexpr int kGzipWindow = 15 + 16;
constexpr int kZlibWindow = 15;
constexpr int kRawWindow = -15;
// zlib counts in 32 bits: longer input goes in pieces.
constexpr std::size_t kPieceBytes = 1u << 30;

struct Inflater {
  z_stream stream{};
  explicit Inflater(int window) { LAKELOOP_CHECK(inflateInit2(&stream, window) == Z_OK); }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

// One stream from the front of `bytes`, appended to `out`; what follows it stays in `bytes`.
void inflate_one(std::string_view& bytes, int window, std::size_t limit, std::string_view format, std::string& out) {
  Inflater inflater(window);
  z_stream& stream = inflater.stream;
  std::size_t produced = out.size();
  for (int state = Z_OK; state != Z_STREAM_END;) {
    if (produced == out.size()) {
      // One byte beyond the limit tells "just full" from "too long".
      const std::size_t room = std::min(limit - produced + 1, std::max<std::size_t>(out.size(), 16 * 1024));
      out.resize(out.size() + room);
    }
    const std::size_t in = std::min(bytes.size(), kPieceBytes);
    const std::size_t space = std::min(out.size() - produced, kPieceBytes);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(in);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + produced);
    stream.avail_out = static_cast<uInt>(space);
    state = inflate(&stream, Z_NO_FLUSH);
    bytes.remove_prefix(in - stream.avail_in);
    produced += space - stream.avail_out;
    if (produced > limit) throw Error(ErrorCode::kTooLarge, "the {} body unpacks to more than {} bytes", format, limit);
    if (state == Z_MEM_ERROR)
      throw Error(ErrorCode::kResourceExhausted, "not enough memory to unpack the {} body", format);
    if (state == Z_BUF_ERROR && bytes.empty()) {
      throw Error(ErrorCode::kMalformedRequest, "the {} body ends too early", format);
    }
    if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR) {
      throw Error(ErrorCode::kMalformedRequest, "not valid {}: {}", format, stream.msg ? stream.msg : "broken stream");
    }
  }
  out.resize(produced);
}

}  // namespace

std::string gzip(std::string_view bytes) {
  z_stream stream{};
  LAKELOOP_CHECK(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out;
  int state = Z_OK;
  while (state != Z_STREAM_END) {
    const std::size_t before = out.size();
    const std::size_t room = std::clamp<std::size_t>(bytes.size() / 3, 1024, kPieceBytes);
    out.resize(before + room);
    const std::size_t in = std::min(bytes.size(), kPieceBytes);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(in);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream.avail_out = static_cast<uInt>(room);
    state = deflate(&stream, in == bytes.size() ? Z_FINISH : Z_NO_FLUSH);
    bytes.remove_prefix(in - stream.avail_in);
    out.resize(before + room - stream.avail_out);
    LAKELOOP_CHECK(state == Z_OK || state == Z_STREAM_END || state == Z_BUF_ERROR);
  }
  deflateEnd(&stream);
  return out;
}

std::string gunzip(std::string_view bytes, std::size_t limit) {
  std::string out;
  // RFC 1952, section 2.2: a file is one member or several.
  do {
    inflate_one(bytes, kGzipWindow, limit, "gzip", out);
  } while (!bytes.empty());
  return out;
}

std::string inflate_any(std::string_view bytes, std::size_t limit) {
  // RFC 1950, section 2.2: method 8, and the first two bytes divide by 31.
  const bool has_header = bytes.size() >= 2 && (bytes[0] & 0x0F) == 8 &&
                          (static_cast<unsigned char>(bytes[0]) << 8 | static_cast<unsigned char>(bytes[1])) % 31 == 0;
  std::string out;
  inflate_one(bytes, has_header ? kZlibWindow : kRawWindow, limit, "deflate", out);
  if (!bytes.empty())
    throw Error(ErrorCode::kMalformedRequest, "{} bytes follow the end of the deflate body", bytes.size());
  return out;
}

}  // namespace lakeloop::codec
