// Attention of decoding inputs over keys and values of 8 bits, with products of whole numbers: queries go in 8
// bits, weights in 16, as two digits. For processors that multiply bytes four at a time, and heads of 64, 128 ...
#pragma once
#include "buffers.h"
#include "pages.h"
#include "softmax.h"

namespace pie {

#if defined(__AVX512VNNI__)

constexpr int CHUNK = 64;  // numbers of a head that are one vector of bytes
constexpr int THREE = 3;  // query heads that share a load: as many as there are registers for
constexpr int BLOCK_SLOTS = 64;  // gone through for all heads before the next ones
constexpr float DIGITS = 65535.0f;

inline bool has_whole_spans(const Heads& heads, int numbers) {
    return numbers == SMALL && heads.head_dim % CHUNK == 0;
}

// The sums of sixteen vectors of whole numbers, in their order.
inline Ints sums(const Ints* rows) {
    __m512i pairs[8], fours[4], eights[2];
    for (int i = 0; i < 8; i++) {
        const __m512i a = (__m512i)rows[2 * i], b = (__m512i)rows[2 * i + 1];
        pairs[i] = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    }
    for (int i = 0; i < 4; i++)
        fours[i] = _mm512_add_epi32(
            _mm512_unpacklo_epi64(pairs[2 * i], pairs[2 * i + 1]), _mm512_unpackhi_epi64(pairs[2 * i], pairs[2 * i + 1])
        );
    for (int i = 0; i < 2; i++)
        eights[i] = _mm512_add_epi32(
            _mm512_shuffle_i32x4(fours[2 * i], fours[2 * i + 1], 0x88),
            _mm512_shuffle_i32x4(fours[2 * i], fours[2 * i + 1], 0xdd)
        );
    return (Ints)_mm512_add_epi32(
        _mm512_shuffle_i32x4(eights[0], eights[1], 0x88), _mm512_shuffle_i32x4(eights[0], eights[1], 0xdd)
    );
}

// A head's query to bytes plus 128. Returns what they are to be multiplied by.
inline float to_bytes(const float* query, int dim, uint8_t* to) {
    typedef uint8_t Small __attribute__((vector_size(16)));
    Floats tops = {};
    for (int i = 0; i < dim; i += LANES) tops = max(tops, absolute(floats(query + i)));
    const float top = largest(tops), inverse = top > 0.0f ? 127.0f / top : 0.0f;
    for (int i = 0; i < dim; i += LANES) {
        const Small small = __builtin_convertvector(rounded(floats(query + i) * inverse) + 128, Small);
        std::memcpy(to + i, &small, sizeof(small));
    }
    return top * (1.0f / 127.0f);
}

// Sixteen numbers below 2^16 as two bytes each.
inline void split_digits(Ints number, uint8_t* high, uint8_t* low) {
    typedef uint8_t Small __attribute__((vector_size(16)));
    const Small a = __builtin_convertvector(number >> 8, Small), b = __builtin_convertvector(number & 255, Small);
    std::memcpy(high, &a, sizeof(a));
    std::memcpy(low, &b, sizeof(b));
}

// 64 numbers of each of four slots: the four that belong together come to lie side by side. Vector v gets numbers
// 16 L + 4 v to 16 L + 4 v + 3 in each of its four lanes L.
inline void mix_four(const uint8_t* const* slots, size_t at, __m512i* four) {
    __m512i rows[4];
    for (int j = 0; j < 4; j++) rows[j] = load<__m512i>(slots[j] + at);
    const __m512i ab = _mm512_unpacklo_epi8(rows[0], rows[1]), cd = _mm512_unpacklo_epi8(rows[2], rows[3]);
    const __m512i ef = _mm512_unpackhi_epi8(rows[0], rows[1]), gh = _mm512_unpackhi_epi8(rows[2], rows[3]);
    four[0] = _mm512_unpacklo_epi16(ab, cd), four[1] = _mm512_unpackhi_epi16(ab, cd);
    four[2] = _mm512_unpacklo_epi16(ef, gh), four[3] = _mm512_unpackhi_epi16(ef, gh);
}

// All heads of one input over one span of slots, as `SpanWork`. A thread keeps one and uses it for many spans.
class WholeSpan {
public:
    // Sums of all heads go to `sums` ([heads, head_dim]). Behind `slots` come `following` ones, of other spans.
    void run(
        const Heads& heads, const Cells& keys, const Cells& values, const float* query, const int32_t* slots, int count,
        int following, float* sums, Partial* partials
    ) {
        begin(heads, query, slots, count, following);
        look_up(keys, values);
        switch (heads.head_dim / CHUNK) {
            case 1: return walk<1>(keys, values, sums, partials);
            case 2: return walk<2>(keys, values, sums, partials);
            default: return walk<0>(keys, values, sums, partials);
        }
    }

private:
    // A head is CHUNKS vectors of bytes; 0 where that is not known.
    template <int CHUNKS>
    void walk(const Cells& keys, const Cells& values, float* sums, Partial* partials) {
        for (int first = 0; first < count_; first += BLOCK_SLOTS)
            for (int kv = 0; kv < heads_.kv_count; kv++)
                for (int h = 0; h < group_; h += THREE) score<CHUNKS>(values, kv, h, first);
        for (int h = 0; h < heads_.count; h++) partials[h] = soften(&scores_[(size_t)h * wide_], count_);
        for (int kv = 0; kv < heads_.kv_count; kv++)
            for (int h = 0; h < group_; h += THREE) weigh<CHUNKS>(keys, kv, h, sums);
    }

    template <int CHUNKS>
    int dim() const { return CHUNKS ? CHUNKS * CHUNK : heads_.head_dim; }

    void begin(const Heads& heads, const float* query, const int32_t* slots, int count, int following) {
        heads_ = heads, slots_ = slots, count_ = count, following_ = following, group_ = heads.group();
        wide_ = (count + LANES - 1) / LANES * LANES;
        grow(queries_, (size_t)heads.stride());
        grow(scales_, heads.count);
        grow(scores_, (size_t)heads.count * wide_);
        grow(digits_, (size_t)THREE * 2 * wide_);
        grow(keys_, wide_), grow(values_, wide_);
        for (int h = 0; h < heads.count; h++) {
            const size_t at = (size_t)h * heads.head_dim;
            scales_[h] = to_bytes(query + at, heads.head_dim, &queries_[at]);
        }
    }

    // Where all slots are; past the end the last one stands in.
    void look_up(const Cells& keys, const Cells& values) {
        for (int s = 0; s < wide_; s++) {
            const int row = slots_[std::min(s, count_ - 1)];
            keys_[s] = keys.slot(row), values_[s] = values.slot(row);
        }
    }

    template <int CHUNKS>
    void score(const Cells& values, int kv, int h, int first) {
        switch (std::min(THREE, group_ - h)) {
            case 1: return score_heads<1, CHUNKS>(values, kv, h, first);
            case 2: return score_heads<2, CHUNKS>(values, kv, h, first);
            default: return score_heads<THREE, CHUNKS>(values, kv, h, first);
        }
    }

    template <int H, int CHUNKS>
    void score_heads(const Cells& values, int kv, int h, int first) {
        const int dim = this->dim<CHUNKS>(), head = kv * group_ + h, last = std::min(first + BLOCK_SLOTS, count_);
        const int scales_at = heads_.kv_count * dim + 4 * kv;
        const uint8_t* query = &queries_[(size_t)head * dim];
        for (int s = first; s < last; s += LANES) {
            const uint8_t* const* keys = &keys_[s];
            Ints products[H][LANES];
            float scales[LANES];
            for (int j = 0; j < LANES; j++) {
                scales[j] = load<float>(keys[j] + scales_at);
                if (h == 0) prefetch(values_[s + j] + (size_t)kv * dim, dim);
                score_slot<H>(query, keys[j] + (size_t)kv * dim, dim, &products[0][j]);
            }
            for (int i = 0; i < H; i++) {
                const Floats found = __builtin_convertvector(pie::sums(products[i]), Floats);
                store(&scores_[(size_t)(head + i) * wide_ + s], found * (floats(scales) * scales_[head + i]));
            }
        }
    }

    // Pages lie scattered: the processor does not guess where the next slots are. Values come while keys are
    // worked on, the keys of the next span while values are.
    static void prefetch(const uint8_t* slot, int bytes) {
        for (int at = 0; at < bytes; at += 64) __builtin_prefetch(slot + at, 0, 2);
    }

    // The keys of the next span, as far as they have this one's places.
    void prefetch_following(const Cells& keys, size_t at, int dim, int s) const {
        for (int next = s; next < std::min(s + 4, following_); next++)
            prefetch(keys.slot(slots_[count_ + next]) + at, dim);
    }

    // Queries are kept plus 128: 128 times the sum of the key is taken off again.
    template <int H>
    static inline __attribute__((always_inline)) void score_slot(
        const uint8_t* query, const uint8_t* key, int dim, Ints* products
    ) {
        const __m512i more = _mm512_set1_epi8((char)128);
        __m512i excess = _mm512_setzero_si512(), totals[H];
        for (int d = 0; d < dim; d += CHUNK) excess = _mm512_dpbusd_epi32(excess, more, load<__m512i>(key + d));
        for (int i = 0; i < H; i++) totals[i] = _mm512_sub_epi32(_mm512_setzero_si512(), excess);
        for (int d = 0; d < dim; d += CHUNK)
            for (int i = 0; i < H; i++)
                totals[i] = _mm512_dpbusd_epi32(
                    totals[i], load<__m512i>(query + (size_t)i * dim + d), load<__m512i>(key + d)
                );
        for (int i = 0; i < H; i++) products[i * LANES] = (Ints)totals[i];
    }

    template <int CHUNKS>
    void weigh(const Cells& keys, int kv, int h, float* sums) {
        switch (std::min(THREE, group_ - h)) {
            case 1: return weigh_heads<1, CHUNKS>(keys, kv, h, sums);
            case 2: return weigh_heads<2, CHUNKS>(keys, kv, h, sums);
            default: return weigh_heads<THREE, CHUNKS>(keys, kv, h, sums);
        }
    }

    template <int H, int CHUNKS>
    void weigh_heads(const Cells& keys, int kv, int h, float* sums) {
        const int dim = this->dim<CHUNKS>(), head = kv * group_ + h;
        float shares[H];
        split<H>(kv, head, shares);
        for (int d = 0; d < dim; d += CHUNK) {
            Ints high[H][4] = {}, low[H][4] = {};
            for (int s = 0; s < count_; s += 4) {
                if (h == 0 && d == 0) prefetch_following(keys, (size_t)kv * dim, dim, s);
                weigh_four<H>((size_t)kv * dim + d, s, high, low);
            }
            for (int i = 0; i < H; i++) write(high[i], low[i], shares[i], sums + (size_t)(head + i) * dim + d);
        }
    }

    // Weights times the slots' scales, as two digits each: `digits_` holds the high ones of head i, then the low.
    template <int H>
    void split(int kv, int head, float* shares) {
        const int scales_at = heads_.kv_count * heads_.head_dim + 4 * kv;
        Floats tops[H] = {};
        for (int s = 0; s < wide_; s += LANES) {
            float scales[LANES];
            for (int j = 0; j < LANES; j++) scales[j] = load<float>(values_[s + j] + scales_at);
            for (int i = 0; i < H; i++) {
                float* weights = &scores_[(size_t)(head + i) * wide_ + s];
                const Floats scaled = floats(weights) * floats(scales);
                store(weights, scaled);
                tops[i] = max(tops[i], scaled);
            }
        }
        for (int i = 0; i < H; i++) {
            const float* weights = &scores_[(size_t)(head + i) * wide_];
            const float top = largest(tops[i]), inverse = top > 0.0f ? DIGITS / top : 0.0f;
            uint8_t *high = &digits_[(size_t)2 * i * wide_], *low = high + wide_;
            for (int s = 0; s < wide_; s += LANES)
                split_digits(rounded(floats(weights + s) * inverse), high + s, low + s);
            shares[i] = top / DIGITS;
        }
    }

    // Four slots: their bytes come to lie side by side, and are weighed together.
    template <int H>
    inline __attribute__((always_inline)) void weigh_four(
        size_t at, int s, Ints (&high)[H][4], Ints (&low)[H][4]
    ) {
        __m512i four[4];
        mix_four(&values_[s], at, four);
#pragma GCC unroll 3
        for (int i = 0; i < H; i++) {
            const uint8_t* digits = &digits_[(size_t)2 * i * wide_ + s];
            const __m512i a = _mm512_set1_epi32(load<int32_t>(digits)), b = _mm512_set1_epi32(load<int32_t>(digits + wide_));
            for (int v = 0; v < 4; v++) {
                high[i][v] = (Ints)_mm512_dpbusd_epi32((__m512i)high[i][v], a, four[v]);
                low[i][v] = (Ints)_mm512_dpbusd_epi32((__m512i)low[i][v], b, four[v]);
            }
        }
    }

    static void write(const Ints* high, const Ints* low, float share, float* to) {
        for (int v = 0; v < 4; v++) {
            const Floats found = (__builtin_convertvector(high[v], Floats) * 256.0f + __builtin_convertvector(low[v], Floats)) * share;
            for (int lane = 0; lane < 4; lane++) std::memcpy(to + 16 * lane + 4 * v, (const float*)&found + 4 * lane, 16);
        }
    }

    Heads heads_;
    const int32_t* slots_ = nullptr;
    int count_ = 0, following_ = 0, group_ = 1, wide_ = 0;
    std::vector<const uint8_t*> keys_, values_;
    std::vector<uint8_t> queries_, digits_;
    std::vector<float> scales_, scores_;
};

#else

inline bool has_whole_spans(const Heads&, int) { return false; }

class WholeSpan {
public:
    void run(const Heads&, const Cells&, const Cells&, const float*, const int32_t*, int, int, float*, Partial*) {}
};

#endif

}  // namespace pie
