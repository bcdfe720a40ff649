// Attention of many inputs over keys and values of 8 bits, with products of whole numbers: as `prefill.h` does it in
// floats, with queries of 8 bits and weights of 16, as two digits. For the same processors and heads as `spans.h`.
#pragma once
#include "spans.h"

namespace pie {

constexpr int TILE_INPUTS = 32;
constexpr int TILE_SLOTS = 64;
constexpr int SLOT_VECTORS = TILE_SLOTS / LANES;

#if defined(__AVX512VNNI__)

constexpr int SCORED = 6;  // query rows worked on together: as many as there are registers for
constexpr int WEIGHED = 3;

// Sixteen vectors of sixteen numbers: number j of vector i becomes number i of vector j.
inline void transpose(__m512i* rows) {
    __m512i a[16], b[16];
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int j = 0; j < 2; j++) {
            b[i + 2 * j] = _mm512_unpacklo_epi64(a[i + j], a[i + j + 2]);
            b[i + 2 * j + 1] = _mm512_unpackhi_epi64(a[i + j], a[i + j + 2]);
        }
    for (int half = 0; half < 16; half += 8)
        for (int i = 0; i < 4; i++) {
            a[half + i] = _mm512_shuffle_i32x4(b[half + i], b[half + i + 4], 0x88);
            a[half + i + 4] = _mm512_shuffle_i32x4(b[half + i], b[half + i + 4], 0xdd);
        }
    for (int i = 0; i < 8; i++) {
        rows[i] = _mm512_shuffle_i32x4(a[i], a[i + 8], 0x88);
        rows[i + 8] = _mm512_shuffle_i32x4(a[i], a[i + 8], 0xdd);
    }
}

// One tile of query rows over all its slots, 64 at a time. A thread keeps one and uses it for many tiles.
class WholeTile {
public:
    // `rows` queries of `dim` numbers, at query(row).
    template <class Query>
    void begin(int rows, int dim, Query&& query) {
        rows_ = rows, dim_ = dim, room_ = (rows + SCORED - 1) / SCORED * SCORED;
        grow(queries_, (size_t)room_ * dim), grow(query_scales_, room_);
        grow(keys_, (size_t)dim * TILE_SLOTS), grow(values_, (size_t)dim * TILE_SLOTS);
        grow(scores_, (size_t)room_ * TILE_SLOTS), grow(digits_, (size_t)room_ * 2 * TILE_SLOTS);
        grow(shares_, room_);
        sums_.assign((size_t)room_ * dim, 0.0f);
        best_.assign(room_, NOTHING), total_.assign(room_, 0.0f);
        for (int r = 0; r < rows; r++) quantise_query(query(r), r);
    }

    void read_cells(const Cells& keys, const Cells& values, int head, const int32_t* slots, int count) {
        const int scales_at = keys.kv_count * dim_ + 4 * head;
        const uint8_t *key[TILE_SLOTS], *value[TILE_SLOTS];
        for (int s = 0; s < TILE_SLOTS; s++) {
            const int row = slots[std::min(s, count - 1)];  // past the end the last slot stands in: masked
            key[s] = keys.slot(row), value[s] = values.slot(row);
            key_scales_[s] = load<float>(key[s] + scales_at);
            value_scales_[s] = load<float>(value[s] + scales_at);
        }
        const size_t at = (size_t)head * dim_;
        for (int d = 0; d < dim_; d += CHUNK) {
            for (int s = 0; s < TILE_SLOTS; s += LANES) turn_keys(key + s, at + d, d, s);
            for (int s = 0; s < TILE_SLOTS; s += 4) mix_values(value + s, at + d, d, s);
        }
        count_excess();
    }

    // `mask`: whether a row's slots are shown, or null where all are.
    template <class Mask>
    void add(Mask&& mask) {
        for (int r = 0; r < room_; r += SCORED) score(r);
        for (int r = 0; r < rows_; r++) soften(r, mask(r));
        for (int r = 0; r < rows_; r += WEIGHED)
            for (int d = 0; d < dim_; d += CHUNK) weigh(r, d);
    }

    void write(int r, float* to) const {
        const float share = total_[r] > 0.0f ? 1.0f / total_[r] : 0.0f;
        const float* from = &sums_[(size_t)r * dim_];
        // Number 16 v + 4 L + i of a chunk is kept for number 16 L + 4 v + i.
        for (int d = 0; d < dim_; d += CHUNK)
            for (int v = 0; v < 4; v++)
                for (int lane = 0; lane < 4; lane++)
                    for (int i = 0; i < 4; i++) to[d + 16 * lane + 4 * v + i] = from[d + 16 * v + 4 * lane + i] * share;
    }

private:
    void quantise_query(const float* query, int r) { query_scales_[r] = to_bytes(query, dim_, &queries_[(size_t)r * dim_]); }

    // Sixteen slots: their numbers 4 j to 4 j + 3 become one vector.
    void turn_keys(const uint8_t* const* slots, size_t at, int d, int s) {
        __m512i rows[16];
        for (int j = 0; j < 16; j++) rows[j] = load<__m512i>(slots[j] + at);
        transpose(rows);
        for (int j = 0; j < 16; j++) std::memcpy(&keys_[(size_t)(d + 4 * j) * TILE_SLOTS + 4 * s], &rows[j], 64);
    }

    // Four slots: see `WholeSpan`.
    void mix_values(const uint8_t* const* slots, size_t at, int d, int s) {
        __m512i four[4];
        mix_four(slots, at, four);
        for (int v = 0; v < 4; v++) std::memcpy(&values_[(size_t)d * TILE_SLOTS + (s / 4 * 4 + v) * 64], &four[v], 64);
    }

    // Queries are kept plus 128: 128 times the sums of the keys is taken off again.
    void count_excess() {
        const __m512i more = _mm512_set1_epi8((char)128);
        for (int v = 0; v < SLOT_VECTORS; v++) {
            __m512i total = _mm512_setzero_si512();
            for (int d = 0; d < dim_; d += 4) total = _mm512_dpbusd_epi32(total, more, load<__m512i>(&keys_[(size_t)d * TILE_SLOTS + 64 * v]));
            excess_[v] = (Ints)total;
        }
    }

    void score(int first) {
        Ints totals[SCORED][SLOT_VECTORS];
        for (int r = 0; r < SCORED; r++)
            for (int v = 0; v < SLOT_VECTORS; v++) totals[r][v] = Ints{};
        const uint8_t* query = &queries_[(size_t)first * dim_];
        for (int d = 0; d < dim_; d += 4) {
            __m512i keys[SLOT_VECTORS];
            for (int v = 0; v < SLOT_VECTORS; v++) keys[v] = load<__m512i>(&keys_[(size_t)d * TILE_SLOTS + 64 * v]);
#pragma GCC unroll 6
            for (int r = 0; r < SCORED; r++) {
                const __m512i q = _mm512_set1_epi32(load<int32_t>(query + (size_t)r * dim_ + d));
                for (int v = 0; v < SLOT_VECTORS; v++) totals[r][v] = (Ints)_mm512_dpbusd_epi32((__m512i)totals[r][v], q, keys[v]);
            }
        }
        for (int r = 0; r < SCORED; r++)
            for (int v = 0; v < SLOT_VECTORS; v++) {
                const Floats found = __builtin_convertvector(totals[r][v] - excess_[v], Floats);
                store(&scores_[(size_t)(first + r) * TILE_SLOTS + v * LANES], found * (floats(key_scales_ + v * LANES) * query_scales_[first + r]));
            }
    }

    // Scores to weights, with the best score so far, and these to digits.
    void soften(int r, const uint8_t* shown) {
        float* score = &scores_[(size_t)r * TILE_SLOTS];
        if (shown)
            for (int s = 0; s < TILE_SLOTS; s++) score[s] = shown[s] ? score[s] : NOTHING;
        Floats tops = floats(score);
        for (int v = 1; v < SLOT_VECTORS; v++) tops = max(tops, floats(score + v * LANES));
        const float before = best_[r], now = std::max(before, largest(tops));
        shares_[r] = 0.0f;
        if (now == NOTHING) return (void)std::memset(&digits_[(size_t)r * 2 * TILE_SLOTS], 0, 2 * TILE_SLOTS);
        Floats weights[SLOT_VECTORS], added = {}, most = {};
        for (int v = 0; v < SLOT_VECTORS; v++) {
            weights[v] = exponential(floats(score + v * LANES) - now);
            added += weights[v];
            weights[v] *= floats(value_scales_ + v * LANES);
            most = max(most, weights[v]);
        }
        split(weights, largest(most), r);
        best_[r] = now;
        if (before == now) return (void)(total_[r] += sum(added));
        const float kept = exponential(all(before - now))[0];
        total_[r] = total_[r] * kept + sum(added);
        for (int d = 0; d < dim_; d += LANES) {
            float* to = &sums_[(size_t)r * dim_ + d];
            store(to, floats(to) * kept);
        }
    }

    void split(const Floats* weights, float most, int r) {
        const float inverse = most > 0.0f ? DIGITS / most : 0.0f;
        uint8_t *high = &digits_[(size_t)r * 2 * TILE_SLOTS], *low = high + TILE_SLOTS;
        for (int v = 0; v < SLOT_VECTORS; v++) split_digits(rounded(weights[v] * inverse), high + v * LANES, low + v * LANES);
        shares_[r] = most / DIGITS;
    }

    void weigh(int first, int d) {
        Ints high[WEIGHED][4], low[WEIGHED][4];
        for (int r = 0; r < WEIGHED; r++)
            for (int v = 0; v < 4; v++) high[r][v] = low[r][v] = Ints{};
        for (int s = 0; s < TILE_SLOTS; s += 4) {
            __m512i four[4];
            for (int v = 0; v < 4; v++) four[v] = load<__m512i>(&values_[(size_t)d * TILE_SLOTS + (s + v) * 64]);
#pragma GCC unroll 3
            for (int r = 0; r < WEIGHED; r++) {
                const uint8_t* digits = &digits_[(size_t)(first + r) * 2 * TILE_SLOTS + s];
                const __m512i a = _mm512_set1_epi32(load<int32_t>(digits)), b = _mm512_set1_epi32(load<int32_t>(digits + TILE_SLOTS));
                for (int v = 0; v < 4; v++) {
                    high[r][v] = (Ints)_mm512_dpbusd_epi32((__m512i)high[r][v], a, four[v]);
                    low[r][v] = (Ints)_mm512_dpbusd_epi32((__m512i)low[r][v], b, four[v]);
                }
            }
        }
        for (int r = 0; r < WEIGHED; r++)
            for (int v = 0; v < 4; v++) {
                float* to = &sums_[(size_t)(first + r) * dim_ + d + v * LANES];
                const Floats found = __builtin_convertvector(high[r][v], Floats) * 256.0f + __builtin_convertvector(low[r][v], Floats);
                store(to, fused(found, all(shares_[first + r]), floats(to)));
            }
    }

    int rows_ = 0, room_ = 0, dim_ = 0;
    std::vector<uint8_t> queries_, keys_, values_, digits_;
    std::vector<float> query_scales_, scores_, shares_, sums_, best_, total_;
    float key_scales_[TILE_SLOTS], value_scales_[TILE_SLOTS];
    Ints excess_[SLOT_VECTORS];
};

#else

class WholeTile {
public:
    template <class Query>
    void begin(int, int, Query&&) {}
    void read_cells(const Cells&, const Cells&, int, const int32_t*, int) {}
    template <class Mask>
    void add(Mask&&) {}
    void write(int, float*) const {}
};

#endif

}  // namespace pie
