// Products for few tokens: weights of 4 bits and quantised activations, both in groups of 32 with scales of their
// own. There are few bytes to read, and 4-bit groups of 32 are what GGUF files hold: their weights stay exact.
//
// Groups are why this keeps a model's quality: one outlier spoils 32 numbers, not a token's whole row (that
// costs 3 % perplexity).
#pragma once
#include "team.h"
#include "vectors.h"

namespace pie {

constexpr int GROUP = 32;
constexpr int PAIR = 32;  // rows that are worked on together: two vectors of sixteen

// 32 activations of one token: x ≈ scale * q. `sum` is scale * Σq.
struct Quantised {
    int8_t q[GROUP];
    float scale;
    float sum;
};

// Weights as `packing.py` lays them out, [rows, columns] both padded to multiples of 32.
// 4 bits: for each 16 rows the numbers of all groups, then the scales of all groups. 4 vectors a group, low halves
// columns 4j.., high halves 16+4j..; then 16 scales (fp16), 16 smallest values.
// 8 bits: see `rows.h`; 16 and 32: `wide.h`.
struct Product {
    const uint8_t* data;
    int32_t rows;
    int32_t columns;
    int32_t bits;
    int32_t unused;

    int groups() const { return columns / GROUP; }
    int pairs() const { return rows / PAIR; }
};

inline int32_t four(const int8_t* q) { return load<int32_t>(q); }

// 32 numbers to one group.
inline void quantise(Floats low, Floats high, Quantised& to) {
    const float top = largest(max(absolute(low), absolute(high)));
    // Not finite stays not finite: the scale carries it to the logits, where it is noticed.
    const float inverse = top > 0.0f ? 127.0f / top : 0.0f;
    const Ints a = rounded(low * inverse), b = rounded(high * inverse);
    typedef int8_t Small __attribute__((vector_size(16)));
    const Small qa = __builtin_convertvector(a, Small), qb = __builtin_convertvector(b, Small);
    std::memcpy(to.q, &qa, 16);
    std::memcpy(to.q + 16, &qb, 16);
    const int32_t total = sum(a + b);
    to.scale = top * (1.0f / 127.0f);
    to.sum = to.scale * (float)total;
}

inline void quantise_row(const float* x, int columns, Quantised* to) {
    for (int i = 0; i < columns; i += GROUP) quantise(floats(x + i), floats(x + i + LANES), *to++);
}

constexpr int VECTORS = PAIR / LANES;
// Tokens that share a load of the weights. Where a vector is many registers, one is enough to fill them (and the
// compiler needs minutes for more).
#if defined(__AVX2__)
constexpr int TILE_TOKENS = 4;
#else
constexpr int TILE_TOKENS = 1;
#endif

constexpr int GROUP_BYTES = 4 * 64;
constexpr int SCALE_BYTES = 64;

// Of 16 rows.
inline size_t block_bytes(int groups) { return (size_t)groups * (GROUP_BYTES + SCALE_BYTES); }

// 32 rows times T tokens. `x` is token-major, `groups` a token; `y` gets row r of token t at t * stride + r.
template <int T, bool ADD>
inline __attribute__((always_inline)) void tile(
    const uint8_t* weights, int groups, const Quantised* x, float* y, int stride
) {
    const size_t block = block_bytes(groups);
    Floats sums[VECTORS][T] = {};
    for (int g = 0; g < groups; g++) {
        Ints totals[VECTORS][T] = {};
        const uint8_t* numbers = weights + (size_t)g * GROUP_BYTES;
        const uint8_t* scales = weights + (size_t)groups * GROUP_BYTES + (size_t)g * SCALE_BYTES;
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            Bytes low[VECTORS], high[VECTORS];
            for (int v = 0; v < VECTORS; v++) {
                const Ints both = load<Ints>(numbers + v * block + 64 * j);
                low[v] = (Bytes)(both & 0x0f0f0f0f);
                high[v] = (Bytes)((both >> 4) & 0x0f0f0f0f);
            }
#pragma GCC unroll 8
            for (int t = 0; t < T; t++) {
                const int32_t q = four(x[(size_t)t * groups + g].q + 4 * j);
                for (int v = 0; v < VECTORS; v++) totals[v][t] = dot(totals[v][t], low[v], q);
            }
#pragma GCC unroll 8
            for (int t = 0; t < T; t++) {
                const int32_t q = four(x[(size_t)t * groups + g].q + 16 + 4 * j);
                for (int v = 0; v < VECTORS; v++) totals[v][t] = dot(totals[v][t], high[v], q);
            }
        }
        for (int v = 0; v < VECTORS; v++) {
            const Floats scale = from_half((const uint16_t*)(scales + v * block));
            const Floats least = from_half((const uint16_t*)(scales + v * block + 32));
#pragma GCC unroll 8
            for (int t = 0; t < T; t++) {
                const Quantised& a = x[(size_t)t * groups + g];
                sums[v][t] += __builtin_convertvector(totals[v][t], Floats) * (scale * a.scale);
                sums[v][t] += least * a.sum;
            }
        }
    }
    for (int t = 0; t < T; t++)
        for (int v = 0; v < VECTORS; v++) {
            float* to = y + (size_t)t * stride + v * LANES;
            store(to, ADD ? floats(to) + sums[v][t] : sums[v][t]);
        }
}

// Rows 32 * `pair` and on, all `tokens`, to (or with ADD, on) y[token * stride + row - 32 * pair]. The last few
// tokens go in smaller tiles.
template <bool ADD>
void multiply(const Product& p, int pair, const Quantised* x, int tokens, float* y, int stride) {
    const int groups = p.groups();
    const uint8_t* weights = p.data + 2 * pair * block_bytes(groups);
    int t = 0;
    for (; t + TILE_TOKENS <= tokens; t += TILE_TOKENS)
        tile<TILE_TOKENS, ADD>(weights, groups, x + (size_t)t * groups, y + (size_t)t * stride, stride);
    if (TILE_TOKENS > 2 && t + 2 <= tokens) {
        tile<2, ADD>(weights, groups, x + (size_t)t * groups, y + (size_t)t * stride, stride);
        t += 2;
    }
    for (; t < tokens; t++) tile<1, ADD>(weights, groups, x + (size_t)t * groups, y + (size_t)t * stride, stride);
}

}  // namespace pie
