#pragma once

// Inner products of float vectors. The fastest kernel that this CPU runs is chosen once, at start (AVX-512, AVX2 with
// FMA, else portable code). Sums are of float precision; kernels differ in the last bits.

#include <cstddef>
#include <span>

namespace lakeloop::search {

using DotProduct = float (*)(const float* a, const float* b, std::size_t dimension);

DotProduct dot_product();
// Portable, for machines without vector units, and the oracle of the others.
float dot_product_portable(const float* a, const float* b, std::size_t dimension);

// Scales to length 1 (computed in double, so tiny and huge vectors keep their direction). False, and `vector` as it
// was, when it has no direction: zero length, or a component that is NaN or infinite.
[[nodiscard]] bool normalize(std::span<float> vector);

}  // namespace lakeloop::search
