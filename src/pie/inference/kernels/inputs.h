// What a product takes: the activations of all tokens, rounded as its weights want them.
#pragma once
#include "buffers.h"
#include "tile_rows.h"
#include "wide_tiles.h"

namespace pie {

class Inputs {
public:
    // Room for `tokens` of as many numbers as `p` has columns; what was there is forgotten.
    void reserve(int tokens, const Product& p) {
        columns_ = p.columns;
        bits_ = p.bits;
        split_ = bits_ >= 16 && tokens >= LEAST_FOR_WIDE_TILES && may_use_wide_tiles();
        const size_t count = (size_t)tokens * columns_;
        if (bits_ == 4) grow(groups_, count / GROUP);
        else if (bits_ == 8) grow(numbers_, count + (size_t)TILE_ROWS * columns_), grow(scales_, tokens);
        else if (!split_) grow(floats_, count);
        else apart_ = count + (size_t)TILE_ROWS * columns_, grow(parts_, PARTS * apart_);
    }

    // Whether a token's numbers are rounded together, which needs all of them.
    bool whole() const { return bits_ == 8; }

    // All numbers of a token, which may be changed.
    void put(int token, float* x) {
        const size_t at = (size_t)token * columns_;
        if (bits_ == 4) quantise_row(x, columns_, &groups_[at / GROUP]);
        else if (bits_ == 8) quantise_turned(x, columns_, &numbers_[at], scales_[token]);
        else if (!split_) std::copy_n(x, columns_, &floats_[at]);
        else
            for (int i = 0; i < columns_; i += LANES) split(floats(x + i), &parts_[at + i], apart_);
    }

    // 32 of them, where tokens are not whole.
    void put_group(int token, int group, Floats low, Floats high) {
        const size_t at = (size_t)token * columns_ + group * GROUP;
        if (bits_ == 4) return quantise(low, high, groups_[at / GROUP]);
        if (!split_) return store(&floats_[at], low), store(&floats_[at + LANES], high);
        split(low, &parts_[at], apart_);
        split(high, &parts_[at + LANES], apart_);
    }

    // Rows 32 * `pair` and on of the product with tokens `first` and on: token t at y[(t - first) * stride]. This
    // thread is likely to be asked for the pair `soon` next.
    template <bool ADD>
    void multiply(const Product& p, int pair, int soon, int first, int tokens, float* y, int stride) const {
        const size_t at = (size_t)first * columns_;
        switch (bits_) {
            case 4: return pie::multiply<ADD>(p, pair, &groups_[at / GROUP], tokens, y, stride);
            case 8: return multiply_turned<ADD>(p, pair, soon, {&numbers_[at], &scales_[first]}, tokens, y, stride);
            case 16: return multiply_exact<Brain, ADD>(p, pair, soon, at, tokens, y, stride);
            default: return multiply_exact<float, ADD>(p, pair, soon, at, tokens, y, stride);
        }
    }

private:
    template <bool ADD>
    static void multiply_turned(
        const Product& p, int pair, int soon, const Turned& x, int tokens, float* y, int stride
    ) {
        const bool tiles = tokens >= LEAST_FOR_TILES && p.columns % TILE_COLUMNS == 0 && may_use_tiles();
        if (tiles) multiply_in_tiles<ADD>(p, pair, soon, x, tokens, y, stride);
        else multiply_rows<ADD>(p, pair, soon, x, tokens, y, stride);
    }

    template <class Weight, bool ADD>
    void multiply_exact(const Product& p, int pair, int soon, size_t at, int tokens, float* y, int stride) const {
        if (split_) multiply_wide_tiles<Weight, ADD>(p, pair, soon, &parts_[at], apart_, tokens, y, stride);
        else multiply_wide<Weight, ADD>(p, pair, soon, &floats_[at], tokens, y, stride);
    }

    int columns_ = 0;
    int bits_ = 0;
    std::vector<Quantised> groups_;
    Lines<int8_t> numbers_;
    std::vector<TokenScale> scales_;
    Lines<float> floats_;
    bool split_ = false;  // full precision, in parts
    Lines<uint16_t> parts_;
    size_t apart_ = 0;
};

}  // namespace pie
