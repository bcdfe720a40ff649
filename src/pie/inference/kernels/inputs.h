// What a product takes: the activations of all tokens, rounded as its weights want them.
#pragma once
#include "buffers.h"
#include "wide.h"

namespace pie {

class Inputs {
public:
    // Room for `tokens` of as many numbers as `p` has columns; what was there is forgotten.
    void reserve(int tokens, const Product& p) {
        columns_ = p.columns;
        bits_ = p.bits;
        const size_t count = (size_t)tokens * columns_;
        if (bits_ == 4) grow(groups_, count / GROUP);
        else if (bits_ == 8) grow(numbers_, count), grow(scales_, tokens);
        else grow(floats_, count);
    }

    // Whether a token's numbers are rounded together, which needs all of them.
    bool whole() const { return bits_ == 8; }

    // All numbers of a token, which may be changed.
    void put(int token, float* x) {
        const size_t at = (size_t)token * columns_;
        if (bits_ == 4) quantise_row(x, columns_, &groups_[at / GROUP]);
        else if (bits_ == 8) quantise_turned(x, columns_, &numbers_[at], scales_[token]);
        else std::copy_n(x, columns_, &floats_[at]);
    }

    // 32 of them, where tokens are not whole.
    void put_group(int token, int group, Floats low, Floats high) {
        const size_t at = (size_t)token * columns_ + group * GROUP;
        if (bits_ == 4) return quantise(low, high, groups_[at / GROUP]);
        store(&floats_[at], low);
        store(&floats_[at + LANES], high);
    }

    // Rows 32 * `pair` and on of the product with tokens `first` and on: token t at y[(t - first) * stride]. This
    // thread is likely to be asked for the pair `soon` next.
    template <bool ADD>
    void multiply(const Product& p, int pair, int soon, int first, int tokens, float* y, int stride) const {
        const size_t at = (size_t)first * columns_;
        switch (bits_) {
            case 4: return pie::multiply<ADD>(p, pair, &groups_[at / GROUP], tokens, y, stride);
            case 8:
                return multiply_rows<ADD>(p, pair, soon, {&numbers_[at], &scales_[first]}, tokens, y, stride);
            case 16: return multiply_wide<Brain, ADD>(p, pair, soon, &floats_[at], tokens, y, stride);
            default: return multiply_wide<float, ADD>(p, pair, soon, &floats_[at], tokens, y, stride);
        }
    }

private:
    int columns_ = 0;
    int bits_ = 0;
    std::vector<Quantised> groups_;
    std::vector<int8_t> numbers_;
    std::vector<TokenScale> scales_;
    std::vector<float> floats_;
};

}  // namespace pie
