// What a product takes: the activations of all tokens, rounded as its weights want them.
#pragma once
#include "buffers.h"
#include "rows.h"

namespace pie {

class Inputs {
public:
    // Room for `tokens` of as many numbers as `p` has columns; what was there is forgotten.
    void reserve(int tokens, const Product& p) {
        columns_ = p.columns;
        turned_ = p.bits == 8;
        const size_t count = (size_t)tokens * columns_;
        if (turned_) grow(numbers_, count), grow(scales_, tokens);
        else grow(groups_, count / GROUP);
    }

    // Whether a token's numbers are rounded together, which needs all of them.
    bool whole() const { return turned_; }

    // All numbers of a token, which may be changed.
    void put(int token, float* x) {
        const size_t at = (size_t)token * columns_;
        if (turned_) quantise_turned(x, columns_, &numbers_[at], scales_[token]);
        else quantise_row(x, columns_, &groups_[at / GROUP]);
    }

    // 32 of them, where tokens are not whole.
    void put_group(int token, int group, Floats low, Floats high) {
        quantise(low, high, groups_[(size_t)token * (columns_ / GROUP) + group]);
    }

    // Rows 32 * `pair` and on of the product with tokens `first` and on: token t at y[(t - first) * stride]. This
    // thread is likely to be asked for the pair `soon` next.
    template <bool ADD>
    void multiply(const Product& p, int pair, int soon, int first, int tokens, float* y, int stride) const {
        const size_t at = (size_t)first * columns_;
        if (turned_) multiply_rows<ADD>(p, pair, soon, {&numbers_[at], &scales_[first]}, tokens, y, stride);
        else pie::multiply<ADD>(p, pair, &groups_[at / GROUP], tokens, y, stride);
    }

private:
    int columns_ = 0;
    bool turned_ = false;
    std::vector<Quantised> groups_;
    std::vector<int8_t> numbers_;
    std::vector<TokenScale> scales_;
};

}  // namespace pie
