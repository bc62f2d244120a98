#include "search/distance.h"

#include <cmath>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lakeloop::search {

float dot_product_portable(const float* a, const float* b, std::size_t dimension) {
  // Four sums: independent chains, and less rounding than one.
  float sums[4] = {};
  std::size_t i = 0;
  for (; i + 4 <= dimension; i += 4) {
    for (std::size_t lane = 0; lane < 4; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  float sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  for (; i < dimension; ++i) sum += a[i] * b[i];
  return sum;
}

#if defined(__x86_64__)

// The instruction set is named per function, not per file: flags for a whole file would also compile inline functions
// of the standard library with them, and the linker might keep those copies for CPUs that lack the instructions.
namespace {

__attribute__((target("avx2,fma"))) float dot_product_avx2(const float* a, const float* b, std::size_t dimension) {
  __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
  std::size_t i = 0;
  for (; i + 32 <= dimension; i += 32) {
    s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
    s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
    s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
    s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
  }
  for (; i + 8 <= dimension; i += 8) s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
  const __m256 s = _mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3));
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  half = _mm_add_ss(half, _mm_movehdup_ps(half));
  float sum = _mm_cvtss_f32(half);
  for (; i < dimension; ++i) sum += a[i] * b[i];
  return sum;
}

__attribute__((target("avx512f"))) float dot_product_avx512(const float* a, const float* b, std::size_t dimension) {
  __m512 s0 = _mm512_setzero_ps(), s1 = s0;
  std::size_t i = 0;
  for (; i + 32 <= dimension; i += 32) {
    s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
    s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
  }
  for (; i + 16 <= dimension; i += 16) s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
  float sum = _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
  for (; i < dimension; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

DotProduct dot_product() {
  static const DotProduct chosen = [] {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return &dot_product_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &dot_product_avx2;
    return &dot_product_portable;
  }();
  return chosen;
}

#else

DotProduct dot_product() {
  return &dot_product_portable;
}

#endif

bool normalize(std::span<float> vector) {
  double squares = 0;
  for (const float x : vector) squares += static_cast<double>(x) * x;
  if (!(squares > 0) || !std::isfinite(squares)) return false;
  const double scale = 1 / std::sqrt(squares);
  for (float& x : vector) x = static_cast<float>(x * scale);
  return true;
}

}  // namespace lakeloop::search
