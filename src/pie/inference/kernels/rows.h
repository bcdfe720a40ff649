// Products for many tokens: weights of 8 bits with one scale a row, activations of 8 bits with one scale a token.
// Nothing but whole numbers is added up, which is what the processor does fastest.
//
// One scale for a whole token would cost 3 % perplexity, because a few of its numbers are far larger than the
// rest. So both sides are turned by the same Hadamard matrix, 64 columns at a time: the product stays what it
// is, and every outlier is spread over 64 numbers (QuIP#, Tseng et al. 2024; QuaRot, Ashkboos et al. 2024).
#pragma once
#include "products.h"

namespace pie {

// Tokens that share a load of the weights: as many as there are registers for.
#if defined(__AVX512F__)
constexpr int MANY_TOKENS = 12;
#else
constexpr int MANY_TOKENS = TILE_TOKENS;
#endif
constexpr int TURNED = 64;  // numbers that are turned together, or 32 where columns are no multiple of it

// One token: x, turned, ≈ scale * q. `offset` is -128 * Σq, because weights are kept plus 128.
struct TokenScale {
    float scale;
    int32_t offset;
};

// Whole numbers of all tokens, `columns` each.
struct Turned {
    const int8_t* q;
    const TokenScale* scales;
};

// Every number plus or minus the one 2^STEP lanes further.
template <int STEP>
inline Floats turn_lanes(Floats x) {
    Ints partner;
    Floats sign;
    for (int i = 0; i < LANES; i++) {
        partner[i] = i ^ (1 << STEP);
        sign[i] = i >> STEP & 1 ? -1.0f : 1.0f;
    }
    return fused(x, sign, __builtin_shuffle(x, partner));
}

// `count` vectors of sixteen, by Sylvester's matrix of that size, in place. `tops` gets the largest size of a number
// so far, by its bits: with these, what is not finite is larger than everything.
template <int COUNT>
inline void turn_block(float* x, Ints& tops) {
    Floats v[COUNT];
    for (int i = 0; i < COUNT; i++)
        v[i] = turn_lanes<3>(turn_lanes<2>(turn_lanes<1>(turn_lanes<0>(floats(x + i * LANES)))));
    for (int step = 1; step < COUNT; step *= 2)
        for (int i = 0; i < COUNT; i++)
            if (!(i & step)) {
                const Floats a = v[i], b = v[i + step];
                v[i] = a + b;
                v[i + step] = a - b;
            }
    const float share = COUNT == 4 ? 0.125f : 0.17677669529663687f;
    for (int i = 0; i < COUNT; i++) {
        const Floats turned = v[i] * share;
        const Ints size = (Ints)absolute(turned);
        tops = size > tops ? size : tops;
        store(x + i * LANES, turned);
    }
}

// Returns the largest size of a number, or one that is not finite where there is any.
inline float turn_row(float* x, int columns) {
    Ints tops = {};
    if (columns % TURNED == 0)
        for (int i = 0; i < columns; i += TURNED) turn_block<TURNED / LANES>(x + i, tops);
    else
        for (int i = 0; i < columns; i += GROUP) turn_block<GROUP / LANES>(x + i, tops);
    return largest_bits(tops);
}

// `x` is turned in place, then rounded.
inline void quantise_turned(float* x, int columns, int8_t* q, TokenScale& to) {
    const float top = turn_row(x, columns), inverse = top > 0.0f ? 127.0f / top : 0.0f;
    typedef int8_t Small __attribute__((vector_size(16)));
    Ints total = {};
    for (int i = 0; i < columns; i += LANES) {
        const Ints a = rounded(floats(x + i) * inverse);
        const Small small = __builtin_convertvector(a, Small);
        std::memcpy(q + i, &small, sizeof(small));
        total += a;
    }
    // Not finite stays not finite: the scale carries it to the logits, where it is noticed.
    to.scale = top * (1.0f / 127.0f);
    to.offset = -128 * sum(total);
}

// Of 16 rows: for each 4 columns one vector, then 16 scales.
inline size_t row_block_bytes(int columns) { return (size_t)columns * LANES + LANES * sizeof(float); }

// Weights that are wanted soon: `step` bytes are fetched every 32 columns.
struct Soon {
    const uint8_t* at;
    int step;
};

// 32 rows times T tokens, as `tile` in `products.h`. Meanwhile a share of the next weights comes from memory.
template <int T, bool ADD>
inline __attribute__((always_inline)) void row_tile(
    const uint8_t* weights, int columns, const int8_t* q, const TokenScale* scales, float* y, int stride, Soon soon
) {
    const size_t block = row_block_bytes(columns);
    Ints totals[T][VECTORS];
#pragma GCC unroll 12
    for (int t = 0; t < T; t++)
        for (int v = 0; v < VECTORS; v++) totals[t][v] = Ints{} + scales[t].offset;
    for (int group = 0; group < columns; group += GROUP) {
        for (int at = 0; at < soon.step; at += 64) __builtin_prefetch(soon.at + at, 0, 2);
        soon.at += soon.step;
        for (int column = group; column < group + GROUP; column += 4) {
            Bytes w[VECTORS];
            for (int v = 0; v < VECTORS; v++) w[v] = load<Bytes>(weights + v * block + (size_t)column * LANES);
#pragma GCC unroll 12
            for (int t = 0; t < T; t++) {
                const int32_t four_of_them = four(q + (size_t)t * columns + column);
                for (int v = 0; v < VECTORS; v++) totals[t][v] = dot(totals[t][v], w[v], four_of_them);
            }
        }
    }
    for (int v = 0; v < VECTORS; v++) {
        const Floats scale = load<Floats>(weights + v * block + (size_t)columns * LANES);
#pragma GCC unroll 12
        for (int t = 0; t < T; t++) {
            float* to = y + (size_t)t * stride + v * LANES;
            const Floats before = ADD ? floats(to) : Floats{};
            store(to, fused(__builtin_convertvector(totals[t][v], Floats), scale * scales[t].scale, before));
        }
    }
}

template <int T, bool ADD>
void row_tiles(
    const uint8_t* weights, Soon soon, int columns, const Turned& x, int first, int tokens, float* y, int stride
) {
    int t = first;
    for (; t + T <= tokens; t += T) {
        const int8_t* q = x.q + (size_t)t * columns;
        row_tile<T, ADD>(weights, columns, q, x.scales + t, y + (size_t)t * stride, stride, soon);
        soon.at += soon.step * (columns / GROUP);
    }
    if constexpr (T > 1)
        if (t < tokens) row_tiles<T == 12 ? 8 : T / 2, ADD>(weights, soon, columns, x, t, tokens, y, stride);
}

// As `multiply` in `products.h`. The rows of `soon` are wanted next.
template <bool ADD>
void multiply_rows(const Product& p, int pair, int soon, const Turned& x, int tokens, float* y, int stride) {
    const size_t bytes = 2 * row_block_bytes(p.columns);
    const int tiles = (tokens + MANY_TOKENS - 1) / MANY_TOKENS, step = PAIR * GROUP / tiles / 64 * 64;
    row_tiles<MANY_TOKENS, ADD>(
        p.data + pair * bytes, {p.data + soon * bytes, step}, p.columns, x, 0, tokens, y, stride
    );
}

}  // namespace pie
