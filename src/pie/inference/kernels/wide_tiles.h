// Products in full precision for many tokens on the matrix unit, which takes numbers of 16 bits (bfloat16). A number
// of 32 bits is the sum of three such, and of the nine products of two such sums six make up what 24 bits show (Henry,
// Tang and Heinecke: Leveraging the bfloat16 artificial intelligence datatype for higher-precision computations, 2019).
#pragma once
#include "buffers.h"
#include "matrix_unit.h"
#include "wide.h"

namespace pie {

constexpr int PARTS = 3;  // of an activation
constexpr int HALF_COLUMNS = TILE_BYTES / 2;  // of numbers of 16 bits that a tile's row holds
constexpr int LEAST_FOR_WIDE_TILES = 48;  // tokens from which on they are quicker: weights must be split first

typedef uint32_t Words __attribute__((vector_size(64)));

// Sixteen numbers as sums of three: part p goes to to[p * apart]. What is not finite stays so in the first or second.
inline void split(Floats rest, uint16_t* to, size_t apart) {
    for (int p = 0; p < PARTS; p++) {
        const Words bits = (Words)rest;
        const Words rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
        const Halves half = __builtin_convertvector(rounded, Halves);
        std::memcpy(to + p * apart, &half, sizeof(half));
        rest -= (Floats)(rounded << 16);
    }
}

#if defined(__AMX_BF16__) && defined(PIE_TILES)

inline bool may_use_wide_tiles() { return may_use_tiles(); }

constexpr int WEIGHT_TILE = TILE_ROWS * TILE_BYTES;

// 32 rows as tiles: for each 32 columns and each part two tiles of 16 rows, in which two columns lie side by side.
inline void to_tiles(const float* weights, int columns, uint8_t* to) {
    for (int column = 0; column < columns; column += 2)
        for (int v = 0; v < VECTORS; v++) {
            const float* at = weights + (size_t)column * PAIR + v * LANES;
            Floats even = floats(at), odd = floats(at + PAIR);
            uint8_t* tile = to + (size_t)(column / HALF_COLUMNS) * PARTS * VECTORS * WEIGHT_TILE + v * WEIGHT_TILE;
            tile += column % HALF_COLUMNS / 2 * TILE_BYTES;
            for (int p = 0; p < PARTS; p++, tile += VECTORS * WEIGHT_TILE) {
                const Words low = (Words)even & 0xffff0000u, high = (Words)odd & 0xffff0000u;
                const Words both = low >> 16 | high;
                std::memcpy(tile, &both, sizeof(both));
                even -= (Floats)low;
                odd -= (Floats)high;
            }
        }
}

inline void to_tiles(const Brain* weights, int columns, uint8_t* to) {
    for (int column = 0; column < columns; column += 2)
        for (int v = 0; v < VECTORS; v++) {
            const Brain* at = weights + (size_t)column * PAIR + v * LANES;
            const Words both = (Words)widened(at) >> 16 | (Words)widened(at + PAIR);
            uint8_t* tile = to + (size_t)(column / HALF_COLUMNS * VECTORS + v) * WEIGHT_TILE;
            std::memcpy(tile + column % HALF_COLUMNS / 2 * TILE_BYTES, &both, sizeof(both));
        }
}

template <class Weight>
constexpr int parts_of() { return sizeof(Weight) == sizeof(float) ? PARTS : 1; }

// 32 rows times 16 tokens, or TWO times 16, to tiles 0 to 3. `apart`: from one part of the tokens to the next.
template <int WEIGHT_PARTS, bool TWO>
inline void multiply_halves(const uint8_t* weights, int columns, const uint16_t* x, size_t apart, Soon soon) {
    _tile_zero(0);
    _tile_zero(1);
    if (TWO) {
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int column = 0; column < columns; column += HALF_COLUMNS) {
        for (int part = 0; part < WEIGHT_PARTS; part++, weights += VECTORS * WEIGHT_TILE) {
            _tile_loadd(6, weights, TILE_BYTES);
            _tile_loadd(7, weights + WEIGHT_TILE, TILE_BYTES);
            for (int p = 0; p + part < PARTS; p++) {
                const uint16_t* at = x + p * apart + column;
                _tile_loadd(4, at, 2 * columns);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
                if (TWO) {
                    _tile_loadd(5, at + (size_t)TILE_ROWS * columns, 2 * columns);
                    _tile_dpbf16ps(2, 5, 6);
                    _tile_dpbf16ps(3, 5, 7);
                }
            }
        }
        for (int i = 0; i < soon.step; i += 64) __builtin_prefetch(soon.at + i, 0, 2);
        soon.at += soon.step;
    }
}

template <int WEIGHT_PARTS, bool TWO, bool ADD>
inline void wide_block(
    const uint8_t* weights, int columns, const uint16_t* x, size_t apart, int tokens, float* y, int stride, Soon soon
) {
    multiply_halves<WEIGHT_PARTS, TWO>(weights, columns, x, apart, soon);
    alignas(64) float sums[4][TILE_ROWS][LANES];
    _tile_stored(0, sums[0], TILE_BYTES);
    _tile_stored(1, sums[1], TILE_BYTES);
    if (TWO) {
        _tile_stored(2, sums[2], TILE_BYTES);
        _tile_stored(3, sums[3], TILE_BYTES);
    }
    for (int t = 0; t < tokens; t++)
        for (int v = 0; v < VECTORS; v++) {
            float* to = y + (size_t)t * stride + v * LANES;
            const Floats found = floats(sums[t / TILE_ROWS * VECTORS + v][t % TILE_ROWS]);
            store(to, ADD ? floats(to) + found : found);
        }
}

// As `multiply_wide`, of tokens in parts: `apart` from one to the next.
template <class Weight, bool ADD>
void multiply_wide_tiles(
    const Product& p, int pair, int soon, const uint16_t* x, size_t apart, int tokens, float* y, int stride
) {
    static thread_local Lines<uint8_t> tiles;
    constexpr int WEIGHT_PARTS = parts_of<Weight>();
    const size_t bytes = (size_t)p.columns * PAIR * sizeof(Weight);
    grow(tiles, (size_t)p.columns / HALF_COLUMNS * WEIGHT_PARTS * VECTORS * WEIGHT_TILE);
    to_tiles((const Weight*)(p.data + pair * bytes), p.columns, tiles.data());
    const int blocks = (tokens + 2 * TILE_ROWS - 1) / (2 * TILE_ROWS);
    const int step = (HALF_COLUMNS * PAIR * (int)sizeof(Weight) / blocks + 63) / 64 * 64;
    Soon next = {p.data + soon * bytes, step};
    for (int t = 0; t < tokens; t += 2 * TILE_ROWS) {
        const int count = std::min(tokens - t, 2 * TILE_ROWS);
        const auto block = count > TILE_ROWS ? wide_block<WEIGHT_PARTS, true, ADD> : wide_block<WEIGHT_PARTS, false, ADD>;
        block(tiles.data(), p.columns, x + (size_t)t * p.columns, apart, count, y + (size_t)t * stride, stride, next);
        next.at += step * (p.columns / HALF_COLUMNS);
    }
}

#else

inline bool may_use_wide_tiles() { return false; }

template <class Weight, bool ADD>
void multiply_wide_tiles(const Product&, int, int, const uint16_t*, size_t, int, float*, int) {}

#endif

}  // namespace pie
