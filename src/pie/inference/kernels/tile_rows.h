// The products of `rows.h` on the processor's matrix unit (Intel AMX): 16 tokens times 16 rows times 64 columns at
// once. Nothing but whole numbers is added up there, too, so no bit of a product is another.
#pragma once
#include "matrix_unit.h"
#include "rows.h"

namespace pie {

// Where a pass ends within a tile, its last rows are read beyond the tokens, and not kept.
constexpr int TILE_COLUMNS = TILE_BYTES;
constexpr int LEAST_FOR_TILES = 4;  // tokens from which on they are quicker

#if defined(PIE_TILES)

// Tile 4 (and 5) holds tokens, 6 and 7 weights of 16 rows each; 0 to 3 are their products.
template <bool TWO>
inline void multiply_tiles(const uint8_t* weights, size_t block, int columns, const int8_t* q, Soon soon) {
    _tile_zero(0);
    _tile_zero(1);
    if (TWO) {
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int column = 0; column < columns; column += TILE_COLUMNS) {
        const uint8_t* at = weights + (size_t)column * LANES;
        _tile_loadd(6, at, 64);
        _tile_loadd(7, at + block, 64);
        _tile_loadd(4, q + column, columns);
        _tile_dpbsud(0, 4, 6);
        _tile_dpbsud(1, 4, 7);
        if (TWO) {
            _tile_loadd(5, q + column + (size_t)TILE_ROWS * columns, columns);
            _tile_dpbsud(2, 5, 6);
            _tile_dpbsud(3, 5, 7);
        }
        for (int i = 0; i < 2 * soon.step; i += 64) __builtin_prefetch(soon.at + i, 0, 2);
        soon.at += 2 * soon.step;
    }
}

using Totals = int32_t[TILE_ROWS][LANES];

// Of 16 rows, for the first `tokens` of a tile.
template <bool ADD>
inline void put_totals(
    const Totals& totals, Floats scale, const TokenScale* scales, int tokens, float* y, int stride
) {
    for (int t = 0; t < tokens; t++) {
        const Ints total = load<Ints>(totals[t]) + scales[t].offset;
        float* to = y + (size_t)t * stride;
        const Floats before = ADD ? floats(to) : Floats{};
        store(to, fused(__builtin_convertvector(total, Floats), scale * scales[t].scale, before));
    }
}

// 32 rows times up to 32 tokens.
template <bool TWO, bool ADD>
inline void tile_block(
    const uint8_t* weights, int columns, const int8_t* q, const TokenScale* scales, int tokens, float* y,
    int stride, Soon soon
) {
    const size_t block = row_block_bytes(columns);
    multiply_tiles<TWO>(weights, block, columns, q, soon);
    alignas(64) Totals totals[4];
    _tile_stored(0, totals[0], 64);
    _tile_stored(1, totals[1], 64);
    if (TWO) {
        _tile_stored(2, totals[2], 64);
        _tile_stored(3, totals[3], 64);
    }
    for (int v = 0; v < VECTORS; v++) {
        const Floats scale = load<Floats>(weights + v * block + (size_t)columns * LANES);
        put_totals<ADD>(totals[v], scale, scales, std::min(tokens, TILE_ROWS), y + v * LANES, stride);
        if (TWO)
            put_totals<ADD>(
                totals[2 + v], scale, scales + TILE_ROWS, tokens - TILE_ROWS,
                y + (size_t)TILE_ROWS * stride + v * LANES, stride
            );
    }
}

// As `multiply_rows`.
template <bool ADD>
void multiply_in_tiles(const Product& p, int pair, int soon, const Turned& x, int tokens, float* y, int stride) {
    const size_t bytes = 2 * row_block_bytes(p.columns);
    const int blocks = (tokens + 2 * TILE_ROWS - 1) / (2 * TILE_ROWS), step = PAIR * GROUP / blocks / 64 * 64;
    Soon next = {p.data + soon * bytes, step};
    for (int t = 0; t < tokens; t += 2 * TILE_ROWS) {
        const int count = std::min(tokens - t, 2 * TILE_ROWS);
        const auto block = count > TILE_ROWS ? tile_block<true, ADD> : tile_block<false, ADD>;
        block(
            p.data + pair * bytes, p.columns, x.q + (size_t)t * p.columns, x.scales + t, count,
            y + (size_t)t * stride, stride, next
        );
        next.at += step * (p.columns / GROUP);
    }
}

#else

template <bool ADD>
void multiply_in_tiles(const Product&, int, int, const Turned&, int, float*, int) {}

#endif

}  // namespace pie
