#include "codec/compress.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <random>

#include "base/error.h"

namespace lakeloop::codec {
namespace {

std::string deflate_with(std::string_view bytes, int window) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

ErrorCode code_of(auto&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kInternal;
}

TEST(Compress, RoundTrips) {
  std::mt19937 random(1);
  for (const std::size_t size : {0, 1, 15, 1023, 1024, 16 * 1024, 16 * 1024 + 1, 3'000'000}) {
    std::string noise(size, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    EXPECT_EQ(gunzip(gzip(noise), size), noise);
    EXPECT_EQ(inflate_any(deflate_with(noise, 15), size), noise);
    EXPECT_EQ(inflate_any(deflate_with(noise, -15), size), noise);
    const std::string even(size, 'a');
    EXPECT_EQ(gunzip(gzip(even), size), even);
  }
}

TEST(Compress, StopsBombsAtTheLimit) {
  const std::string bomb = gzip(std::string(50'000'000, '\0'));
  ASSERT_LT(bomb.size(), 100'000u);
  EXPECT_EQ(code_of([&] { (void)gunzip(bomb, 1'000'000); }), ErrorCode::kTooLarge);
  EXPECT_EQ(code_of([&] { (void)inflate_any(deflate_with(std::string(1001, 'x'), 15), 1000); }), ErrorCode::kTooLarge);
  EXPECT_EQ(inflate_any(deflate_with(std::string(1000, 'x'), 15), 1000).size(), 1000u);
  EXPECT_EQ(code_of([&] { (void)gunzip(gzip("x"), 0); }), ErrorCode::kTooLarge);
  // Members add up.
  const std::string two = gzip(std::string(600, 'a')) + gzip(std::string(600, 'b'));
  EXPECT_EQ(gunzip(two, 1200), std::string(600, 'a') + std::string(600, 'b'));
  EXPECT_EQ(code_of([&] { (void)gunzip(two, 1199); }), ErrorCode::kTooLarge);
}

TEST(Compress, RefusesEveryCutAndDamage) {
  const std::string good = gzip("the quick brown fox jumps over the lazy dog, twice: the quick brown fox");
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(code_of([&] { (void)gunzip(std::string_view(good).substr(0, size), 10'000); }),
              ErrorCode::kMalformedRequest)
        << size;
  }
  std::string broken = good;
  broken[broken.size() - 6] ^= 1;  // the checksum
  EXPECT_EQ(code_of([&] { (void)gunzip(broken, 10'000); }), ErrorCode::kMalformedRequest);
  EXPECT_EQ(code_of([&] { (void)gunzip(good + "tail", 10'000); }), ErrorCode::kMalformedRequest);
  EXPECT_EQ(code_of([&] { (void)inflate_any(deflate_with("abc", 15) + "tail", 10'000); }),
            ErrorCode::kMalformedRequest);
  EXPECT_EQ(code_of([&] { (void)inflate_any("", 10'000); }), ErrorCode::kMalformedRequest);
  EXPECT_EQ(code_of([&] { (void)inflate_any("plain text", 10'000); }), ErrorCode::kMalformedRequest);
}

}  // namespace
}  // namespace lakeloop::codec
