// Products of quantised activations with weights of 4 or 8 bits, both in groups of 32 with scales of their own.
//
// Groups are why this keeps a model's quality: one outlier spoils 32 numbers, not a token's whole row (that
// costs 3 % perplexity). And 4-bit groups of 32 are what GGUF files hold: their weights stay exact.
#pragma once
#include "team.h"
#include "vectors.h"

namespace pie {

constexpr int GROUP = 32;
constexpr int PAIR = 32;  // rows that are worked on together: two vectors of sixteen

// 32 activations of one token: x ≈ scale * q. `offset` is -128 * Σq, `sum` is scale * Σq.
struct Quantised {
    int8_t q[GROUP];
    float scale;
    float sum;
    int32_t offset;
    int32_t unused;
};

// Weights as `packing.py` lays them out, [rows, columns] both padded to multiples of 32. For each 16 rows: the
// numbers of all groups, then the scales of all groups.
// 8 bits: 8 vectors a group, vector j holds columns 4j..4j+3 of 16 rows, plus 128; then 16 scales (fp16).
// 4 bits: 4 vectors a group, low halves columns 4j.., high halves 16+4j..; then 16 scales, 16 smallest values.
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
    to.offset = -128 * total;
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

template <int BITS>
struct Layout {
    static constexpr int bytes = BITS * GROUP * LANES / 8;
    static constexpr int scale_bytes = BITS == 4 ? 64 : 32;
    static constexpr size_t block(int groups) { return (size_t)groups * (bytes + scale_bytes); }
};

// 32 rows times T tokens. `x` is token-major, `groups` a token; `y` gets row r of token t at t * stride + r.
template <int BITS, int T, bool ADD>
inline __attribute__((always_inline)) void tile(
    const uint8_t* weights, int groups, const Quantised* x, float* y, int stride
) {
    using L = Layout<BITS>;
    const size_t block = L::block(groups);
    Floats sums[VECTORS][T] = {};
    for (int g = 0; g < groups; g++) {
        Ints totals[VECTORS][T];
        const uint8_t* numbers = weights + (size_t)g * L::bytes;
        const uint8_t* scales = weights + (size_t)groups * L::bytes + (size_t)g * L::scale_bytes;
#pragma GCC unroll 8
        for (int t = 0; t < T; t++)
            for (int v = 0; v < VECTORS; v++)
                totals[v][t] = BITS == 4 ? Ints{} : Ints{} + x[(size_t)t * groups + g].offset;
        constexpr int steps = BITS == 4 ? 4 : 8;
#pragma GCC unroll 8
        for (int j = 0; j < steps; j++) {
            Bytes w[VECTORS], high[VECTORS];
            for (int v = 0; v < VECTORS; v++) {
                w[v] = load<Bytes>(numbers + v * block + 64 * j);
                if (BITS == 4) {
                    high[v] = (Bytes)(((Ints)w[v] >> 4) & 0x0f0f0f0f);
                    w[v] = (Bytes)((Ints)w[v] & 0x0f0f0f0f);
                }
            }
#pragma GCC unroll 8
            for (int t = 0; t < T; t++) {
                const int32_t q = four(x[(size_t)t * groups + g].q + 4 * j);
                for (int v = 0; v < VECTORS; v++) totals[v][t] = dot(totals[v][t], w[v], q);
            }
            if (BITS == 4) {
#pragma GCC unroll 8
                for (int t = 0; t < T; t++) {
                    const int32_t q = four(x[(size_t)t * groups + g].q + 16 + 4 * j);
                    for (int v = 0; v < VECTORS; v++) totals[v][t] = dot(totals[v][t], high[v], q);
                }
            }
        }
        for (int v = 0; v < VECTORS; v++) {
            const Floats scale = from_half((const uint16_t*)(scales + v * block));
            const Floats least = BITS == 4 ? from_half((const uint16_t*)(scales + v * block + 32)) : Floats{};
#pragma GCC unroll 8
            for (int t = 0; t < T; t++) {
                const Quantised& a = x[(size_t)t * groups + g];
                sums[v][t] += __builtin_convertvector(totals[v][t], Floats) * (scale * a.scale);
                if (BITS == 4) sums[v][t] += least * a.sum;
            }
        }
    }
    for (int t = 0; t < T; t++)
        for (int v = 0; v < VECTORS; v++) {
            float* to = y + (size_t)t * stride + v * LANES;
            store(to, ADD ? floats(to) + sums[v][t] : sums[v][t]);
        }
}

// `tokens` may be any number; the last few go in smaller tiles.
template <int BITS, bool ADD>
void multiply_bits(const uint8_t* weights, int groups, const Quantised* x, int tokens, float* y, int stride) {
    int t = 0;
    for (; t + TILE_TOKENS <= tokens; t += TILE_TOKENS)
        tile<BITS, TILE_TOKENS, ADD>(weights, groups, x + (size_t)t * groups, y + (size_t)t * stride, stride);
    if (TILE_TOKENS > 2 && t + 2 <= tokens) {
        tile<BITS, 2, ADD>(weights, groups, x + (size_t)t * groups, y + (size_t)t * stride, stride);
        t += 2;
    }
    for (; t < tokens; t++)
        tile<BITS, 1, ADD>(weights, groups, x + (size_t)t * groups, y + (size_t)t * stride, stride);
}

// Rows 32 * `pair` and on, all `tokens`, to (or with ADD, on) y[token * stride + row - 32 * pair].
template <bool ADD>
inline void multiply(const Product& p, int pair, const Quantised* x, int tokens, float* y, int stride) {
    const int groups = p.groups();
    if (p.bits == 4) {
        const uint8_t* weights = p.data + 2 * pair * Layout<4>::block(groups);
        return multiply_bits<4, ADD>(weights, groups, x, tokens, y, stride);
    }
    const uint8_t* weights = p.data + 2 * pair * Layout<8>::block(groups);
    multiply_bits<8, ADD>(weights, groups, x, tokens, y, stride);
}

}  // namespace pie
