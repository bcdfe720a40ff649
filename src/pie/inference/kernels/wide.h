// Products in full precision: weights of 32 bits, or the upper 16 of them (bfloat16); nothing is rounded here.
#pragma once
#include "rows.h"

namespace pie {

// So often some of the weights that are wanted soon are fetched: a few lines at a time hold up nothing.
constexpr int FEW_COLUMNS = 4;

// Weights of 16 bits, as `packing.py` rounds them.
struct Brain {
    uint16_t bits;
};

inline Floats widened(const float* from) { return floats(from); }

inline Floats widened(const Brain* from) {
#if defined(__AVX512F__)
    return (Floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32(load<__m256i>(from)), 16);
#else
    return (Floats)(__builtin_convertvector(load<Halves>(from), Ints) << 16);
#endif
}

// 32 rows times T tokens, as `row_tile` in `rows.h`. A column's 32 numbers lie side by side.
template <class Weight, int T, bool ADD>
inline __attribute__((always_inline)) void wide_tile(
    const Weight* weights, int columns, const float* x, float* y, int stride, Soon soon
) {
    Floats totals[T][VECTORS] = {};
    for (int group = 0; group < columns; group += FEW_COLUMNS) {
        for (int at = 0; at < soon.step; at += 64) __builtin_prefetch(soon.at + at, 0, 2);
        soon.at += soon.step;
        for (int column = group; column < group + FEW_COLUMNS; column++) {
            Floats w[VECTORS];
            for (int v = 0; v < VECTORS; v++) w[v] = widened(weights + (size_t)column * PAIR + v * LANES);
#pragma GCC unroll 12
            for (int t = 0; t < T; t++) {
                const Floats each = all(x[(size_t)t * columns + column]);
                for (int v = 0; v < VECTORS; v++) totals[t][v] = fused(each, w[v], totals[t][v]);
            }
        }
    }
#pragma GCC unroll 12
    for (int t = 0; t < T; t++)
        for (int v = 0; v < VECTORS; v++) {
            float* to = y + (size_t)t * stride + v * LANES;
            store(to, ADD ? floats(to) + totals[t][v] : totals[t][v]);
        }
}

template <class Weight, int T, bool ADD>
void wide_tiles(
    const Weight* weights, Soon soon, int columns, const float* x, int first, int tokens, float* y, int stride
) {
    int t = first;
    for (; t + T <= tokens; t += T) {
        wide_tile<Weight, T, ADD>(weights, columns, x + (size_t)t * columns, y + (size_t)t * stride, stride, soon);
        soon.at += soon.step * (columns / FEW_COLUMNS);
    }
    if constexpr (T > 1)
        if (t < tokens)
            wide_tiles<Weight, T == 12 ? 8 : T / 2, ADD>(weights, soon, columns, x, t, tokens, y, stride);
}

// As `multiply` in `products.h`. The rows of `soon` are wanted next.
template <class Weight, bool ADD>
void multiply_wide(const Product& p, int pair, int soon, const float* x, int tokens, float* y, int stride) {
    const size_t bytes = (size_t)p.columns * PAIR * sizeof(Weight);
    const int tiles = (tokens + MANY_TOKENS - 1) / MANY_TOKENS;
    const int step = (PAIR * FEW_COLUMNS * (int)sizeof(Weight) / tiles + 63) / 64 * 64;
    wide_tiles<Weight, MANY_TOKENS, ADD>(
        (const Weight*)(p.data + pair * bytes), {p.data + soon * bytes, step}, p.columns, x, 0, tokens, y, stride
    );
}

}  // namespace pie
